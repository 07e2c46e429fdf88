"""Frozen features as targets: arranged, kept in memory where they fit, read again where they do not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ltbench.methods.base import Context, Title, View
from ltbench.methods.errors import BadParameter, MethodsError
from ltbench.methods.features.backbone import Differentiable
from ltbench.methods.features.extract import Extractor, FeatureBatch
from ltbench.methods.reconstruction.arrangements import Arrange, Maps
from ltbench.splits.images import ImageSet

KEPT_BYTES = 9 << 30
"""Largest set of targets that stays in memory. Dinomaly's of all of MVTec AD take 8.2 GiB."""
STATISTICS_IMAGES = 256
"""Channel statistics are those of this many training images."""
SHIFT_IMAGES = 16
"""The shift before cosines is the root mean square of so many training images."""
SHIFTED = (
    "Where the backbone is no timm network, channels are standardised, then shifted by the root mean "
    "square of all: cosines of weak features compare their difference instead of noise."
)
"""Deviation of the hosts that compare cosines, for their cards."""


@dataclass(frozen=True)
class TeacherSettings:
    """Settings for a teacher: backbone, layers, input size, and treatment of the channels."""

    backbone: str
    layers: tuple[str, ...]
    """() = the backbone's default."""
    arrange: Arrange
    size: int | None = None
    """Side in pixels of what the backbone sees; None = the view's. It sees the same part of the image."""
    width: int | None = None
    """Channels after a random orthonormal projection; None = all."""
    standardise: bool | None = None
    """Give every channel mean 0 and a common spread; None = where the backbone is no timm network."""
    alike_layers: bool = False
    """If channels are standardised, give every layer the same share of a squared distance and all channels
    a mean variance of 1, as `ltbench.methods.features.tokens.TokenReader` does."""
    for_cosines: bool = True
    """If channels are standardised, also give every layer the same weight, and shift all channels by the
    root mean square: cosines then compare weak features by their difference instead of by noise."""


class Teacher:
    """Computes the targets of images, in the same way for fit and score.

    Standardised channels are centred and scaled by the statistics of training images. Values are rounded to
    float16 whether they are kept or not.
    """

    def __init__(self, settings: TeacherSettings, context: Context) -> None:
        """Raises BadParameter for an unknown backbone or layer, WeightsMissing without its weights."""
        self.settings = settings
        self._progress, self._silent = context.progress, False
        view = seen(context.view, settings.size)
        self._extractor = Extractor(
            settings.backbone, replace(context, view=view, progress=self._shown), settings.layers or None
        )
        self._device = context.device
        self._statistics: list[tuple[torch.Tensor, torch.Tensor]] | None = None
        self._projection: torch.Tensor | None = None
        self._shift = 0.0

    def state(self) -> dict[str, Any]:
        """Settings, and what was learned from the training images."""
        learned = {name: getattr(self, name) for name in ("_statistics", "_projection", "_shift")}
        return {"settings": self.settings, "learned": learned, "features": self._extractor.state()}

    @classmethod
    def restored(cls, state: Mapping[str, Any], context: Context) -> Teacher:
        """The teacher of a state. Raises MethodsError where the backbone's weights are others than then."""
        made = cls(state["settings"], context)
        made._extractor.require(state["features"]["digest"])
        vars(made).update(state["learned"])
        return made

    @property
    def identity(self) -> str:
        """Key of the features before they are arranged: backbone digest, layers, view and engine."""
        spec = self._extractor.spec
        return f"{spec.backbone_digest} {','.join(spec.layers)} {spec.view} {spec.engine}"

    def learn(self, images: ImageSet, rng: np.random.Generator, *, title: str) -> Targets:
        """Targets of the training images; fixes statistics and projection.

        Raises MethodsError for an empty set, and for an image whose features are not finite.
        """
        if not len(images):
            raise MethodsError("the training set is empty: expected at least one image")
        self._projection, self._shift = None, 0.0
        standardised = self.settings.standardise
        if standardised is None:
            standardised = not self.settings.backbone.startswith("timm:")
        if standardised:
            self._learn_statistics(images)
        if self.settings.width is not None:
            self._projection = self._drawn_projection(images, rng)
        if standardised and self.settings.for_cosines:
            values = [maps.flatten() for maps in self.quietly(images, _spread(images, SHIFT_IMAGES))]
            self._shift = float(torch.cat(values).square().mean().sqrt())
        return Targets(self, images, title)

    def batches(
        self, images: ImageSet, *, title: str, indices: Sequence[int] | None = None
    ) -> Iterator[tuple[tuple[int, ...], Maps]]:
        """(which images, their float32 targets (B, C, ...)) in the order of the indices."""
        for batch in self._extractor.batches(images, title=title, indices=indices):
            _require_finite(batch, images)
            yield batch.indices, tuple(layer.half().float() for layer in self._arranged(batch.maps))

    def differentiable(self, images: torch.Tensor) -> Maps:
        """Targets, with their gradients and not rounded, of float32 images (B, 3, s, s) in [0, 1].

        Raises BadParameter for a backbone without gradients at the pixels.
        """
        backbone = self._extractor.backbone
        if not isinstance(backbone, Differentiable):
            raise BadParameter(
                f"backbone '{backbone.name}' has no gradient at the pixels: expected a "
                "convolutional network, 'timm:NAME'"
            )
        maps = backbone.maps_of(images)
        return self._arranged([maps[layer] for layer in self._extractor.layers])

    def quietly(self, images: ImageSet, indices: Sequence[int]) -> Maps:
        """Targets of a few images, read or computed now, without a progress display."""
        self._silent = True
        try:
            parts = [maps for _, maps in self.batches(images, title="", indices=indices)]
        finally:
            self._silent = False
        return tuple(torch.cat(layer) for layer in zip(*parts, strict=True))

    def _shown(self, items: Iterable[Any], title: Title, total: int | None = None) -> Iterator[Any]:
        return iter(items) if self._silent else self._progress(items, title, total)

    def _arranged(self, maps: Sequence[torch.Tensor]) -> Maps:
        if self._statistics is not None:
            pairs = zip(maps, self._statistics, strict=True)
            maps = [(features - mean) * scale for features, (mean, scale) in pairs]
        arranged = self.settings.arrange(maps)
        if self._projection is not None:
            arranged = tuple(
                torch.einsum("bc...,cd->bd...", features, self._projection) for features in arranged
            )
        return tuple(features + self._shift for features in arranged)

    def _learn_statistics(self, images: ImageSet) -> None:
        """Mean and factor per channel of every layer, each (1, C, 1, 1)."""
        chosen = _spread(images, STATISTICS_IMAGES)
        sums: list[torch.Tensor] = []
        squares: list[torch.Tensor] = []
        count = 0
        for batch in self._extractor.batches(images, title="channel statistics", indices=chosen):
            _require_finite(batch, images)
            layers = [features.double().transpose(0, 1).flatten(1) for features in batch.maps]
            sums = _added(sums, [layer.mean(dim=1) * len(batch.indices) for layer in layers])
            squares = _added(squares, [layer.square().mean(dim=1) * len(batch.indices) for layer in layers])
            count += len(batch.indices)
        self._statistics = []
        for total, square in zip(sums, squares, strict=True):
            mean = total / count
            variance = (square / count - mean.square()).clamp_min(0)
            # A channel that hardly moves keeps its unit instead of becoming noise.
            spread = torch.where(variance > 1e-12, variance, 1.0).sqrt()
            if self.settings.for_cosines:
                spread *= len(mean) ** 0.5
            elif self.settings.alike_layers:
                spread *= (len(sums) * len(mean) / sum(map(len, sums))) ** 0.5
            self._statistics.append((_per_channel(mean), _per_channel(1 / spread)))

    def _drawn_projection(self, images: ImageSet, rng: np.random.Generator) -> torch.Tensor | None:
        """(C, width) with orthonormal columns; None where there are no more channels than that."""
        width = self.settings.width
        channels = {features.shape[1] for features in self.quietly(images, [0])}
        if width is None or width < 1 or len(channels) != 1:
            raise BadParameter(
                f"width is {width}: expected at least 1, and a backbone whose targets have one width"
            )
        drawn = rng.normal(size=(channels.pop(), width))
        if drawn.shape[0] <= width:
            return None
        columns, _ = np.linalg.qr(drawn)
        return torch.from_numpy(columns).float().to(self._device)


class Targets:
    """Targets of one set of training images by their numbers."""

    def __init__(self, teacher: Teacher, images: ImageSet, title: str) -> None:
        self._teacher, self._images = teacher, images
        self._kept: list[torch.Tensor] | None = None
        for indices, maps in teacher.batches(images, title=title):
            if self._kept is None:
                if sum(features[0].numel() for features in maps) * 2 * len(images) > KEPT_BYTES:
                    break
                self._kept = [
                    torch.empty((len(images), *features.shape[1:]), dtype=torch.half) for features in maps
                ]
            for kept, features in zip(self._kept, maps, strict=True):
                kept[list(indices)] = features.half().cpu()

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, indices: torch.Tensor) -> Maps:
        """Targets of the images at (B,) indices, float32 (B, C, ...), on the teacher's device."""
        if self._kept is None:
            return self._teacher.quietly(self._images, indices.tolist())
        device = self._teacher._device
        return tuple(kept[indices].to(device).float() for kept in self._kept)


def seen(view: View, size: int | None) -> View:
    """The view with its crop at `size` pixels: the same part of the image at another resolution."""
    if size is None or size == view.crop:
        return view
    if size < 1:
        raise BadParameter(f"size is {size}: expected at least 1 pixel, or none for the view's own")
    return view.of_size(size)


def _spread(images: ImageSet, count: int) -> list[int]:
    """Indices of at most `count` images, evenly over the set, whose order is random."""
    found: list[int] = np.linspace(0, len(images) - 1, min(len(images), count)).astype(int).tolist()
    return found


def _require_finite(batch: FeatureBatch, images: ImageSet) -> None:
    for features in batch.maps:
        finite = features.flatten(1).isfinite().all(dim=1)
        if not finite.all():
            index = batch.indices[int(finite.int().argmin())]
            raise MethodsError(
                f"the features of image {index} ('{images.keys[index]}') are not finite: its pixels or the "
                "backbone's weights are damaged; 'ltbench data doctor' looks for unreadable images"
            )


def _added(total: list[torch.Tensor], more: list[torch.Tensor]) -> list[torch.Tensor]:
    return [a + b for a, b in zip(total, more, strict=True)] if total else more


def _per_channel(values: torch.Tensor) -> torch.Tensor:
    return values.float().view(1, -1, 1, 1)
