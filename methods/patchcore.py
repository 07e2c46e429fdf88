"""PatchCore: distance to the nearest patch of a thinned memory of the training patches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from ltbench.methods.base import Card, Context, Need, Prediction
from ltbench.methods.blocks.coreset import coreset_size, kcenter
from ltbench.methods.blocks.memory import MemoryBank
from ltbench.methods.features.backbone import DEFAULT_BACKBONE
from ltbench.methods.features.embed import EMBEDDED, EmbeddingName, PatchEmbedder
from ltbench.splits.images import ImageSet


@dataclass
class PatchCore:
    """Greedy k-centre coreset of all patches, 1-NN squared distance, image score = largest patch score."""

    card: ClassVar[Card] = Card(
        title="PatchCore",
        family="memory bank",
        summary="Keeps a coreset of mid-level patch features of all training images; a patch is as "
        "anomalous as it is far from the nearest kept one. The coreset seeks out rare patches: "
        "those of rare products, and defects alike.",
        paper="Roth et al., CVPR 2022",
        url="https://github.com/amazon-science/patchcore-inspection",
        bibtex="""@inproceedings{roth2022patchcore,
  title     = {Towards Total Recall in Industrial Anomaly Detection},
  author    = {Roth, Karsten and Pemula, Latha and Zepeda, Joaquin and Sch{\\"o}lkopf, Bernhard and
               Brox, Thomas and Gehler, Peter},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  year      = {2022}
}""",
        licence="Apache-2.0",
        deviations=(
            "The image score is the largest patch score; the paper's re-weighting by the neighbourhood of "
            "the nearest memory patch is left out, as in the authors' code.",
            "coreset_start: 'mean10' is the authors' code; the suites of TailedCore's tables take its port's "
            "'random1'.",
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
    coreset_start: Literal["mean10", "random1"] = "mean10"
    """Start of the greedy selection: the authors' code, or TailedCore's."""
    projection: int | None = 128
    """Random projection in which the coreset is chosen."""
    max_bank: int | None = None
    """Upper limit of the memory, in patches."""

    def fit(self, train: ImageSet, context: Context) -> None:
        self._embedder = PatchEmbedder(
            self.backbone, context,
            layers=self.layers, embedding=self.embedding, grid=self.grid, standardise=self.standardise,
        )  # fmt: skip
        patches = self._embedder.fit(train, title="embed training images").vectors
        rows = patches.reshape(-1, patches.shape[-1])
        size = coreset_size(len(rows), self.coreset_ratio, self.max_bank)
        kept = kcenter(
            rows,
            size,
            rng=context.rng,
            start=self.coreset_start,
            projection=self.projection,
            device=context.device,
        )
        self._bank = MemoryBank(np.ascontiguousarray(rows[kept]), device=context.device)
        context.report("memory_bank_mb", self._bank.megabytes)

    def score(self, test: ImageSet, context: Context) -> Prediction:
        return self._bank.predict(self._embedder.batches(test, title="score test images"), len(test))
