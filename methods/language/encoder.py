"""Interface of vision-language encoders, and loading one by name.

An `Encoder` is a frozen pair of towers with one shared space of `dim` numbers:

    encoder = load("openclip:ViT-B-16-plus-240@laion400m_e31")  # or "toy-vl", "align:kakaobrain/align-base"
    encoder.text(["a photo of a bolt"])                         # (1, dim), frozen
    encoder.text.encode(embeddings, tokens)                     # (B, dim), with gradients into embeddings
    encoder.images(pixels, ("block5", "windows2"))              # maps (B, C, h, w) by name, and "pooled"
    encoder.transformer                                         # the image tower's parts; None for a CNN

Image features are also available as a backbone of the same name (`Extractor(name, context, layers)`), through
the shared cache; `ltbench.methods.language.paths` explains the names of the layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import torch

from ltbench.registry import Registry

ENCODERS = Registry(
    "vision-language encoder",
    f"{__package__}.encoders",
    separator="-",
    advice="a network of a library is 'openclip:NAME@TAG' or 'align:kakaobrain/align-base'",
)
"""Encoder families by the name before the colon: "openclip" in "openclip:ViT-B-16@openai"."""
NOTHING: Mapping[int, torch.Tensor] = MappingProxyType({})


@dataclass(frozen=True)
class Tokens:
    """Tokenised texts."""

    ids: torch.Tensor
    """Token ids int64 (B, N), with special tokens and padding."""
    valid: torch.Tensor
    """bool (B, N), false for padding."""
    read: torch.Tensor
    """int64 (B,), position whose output becomes the embedding (CLIP: end of text, BERT: first token)."""


class TextTower(Protocol):
    """Text encoder: maps texts to unnormalised vectors of the shared space."""

    width: int
    """Dimensions of a token embedding."""
    context: int
    """Largest number of tokens of a text, special tokens included."""
    depth: int
    """Number of transformer blocks."""

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """Tokenise texts, on the tower's device. Raises BadParameter naming a text that is too long."""
        ...

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """Token embeddings (B, N, width) before positions are added; detached, as a start for prompts."""
        ...

    def encode(
        self, embeddings: torch.Tensor, tokens: Tokens, overwrite: Mapping[int, torch.Tensor] = NOTHING
    ) -> torch.Tensor:
        """Encode token embeddings; gradients reach `embeddings` and `overwrite` only.

        Args:
            embeddings: (B, N, width) token embeddings.
            tokens: Tokenised texts of the same shape.
            overwrite: Vectors (n, width) that replace positions 1 to n of every text before the block of
                this index (AnomalyCLIP's deep tokens).

        Returns:
            (B, dim) text embeddings.

        Raises:
            BadParameter: If the tower does not support `overwrite`.
        """
        ...

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """Encode texts without gradients: (B, dim)."""
        ...


class VisionTransformer(Protocol):
    """Parts of a transformer image tower: patch embedding, blocks, projection. Class token first."""

    image_size: int
    """Side in pixels to which images are resized (bicubic)."""
    grid: int
    """Number of patches along a side."""
    depth: int
    """Number of transformer blocks."""
    width: int
    """Dimensions of a token."""

    def embed(self, pixels: torch.Tensor) -> torch.Tensor:
        """Embed pixels uint8 (B, 3, H, W) as tokens (B, 1 + grid * grid, width), positions added."""
        ...

    def block(self, index: int, tokens: torch.Tensor) -> torch.Tensor:
        """Apply block `index` to any subset of tokens (B, N, width)."""
        ...

    def value_attention(self, index: int, tokens: torch.Tensor) -> torch.Tensor:
        """Value-to-value attention of block `index`, without residual: (B, N, width)."""
        ...

    def project(self, tokens: torch.Tensor, *, normalise: bool = True) -> torch.Tensor:
        """Project tokens (..., width) to the shared space (..., dim), after the last norm if `normalise`."""
        ...


class ImageTower(Protocol):
    """Image encoder: maps pixels uint8 (B, 3, H, W) to named feature maps."""

    layers: tuple[str, ...]
    """Default layers, finest first."""

    def __call__(self, pixels: torch.Tensor, layers: Sequence[str]) -> dict[str, torch.Tensor]:
        """Feature maps float32 (B, C, h, w) by layer, and "pooled", the unnormalised embedding (B, dim).

        Raises BadParameter for a layer that does not exist.
        """
        ...


@dataclass(frozen=True)
class Encoder:
    """Frozen image and text tower with a shared embedding space."""

    name: str
    """Name as given by the user, stored with every result."""
    digest: str
    """sha256 of weights and preprocessing; equal digests mean equal features."""
    dim: int
    """Dimensions of the shared space."""
    logit_scale: float
    """Factor on cosines that the towers were trained with."""
    images: ImageTower
    text: TextTower
    transformer: VisionTransformer | None = None
    """Parts of the image tower; None unless it is a transformer."""


def load(name: str, device: str = "cpu", weights_root: Path | None = None) -> Encoder:
    """Load an encoder by name; never falls back to random weights.

    Args:
        name: "toy-vl", "openclip:NAME[@TAG or FILE][?image_size=N]" or "align:NAME".
        device: Device of both towers.
        weights_root: Folder that is searched for weights first.

    Raises:
        UnknownName: For an unknown family.
        WeightsMissing: If the weights are not on this machine, or damaged.
    """
    family, _, model = name.partition(":")
    encoder: Encoder = ENCODERS.load(family).load(model, device=device, weights_root=weights_root)
    return encoder
