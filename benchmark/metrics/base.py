"""The ground truth and the prediction that a metric is given, its value, and the reason for having none."""

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
    """The metric has no value here; the message is the reason, as it stands beside the hole."""


@runtime_checkable
class MapStream(Protocol):
    """Anomaly maps (or masks) that are never in memory at once; may be walked through again and again."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, H, W)."""
        ...

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        """Chunks (n, H, W) in the images' order, the same values on every walk."""
        ...


@runtime_checkable
class MapSource(Protocol):
    """Anomaly maps that are made on demand, all at once or chunk by chunk; `np.asarray` makes them too."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, H, W)."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the maps."""
        ...

    def fill(self, out: npt.NDArray[Any]) -> None:
        """Put the maps into `out`, of this shape and type."""
        ...

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        """Chunks (n, H, W) in the images' order, as a `MapStream` gives them."""
        ...

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]: ...


class Scratch:
    """Buffers that outlive a call, so that only the first one pays for fresh pages. One per thread."""

    def __init__(self) -> None:
        self._buffers: dict[Hashable, npt.NDArray[Any]] = {}

    def take(self, size: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """An array (size,) with arbitrary content, valid until the next `take` of this dtype."""
        kind = np.dtype(dtype)
        buffer = self._buffers.get(kind)
        if buffer is None or len(buffer) < size:
            self._buffers.pop(kind, None)
            buffer = self._buffers[kind] = np.empty(size, kind)
        return buffer[:size]


@dataclass(frozen=True, eq=False)
class Truth:
    """The ground truth of one category's test images."""

    labels: Bools
    """(N,), true = defective."""
    masks: Bools | MapStream | MapSource | None = None
    """(N, H, W), true = anomalous pixel, at the maps' size; None = the data set has none. Made on demand only
    where the regions are known."""
    has_mask: Bools | None = None
    """(N,), false where a defective image came without a mask; None = every defective image has one."""
    why_no_masks: str = ""
    """Why `masks` is None, for the reader of a table."""
    mask_rule: str = "as given"
    """How masks came to the maps' size, e.g. "nearest, > 0"; part of a pixel metric's recipe."""
    view: str = ""
    """Part of an image that is judged, e.g. "resize256-crop224"; part of a pixel metric's recipe."""

    known_regions: Regions | None = field(default=None, repr=False)
    """Regions of `masks`, if they were labelled before."""

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
        """Truth of one mask or None per image; good images need none. Raises Undefined if sizes differ."""
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
        """Anomalous pixels and 8-connected regions; built once. Raises Undefined where masks are unfit."""
        masks = self.require_masks()
        regions = self.known_regions
        if regions is None:
            if not isinstance(masks, np.ndarray):
                raise TypeError("regions of streamed masks are labelled chunk by chunk, see streaming.py")
            regions = label_regions(masks)
        self.check_masks(regions.pixels_of_image)
        return regions

    def require_masks(self) -> Bools | MapStream | MapSource:
        """The masks. Raises Undefined where a pixel metric cannot be had."""
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
        """Defective images whose mask is empty: the defect was lost in resizing or lies outside the view."""
        masks = self.require_masks()
        if isinstance(masks, (np.ndarray, MapSource)):
            anomalous = self.regions.pixels_of_image > 0
        else:
            anomalous = np.concatenate([chunk.any(axis=(1, 2)) for chunk in masks])
        return int(np.sum(self.labels & ~anomalous))


@dataclass(frozen=True, eq=False)
class Answer:
    """A method's prediction for one category's test images, in the truth's order."""

    scores: Floats | None = None
    """(N,), higher = more anomalous."""
    maps: Floats | MapStream | MapSource | None = None
    """(N, H, W), higher = more anomalous; None if the method does not localise."""
    scratch: Scratch | None = field(default=None, repr=False)
    """Buffers shared by the answers that one thread evaluates, or None."""
    memory_bytes: int = 1 << 30
    """Most memory of the pixel pass: larger maps are streamed, too many anomalous pixels go to disk."""
    good_scores: Sequence[Floats] | None = None
    """Scores of the good images of each category of the cell; None where a category is judged alone."""
    _made: dict[Hashable, tuple[Truth, Any]] = field(default_factory=dict, init=False, repr=False)
    _lock: RLock = field(default_factory=RLock, init=False, repr=False)

    def once(self, truth: Truth, make: Callable[[Truth, Answer], T]) -> T:
        """`make(truth, self)`, computed by the first metric that asks and shared with the others."""
        with self._lock:
            known = self._made.get(make)
            if known is None or known[0] is not truth:
                known = self._made[make] = (truth, make(truth, self))
            value: T = known[1]
            return value

    def require_scores(self, truth: Truth) -> Floats:
        """The scores. Raises Undefined if there are none, too few, or one that is not finite."""
        if self.scores is None:
            raise Undefined("the method gives no image scores")
        scores = np.asarray(self.scores)
        if scores.shape != truth.labels.shape:
            raise Undefined(f"scores have shape {scores.shape} for {len(truth.labels)} images")
        if not np.isfinite(scores).all():
            raise Undefined(not_finite("scores", scores))
        return scores

    def require_good_scores(self) -> Sequence[Floats]:
        """Scores of every category's good images. Raises Undefined if they are unknown or not finite."""
        if self.good_scores is None:
            raise Undefined("the scores of the cell's other categories are not known")
        for scores in self.good_scores:
            if not len(scores):
                raise Undefined("a category of the cell has no good image")
            if not np.isfinite(scores).all():
                raise Undefined("scores of another category are not finite")
        return self.good_scores

    def require_maps(self, truth: Truth) -> Floats | MapStream | MapSource:
        """The maps, of the masks' shape. Raises Undefined otherwise; finiteness shows in the pixel pass."""
        masks = truth.require_masks()
        if self.maps is None:
            raise Undefined("the method gives no anomaly maps")
        if tuple(self.maps.shape) != tuple(masks.shape):
            raise Undefined(f"maps have shape {tuple(self.maps.shape)}, masks {tuple(masks.shape)}")
        return self.maps

    def require_arrays(self, truth: Truth, who: str) -> tuple[Floats, Bools]:
        """Maps and masks for `who` needs all of them in memory. Raises Undefined if either is a stream."""
        maps, masks = self.require_maps(truth), truth.require_masks()
        maps, masks = (np.asarray(each) if isinstance(each, MapSource) else each for each in (maps, masks))
        if not isinstance(maps, np.ndarray) or not isinstance(masks, np.ndarray):
            raise Undefined(f"{who} needs maps and masks in memory, these are streamed")
        return maps, masks


def not_finite(what: str, values: Floats, first_image: int = 0) -> str:
    """Why `values`, one or a map per image, are refused: how many and where the first is."""
    wrong = ~np.isfinite(values)
    first = first_image + int(np.argwhere(wrong)[0][0])
    nan = int(np.isnan(values).sum())
    return f"{what} are not finite: {nan} NaN and {int(wrong.sum()) - nan} infinite, first at image {first}"


@dataclass(frozen=True)
class Metric:
    """One number about one category: `METRIC` of a module."""

    title: str
    """Head of a table's column: "P-AUROC"."""
    description: str
    """One sentence for a reader of the table."""
    needs: Literal["scores", "maps"]
    recipe: str
    """How exactly the number is made; values of different recipes never share a column."""
    compute: Callable[[Truth, Answer], float]
    """The value; raises Undefined with the reason where there is none."""
    order: int = 1000
    """Place in tables, lowest first; metrics of one place are ordered by name."""
    shown: bool = False
    """Whether it is measured and shown where no metrics are asked for."""
    unit: str = "%"
    """"%" = a fraction in [0, 1], which tables show in percent; else the value's own unit, e.g. "px"."""
    higher_is_better: bool = True
    curve: Literal["", "pro"] = ""
    """Curve under which it is the area, kept for a report to draw; "" = none."""


@dataclass(frozen=True)
class Value:
    """A metric's value, or why there is none."""

    metric: str
    """Name of the metric's module."""
    recipe: str
    value: float | None
    why: str = ""
    """Why `value` is None; "" otherwise."""
    note: str = ""
    """What a reader should know of a value that exists, e.g. that some defective images have empty masks."""
