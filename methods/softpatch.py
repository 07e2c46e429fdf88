"""SoftPatch: PatchCore whose memory leaves out suspicious patches and distrusts the rest by degree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from ltbench.methods.base import Card, Context, Need, Prediction
from ltbench.methods.blocks.coreset import coreset_size, kcenter
from ltbench.methods.blocks.denoise import ALL_ALIKE, denoise
from ltbench.methods.blocks.memory import MemoryBank
from ltbench.methods.features.backbone import DEFAULT_BACKBONE
from ltbench.methods.features.embed import EMBEDDED, EmbeddingName, PatchEmbedder
from ltbench.splits.images import ImageSet


@dataclass
class SoftPatch:
    """Local outlier factor per position, coreset of the inliers, distances weighted by the factor."""

    card: ClassVar[Card] = Card(
        title="SoftPatch",
        family="memory bank",
        summary="Before the coreset is chosen, patches unlike those of the other images at the same "
        "position are dropped; the kept ones carry their outlier factor as a weight. Built against "
        "contamination; rare products look like contamination to it.",
        paper="Jiang et al., NeurIPS 2022",
        url="https://github.com/TencentYoutuResearch/AnomalyDetection-SoftPatch",
        bibtex="""@inproceedings{jiang2022softpatch,
  title     = {{SoftPatch}: Unsupervised Anomaly Detection with Noisy Data},
  author    = {Jiang, Xi and Liu, Jianlin and Wang, Jinbao and Nie, Qiang and Wu, Kai and Liu, Yong and
               Wang, Chengjie and Zheng, Feng},
  booktitle = {Advances in Neural Information Processing Systems (NeurIPS)},
  year      = {2022}
}""",
        licence="Apache-2.0 (as its README says)",
        deviations=(
            "neighbours = 6 as in the paper; the authors' released script runs 5, since its option is not "
            "passed on.",
            "coreset_of = 'kept' and coreset_start = 'random1' follow the port in TailedCore's comparison; "
            "the authors' code takes the ratio of all patches (coreset_of = 'all') and starts from the mean"
            " distance to 128 rows (coreset_start = 'mean128'), where it means ten ('mean10'): an argument "
            "lands in another's place.",
            "A dropped patch is neither the first centre nor one of the rows of 'mean128'; in the authors' "
            "code it can be either.",
            ALL_ALIKE,
            "backbone: the default is a smaller network; the paper's is 'timm:wide_resnet50_2.tv_in1k'.",
            *EMBEDDED,
            "grid: a coarser patch grid than the backbone's is a budget cut.",
            "max_bank: a limit of the memory is a budget cut.",
        ),
    )
    needs: ClassVar[frozenset[Need]] = frozenset()
    version: ClassVar[int] = 3

    backbone: str = DEFAULT_BACKBONE
    """Frozen features; the paper's: timm:wide_resnet50_2.tv_in1k."""
    layers: tuple[str, ...] = ()
    """Layers of the backbone; none = its default (layer2 and layer3 of a Wide-ResNet-50)."""
    embedding: EmbeddingName = "auto"
    """Patch vectors: 'patchcore' (paper) or 'padim'; 'auto' = the paper's for a wide network."""
    standardise: bool = True
    """Channels of 'padim' vectors have unit variance, their layers one weight; 'patchcore' ones stay."""
    grid: int | None = None
    """Side of a coarser patch grid; none = the backbone's own."""
    coreset_ratio: float = 0.1
    """Share of the patches that the memory keeps."""
    coreset_of: Literal["kept", "all"] = "kept"
    """Patches that the ratio refers to: those kept after denoising, or all."""
    coreset_start: Literal["mean10", "mean128", "random1"] = "random1"
    """Start of the greedy selection: PatchCore's, the authors' code (mean128), or TailedCore's port."""
    projection: int | None = 128
    """Random projection for outlier factors and coreset."""
    max_bank: int | None = None
    """Upper limit of the memory, in patches."""
    neighbours: int = 6
    """Neighbours of the local outlier factor."""
    removed: float = 0.15
    """Share of the patches that are dropped."""
    pooling_of_lof: Literal["all", "position"] = "all"
    """One threshold over the factors of all positions (paper), or one per position."""
    soft_weights: bool = True
    """Multiply distances by the outlier factor of the nearest memory patch."""

    def fit(self, train: ImageSet, context: Context) -> None:
        self._embedder = PatchEmbedder(
            self.backbone, context,
            layers=self.layers, embedding=self.embedding, grid=self.grid, standardise=self.standardise,
        )  # fmt: skip
        vectors = self._embedder.fit(train, title="embed training images").vectors
        clean = denoise(
            vectors,
            neighbours=self.neighbours,
            removed=self.removed,
            projection=self.projection,
            rng=context.rng,
            device=context.device,
            pooling=self.pooling_of_lof,
        )
        rows = vectors.reshape(-1, vectors.shape[-1])
        counted = int(clean.kept.sum()) if self.coreset_of == "kept" else len(rows)
        size = coreset_size(counted, self.coreset_ratio, self.max_bank)
        kept = kcenter(
            rows,
            size,
            rng=context.rng,
            start=self.coreset_start,
            mask=clean.kept,
            projection=self.projection,
            device=context.device,
        )
        weights = clean.factor[kept] if self.soft_weights else None
        self._bank = MemoryBank(np.ascontiguousarray(rows[kept]), weights=weights, device=context.device)
        context.report("memory_bank_mb", self._bank.megabytes)
        context.report("kept_share", float(clean.kept.mean()))

    def score(self, test: ImageSet, context: Context) -> Prediction:
        return self._bank.predict(self._embedder.batches(test, title="score test images"), len(test))
