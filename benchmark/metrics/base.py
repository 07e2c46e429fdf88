"""Inputs of a metric (ground truth and prediction), its value, and the reason if it is undefined."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from threading import RLock
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

from ltbench.benchmark.metrics.blocks.regions import Regions, label_regions

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.floating[Any]]
T = TypeVar("T")


class Undefined(Exception):
    """The metric is undefined for these inputs; the message is the reason, shown in place of the value."""


@runtime_checkable
class MapStream(Protocol):
    """Anomaly maps or masks that are never in memory at once; they can be iterated repeatedly."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, H, W)."""
        ...

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        """Yield chunks (n, H, W) in the order of the images, the same values in every iteration."""
        ...


@runtime_checkable
class MapSource(Protocol):
    """Anomaly maps that are computed on demand, all at once, chunk by chunk or by `np.asarray`."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, H, W)."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the maps."""
        ...

    def fill(self, out: npt.NDArray[Any]) -> None:
        """Write the maps into `out`, an array of this shape and data type."""
        ...

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        """Yield chunks (n, H, W) in the order of the images, as a `MapStream` does."""
        ...

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]: ...


class Scratch:
    """Buffers reused over calls, so that only the first call allocates memory pages. One per thread."""

    def __init__(self) -> None:
        self._buffers: dict[Hashable, npt.NDArray[Any]] = {}

    def take(self, size: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return an array (size,) with arbitrary content, valid until the next `take` of this dtype."""
        kind = np.dtype(dtype)
        buffer = self._buffers.get(kind)
        if buffer is None or len(buffer) < size:
            self._buffers.pop(kind, None)
            buffer = self._buffers[kind] = np.empty(size, kind)
        return buffer[:size]


@dataclass(frozen=True, eq=False)
class Truth:
    """Ground truth of one category's test images."""

    labels: Bools
    """(N,), true = defective."""
    masks: Bools | MapStream | MapSource | None = None
    """(N, H, W), true = anomalous pixel, at the size of the maps; None = the data set has no masks.

    A `MapSource` is allowed only together with `known_regions`.
    """
    has_mask: Bools | None = None
    """(N,), false for a defective image without a mask; None = every defective image has one."""
    why_no_masks: str = ""
    """Reason why `masks` is None, shown in tables."""
    mask_rule: str = "as given"
    """How masks were resized to the maps, e.g. "nearest, > 0"; part of a pixel metric's recipe."""
    view: str = ""
    """Evaluated part of an image, e.g. "resize256-crop224"; part of a pixel metric's recipe."""

    known_regions: Regions | None = field(default=None, repr=False)
    """Regions of `masks`, if already labelled."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", np.asarray(self.labels, bool))
        for name in ("masks", "has_mask"):
            value = getattr(self, name)
            if isinstance(value, np.ndarray):
                object.__setattr__(self, name, np.asarray(value, bool))

    @classmethod
    def of_images(
        cls,
        labels: npt.ArrayLike,
        masks: Sequence[npt.ArrayLike | None],
        *,
        mask_rule: str = "as given",
        view: str = "",
    ) -> Truth:
        """Build the ground truth from one mask or None per image.

        Args:
            labels: (N,), true = defective.
            masks: Mask (H, W) of each image, nonzero = anomalous; None if there is none, as for good images.
            mask_rule: How the masks were resized.
            view: Evaluated part of an image.

        Raises:
            Undefined: If the masks have different sizes.
        """
        defective = np.asarray(labels, bool)
        given = [None if mask is None else np.asarray(mask) != 0 for mask in masks]
        shapes = {mask.shape for mask in given if mask is not None}
        if len(shapes) > 1:
            raise Undefined(f"masks of one category have different sizes: {sorted(shapes)}")
        if not shapes:
            return cls(defective, why_no_masks="no image has one", mask_rule=mask_rule, view=view)
        stack = np.zeros((len(given), *shapes.pop()), bool)
        for plane, mask in zip(stack, given, strict=True):
            if mask is not None:
                plane[:] = mask
        has_mask = np.array([mask is not None for mask in given], bool)
        return cls(defective, stack, has_mask, mask_rule=mask_rule, view=view)

    @cached_property
    def regions(self) -> Regions:
        """Anomalous pixels and their 8-connected regions; raises Undefined if the masks are unsuitable."""
        masks = self.require_masks()
        regions = self.known_regions
        if regions is None:
            if not isinstance(masks, np.ndarray):
                raise TypeError("regions of streamed masks are labelled chunk by chunk, see streaming.py")
            regions = label_regions(masks)
        self.check_masks(regions.pixels_of_image)
        return regions

    def require_masks(self) -> Bools | MapStream | MapSource:
        """Return the masks; raises Undefined if they do not allow a pixel metric."""
        if self.masks is None:
            raise Undefined(f"no masks: {self.why_no_masks}" if self.why_no_masks else "no masks")
        if len(self.masks.shape) != 3 or self.masks.shape[0] != len(self.labels):
            raise Undefined(f"masks have shape {self.masks.shape} for {len(self.labels)} images")
        if self.has_mask is not None and (missing := int(np.sum(self.labels & ~self.has_mask))):
            raise Undefined(f"{missing} of {int(self.labels.sum())} defective images have no mask")
        return self.masks

    def check_masks(self, anomalous: npt.NDArray[np.int64]) -> None:
        """Raise Undefined if a good image has anomalous pixels; `anomalous` (N,) counts them per image."""
        if wrong := int(np.sum((anomalous > 0) & ~self.labels)):
            raise Undefined(f"{wrong} images are labelled good but have anomalous pixels in their mask")

    @cached_property
    def empty_masks(self) -> int:
        """Number of defective images with an empty mask, whose defect was lost by resizing or cropping."""
        masks = self.require_masks()
        if isinstance(masks, (np.ndarray, MapSource)):
            anomalous = self.regions.pixels_of_image > 0
        else:
            anomalous = np.concatenate([chunk.any(axis=(1, 2)) for chunk in masks])
        return int(np.sum(self.labels & ~anomalous))


@dataclass(frozen=True, eq=False)
class Answer:
    """Prediction of a method for one category's test images, in the order of the ground truth."""

    scores: Floats | None = None
    """(N,), higher = more anomalous."""
    maps: Floats | MapStream | MapSource | None = None
    """(N, H, W), higher = more anomalous; None if the method does not localise."""
    scratch: Scratch | None = field(default=None, repr=False)
    """Buffers shared by the predictions that one thread evaluates, or None."""
    memory_bytes: int = 1 << 30
    """Memory limit of the pixel pass: larger maps are streamed, too many anomalous pixels go to disk."""
    good_scores: Sequence[Floats] | None = None
    """Scores of the good images of every category of the cell; None if a category is evaluated alone."""
    _made: dict[Hashable, tuple[Truth, Any]] = field(default_factory=dict, init=False, repr=False)
    _lock: RLock = field(default_factory=RLock, init=False, repr=False)

    def once(self, truth: Truth, make: Callable[[Truth, Answer], T]) -> T:
        """Return `make(truth, self)`, computed at the first call and shared by all metrics."""
        with self._lock:
            known = self._made.get(make)
            if known is None or known[0] is not truth:
                known = self._made[make] = (truth, make(truth, self))
            value: T = known[1]
            return value

    def require_scores(self, truth: Truth) -> Floats:
        """Return the scores; raises Undefined if they are missing, of another number, or not finite."""
        if self.scores is None:
            raise Undefined("the method gives no image scores")
        scores = np.asarray(self.scores)
        if scores.shape != truth.labels.shape:
            raise Undefined(f"scores have shape {scores.shape} for {len(truth.labels)} images")
        if not np.isfinite(scores).all():
            raise Undefined(not_finite("scores", scores))
        return scores

    def require_good_scores(self) -> Sequence[Floats]:
        """Return the good images' scores of every category; raises Undefined if unknown or not finite."""
        if self.good_scores is None:
            raise Undefined("the scores of the cell's other categories are not known")
        for scores in self.good_scores:
            if not len(scores):
                raise Undefined("a category of the cell has no good image")
            if not np.isfinite(scores).all():
                raise Undefined("scores of another category are not finite")
        return self.good_scores

    def require_maps(self, truth: Truth) -> Floats | MapStream | MapSource:
        """Return the maps; raises Undefined if missing or of another shape than the masks.

        Whether they are finite is checked in the pixel pass.
        """
        masks = truth.require_masks()
        if self.maps is None:
            raise Undefined("the method gives no anomaly maps")
        if tuple(self.maps.shape) != tuple(masks.shape):
            raise Undefined(f"maps have shape {tuple(self.maps.shape)}, masks {tuple(masks.shape)}")
        return self.maps

    def require_arrays(self, truth: Truth, who: str) -> tuple[Floats, Bools]:
        """Return maps and masks as arrays, for the metric `who`; raises Undefined if either is a stream."""
        maps, masks = self.require_maps(truth), truth.require_masks()
        maps, masks = (np.asarray(each) if isinstance(each, MapSource) else each for each in (maps, masks))
        if not isinstance(maps, np.ndarray) or not isinstance(masks, np.ndarray):
            raise Undefined(f"{who} needs maps and masks in memory, these are streamed")
        return maps, masks


def not_finite(what: str, values: Floats, first_image: int = 0) -> str:
    """Describe the values, one or a map per image, that are not finite: their number and first image."""
    wrong = ~np.isfinite(values)
    first = first_image + int(np.argwhere(wrong)[0][0])
    nan = int(np.isnan(values).sum())
    return f"{what} are not finite: {nan} NaN and {int(wrong.sum()) - nan} infinite, first at image {first}"


@dataclass(frozen=True)
class Metric:
    """Metric of one category, the `METRIC` of a module."""

    title: str
    """Title of the table column, e.g. "P-AUROC"."""
    description: str
    """Explanation in one sentence for readers of a table."""
    needs: Literal["scores", "maps"]
    """Whether the metric uses image scores or anomaly maps."""
    recipe: str
    """Exact definition of the value; values of different recipes never share a column."""
    compute: Callable[[Truth, Answer], float]
    """Function that computes the value, or raises Undefined with the reason."""
    order: int = 1000
    """Position in tables, lowest first; equal positions are ordered by name."""
    shown: bool = False
    """Whether the metric is computed and shown by default."""
    unit: str = "%"
    """"%" for a fraction in [0, 1], which tables show in percent; else the unit of the value, e.g. "px"."""
    higher_is_better: bool = True
    curve: Literal["", "pro"] = ""
    """Curve that the metric is the area of, stored for reports to draw; "" = none."""


@dataclass(frozen=True)
class Value:
    """Value of a metric, or the reason why it is undefined."""

    metric: str
    """Name of the metric's module."""
    recipe: str
    value: float | None
    why: str = ""
    """Reason why `value` is None; "" otherwise."""
    note: str = ""
    """Remark on an existing value, e.g. that some defective images have empty masks."""
