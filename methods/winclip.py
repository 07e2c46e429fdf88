"""WinCLIP: cosines of image and windows to texts about states; few-shot, to reference images as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch

from ltbench.methods.base import Card, Context, MapPost, Need, Prediction
from ltbench.methods.errors import BadParameter, MethodsError
from ltbench.methods.features.extract import FeatureBatch
from ltbench.methods.language.backbone import EncodedImages
from ltbench.methods.language.states import abnormality, normal_and_abnormal
from ltbench.methods.language.windows import (
    distance_to_references,
    drawn_references,
    harmonic_of,
    harmonic_over_windows,
    unit_vectors,
)
from ltbench.splits.images import ImageSet

ZERO_SHOT_NEEDS: frozenset[Need] = frozenset({"class_names", "class_ids_score"})


@dataclass
class WinCLIP:
    """Zero-shot (`shots = 0`), or with references from the training set (WinCLIP+)."""

    card: ClassVar[Card] = Card(
        title="WinCLIP",
        family="vision-language",
        summary="Asks a vision-language model whether the image and each of its windows look more like a "
        "flawless or a damaged product of that name. Without shots it uses no training image: neither a long "
        "tail nor contamination can reach it.",
        paper="Jeong et al., CVPR 2023",
        url="https://arxiv.org/abs/2303.14814",
        bibtex="""@inproceedings{jeong2023winclip,
  title     = {{WinCLIP}: Zero-/Few-Shot Anomaly Classification and Segmentation},
  author    = {Jeong, Jongheon and Zou, Yang and Kim, Taewan and Zhang, Dongqing and Ravichandran, Avinash and
               Dabeer, Onkar},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  year      = {2023}
}""",
        licence="none released; the re-implementation Accurate-WinCLIP: Apache-2.0",
        deviations=(
            "backbone: 'toy-vl' ships with the package and knows no language; the paper's is "
            "'openclip:ViT-B-16-plus-240@laion400m_e31' (OpenCLIP weights, MIT).",
            "shots: references are drawn from the training set by class, each at most once, so that they "
            "can be contaminated and a tail class can have fewer; the paper draws them from clean images, "
            "the re-implementation with repetitions.",
            "variant: 'paper' writes the paper's 22 templates around names with spaces; 'accurate' the 21 of "
            "the re-implementation behind TailedCore's tables, around names as they are; both average texts "
            "before normalising them.",
            "The image is seen through the benchmark's view and resized to the encoder's side, rather than "
            "resized as a whole.",
        ),
    )
    needs: ClassVar[frozenset[Need]] = ZERO_SHOT_NEEDS | {"class_ids_fit"}
    version: ClassVar[int] = 1

    backbone: str = "toy-vl"
    """Vision-language encoder; the paper's: openclip:ViT-B-16-plus-240@laion400m_e31."""
    shots: int = 0
    """Reference images per class (paper: 0, 1, 2, 4)."""
    variant: Literal["paper", "accurate"] = "paper"
    """Texts of the paper, or those of the re-implementation Accurate-WinCLIP."""
    windows: tuple[int, ...] = (2, 3)
    """Sides of the windows, in patches; patches alone join them with shots."""
    temperature: float = 0.07
    """Divides the cosines before the softmax."""

    def __post_init__(self) -> None:
        if self.shots < 0:
            raise BadParameter(f"winclip's field 'shots' is {self.shots}: expected 0 or more")
        if self.shots == 0:
            # What is not used must not stand on the result.
            self.needs = ZERO_SHOT_NEEDS

    @property
    def layers(self) -> tuple[str, ...]:
        """Feature maps that are read: windows, and for references patches before the last norm."""
        windows = tuple(f"windows{side}" for side in self.windows)
        return windows if self.shots == 0 else (*windows, "blocklast")

    def fit(self, train: ImageSet, context: Context) -> None:
        if len(train) == 0:
            raise MethodsError("the training set is empty: expected at least one image")
        self._images = EncodedImages(self.backbone, context, self.layers)
        self._references: dict[str, list[torch.Tensor]] = {}
        if self.shots == 0:
            return
        drawn, short = drawn_references(train.class_ids, self.shots, context.rng)
        for class_id, indices in drawn.items():
            maps = self._images.few(train, indices).maps
            self._references[train.class_names[class_id]] = [unit_vectors(m).flatten(0, 1) for m in maps]
        context.report("references", float(sum(map(len, drawn.values()))))
        context.report("classes_with_fewer_shots", float(short))

    def score(self, test: ImageSet, context: Context) -> Prediction:
        texts = {name: self._texts(name) for name in test.class_names}
        scores, grids = [], []
        for batch in self._images.batches(test, title="score test images"):
            names = [test.class_names[test.class_ids[index]] for index in batch.indices]
            pairs = torch.stack([texts[name] for name in names])
            whole = abnormality(batch.pooled, pairs, self.temperature)
            maps = self._zero_shot(batch, pairs, whole)
            if self.shots:
                few = torch.stack([self._few_shot(batch, row, name) for row, name in enumerate(names)])
                maps = maps + few
                whole = (whole + few.amax(dim=(1, 2))) / 2
            scores.append(whole.cpu().numpy())
            grids.append(maps.cpu().numpy())
        return Prediction(
            np.concatenate(scores).astype(np.float32),
            np.concatenate(grids).astype(np.float32),
            MapPost(sigma=0),
        )

    def _texts(self, name: str) -> torch.Tensor:
        if self.variant == "accurate":
            return normal_and_abnormal(self._images.encoder.text, name, "accurate")
        return normal_and_abnormal(self._images.encoder.text, name.replace("_", " "), "winclip")

    def _zero_shot(self, batch: FeatureBatch, pairs: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
        """(B, grid, grid): harmonic mean of the image's and the windows' probabilities, section 4.2."""
        maps = []
        for side, embeddings in zip(self.windows, batch.maps, strict=False):
            places = embeddings.permute(0, 2, 3, 1)
            maps.append(
                harmonic_over_windows(abnormality(places, pairs[:, None, None], self.temperature), side)
            )
        return harmonic_of([*maps, whole[:, None, None].expand_as(maps[0])])

    def _few_shot(self, batch: FeatureBatch, row: int, name: str) -> torch.Tensor:
        """Mean over windows and patches of the distance to the references (section 4.3), (grid, grid)."""
        if name not in self._references:
            raise MethodsError(
                f"class '{name}' has no training image to refer to: expected one, or shots = 0"
            )
        maps = []
        for layer, references, side in zip(
            batch.maps, self._references[name], (*self.windows, 1), strict=True
        ):
            distances = distance_to_references(unit_vectors(layer[row : row + 1]), references)
            maps.append(harmonic_over_windows(distances.view(1, *layer.shape[2:]), side))
        return torch.stack(maps).mean(dim=0)[0]
