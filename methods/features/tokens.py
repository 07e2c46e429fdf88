"""Feature maps of whole image sets on one grid of tokens, in memory for training on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.nn import functional

from ltbench.methods.base import Context
from ltbench.methods.errors import BadParameter, MethodsError
from ltbench.methods.features.extract import Extractor
from ltbench.splits.images import ImageSet

_ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class Tokens:
    """Tokens of a few images, or of all."""

    vectors: torch.Tensor
    """float32 (B, T, C), T = grid * grid row-major, the layers' channels side by side."""
    pooled: torch.Tensor
    """float32 (B, P): the backbone's embedding of the whole view."""


@dataclass(frozen=True)
class TokenBank:
    """Tokens of a training set in float16, on the device that trains; gathered in float32."""

    vectors: torch.Tensor
    """float16 (N, T, C), as the backbone gave them."""
    pooled: torch.Tensor
    """float32 (N, P)."""
    mean: torch.Tensor
    """float32 (C,), 0 where channels are left as they are."""
    scale: torch.Tensor
    """float32 (C,), 1 where channels are left as they are."""

    def __len__(self) -> int:
        return len(self.vectors)

    def gather(self, indices: torch.Tensor) -> Tokens:
        """Tokens of the images at `indices` (int64 (B,), on any device)."""
        rows = indices.to(self.vectors.device)
        return Tokens((self.vectors[rows].float() - self.mean) * self.scale, self.pooled[rows])


class TokenReader:
    """Turns images into tokens, in the same way for fit and score.

    Every layer is resized bilinearly to `grid` x `grid` with aligned corners, as in UniAD, and the layers'
    channels are concatenated. standardise: every channel has mean 0 over the training tokens,
    channels of a layer have one deviation, every layer has the same share in a squared distance, and the mean
    variance of all channels is 1; descriptors and layers that differ in scale by orders of magnitude need it.
    """

    def __init__(
        self, backbone: str, context: Context, *, layers: tuple[str, ...], grid: int, standardise: bool
    ) -> None:
        if grid < 1:
            raise BadParameter(f"grid is {grid}: expected at least 1")
        self._extractor = Extractor(backbone, context, layers or None)
        self._device = torch.device(context.device)
        self._grid, self._standardise = grid, standardise
        self.widths: tuple[int, ...] = ()
        """Channels of each layer; known after `fit`."""

    def fit(self, images: ImageSet, *, title: str) -> TokenBank:
        """Tokens of all training images; learns means and scales from them.

        Raises MethodsError for an empty set and for an image whose features are not finite.
        """
        vectors: torch.Tensor | None = None
        pooled = []
        done = 0
        for maps, embedded in self._read(images, title):
            self.widths = tuple(layer.shape[1] for layer in maps)
            part = on_grid(maps, self._grid)
            if vectors is None:
                # Filled in place: parts beside their concatenation would need twice the memory.
                vectors = torch.empty(len(images), *part.shape[1:], dtype=torch.float16, device=self._device)
            vectors[done : done + len(part)] = part.to(torch.float16)
            pooled.append(embedded)
            done += len(part)
        if vectors is None:
            raise MethodsError("the training set is empty: expected at least one image")
        mean, scale = channel_scales(vectors, self.widths)
        if not self._standardise:
            mean, scale = torch.zeros_like(mean), torch.ones_like(scale)
        self._mean, self._scale = mean, scale
        return TokenBank(vectors, torch.cat(pooled), mean, scale)

    def batches(self, images: ImageSet, *, title: str) -> Iterator[Tokens]:
        """Tokens in the order of the images, a few at a time; only after `fit`."""
        for maps, embedded in self._read(images, title):
            # Through float16 like the training tokens.
            vectors = on_grid(maps, self._grid).to(torch.float16).float()
            yield Tokens((vectors - self._mean) * self._scale, embedded)

    def _read(self, images: ImageSet, title: str) -> Iterator[tuple[tuple[torch.Tensor, ...], torch.Tensor]]:
        for batch in self._extractor.batches(images, title=title):
            for layer in batch.maps:
                finite = layer.isfinite().flatten(1).all(dim=1)
                if not finite.all():
                    index = batch.indices[int(finite.logical_not().int().argmax())]
                    raise MethodsError(
                        f"the features of image {index} ('{images.keys[index]}') are not finite: its pixels "
                        "or the backbone's weights are damaged; 'ltbench data doctor' looks for unreadable "
                        "images"
                    )
            yield batch.maps, batch.pooled


def on_grid(maps: tuple[torch.Tensor, ...], grid: int) -> torch.Tensor:
    """(B, C, h, w) per layer -> (B, grid * grid, sum of C): bilinear, corners aligned."""
    resized = [
        layer
        if tuple(layer.shape[-2:]) == (grid, grid)
        else functional.interpolate(layer, size=(grid, grid), mode="bilinear", align_corners=True)
        for layer in maps
    ]
    return torch.cat(resized, dim=1).flatten(2).transpose(1, 2)


def channel_scales(vectors: torch.Tensor, widths: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and factor of each channel of (N, T, C), float32 (C,), of layers with these channels.

    (x - mean) * factor has variance C / (L C_l) in a channel of layer l, 0 in a constant one.
    """
    channels = vectors.shape[-1]
    total = torch.zeros(channels, dtype=torch.float64, device=vectors.device)
    squares = torch.zeros_like(total)
    origin = vectors[0, 0].double()
    for part in vectors.split(_ROWS_AT_ONCE):
        rows = part.reshape(-1, channels).double() - origin
        total += rows.sum(dim=0)
        squares += rows.square().sum(dim=0)
    count = vectors.shape[0] * vectors.shape[1]
    shifted = total / count
    deviation = (squares / count - shifted.square()).clamp_min(0).sqrt()
    width = torch.repeat_interleave(torch.tensor(widths), torch.tensor(widths)).to(deviation)
    scale = torch.where(deviation > 0, 1 / deviation.clamp_min(1e-12), torch.ones_like(deviation))
    scale = scale * (channels / (len(widths) * width)).sqrt()
    return (origin + shifted).float(), scale.float()
