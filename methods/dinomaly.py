"""Dinomaly: mid-layer features rebuilt through a noisy bottleneck by attention that cannot focus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ltbench.methods.base import Card, Context, Need, Prediction
from ltbench.methods.features.backbone import DEFAULT_BACKBONE
from ltbench.methods.reconstruction.hosting import Host, fit_host
from ltbench.methods.reconstruction.recipes import ranked_by_patches, token_host, token_teacher
from ltbench.methods.reconstruction.teacher import SHIFTED
from ltbench.methods.reconstruction.token_students import DinomalyNetwork
from ltbench.methods.training.randomness import repeatable
from ltbench.splits.images import ImageSet


@dataclass
class Dinomaly:
    """Grouped cosine between frozen and rebuilt features, learned on hard points; top per cent of the map."""

    card: ClassVar[Card] = Card(
        title="Dinomaly",
        family="reconstruction",
        summary="Linear-attention blocks behind a bottleneck with dropout rebuild the means of groups of "
        "transformer layers, and learn little from points they already rebuild well. What they cannot "
        "rebuild is anomalous.",
        paper="Guo et al., CVPR 2025",
        url="https://github.com/guojiajeremy/Dinomaly",
        bibtex="""@inproceedings{guo2025dinomaly,
  title     = {{Dinomaly}: The Less Is More Philosophy in Multi-Class Unsupervised Anomaly Detection},
  author    = {Guo, Jia and Lu, Shuai and Zhang, Weihang and Chen, Fang and Li, Huiqi and Liao, Hongen},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  year      = {2025}
}""",
        licence="Apache-2.0",
        deviations=(
            "backbone: the default is a convolutional network, not a vision transformer: its maps, side by "
            "side on one grid, stand for tokens. The paper's is "
            "'timm:vit_base_patch14_reg4_dinov2.lvd142m' at size = 392 with two groups of four blocks.",
            "grid, width, depth, ratio, learning_rate and iterations: the defaults are a budget for a "
            "processor; the paper has none, none, 8, 4, 2e-3 and 10 000.",
            SHIFTED,
            "The image is seen through the benchmark's view, whose shorter side is resized; the paper "
            "squeezes it to a square first (view squeeze256/224).",
            "Pixels are judged on a map of the view's size, smoothed by a kernel scaled to it; the authors' "
            "map has 256 x 256 pixels, as the map that images are scored by has here too.",
            "Targets are rounded to float16.",
            "1e-6 is added to the denominator of linear attention, as the authors' README advises where a "
            "loss is no number; their scripts add nothing.",
        ),
    )
    needs: ClassVar[frozenset[Need]] = frozenset()
    version: ClassVar[int] = 2

    backbone: str = DEFAULT_BACKBONE
    """Frozen features; the paper's: timm:vit_base_patch14_reg4_dinov2.lvd142m."""
    layers: tuple[str, ...] = ()
    """Groups of blocks ('tokens.2-5'), or layers of another backbone; none = its default."""
    size: int | None = None
    """Side in pixels of what the backbone sees (392 in the paper); none = the view's."""
    grid: int | None = 14
    """Side of a coarser grid of features, where they are no tokens; none = the backbone's own."""
    width: int | None = 96
    """Channels after a random projection; none = all."""
    depth: int = 2
    """Decoder blocks; 8 in the paper."""
    heads: int = 12
    """Attention heads at most: the largest number that divides the width is taken; the authors take one for
    every 64 channels of a backbone, 12 with the paper's."""
    ratio: float = 2.0
    """Hidden units of bottleneck and blocks per channel; 4 in the paper."""
    dropout: float = 0.2
    """Dropout of the bottleneck; the authors take 0.4 for Real-IAD with all its classes."""
    mining: float = 0.9
    """Share of the points, the easiest, whose gradient counts a tenth; 0 = the plain loss."""
    mining_ramp: float = 0.1
    """Share of the iterations in which that share grows from 0 (1 000 of 10 000 in the paper)."""
    iterations: int = 600
    """Training steps, unless epochs are given; 10 000 in the paper for MVTec AD and VisA."""
    epochs: float | None = None
    """Passes over the training images instead of iterations."""
    batch_size: int = 16
    """Images per step."""
    learning_rate: float = 5e-3
    """StableAdamW learning rate, after 100 warm-up steps (a tenth of the iterations at most), falling on a
    cosine to a tenth; 2e-3 in the paper."""
    weight_decay: float = 1e-4
    """Decoupled weight decay."""
    clip: float = 0.1
    """Largest gradient norm."""
    smoothing: float = 4.0
    """Standard deviation, in pixels of a 256 x 256 map, of the Gaussian of 5 x 5 pixels that smooths it;
    beyond the map lie zeros. 0 = none."""
    top_percent: float = 1.0
    """Share of the map's pixels whose mean is the image score."""
    max_minutes: float | None = None
    """Limit on the time of training; a result that met it is marked."""
    mixed_precision: bool = False
    """bfloat16 products on a GPU; cosines and linear attention stay in float32."""

    def host(self, train: ImageSet, context: Context) -> Host:
        """Teacher, network and settings, ready to be trained on this training set."""
        return token_host(self, train, context, token_teacher(self, context), build=self.network)

    def network(self, width: int, groups: int) -> DinomalyNetwork:
        """A student of so many channels and groups, with fresh random weights."""
        return DinomalyNetwork(
            width, groups, depth=self.depth, heads=self.heads, ratio=self.ratio, dropout=self.dropout,
            mining=self.mining, mining_ramp=self.mining_ramp,
        )  # fmt: skip

    @repeatable()
    def fit(self, train: ImageSet, context: Context) -> None:
        self._trained = fit_host(self.host(train, context), context)

    @repeatable()
    def score(self, test: ImageSet, context: Context) -> Prediction:
        return self._trained.predict(test)

    @repeatable()
    def rank(self, train: ImageSet, context: Context) -> npt.NDArray[np.float32]:
        """Mean of the top per cent of each training image's patches."""
        return ranked_by_patches(self._trained)
