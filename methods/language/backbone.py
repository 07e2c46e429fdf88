"""Image tower of a vision-language encoder as a backbone, whose features go through the shared cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import torch

from ltbench.methods.base import Context
from ltbench.methods.errors import BadParameter, MethodsError
from ltbench.methods.features.extract import Extractor, FeatureBatch
from ltbench.methods.language import encoder as encoders
from ltbench.methods.language.encoder import Encoder
from ltbench.splits.images import ImageSet, Pixels


class EncodedImages:
    """Frozen image features of an encoder, read through the shared cache."""

    def __init__(self, name: str, context: Context, layers: tuple[str, ...]) -> None:
        """Raises BadParameter for a backbone without a text tower, or a layer that it does not have."""
        self._extractor = Extractor(name, context, layers)
        backbone = self._extractor.backbone
        if not isinstance(backbone, EncoderBackbone):
            raise BadParameter(
                f"backbone '{name}' has no text encoder: expected 'toy-vl', 'openclip:NAME@TAG' or "
                "'align:kakaobrain/align-base'"
            )

    @property
    def encoder(self) -> Encoder:
        """The frozen encoder, image and text tower."""
        return cast(EncoderBackbone, self._extractor.backbone).encoder

    def batches(
        self, images: ImageSet, *, title: str, indices: Sequence[int] | None = None
    ) -> Iterator[FeatureBatch]:
        """Features of the images at `indices` (None = all); raises MethodsError if one is not finite."""
        for batch in self._extractor.batches(images, indices=indices, title=title):
            _require_finite(batch, images)
            yield batch

    def few(self, images: ImageSet, indices: Sequence[int]) -> FeatureBatch:
        """Features of a few images in one batch, without a progress report; raises as `batches` does."""
        batch = self._extractor.few(images, indices)
        _require_finite(batch, images)
        return batch

    @torch.no_grad()
    def of_pixels(self, pixels: Pixels) -> tuple[torch.Tensor, ...]:
        """Feature maps of pixels uint8 (B, crop, crop, 3), rounded to float16 as cached ones are."""
        features = self.encoder.images(torch.from_numpy(pixels).permute(0, 3, 1, 2), self._extractor.layers)
        limit = torch.finfo(torch.float16).max
        maps = (features[layer].clamp(-limit, limit) for layer in self._extractor.layers)
        return tuple(values.to(torch.float16).to(torch.float32) for values in maps)


class EncoderBackbone:
    """Backbone of an encoder's feature maps; `methods/language/paths.py` names a transformer's layers."""

    def __init__(self, encoder: Encoder, layers: Sequence[str] | None) -> None:
        self.name = encoder.name
        self.digest = encoder.digest
        self.encoder = encoder
        self.layers = tuple(layers or encoder.images.layers)
        self._images = encoder.images

    def __call__(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Feature maps (B, C, h, w) per layer, and "pooled": the image embedding in the shared space."""
        return self._images(pixels, self.layers)


def load(
    name: str, *, device: str, weights_root: Path | None, layers: tuple[str, ...] | None
) -> EncoderBackbone:
    """Load an encoder as a backbone; raises as `ltbench.methods.language.encoder.load` does."""
    return EncoderBackbone(encoders.load(name, device, weights_root), layers)


def _require_finite(batch: FeatureBatch, images: ImageSet) -> None:
    """Raise MethodsError, naming the image, if a feature is not finite."""
    for values in (*batch.maps, batch.pooled):
        finite = values.flatten(1).isfinite().all(dim=1)
        if not finite.all():
            index = batch.indices[int(finite.int().argmin())]
            raise MethodsError(
                f"the features of image {index} ('{images.keys[index]}') are not finite: its pixels or the "
                "encoder's weights are damaged; 'ltbench data doctor' looks for unreadable images"
            )
