"""Record of a requested cell: data set, split, seed, method, options and folder."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any


@dataclass(frozen=True)
class ViewRecord:
    """Evaluated part of an image, and its size."""

    resize: int
    """Length in pixels that the shorter side is resized to."""
    crop: int
    """Side in pixels of the centre crop that is evaluated."""
    squeeze: bool = False
    """Both sides were resized to `resize`, regardless of the image's proportions."""

    @property
    def text(self) -> str:
        """The view in the notation of the command line: "256/224", "squeeze224/224"."""
        return f"{'squeeze' * self.squeeze}{self.resize}/{self.crop}"


def usual_view(dataset: str) -> ViewRecord:
    """Default view of a data set.

    Public data sets have the papers' view. Users' own images are resized to a square as a whole, since a crop
    could remove defects unnoticed.
    """
    is_own = dataset.partition(":")[0] == "folder"
    return ViewRecord(224, 224, squeeze=True) if is_own else ViewRecord(256, 224)


@dataclass(frozen=True)
class CellRecord:
    """Requested cell, with everything needed to run it again."""

    dataset: str
    """Data set as typed on the command line; for an own folder, its path."""
    split: str
    """Recipe of the split as typed on the command line, without the limit."""
    seed: int
    """Seed of split and method."""
    method: str
    """Name of the method."""
    fields: Mapping[str, Any]
    """Hyper-parameters that were set; the others have their defaults."""
    overlap: str
    """Policy on injected defects: "paper" keeps them in the test list, "none" removes them."""
    view: ViewRecord
    """Evaluated part of an image."""
    limit: int | None
    """Images per category in training and test, for a smoke test; null = all."""
    label: str
    """Row label in the suite; "" outside a suite."""
    folder: str
    """Folder of the cell below the results folder, "/" between names."""
    metrics: tuple[str, ...] = ()
    """Metrics requested when the cell ran; none = the standard ones."""

    @property
    def folder_name(self) -> str:
        """Last part of the folder: method and configuration, equal for all splits and seeds."""
        return PurePosixPath(self.folder).name

    def command(self, seeds: str = "") -> str:
        """Command line that runs this cell, quoted for a shell; `seeds` replaces its seed, e.g. "1-5"."""
        words = [
            "ltbench", "run", "--method", self.method, "--dataset", self.dataset, "--split", self.split,
            "--seed", seeds or str(self.seed),
        ]  # fmt: skip
        for name, value in flat_fields(self.fields).items():
            words += ["--set", f"{name}={typed_value(value)}"]
        if self.overlap != "paper":
            words += ["--overlap", self.overlap]
        if self.view != usual_view(self.dataset):
            words += ["--view", self.view.text]
        if self.limit is not None:
            words += ["--limit", str(self.limit)]
        if self.metrics:
            words += ["--metrics", ",".join(self.metrics)]
        return shlex.join(words)


def flat_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten nested fields to the names of the command line.

    >>> flat_fields({"grid": 14, "host_fields": {"width": 64}})
    {'grid': 14, 'host.width': 64}
    """
    flat: dict[str, Any] = {}
    for name, value in sorted(fields.items()):
        if isinstance(value, Mapping):
            flat |= {f"{name.removesuffix('_fields')}.{key}": part for key, part in value.items()}
        else:
            flat[name] = value
    return flat


def typed_value(value: Any) -> str:
    """Format a field's value for the command line.

    >>> [typed_value(value) for value in (None, True, ("a", "b"), 0.5)]
    ['none', 'true', 'a,b', '0.5']
    """
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return ",".join(map(typed_value, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
