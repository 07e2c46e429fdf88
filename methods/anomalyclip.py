"""AnomalyCLIP: prompts for "normal" and "damaged" learned on another data set, against local features."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch.nn import functional

from ltbench.methods import catalog
from ltbench.methods.base import AuxiliarySet, Card, Context, MapPost, Need, Prediction
from ltbench.methods.errors import BadParameter, MethodsError
from ltbench.methods.features.extract import FeatureBatch
from ltbench.methods.language.backbone import EncodedImages
from ltbench.methods.language.learned_prompts import LearnedPrompts
from ltbench.methods.training.engine import Batch, Plan, train
from ltbench.methods.training.pixel_losses import dice, focal
from ltbench.methods.training.randomness import repeatable, seeded
from ltbench.methods.training.sampling import Sampler, iterations_of
from ltbench.splits.images import ImageSet
from ltbench.splits.view import resize_and_crop_mask

PAPER_BACKBONE = "openclip:ViT-L-14-336-quickgelu@openai?image_size=518&positions=bilinear"
PAPER_SIDE = 518
"""Pixels along a side of the maps that the paper smooths."""


@dataclass
class AnomalyCLIP:
    """Object-agnostic prompts and deep text tokens; local features from value-to-value attention."""

    card: ClassVar[Card] = Card(
        title="AnomalyCLIP",
        family="vision-language",
        summary="Learns what 'normal' and 'damaged' are called, whatever the product, on another data set "
        "with labelled defects, and compares these two texts with the image and its patches. It uses no "
        "training image of the judged products: neither a long tail nor contamination can reach it.",
        paper="Zhou et al., ICLR 2024",
        url="https://github.com/zqhang/AnomalyCLIP",
        bibtex="""@inproceedings{zhou2024anomalyclip,
  title     = {{AnomalyCLIP}: Object-agnostic Prompt Learning for Zero-shot Anomaly Detection},
  author    = {Zhou, Qihang and Pang, Guansong and Tian, Yu and He, Shibo and Chen, Jiming},
  booktitle = {International Conference on Learning Representations (ICLR)},
  year      = {2024}
}""",
        licence="MIT",
        deviations=(
            "backbone: 'toy-vl' ships with the package and knows no language; the paper's is "
            f"'{PAPER_BACKBONE}' (OpenAI's weights, MIT).",
            "Deep tokens have 32 bits; the released code rounds them to 16.",
            "auxiliary: prompts are learned anew in each run, on the test part of this data set, rather than "
            "read from the authors' checkpoint; the paper learns on VisA to judge MVTec AD and on MVTec AD "
            "to judge all others.",
            "Local features are those of the last block alone, as the released scripts choose; the paper "
            "names four blocks.",
            "The image embedding is projected without the last layer norm, as in the released code.",
            "The image is seen through the benchmark's view and resized to the encoder's side, and the loss "
            "is taken at the view's resolution rather than at 518 x 518.",
            "epochs: fewer than 15, or a number of iterations, are a budget cut.",
        ),
    )
    needs: ClassVar[frozenset[Need]] = frozenset({"auxiliary_masks"})
    version: ClassVar[int] = 2

    backbone: str = "toy-vl"
    """Vision-language encoder (paper: CLIP ViT-L-14 at 518 pixels, named in full among the deviations)."""
    auxiliary: str = "mvtec"
    """Data set with masks to learn from, never the judged one; paper: visa for mvtec, else mvtec."""
    words: int = 12
    """Learned vectors in front of "object." and of "damaged object."."""
    deep_blocks: int = 9
    """Text blocks up to which learned tokens are put in; the first has none."""
    deep_tokens: int = 4
    """Learned tokens per block; 0 = none."""
    value_blocks: int = 19
    """Last image blocks with value-to-value attention; in an encoder with fewer: all but the first."""
    temperature: float = 0.07
    """Divides the cosines before the softmax."""
    sigma: float = 4.0
    """Deviation of the Gaussian over the map, in pixels of the paper's 518 x 518; scaled to the view."""
    learning_rate: float = 1e-3
    """Adam learning rate."""
    batch_size: int = 8
    """Auxiliary images per step."""
    epochs: float = 15
    """Passes over the auxiliary images."""
    iterations: int | None = None
    """Instead of epochs."""

    def __post_init__(self) -> None:
        for name in ("words", "deep_blocks", "value_blocks", "batch_size"):
            if getattr(self, name) < 1:
                raise BadParameter(
                    f"anomalyclip's field '{name}' is {getattr(self, name)}: expected 1 or more"
                )

    @property
    def layers(self) -> tuple[str, ...]:
        """Feature maps that are read: local features in the shared space, and the class token."""
        return f"vvlast{self.value_blocks}.projected", "classlast"

    @repeatable()
    def fit(self, train: ImageSet, context: Context) -> None:
        if len(train) == 0:
            raise MethodsError("the training set is empty: expected at least one image")
        auxiliary = context.auxiliary
        if auxiliary is None or not auxiliary.labels.any():
            raise MethodsError(
                "anomalyclip learns from another data set with labelled defects and was given none: name one "
                "in its field 'auxiliary'"
            )
        self._images = EncodedImages(self.backbone, context, self.layers)
        if self._images.encoder.transformer is None:
            raise BadParameter(
                f"the image tower of '{self.backbone}' has no attention among values: expected a vision "
                f"transformer such as '{PAPER_BACKBONE}'"
            )
        with seeded(context):
            prompts = LearnedPrompts(
                self._images.encoder.text,
                words=self.words,
                deep_blocks=self.deep_blocks,
                deep_tokens=self.deep_tokens,
            )
        self._learn(prompts, auxiliary, context)
        with torch.no_grad():
            self._texts = prompts()

    def _learn(self, prompts: LearnedPrompts, auxiliary: AuxiliarySet, context: Context) -> None:
        masks = view_masks(auxiliary, context)
        labels = torch.from_numpy(auxiliary.labels)
        sampler = Sampler(len(auxiliary.images), self.batch_size, context.rng)
        iterations = self.iterations
        if iterations is None:
            iterations = iterations_of(self.epochs, sampler)

        def loss(batch: Batch) -> torch.Tensor:
            features = self._images.few(auxiliary.images, batch.indices.tolist())
            wanted = torch.stack([masks[index] for index in batch.indices.tolist()])
            return self._loss(features, prompts(), labels[batch.indices], wanted)

        identity = [catalog.config(self), self._images.encoder.digest, auxiliary.digest, str(context.view)]
        train(
            prompts,
            loss,
            sampler,
            torch.optim.Adam(prompts.parameters(), self.learning_rate, betas=(0.5, 0.999)),
            plan=Plan(iterations),
            context=context,
            title="learn prompts",
            identity=json.dumps(identity),
        )

    def _loss(
        self, features: FeatureBatch, texts: torch.Tensor, labels: torch.Tensor, masks: torch.Tensor
    ) -> torch.Tensor:
        """Cross entropy of the image, and 4 times focal and both dice losses of the upsampled map (eq. 3)."""
        whole, patches = self._logits(features, texts)
        masks = masks.to(whole.device)
        maps = functional.interpolate(patches.softmax(dim=1), size=masks.shape[1:], mode="bilinear")
        local = focal(maps, masks) + dice(maps[:, 1], masks) + dice(maps[:, 0], ~masks)
        return functional.cross_entropy(whole, labels.to(whole.device, torch.int64)) + 4 * local

    def _logits(self, features: FeatureBatch, texts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines to both texts over the temperature: (B, 2) of images, (B, 2, grid, grid) of patches."""
        local, first = features.maps
        tower = self._images.encoder.transformer
        whole = functional.normalize(tower.project(first[:, :, 0, 0], normalise=False), dim=-1)
        patches = torch.einsum("bchw,tc->bthw", functional.normalize(local, dim=1), texts)
        return whole @ texts.T / self.temperature, patches / self.temperature

    @torch.no_grad()
    @repeatable()
    def score(self, test: ImageSet, context: Context) -> Prediction:
        scores, grids = [], []
        for features in self._images.batches(test, title="score test images"):
            whole, patches = self._logits(features, self._texts)
            scores.append(whole.softmax(dim=1)[:, 1].cpu().numpy())
            grids.append(patches.softmax(dim=1)[:, 1].cpu().numpy())
        post = MapPost(sigma=self.sigma * context.view.crop / PAPER_SIDE)
        return Prediction(np.concatenate(scores), np.concatenate(grids), post)


def view_masks(auxiliary: AuxiliarySet, context: Context) -> list[torch.Tensor]:
    """Bool (crop, crop) per auxiliary image: the part of its mask that the benchmark's view shows."""
    view = context.view
    masks = []
    for index in context.progress(range(len(auxiliary.labels)), "read masks", len(auxiliary.labels)):
        mask = np.zeros((view.crop, view.crop), np.bool_)
        if auxiliary.labels[index]:
            mask = resize_and_crop_mask(auxiliary.mask(index), view.resize, view.crop, squeeze=view.squeeze)
        masks.append(torch.from_numpy(mask))
    return masks
