"""A cell as it was asked for: data set, split, seed, method and options, and its folder."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

USUAL_SIDES = (256, 224)


@dataclass(frozen=True)
class ViewRecord:
    """Part of an image that is judged, and its size."""

    resize: int
    """Length in pixels that the shorter side is brought to."""
    crop: int
    """Side in pixels of the centre crop that is judged."""
    squeeze: bool = False
    """Both sides were brought to `resize`, whatever the image's proportions."""

    @property
    def text(self) -> str:
        """The view as the command line takes it: "256/224", "squeeze224/224"."""
        return f"{'squeeze' * self.squeeze}{self.resize}/{self.crop}"


@dataclass(frozen=True)
class CellRecord:
    """A cell as it was asked for: enough to ask for it again."""

    dataset: str
    """Data set as typed; for a folder of one's own its path."""
    split: str
    """Recipe of the split as typed, without the limit."""
    seed: int
    """Seed of split and method."""
    method: str
    """Name of the method."""
    fields: Mapping[str, Any]
    """Hyper-parameters that were set; the others are at their defaults."""
    overlap: str
    """Policy on injected defects: "paper" leaves them in the test list, "none" takes them out."""
    view: ViewRecord
    """Part of an image that is judged."""
    limit: int | None
    """Images per category in training and test, for a smoke test; null = all."""
    label: str
    """Name that the suite gives the row; "" outside of a suite."""
    folder: str
    """Folder of the cell below the results folder, "/" between names."""
    metrics: tuple[str, ...] = ()
    """Metrics that were asked for when the cell ran; none = the standard ones."""

    @property
    def folder_name(self) -> str:
        """Last part of the folder: method and configuration, the same for all splits and seeds."""
        return PurePosixPath(self.folder).name

    def command(self, seeds: str = "") -> str:
        """The command line that makes this cell, or this cell with several seeds, quoted for a shell."""
        words = [
            "ltbench", "run", "--method", self.method, "--dataset", self.dataset, "--split", self.split,
            "--seed", seeds or str(self.seed),
        ]  # fmt: skip
        for name, value in flat_fields(self.fields).items():
            words += ["--set", f"{name}={typed_value(value)}"]
        if self.overlap != "paper":
            words += ["--overlap", self.overlap]
        if self.view.squeeze or (self.view.resize, self.view.crop) != USUAL_SIDES:
            words += ["--view", self.view.text]
        if self.limit is not None:
            words += ["--limit", str(self.limit)]
        if self.metrics:
            words += ["--metrics", ",".join(self.metrics)]
        return shlex.join(words)


def flat_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields by name; those of a table such as "host_fields" as a command line names them, "host.width"."""
    found: dict[str, Any] = {}
    for name, value in sorted(fields.items()):
        if isinstance(value, Mapping):
            found |= {f"{name.removesuffix('_fields')}.{key}": part for key, part in value.items()}
        else:
            found[name] = value
    return found


def typed_value(value: Any) -> str:
    """A field's value as a command line has it: "none", "true", "a,b", "0.5"."""
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return ",".join(map(typed_value, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
