"""What a vision-language encoder is, and how its name becomes one.

An `Encoder` is a frozen pair of towers with one shared space of `dim` numbers:

    encoder = load("openclip:ViT-B-16-plus-240@laion400m_e31")  # or "toy-vl", "align:kakaobrain/align-base"
    encoder.text(["a photo of a bolt"])                         # (1, dim), frozen
    encoder.text.encode(embeddings, tokens)                     # (B, dim), with gradients into embeddings
    encoder.images(pixels, ("block5", "windows2"))              # maps (B, C, h, w) by name, and "pooled"
    encoder.transformer                                         # the image tower's parts; None for a CNN

Image features are also a backbone of the same name (`Extractor(name, context, layers)`), so that they go
through the shared cache; `ltbench.methods.language.paths` explains the layers' names.
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
"""Families by the name before the colon: "openclip" of "openclip:ViT-B-16@openai"."""
NOTHING: Mapping[int, torch.Tensor] = MappingProxyType({})


@dataclass(frozen=True)
class Tokens:
    """Texts as a text tower reads them."""

    ids: torch.Tensor
    """int64 (B, N), special tokens and padding included."""
    valid: torch.Tensor
    """bool (B, N), false where a text is over."""
    read: torch.Tensor
    """int64 (B,): position whose output becomes the text's embedding (CLIP: the end, BERT: the first)."""


class TextTower(Protocol):
    """Texts -> vectors of the shared space, unnormalised."""

    width: int
    """Of a token embedding."""
    context: int
    """Most tokens of a text, special ones included."""
    depth: int
    """Blocks."""

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """Token ids on the tower's device. Raises BadParameter naming a text that is too long."""
        ...

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """Token embeddings (B, N, width) before positions are added; detached, so that prompts start here."""
        ...

    def encode(
        self, embeddings: torch.Tensor, tokens: Tokens, overwrite: Mapping[int, torch.Tensor] = NOTHING
    ) -> torch.Tensor:
        """(B, dim) of token embeddings (B, N, width); gradients reach `embeddings` and `overwrite` only.

        overwrite: before block `index`, positions 1 to n of every text become these (n, width) vectors
        (the deep tokens of AnomalyCLIP). Raises BadParameter where the tower cannot do that.
        """
        ...

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """(B, dim) of texts, frozen: no gradients."""
        ...


class VisionTransformer(Protocol):
    """An image tower in parts: patch embedding, blocks, projection. Batch first; class token first."""

    image_size: int
    """Side to which the pixels are resized (bicubic)."""
    grid: int
    """Patches along a side."""
    depth: int
    width: int

    def embed(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 (B, 3, H, W) -> (B, 1 + grid * grid, width), positions added."""
        ...

    def block(self, index: int, tokens: torch.Tensor) -> torch.Tensor:
        """(B, N, width) after block `index`, for any subset of tokens N."""
        ...

    def value_attention(self, index: int, tokens: torch.Tensor) -> torch.Tensor:
        """(B, N, width): attention of block `index`, its values also queries and keys; no residual."""
        ...

    def project(self, tokens: torch.Tensor, *, normalise: bool = True) -> torch.Tensor:
        """(..., width) -> (..., dim): to the shared space, after the last layer norm if `normalise`."""
        ...


class ImageTower(Protocol):
    """uint8 (B, 3, H, W) -> feature maps by name."""

    layers: tuple[str, ...]
    """What is computed when nothing else is asked for, finest first."""

    def __call__(self, pixels: torch.Tensor, layers: Sequence[str]) -> dict[str, torch.Tensor]:
        """float32 (B, C, h, w) per layer, and the image's embedding (B, dim) under "pooled", unnormalised.

        Raises BadParameter for a layer that does not exist.
        """
        ...


@dataclass(frozen=True)
class Encoder:
    """A frozen pair of towers with one shared space."""

    name: str
    """As it was asked for: on every row of a result."""
    digest: str
    """sha256 over weights and recipe: equal digests, equal features."""
    dim: int
    """Of the shared space."""
    logit_scale: float
    """Factor on cosines that the pair was trained with."""
    images: ImageTower
    text: TextTower
    transformer: VisionTransformer | None = None
    """Parts of the image tower; None if it is not a transformer."""


def load(name: str, device: str = "cpu", weights_root: Path | None = None) -> Encoder:
    """The encoder called `name`: "toy-vl", "openclip:NAME[@TAG or FILE][?image_size=N]" or "align:NAME".

    Raises UnknownName for an unknown family, WeightsMissing when its weights are not on this machine or are
    damaged; never falls back to random weights.
    """
    family, _, model = name.partition(":")
    encoder: Encoder = ENCODERS.load(family).load(model, device=device, weights_root=weights_root)
    return encoder
