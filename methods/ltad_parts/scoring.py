"""Scores of LTAD: both parts and their weight, and the inferred class of a test image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from ltbench.methods.base import Context, MapPost, Prediction
from ltbench.methods.blocks.image_scores import largest_of_pooled
from ltbench.methods.errors import BadParameter, MethodsError
from ltbench.methods.features.tokens import TokenReader
from ltbench.methods.layers.uniad import feature_jitter
from ltbench.methods.ltad_parts import equations
from ltbench.methods.ltad_parts.detection import Detection, shifted_classes
from ltbench.methods.ltad_parts.phases import Names, TrainingSet
from ltbench.splits.images import ImageSet

POST = MapPost(sigma=0.0, upsample="bilinear_corners")
RANGE_QUANTILE = 0.99
"""Quantile of S_rec on training patches that serves as its range."""
_IMAGES_AT_ONCE = 64
_MOST_IMAGES = 1024
"""Largest number of training images that lambda is computed from; more do not change the quantile."""


@dataclass(frozen=True)
class Codes:
    """Standardisation of the codes z = f_L, and the mean code of every class."""

    mean: torch.Tensor
    """(P,), mean of the codes, or 0 without standardisation."""
    scale: torch.Tensor
    """(P,), inverse standard deviation of the codes, or 1."""
    centres: torch.Tensor
    """(K, P), mean code of each class; not finite for a class without an image."""

    @classmethod
    def learn(cls, pooled: torch.Tensor, ids: torch.Tensor, *, standardise: bool) -> Codes:
        """Compute standardisation and class means from pooled embeddings (N, P) and class ids (N,)."""
        mean, scale = torch.zeros_like(pooled[0]), torch.ones_like(pooled[0])
        if standardise:
            mean, deviation = pooled.mean(dim=0), pooled.std(dim=0, correction=0)
            scale = torch.where(deviation > 0, 1 / deviation.clamp_min(1e-12), scale)
        codes = (pooled - mean) * scale
        chosen = functional.one_hot(ids).to(codes.dtype)
        return cls(mean, scale, chosen.T @ codes / chosen.sum(dim=0)[:, None])

    def standardised(self, pooled: torch.Tensor) -> torch.Tensor:
        """Standardise pooled embeddings (B, P)."""
        return (pooled - self.mean) * self.scale

    def nearest(self, pooled: torch.Tensor) -> torch.Tensor:
        """Class with the nearest mean code by cosine, int64 (B,)."""
        cosine = (
            functional.normalize(self.standardised(pooled), dim=-1)
            @ functional.normalize(self.centres, dim=-1).T
        )
        return cosine.nan_to_num(-torch.inf).argmax(dim=-1)


@dataclass
class Scorer:
    """Trained LTAD that scores images."""

    unsaved: ClassVar = ("names",)
    """Scores need their texts alone."""

    reader: TokenReader
    codes: Codes
    detection: Detection
    names: Names
    temperature: float
    grid: int
    pool: int
    weight: float = 1.0
    """Weight lambda of equation (5)."""
    _texts: tuple[torch.Tensor, torch.Tensor] = field(init=False)
    _prototypes: torch.Tensor = field(init=False)

    def __post_init__(self) -> None:
        with torch.no_grad():
            self._texts, self._prototypes = self.names.classifiers(), self.names.prototypes()

    def shuffle(self, rng: np.random.Generator) -> None:
        """Score every class with the texts of another class from now on (Table 8)."""
        count = len(self._prototypes)
        other = shifted_classes(count, torch.from_numpy(rng.permutation(count)))
        self._texts = (self._texts[0][other], self._texts[1][other])

    @torch.inference_mode()
    def parts(self, vectors: torch.Tensor, ids: torch.Tensor) -> dict[str, torch.Tensor]:
        """S_rec and S_sem, (B, T) each, of patches (B, T, C) with class ids (B,), as far as trained."""
        scores = {}
        if self.detection.reconstruction is not None:
            rebuilt = self.detection.reconstruction(vectors)
            scores["reconstruction"] = equations.reconstruction_score(rebuilt, vectors)
        if self.detection.semantic is not None:
            normal, abnormal = (texts[ids] for texts in self._texts)
            scores["semantic"] = equations.semantic_score(
                self.detection.semantic(vectors), normal, abnormal, self.temperature
            )
        return scores

    def combined(self, parts: dict[str, torch.Tensor]) -> torch.Tensor:
        """Combine the trained parts by equation (5): (B, T)."""
        if len(parts) == 1:
            return next(iter(parts.values()))
        return equations.anomaly_score(parts["reconstruction"], parts["semantic"], self.weight)

    def settle(self, training: TrainingSet, weight: float | None, jitter: float, context: Context) -> None:
        """Set lambda, and report how the semantic score separates training patches from jittered ones.

        Args:
            training: Training features.
            weight: lambda; None = the `RANGE_QUANTILE` of S_rec on training patches.
            jitter: Strength of the noise of jittered patches.
            context: Receiver of the reports.
        """
        count = len(training.bank)
        chosen = torch.linspace(0, count - 1, min(count, _MOST_IMAGES)).round().to(torch.int64)
        reconstruction, normal, jittered = [], [], []
        for indices in chosen.split(_IMAGES_AT_ONCE):
            vectors = training.bank.gather(indices).vectors
            ids = training.ids[indices.to(training.ids.device)]
            parts = self.parts(vectors, ids)
            if "reconstruction" in parts:
                reconstruction.append(parts["reconstruction"].flatten().cpu())
            if "semantic" in parts:
                normal.append(parts["semantic"].mean(dim=1).cpu())
                noisy = feature_jitter(vectors, jitter)
                jittered.append(self.parts(noisy, ids)["semantic"].mean(dim=1).cpu())
        if normal:
            context.report("semantic_score_of_training_patches", float(torch.cat(normal).mean()))
            context.report("semantic_score_of_jittered_patches", float(torch.cat(jittered).mean()))
        if reconstruction and normal:
            spread = np.quantile(torch.cat(reconstruction).numpy(), RANGE_QUANTILE)
            self.weight = float(spread) if weight is None else weight
            context.report("semantic_weight", self.weight)

    def predict(
        self, test: ImageSet, context: Context, *, ids: npt.NDArray[np.int64] | None, by_text: bool
    ) -> Prediction:
        """Score images.

        Args:
            test: Images.
            context: View of the images and receiver of reports.
            ids: Class id of each image; None = infer the classes.
            by_text: Infer classes by the nearest class prototype instead of the nearest mean code.
        """
        grids, shares = [], []
        for vectors, classes in self._batches(test, ids, by_text):
            parts = self.parts(vectors, classes)
            total = self.combined(parts)
            grids.append(total.reshape(-1, self.grid, self.grid).cpu().numpy())
            if len(parts) == 2:
                shares.append((self.weight * parts["semantic"]).sum(dim=1).div(total.sum(dim=1)).cpu())
        if shares:
            context.report("semantic_share_of_test_scores", float(torch.cat(shares).mean()))
        all_grids = np.concatenate(grids)
        scores = largest_of_pooled(all_grids, context.view.crop, POST, self.pool)
        return Prediction(scores=scores, grids=all_grids, post=POST)

    def _batches(
        self, test: ImageSet, ids: npt.NDArray[np.int64] | None, by_text: bool
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield patches and classes, a few images at a time."""
        done = 0
        for tokens in self.reader.batches(test, title="score test images"):
            count = len(tokens.vectors)
            if ids is None:
                classes = self._inferred(tokens.pooled, by_text)
            else:
                classes = torch.from_numpy(ids[done : done + count]).to(tokens.vectors.device)
                self._require_known(classes)
            yield tokens.vectors, classes
            done += count

    def _inferred(self, pooled: torch.Tensor, by_text: bool) -> torch.Tensor:
        """Infer the class of each image by the nearest mean code or the nearest class prototype."""
        if not by_text:
            return self.codes.nearest(pooled)
        if pooled.shape[1] != self._prototypes.shape[1]:
            raise BadParameter(
                f"class_inference 'text' compares image embeddings of {pooled.shape[1]} numbers with texts "
                f"of {self._prototypes.shape[1]}: expected backbone and text_encoder to be halves of one"
            )
        cosine = functional.normalize(pooled, dim=-1) @ functional.normalize(self._prototypes, dim=-1).T
        return cosine.argmax(dim=-1)

    def _require_known(self, classes: torch.Tensor) -> None:
        """Raise MethodsError for a class without training images."""
        if int(classes.max()) >= len(self._prototypes):
            raise MethodsError(
                f"a test image is of class {int(classes.max())}, but training images showed "
                f"{len(self._prototypes)} classes: LTAD cannot score a class that it never saw"
            )
