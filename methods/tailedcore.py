"""TailedCore: denoised memory for large classes, everything kept of images that belong to small ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from ltbench.methods.base import Card, Context, Need, Prediction
from ltbench.methods.blocks.coreset import coreset_size, kcenter
from ltbench.methods.blocks.denoise import ALL_ALIKE, denoise
from ltbench.methods.blocks.memory import MemoryBank
from ltbench.methods.blocks.tails import TailEstimate, estimate_tail
from ltbench.methods.errors import MethodsError
from ltbench.methods.features.backbone import DEFAULT_BACKBONE
from ltbench.methods.features.embed import EMBEDDED, EmbeddingName, PatchEmbedder, Patches
from ltbench.methods.features.transform import Augmentation
from ltbench.splits.images import ImageSet

Rows = npt.NDArray[np.float32]


@dataclass
class TailedCore:
    """Tail images found by class-size estimation, with rotated copies; SoftPatch's filter for all images."""

    card: ClassVar[Card] = Card(
        title="TailedCore",
        family="memory bank",
        summary="Estimates from global embeddings how many images share each image's product. Images of "
        "small products bypass the denoising and enter the memory with rotated copies; all images "
        "also go through the patch filter. No labels are used.",
        paper="Jung et al., CVPR 2025",
        url="https://github.com/jungyg/TailedCore",
        bibtex="""@inproceedings{jung2025tailedcore,
  title     = {{TailedCore}: Few-Shot Sampling for Unsupervised Long-Tail Noisy Anomaly Detection},
  author    = {Jung, Yoon Gyo and Park, Jaewoo and Yoon, Jaeho and Peng, Kuan-Chuan and Kim, Wonchul and
               Teoh, Andrew Beng Jin and Camps, Octavia},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  year      = {2025}
}""",
        licence="none (jungyg/TailedCore); MIT (roomo7time/tailedcore)",
        deviations=(
            "size_neighbours = 'reverse', tail_cap = 0.15 and quantise = true follow the released code; the"
            " paper's text has 'forward', none and false.",
            "least_imbalance: no tail is declared where the largest estimated class is not twice the "
            "smallest; the released code (0) always declares one, the smallest classes, and calls all images "
            "tails where it finds one class or equally large ones.",
            "augment: the authors choose the rotations per data set and kind of tail (rot15flip, rot30flip,"
            " rot90flip), which is knowledge about the classes; here one default for all.",
            "augment: in copies turned by odd multiples of 15 degrees, up to 1 % of the pixels are another "
            "of two equally near ones.",
            ALL_ALIKE,
            "max_augmented_images and max_augmented_rows: limits on the rotated copies are budget cuts.",
            "backbone: the default is a smaller network; the paper's is 'timm:wide_resnet50_2.tv_in1k'.",
            *EMBEDDED,
            "grid: a coarser patch grid than the backbone's is a budget cut.",
            "max_bank: a limit of the memories is a budget cut.",
        ),
    )
    needs: ClassVar[frozenset[Need]] = frozenset()
    version: ClassVar[int] = 4

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
    """Share of the patches that either memory keeps."""
    projection: int | None = 128
    """Random projection for outlier factors and coresets."""
    max_bank: int | None = None
    """Upper limit of either memory, in patches."""
    neighbours: int = 6
    """Neighbours of the local outlier factor."""
    removed: float = 0.15
    """Share of the patches that the filter drops."""
    percentile: float = 0.85
    """Share of the half-angle neighbourhood that an image's own threshold keeps."""
    size_neighbours: Literal["reverse", "forward"] = "reverse"
    """Images that vote on a class size: those with the image as neighbour (code), or its own (paper)."""
    quantise: bool = True
    """Round similarities down to multiples of 1/n before the threshold (code)."""
    tail_cap: float | None = 0.15
    """Tails hold at most this share of all images (code); none = no limit (paper)."""
    least_imbalance: float = 2.0
    """No tail unless the largest class is this many times the smallest; 0 = no such condition (code)."""
    augment: Literal["none", "rot90flip", "rot30flip", "rot15flip"] = "rot90flip"
    """Rotated and mirrored copies of tail images."""
    max_augmented_images: int | None = None
    """Upper limit of the tail images that get copies; none = all."""
    max_augmented_rows: int | None = None
    """Upper limit of the copies' patches, drawn evenly from all copies; none = all."""
    variant: Literal["full", "head", "tail"] = "full"
    """Both memories (paper), or one alone as in its ablation."""

    def fit(self, train: ImageSet, context: Context) -> None:
        self._embedder = PatchEmbedder(
            self.backbone, context,
            layers=self.layers, embedding=self.embedding, grid=self.grid, standardise=self.standardise,
        )  # fmt: skip
        patches = self._embedder.fit(train, title="embed training images")
        estimate = self._estimate(patches.pooled)
        tail = np.flatnonzero(estimate.tail)
        context.report("estimated_tail_images", float(len(tail)))
        context.report("estimated_tail_limit", float(estimate.limit))
        context.report("estimated_classes", float(len(estimate.groups)))
        banks = []
        if self.variant != "tail":
            banks.append(self._head_memory(patches.vectors, context))
            context.report("head_memory_rows", float(len(banks[-1])))
        if self.variant != "head" and len(tail):
            banks.append(self._tail_memory(patches, tail, train, context))
            context.report("tail_memory_rows", float(len(banks[-1])))
        if not banks:
            raise MethodsError("no tail was found among the training images: variant 'tail' has no memory")
        self._bank = MemoryBank(np.concatenate(banks), device=context.device)
        context.report("memory_bank_mb", self._bank.megabytes)

    def score(self, test: ImageSet, context: Context) -> Prediction:
        return self._bank.predict(self._embedder.batches(test, title="score test images"), len(test))

    def _estimate(self, pooled: Rows) -> TailEstimate:
        return estimate_tail(
            pooled,
            percentile=self.percentile,
            neighbours=self.size_neighbours,
            quantise=self.quantise,
            cap=self.tail_cap,
            least_imbalance=self.least_imbalance,
        )

    def _head_memory(self, vectors: Rows, context: Context) -> Rows:
        """Coreset of the inliers of all images: tail images go through the filter too, as in the code."""
        clean = denoise(
            vectors,
            neighbours=self.neighbours,
            removed=self.removed,
            projection=self.projection,
            rng=context.rng,
            device=context.device,
        )
        return self._coreset(vectors.reshape(-1, vectors.shape[-1]), clean.kept, context)

    def _tail_memory(
        self, patches: Patches, tail: npt.NDArray[np.int64], train: ImageSet, context: Context
    ) -> Rows:
        """Coreset of all patches of the tail images and of their rotated copies."""
        copied = tail[: self.max_augmented_images].tolist() if self.augment != "none" else []
        augmentation = Augmentation(self.augment) if copied else ()
        _, height, width, dim = patches.vectors.shape
        whole = height * width
        kept = whole
        if copied and self.max_augmented_rows is not None:
            kept = min(whole, max(1, self.max_augmented_rows // (len(copied) * len(augmentation))))
        # Filled in place: parts beside their concatenation would need tens of GB more at full size.
        rows = np.empty((len(tail) * whole + len(copied) * len(augmentation) * kept, dim), np.float32)
        done = len(tail) * whole
        rows[:done] = patches.vectors[tail].reshape(-1, dim)
        for vectors in self._copies(copied, train, context):
            chosen = slice(None)
            if self.max_augmented_rows is not None:
                chosen = np.sort(context.rng.choice(whole, size=kept, replace=False))
            rows[done : done + kept] = vectors[chosen]
            done += kept
        return self._coreset(rows, None, context)

    def _copies(self, copied: list[int], train: ImageSet, context: Context) -> Iterator[Rows]:
        """(h * w, D) patches of every copy of these images."""
        if not copied:
            return
        for batch in self._embedder.batches(
            train, title="embed copies of tail images", augment=Augmentation(self.augment), indices=copied
        ):
            yield from batch.vectors.reshape(len(batch.vectors), -1, batch.vectors.shape[-1])

    def _coreset(self, rows: Rows, mask: npt.NDArray[np.bool_] | None, context: Context) -> Rows:
        count = len(rows) if mask is None else int(mask.sum())
        size = coreset_size(count, self.coreset_ratio, self.max_bank)
        kept = kcenter(
            rows,
            size,
            rng=context.rng,
            start="random1",
            mask=mask,
            projection=self.projection,
            device=context.device,
        )
        return np.ascontiguousarray(rows[kept])
