"""Features of many images: read from the cache where they are, computed in batches where they are not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ltbench.methods.base import Context
from ltbench.methods.errors import MethodsError
from ltbench.methods.features import backbone as backbone_names
from ltbench.methods.features import transform
from ltbench.methods.features.backbone import Identity
from ltbench.methods.features.cache import FeatureSpec
from ltbench.methods.features.pixels import PixelReader, Row
from ltbench.methods.features.transform import Augmentation, Pose
from ltbench.splits.images import ImageSet

POOLED = "pooled"
"""Name of the embedding of the whole view among a backbone's answers and in a cached record."""

TOGETHER, TOGETHER_ON_GPU = 8, 16
"""Images per pass through the backbone, filled up where there are fewer: kernels are chosen by size, and a
feature's last bits with them. So they do not depend on which other features were in the cache."""


def together(device: str) -> int:
    """Images per pass on this device."""
    return TOGETHER if torch.device(device).type == "cpu" else TOGETHER_ON_GPU


def engine(device: str) -> str:
    """Software that computes features on a device: "torch 2.9.1 cpu by 8"; engines agree up to rounding."""
    return f"torch {torch.__version__} {torch.device(device).type} by {together(device)}"


Half = npt.NDArray[np.float16]


def spec_of(backbone: str, known: Identity, context: Context) -> FeatureSpec:
    """All that determines a backbone's features besides the image."""
    return FeatureSpec(
        backbone=backbone,
        backbone_digest=known.digest,
        layers=known.layers,
        view=f"{context.view}/{transform.RECIPE}",
        engine=engine(context.device),
    )


@dataclass(frozen=True)
class FeatureBatch:
    """Features of a few images (or of augmented copies of images)."""

    indices: tuple[int, ...]
    """Index of the image in each row; repeated for the copies of one image."""
    maps: tuple[torch.Tensor, ...]
    """float32 (B, C, h, w) per layer, in the extractor's order of layers, on its device."""
    pooled: torch.Tensor
    """float32 (B, D): the backbone's embedding of the whole view."""


class Extractor:
    """Embeds images with one backbone, through the context's cache, on the context's device.

    Every feature is rounded to float16 once, with or without a cache, read or computed, so that a
    warm and a cold run agree bit for bit.
    """

    def __init__(
        self, backbone: str, context: Context, layers: tuple[str, ...] | None = None, batch_size: int = 16
    ) -> None:
        """Load the backbone: raises BadParameter for an unknown name, WeightsMissing without weights."""
        self.backbone = backbone_names.load(backbone, context.device, context.weights_root, layers)
        self.layers = layers or self.backbone.layers
        """Names of the maps of a batch, in order."""
        self._context = context
        self._batch_size = batch_size
        self._together = together(context.device)
        self._spec = spec_of(backbone, Identity(self.backbone.digest, self.layers), context)

    @property
    def spec(self) -> FeatureSpec:
        """All that determines the features besides the image; names their folder in the cache."""
        return self._spec

    def state(self) -> dict[str, Any]:
        """Name and digest of the backbone, its layers and the view: no weights."""
        return {
            "backbone": self.backbone.name,
            "digest": self.backbone.digest,
            "layers": self.layers,
            "view": self._context.view,
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any], context: Context) -> Extractor:
        """Load the backbone of a state. Raises MethodsError where its weights are others than then."""
        made = cls(state["backbone"], replace(context, view=state["view"]), state["layers"])
        made.require(state["digest"])
        return made

    def require(self, digest: str) -> None:
        """Raise MethodsError where the backbone is another than the one with this digest."""
        if self.backbone.digest != digest:
            raise MethodsError(
                f"the weights of backbone '{self.backbone.name}' on this machine have digest "
                f"'{self.backbone.digest[:12]}': expected '{digest[:12]}', with which the method was fitted; "
                "get those weights, or fit again"
            )

    def batches(
        self,
        images: ImageSet,
        *,
        augment: Augmentation | None = None,
        indices: Sequence[int] | None = None,
        title: str,
    ) -> Iterator[FeatureBatch]:
        """Features of the images at `indices` (None = all), in that order, `batch_size` rows at a time.

        With `augment`, the copies of an image follow each other in the order of `augment.poses`, and the
        image itself is not among them. `title` names the step in the progress display, which counts rows.
        """
        poses: Sequence[Pose | None] = (None,) if augment is None else augment.poses
        rows = [
            Row(int(index), pose)
            for index in (range(len(images)) if indices is None else indices)
            for pose in poses
        ]
        reader = PixelReader(images, self._context.view, augment, threaded=self._context.device != "cpu")
        pending: list[Row] = []
        for row in self._context.progress(rows, title, len(rows)):
            pending.append(row)
            if len(pending) == self._batch_size:
                yield self._batch(pending, reader)
                pending = []
        if pending:
            yield self._batch(pending, reader)

    def few(self, images: ImageSet, indices: Sequence[int]) -> FeatureBatch:
        """Features of the images at `indices` in one batch, without progress of their own: for training."""
        reader = PixelReader(images, self._context.view, None, threaded=self._context.device != "cpu")
        return self._batch([Row(int(index), None) for index in indices], reader)

    def _batch(self, rows: Sequence[Row], reader: PixelReader) -> FeatureBatch:
        cache = self._context.cache
        if cache is None:
            found: list[Mapping[str, Half]] = self._compute(rows, reader)
        else:
            keys = [reader.key(row) for row in rows]
            read = [cache.get(self._spec, key) for key in keys]
            missing = [place for place, features in enumerate(read) if features is None]
            computed = dict(
                zip(missing, self._compute([rows[place] for place in missing], reader), strict=True)
            )
            for place, features in computed.items():
                cache.put(self._spec, keys[place], features)
            found = [computed[place] if features is None else features for place, features in enumerate(read)]
        maps = tuple(self._stacked(found, layer) for layer in self.layers)
        return FeatureBatch(tuple(row.index for row in rows), maps, self._stacked(found, POOLED))

    def _compute(self, rows: Sequence[Row], reader: PixelReader) -> list[Mapping[str, Half]]:
        if not rows:
            return []
        pixels = torch.from_numpy(reader.read(rows))
        step = self._together
        found: list[Mapping[str, Half]] = []
        for low in range(0, len(rows), step):
            here = pixels[low : low + step]
            # Always in the order of decoded pixels: it chooses kernels, too.
            answers = self.backbone(filled(here, step).permute(0, 3, 1, 2))
            halves = {name: _half(answers[name]) for name in (*self.layers, POOLED)}
            found += [{name: values[place] for name, values in halves.items()} for place in range(len(here))]
        return found

    def _stacked(self, rows: Sequence[Mapping[str, Half]], name: str) -> torch.Tensor:
        stacked = torch.from_numpy(np.stack([row[name] for row in rows]))
        return stacked.to(self._context.device).to(torch.float32)


def filled(rows: torch.Tensor, count: int) -> torch.Tensor:
    """`rows` (n, ...) with the last one repeated up to `count` rows."""
    missing = count - len(rows)
    return torch.cat([rows, rows[-1:].expand(missing, *rows.shape[1:])]) if missing > 0 else rows


def _half(values: torch.Tensor) -> Half:
    """float16, what is too large for it at its limit."""
    limit = torch.finfo(torch.float16).max
    half: Half = values.clamp(-limit, limit).to(torch.float16).cpu().numpy()
    return half
