"""Record of a method: card, fields, needs, weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class CardRecord:
    """Description of a method for readers of its results."""

    title: str
    """Name as in the literature."""
    family: str = ""
    """Kind of method, such as "memory bank"."""
    summary: str = ""
    """Summary in one or two sentences."""
    paper: str = ""
    """Authors, venue and year."""
    url: str = ""
    """Address of the official code."""
    bibtex: str = ""
    """Citation."""
    licence: str = ""
    """Licence of the official code."""
    deviations: tuple[str, ...] = ()
    """Differences from the paper, one sentence each."""


@dataclass(frozen=True)
class AuxiliaryRecord:
    """Labelled data set, other than the evaluated one, that the method trained on."""

    name: str
    """Name on the command line."""
    title: str
    """Name as its authors write it."""
    licence: str
    """Licence of the images."""
    citation: str
    """Citation."""
    digest: str
    """sha256 of its test images and masks."""
    images: int
    """Number of test images."""
    defects: int
    """Number of defective test images."""
    without_mask: int
    """Number of defective test images without a mask."""


@dataclass(frozen=True)
class MethodRecord:
    """Method with its configuration and the information that it was given beyond pixels."""

    name: str
    """Name on the command line."""
    version: int
    """Version number, raised by each change of the code that changes results."""
    fields: Mapping[str, Any]
    """All hyper-parameters, defaults included."""
    needs: tuple[str, ...]
    """Information beyond pixels that the method was given, such as "class_names"."""
    card: CardRecord
    """Title, paper, licence, deviations."""
    backbone: str
    """Network that computes the features; "" without one."""
    weights_digest: str
    """sha256 of the pretrained weights; "" without any."""
    weights_origin: str = ""
    """Licence of the pretrained weights, who trained and who converted them; "" where it is not known."""
    auxiliary: AuxiliaryRecord | None = None
    """Labelled data set that the method trained on; null without one."""
    source_digest: str = ""
    """sha256 of the file or notebook cell of a class defined outside ltbench; "" for a method of ltbench."""
