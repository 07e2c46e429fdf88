"""Network of reverse distillation: a one-class bottleneck and a decoder that mirrors the teacher."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from ltbench.methods.errors import BadParameter
from ltbench.methods.layers.cosine import global_cosine, point_distance
from ltbench.methods.layers.residual import MirroredDecoder, OneClassBottleneck, kaiming_init
from ltbench.methods.reconstruction.arrangements import Maps
from ltbench.methods.reconstruction.hosting import Rebuilt, Student


class RdNetwork(Student):
    """Encodes three maps to one embedding and reconstructs the maps from it (RD, Deng & Li, CVPR 2022)."""

    def __init__(
        self,
        channels: Sequence[int],
        *,
        bottleneck_blocks: int = 3,
        decoder_blocks: Sequence[int] = (3, 4, 6),
        width_ratio: float = 0.5,
        map_side: int | None = None,
        signed: bool = False,
    ) -> None:
        """Build both parts.

        Args:
            channels: Channels of the three maps, finest first.
            bottleneck_blocks: Residual blocks that compress.
            decoder_blocks: Residual blocks of each decoder stage, coarse to fine.
            width_ratio: Channels inside a residual block per channel of its output.
            map_side: Side of the map on which the scales are added; None = the finest one's.
            signed: Whether the maps have negative values.
        """
        super().__init__()
        self.map_side = map_side
        self.bottleneck = OneClassBottleneck(channels, bottleneck_blocks, width_ratio)
        self.decoder = MirroredDecoder(channels, decoder_blocks, width_ratio, signed=signed)
        self.apply(kaiming_init)

    def forward(self, maps: Maps, class_ids: torch.Tensor | None = None) -> Rebuilt:
        """Reconstruct three maps, each half the size of the one before.

        Raises BadParameter if the side of the finest map is not a multiple of 8.
        """
        side = maps[0].shape[2]
        if side % 8:
            raise BadParameter(
                f"the finest of the three maps has a side of {side}: expected a multiple of 8, since it is "
                "halved three times; give such a grid"
            )
        outputs = self.decoder(self.bottleneck(maps))
        return Rebuilt(tuple(maps), tuple(outputs), outputs[0].new_zeros(()))

    def distance(self, rebuilt: Rebuilt) -> torch.Tensor:
        """Mean over the scales of 1 - cosine, on the grid of the middle scale."""
        return _on_side(rebuilt, rebuilt.targets[1].shape[2]).mean(dim=1)

    def scored(self, rebuilt: Rebuilt) -> torch.Tensor:
        """Sum over the scales of 1 - cosine, on the finest grid or on `map_side`."""
        return _on_side(rebuilt, self.map_side or rebuilt.targets[0].shape[2]).sum(dim=1)

    def loss(self, rebuilt: Rebuilt, progress: float) -> torch.Tensor:
        """Sum over the scales of 1 - cosine of whole maps, each flattened to one vector."""
        pairs = zip(rebuilt.targets, rebuilt.outputs, strict=True)
        return torch.stack([global_cosine(target, output) for target, output in pairs]).sum()


def middle_grid(maps: Maps) -> torch.Tensor:
    """Normalise each scale and concatenate them on the grid of the middle one: (B, C, h, w).

    Every scale then has the same weight in the distance of two patches, as in the student's distance.
    """
    side = maps[1].shape[2]
    return torch.cat([_at(functional.normalize(features, dim=1), side) for features in maps], dim=1)


def _on_side(rebuilt: Rebuilt, side: int) -> torch.Tensor:
    """1 - cosine at each point of each scale, resized to (B, scales, side, side)."""
    pairs = zip(rebuilt.targets, rebuilt.outputs, strict=True)
    scales = [_at(point_distance(target.detach(), output)[:, None], side) for target, output in pairs]
    return torch.cat(scales, dim=1)


def _at(maps: torch.Tensor, side: int) -> torch.Tensor:
    """Resize maps to `side` x `side`: average pooling to smaller sides, bilinear to larger ones."""
    if maps.shape[2] == side:
        return maps
    if maps.shape[2] > side:
        return functional.adaptive_avg_pool2d(maps, side)
    return functional.interpolate(maps, (side, side), mode="bilinear", align_corners=True)
