"""An encoder's image half as a backbone: its frozen features go through the shared cache like any other's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from methods.language import encoder as encoders
from methods.language.encoder import Encoder


class EncoderBackbone:
    """Feature maps of an encoder by the names of `methods.language.paths` or of its network."""

    def __init__(self, encoder: Encoder, layers: Sequence[str] | None) -> None:
        self.name = encoder.name
        self.digest = encoder.digest
        self.layers = tuple(layers or encoder.images.layers)
        self._images = encoder.images

    def __call__(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Maps (B, C, h, w) per layer, and "pooled": the image in the space that it shares with texts."""
        return self._images(pixels, self.layers)


def load(
    name: str, *, device: str, weights_root: Path | None, layers: tuple[str, ...] | None
) -> EncoderBackbone:
    """Raises what `methods.language.encoder.load` raises."""
    return EncoderBackbone(encoders.load(name, device, weights_root), layers)
