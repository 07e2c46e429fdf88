"""InReaCh: a memory of the patches that recur across training images in long and tight channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from ltbench.methods.base import Card, Context, MapPost, Need, Prediction
from ltbench.methods.blocks.channels import Spread, associate, recurring
from ltbench.methods.blocks.coreset import coreset_size, kcenter
from ltbench.methods.blocks.memory import MemoryBank
from ltbench.methods.blocks.score_maps import largest_of_smoothed
from ltbench.methods.features.backbone import DEFAULT_BACKBONE
from ltbench.methods.features.embed import EmbeddingName, PatchEmbedder, Patches
from ltbench.methods.features.transform import view_pixels
from ltbench.splits.images import ImageSet

Rows = npt.NDArray[np.float32]

ALIGNED_ABOVE = 1000.0
"""Mean squared difference (grey levels 0 to 255) of the mean image and its transpose in an aligned set."""


@dataclass
class InReaCh:
    """Mutual nearest neighbours of seed images' patches; 1-NN search in a memory of the recurring ones."""

    card: ClassVar[Card] = Card(
        title="InReaCh",
        family="memory bank",
        summary="Follows the patches of a few seed images through the training set by mutual nearest "
        "neighbours and remembers only those that recur often and alike. Built against contamination; a "
        "product that no seed image shows, or of which there are three images, is forgotten.",
        paper="McIntosh & Albu, ICCV 2023",
        url="https://github.com/DeclanMcIntosh/InReaCh",
        bibtex="""@inproceedings{mcintosh2023inreach,
  title     = {Inter-Realization Channels: Unsupervised Anomaly Detection Beyond One-Class Classification},
  author    = {McIntosh, Declan and Albu, Alexandra Branzan},
  booktitle = {IEEE/CVF International Conference on Computer Vision (ICCV)},
  year      = {2023}
}""",
        licence="none stated; its README asks to contact the author",
        deviations=(
            "seeds: drawn from the whole training set, whose products are not told; the paper takes 10 of "
            "the one product. MeDS (Table 1) does not say how it runs the method on many products.",
            "A patch joins the channel of the patch that it matched; the released code stores the two "
            "places of a match in swapped order, which agrees only where objects do not move.",
            "spread: the released code's, which drops channels whose patches are all about equally far from "
            "their mean, equal patches among them, and keeps those that have a few far ones. spread=rms is "
            "what 'spherical standard deviation', as that code calls it, means elsewhere; it drops nothing "
            "from a channel of up to 26 patches.",
            "longer_than: where no channel remains, all patches are kept and channels = 0 is reported; the "
            "released code stops.",
            "Images are RGB with ImageNet's mean and deviation, in the view of all methods; the released "
            "code reads BGR, takes mean and deviation in another order, and squeezes images to a square.",
            "Features are rounded to float16 once (docs/backbones.md).",
            "layers: whole stages of the backbone; the released code takes 13 residual blocks of "
            "Wide-ResNet-50 and pools them to 1024 numbers.",
            "standardise: channels of a small backbone are brought to unit variance and layers to one "
            "weight; the paper's pooled vectors stay as they are.",
            "coreset_ratio: a memory of the whole bank (paper: 1) is too large for many products.",
            "grid and backbone: the default is a smaller network, on 14 x 14; the paper's are 56 x 56 and "
            "'timm:wide_resnet50_2.tv_in1k' with layers=layer1,layer2,layer3,layer4. The papers' suites have "
            "28 x 28: MVTec AD's training images would need 47 GB on 56 x 56.",
        ),
    )
    needs: ClassVar[frozenset[Need]] = frozenset()
    version: ClassVar[int] = 4

    backbone: str = DEFAULT_BACKBONE
    """Frozen features; the paper's: timm:wide_resnet50_2.tv_in1k."""
    layers: tuple[str, ...] = ()
    """Layers of the backbone; none = its default."""
    embedding: EmbeddingName = "auto"
    """Patch vectors: 'patchcore' (paper) or 'padim'; 'auto' = the paper's for a wide timm network."""
    standardise: bool = True
    """Channels of 'padim' vectors have unit variance, their layers one weight; 'patchcore' ones stay."""
    grid: int | None = 14
    """Side of a coarser patch grid; none = the backbone's own (paper: 56)."""
    seeds: int = 100
    """Images whose patches open channels (paper: 10 of one product)."""
    longer_than: int = 3
    """A channel counts with more patches than this."""
    max_deviations: float = 5.0
    """Patches at least this many spreads away from their channel's mean are dropped."""
    spread: Spread = "distances"
    """Spread of a channel: 'distances' = standard deviation of its patches' distances to its mean (released
    code), 'rms' = root mean square of these distances."""
    positions: Literal["auto", "yes", "no"] = "auto"
    """Whether row and column are part of a patch vector; 'auto' = where the mean image is unlike its
    transpose."""
    position_weight: float = 5.0
    """Weight of row and column, each from 0 to 1."""
    coreset_ratio: float = 0.1
    """Share of the recurring patches that the memory keeps (paper: 1)."""
    projection: int | None = 128
    """Random projection in which the coreset is chosen."""
    smoothing: float = 13.0
    """Standard deviation of the Gaussian on the map, in pixels; the image score is the map's maximum."""

    def fit(self, train: ImageSet, context: Context) -> None:
        self._embedder = PatchEmbedder(
            self.backbone, context,
            layers=self.layers, embedding=self.embedding, grid=self.grid, standardise=self.standardise,
        )  # fmt: skip
        vectors = self._embedder.fit(train, title="embed training images").vectors
        self._is_aligned = self.positions == "yes" or (
            self.positions == "auto" and asymmetry(train, context) > ALIGNED_ABOVE
        )
        vectors = self._placed(vectors)
        images, _, _, dim = vectors.shape
        flat = vectors.reshape(images, -1, dim)
        order = context.rng.permutation(images)
        joined = associate(flat, order, self.seeds, device=context.device, progress=context.progress)
        kept = recurring(
            flat,
            joined,
            order[: self.seeds],
            longer_than=self.longer_than,
            max_deviations=self.max_deviations,
            spread=self.spread,
        )
        context.report("kept_share", float(kept.mean()))
        context.report("channels", float(len(np.unique(joined[kept & (joined >= 0)]))))
        mask = kept.ravel() if kept.any() else np.ones(kept.size, np.bool_)
        rows = vectors.reshape(-1, dim)
        size = coreset_size(int(mask.sum()), self.coreset_ratio, None)
        chosen = np.flatnonzero(mask)
        if size < len(chosen):
            chosen = kcenter(
                rows,
                size,
                rng=context.rng,
                start="random1",
                mask=mask,
                projection=self.projection,
                device=context.device,
            )
        self._bank = MemoryBank(np.ascontiguousarray(rows[chosen]), device=context.device)
        context.report("memory_bank_mb", self._bank.megabytes)

    def score(self, test: ImageSet, context: Context) -> Prediction:
        batches = (
            Patches(batch.indices, self._placed(batch.vectors), batch.pooled)
            for batch in self._embedder.batches(test, title="score test images")
        )
        grids = self._bank.predict(batches, len(test)).grids
        post = MapPost(sigma=self.smoothing, upsample="nearest")
        return Prediction(scores=largest_of_smoothed(grids, context.view.crop, post), grids=grids, post=post)

    def _placed(self, vectors: Rows) -> Rows:
        """Patch vectors (B, h, w, D), with weighted row and column behind if the set is aligned."""
        return with_positions(vectors, self.position_weight) if self._is_aligned else vectors


def asymmetry(images: ImageSet, context: Context) -> float:
    """Mean squared difference between the mean image and its transpose, in squared grey levels.

    Large where products lie in one pose; a texture's mean image is even.
    """
    mean = np.zeros((context.view.crop, context.view.crop, 3))
    for index in range(len(images)):
        mean += view_pixels(images[index], context.view) / len(images)
    return float(np.square(mean - mean.transpose(1, 0, 2)).mean())


def with_positions(vectors: Rows, weight: float) -> Rows:
    """(B, h, w, D + 2): row and column as shares of the grid, times `weight`, behind each patch vector."""
    count, rows, columns, _ = vectors.shape
    row = np.broadcast_to(np.arange(rows)[:, None] * (weight / rows), (count, rows, columns))
    column = np.broadcast_to(np.arange(columns) * (weight / columns), (count, rows, columns))
    return np.concatenate([vectors, row[..., None], column[..., None]], axis=-1, dtype=np.float32)
