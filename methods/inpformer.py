"""INP-Former: tokens rebuilt from a handful of normal prototypes that the test image itself provides."""

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
from ltbench.methods.reconstruction.token_students import InpNetwork
from ltbench.methods.training.randomness import repeatable
from ltbench.splits.images import ImageSet


@dataclass
class InpFormer:
    """Grouped cosine with distance-weighted gradients, plus coherence of the prototypes."""

    card: ClassVar[Card] = Card(
        title="INP-Former",
        family="reconstruction",
        summary="A few prototypes look at all tokens of an image and take on what is normal in it; a decoder "
        "without residuals around its attention rebuilds every token from them alone, so that what no "
        "prototype stands for is lost.",
        paper="Luo et al., CVPR 2025",
        url="https://github.com/luow23/INP-Former",
        bibtex="""@inproceedings{luo2025inpformer,
  title     = {Exploring Intrinsic Normal Prototypes within a Single Image for Universal Anomaly Detection},
  author    = {Luo, Wei and Cao, Yunkang and Yao, Haiming and Zhang, Xiaotian and Lou, Jianan and
               Cheng, Yuqi and Shen, Weiming and Yu, Wenyong},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  year      = {2025}
}""",
        licence="MIT",
        deviations=(
            "backbone: the default is a convolutional network, not a vision transformer: its maps, side by "
            "side on one grid, stand for tokens. The paper's is "
            "'timm:vit_base_patch14_reg4_dinov2.lvd142m' at size = 392 with two groups of four blocks.",
            "grid, width, depth, ratio, learning_rate and iterations: the defaults are a budget for a "
            "processor; the paper has none, none, 8, 4, 1e-3 and epochs = 200.",
            SHIFTED,
            "The image is seen through the benchmark's view, whose shorter side is resized; the paper "
            "squeezes it to a square first (view squeeze256/224).",
            "Pixels are judged on a map of the view's size, smoothed by a kernel scaled to it; the authors' "
            "map has 256 x 256 pixels, as the map that images are scored by has here too.",
            "Targets are rounded to float16.",
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
    prototypes: int = 6
    """Normal prototypes per image."""
    depth: int = 2
    """Decoder blocks; 8 in the paper."""
    heads: int = 12
    """Attention heads at most: the largest number that divides the width is taken; the authors take one for
    every 64 channels of a backbone, 12 with the paper's."""
    ratio: float = 2.0
    """Hidden units of bottleneck and blocks per channel; 4 in the paper."""
    mining_power: float = 3.0
    """Gradients of a point grow with this power of its distance over the mean; 0 = the plain loss."""
    coherence: float = 0.2
    """Weight of the distance of tokens to their nearest prototype."""
    iterations: int = 600
    """Training steps, unless epochs are given."""
    epochs: float | None = None
    """Passes over the training images instead of iterations (paper: 200)."""
    batch_size: int = 16
    """Images per step."""
    learning_rate: float = 5e-3
    """StableAdamW learning rate, after 100 warm-up steps (a tenth of the iterations at most), falling on a
    cosine to a tenth; 1e-3 in the paper."""
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
    """bfloat16 products on a GPU; cosines stay in float32."""

    def host(self, train: ImageSet, context: Context) -> Host:
        """Teacher, network and settings, ready to be trained on this training set."""
        return token_host(self, train, context, token_teacher(self, context), build=self.network)

    def network(self, width: int, groups: int) -> InpNetwork:
        """A student of so many channels and groups, with fresh random weights."""
        return InpNetwork(
            width, groups, prototypes=self.prototypes, depth=self.depth, heads=self.heads, ratio=self.ratio,
            mining_power=self.mining_power, coherence=self.coherence,
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
