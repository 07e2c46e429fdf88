"""The contract between the harness and a method: what it declares, is given, and returns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from ltbench.splits.images import ImageSet

if TYPE_CHECKING:
    from ltbench.methods.features.cache import FeatureCache

Need = Literal[
    "class_ids_fit",  # which product an image shows, while fitting
    "class_ids_score",  # which product an image shows, while scoring
    "camera_ids_fit",  # which camera took an image, while fitting
    "class_names",  # what the products are called, in words
    "auxiliary_masks",  # another, labelled data set with pixel masks
    "support_set",  # a few known-good images per product
]


@dataclass(frozen=True)
class Card:
    """Description of a method for readers of tables, stored with every result."""

    title: str
    """Name as the literature writes it: "PatchCore"."""
    family: str
    """E.g. "memory bank", "statistics", "vision-language", "reconstruction", "distillation", "baseline"."""
    summary: str
    """One or two sentences."""
    paper: str = ""
    """"Roth et al., CVPR 2022"."""
    url: str = ""
    bibtex: str = ""
    licence: str = ""
    """Licence of the official code, which is not part of this project."""
    deviations: tuple[str, ...] = ()
    """Each difference from the paper, as a sentence that names the field."""


@dataclass(frozen=True)
class View:
    """Part of an image that is judged, and its size: shorter side to `resize`, centre crop `crop`.

    The same for every method of a cell, and for the masks.
    """

    resize: int = 256
    crop: int = 224
    squeeze: bool = False
    """Bring both sides to `resize`: nothing of a long image is cut off, its proportions are lost."""

    def __str__(self) -> str:
        return f"{'squeeze' if self.squeeze else 'resize'}{self.resize}-crop{self.crop}"

    def of_size(self, crop: int) -> View:
        """The same part of the image with its crop at so many pixels."""
        return replace(self, resize=round(self.resize * crop / self.crop), crop=crop)


@dataclass(frozen=True)
class MapPost:
    """Steps from a patch score grid to an anomaly map: upsampling to the view's crop, then a Gaussian."""

    sigma: float = 4.0
    """Standard deviation in pixels of the map; 0 = no smoothing."""
    upsample: Literal["bilinear", "bilinear_corners", "nearest"] = "bilinear"
    """"bilinear" = align_corners False."""
    border: Literal["mirror", "zero"] = "mirror"
    """Values beyond the map's border for the Gaussian: the map mirrored, or zeros, which darken its rim."""
    radius: int | None = None
    """Pixels of the Gaussian to either side of its middle; None = four standard deviations."""
    via: int | None = None
    """Side of a first map that the grid is upsampled to, and that is then resized as by "bilinear"; None =
    upsampled to the crop at once."""


@dataclass(frozen=True)
class Prediction:
    """Scores and patch score grids of a test set's images, in the order of the images."""

    scores: npt.NDArray[np.float32]
    """(N,), higher = more anomalous."""
    grids: npt.NDArray[np.float32] | None = None
    """(N, h, w) patch scores over the view's crop, or None if the method does not localise."""
    post: MapPost = field(default_factory=MapPost)


Title = str | Callable[[], str]


class Progress(Protocol):
    """Reporter of the progress of a long step; a title that changes on the way is a function."""

    def __call__(self, items: Iterable[Any], title: Title, total: int | None = None) -> Iterator[Any]: ...


def no_progress(items: Iterable[Any], title: Title, total: int | None = None) -> Iterator[Any]:  # noqa: ARG001
    """A Progress that shows nothing."""
    return iter(items)


@dataclass(frozen=True)
class AuxiliarySet:
    """Test images of another data set than the judged one, with the labels and masks of its authors."""

    name: str
    digest: str
    """Version of its data."""
    images: ImageSet
    labels: npt.NDArray[np.bool_]
    """(N,) true where defective, in the order of the images."""
    mask: Callable[[int], npt.NDArray[np.bool_]]
    """Mask of a defective image by its index: (H, W) at the original resolution, true where defective."""


@dataclass
class Context:
    """Inputs that the harness gives a method besides images."""

    rng: np.random.Generator
    """The only source of randomness; seeded from the cell's identity."""
    view: View = field(default_factory=View)
    device: str = "cpu"
    cache: FeatureCache | None = None
    """Shared on-disk feature cache, or None."""
    weights_root: Path | None = None
    """Mirror folder with pretrained weights, looked in before any hub."""
    auxiliary: AuxiliarySet | None = None
    """The data set that the method's field `auxiliary` names, if it declared "auxiliary_masks"; else None."""
    work: Path | None = None
    """The cell's private folder for checkpoints and the like."""
    progress: Progress = no_progress
    report: Callable[[str, float], None] = lambda _name, _value: None
    """Stores a named figure (e.g. "memory_bank_mb") with the result."""


class Method(Protocol):
    """A dataclass whose fields are its hyper-parameters: what is recorded, and all that configures it.

    A fitted method can be kept as a model if the attributes that `fit` sets are numbers, texts, arrays,
    tensors, containers, torch modules and objects of its own module. `unsaved` names attributes that only
    training needs. A method that learns something else may have `state(self)`, which returns a mapping of
    such values, and `restore(self, state, context)`, which takes it back.
    """

    card: ClassVar[Card]
    needs: ClassVar[frozenset[Need]]
    version: ClassVar[int]
    """Raised by one whenever a change of the code moves numbers."""

    def fit(self, train: ImageSet, context: Context) -> None:
        """Learn from images whose labels are unknown."""
        ...

    def score(self, test: ImageSet, context: Context) -> Prediction:
        """Score images; calling twice gives the same answer."""
        ...


@runtime_checkable
class Ranks(Protocol):
    """Method that can rank its training images by anomaly after `fit`."""

    def rank(self, train: ImageSet, context: Context) -> npt.NDArray[np.float32]:
        """(N,) suspicion of the images it was fitted on, in their order; higher = to be inspected earlier."""
        ...
