"""Parsing of selections on the command line: comma lists, globs and ranges."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast, get_args

from ltbench.benchmark.errors import UsageError
from ltbench.registry import did_you_mean

if TYPE_CHECKING:
    from ltbench.methods.base import View
    from ltbench.splits.recipes import Overlap

MOST_SEEDS = 10_000


def select_names(text: str, known: Sequence[str], kind: str, *, open_ended: bool = False) -> list[str]:
    """Names from a comma list with globs: "patch*,padim"; in the order of the list, each once.

    With `open_ended` a name without wildcards is passed through: recipes such as "step_k7" are more than
    their examples, and the code that builds the split rejects a wrong one.
    """
    chosen: list[str] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        if any(sign in part for sign in "*?["):
            found = [name for name in known if fnmatch.fnmatchcase(name, part)]
        else:
            found = [part] if open_ended or part in known else []
        if not found:
            hint = did_you_mean(part, known)
            raise UsageError(f"no {kind} matches '{part}': {hint}known are {', '.join(known)}")
        chosen += [name for name in found if name not in chosen]
    if not chosen:
        raise UsageError(f"no {kind} given: expected one or several of {', '.join(known)}")
    return chosen


def parse_seeds(text: str) -> list[int]:
    """Seeds from "1-5,8"; ascending ranges, each seed once."""
    seeds: list[int] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if match is None or (match[2] and int(match[2]) < int(match[1])):
            raise UsageError(f"'{part}' is no seed: expected numbers and ranges such as '1-5,8'")
        first, last = int(match[1]), int(match[2] or match[1])
        if last - first >= MOST_SEEDS:
            raise UsageError(f"'{part}' is {last - first + 1} seeds: expected at most {MOST_SEEDS}")
        seeds += range(first, last + 1)
    if not seeds:
        raise UsageError("no seed given: expected numbers and ranges such as '1-5,8'")
    return list(dict.fromkeys(seeds))


def parse_fields(settings: Iterable[str]) -> dict[str, Any]:
    """Hyper-parameters from "name=value" texts; the method converts the values to its fields' types.

    "host.width=256" is an entry of the table "host_fields": a field of the method that "host" names.
    """
    fields: dict[str, Any] = {}
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"'{text}' is no setting: expected FIELD=VALUE, e.g. coreset_ratio=0.01")
        table, dot, entry = name.strip().partition(".")
        if dot:
            fields.setdefault(f"{table}_fields", {})[entry] = value.strip()
        else:
            fields[table] = value.strip()
    return fields


def parse_overlap(text: str) -> Overlap:
    """The policy on injected defects that are also tested: "paper" or "none"."""
    from ltbench.splits.recipes import Overlap

    if text not in get_args(Overlap):
        raise UsageError(f"overlap is '{text}': expected one of {', '.join(get_args(Overlap))}")
    return cast("Overlap", text)


def default_view(dataset: str) -> View:
    """View by default: the whole image for the user's own images, else 256/224."""
    from ltbench.methods.base import View
    from ltbench.results.cell_record import usual_view

    usual = usual_view(dataset)
    return View(usual.resize, usual.crop, usual.squeeze)


def parse_view(text: str, dataset: str) -> View:
    """A view from "256/224": shorter side resized to 256, centre 224 judged; "squeeze256/224": both sides.

    "" is the default of the data set.
    """
    from ltbench.methods.base import View

    if not text:
        return default_view(dataset)
    match = re.fullmatch(r"(squeeze)?(\d+)/(\d+)", text)
    if match is None or not 0 < int(match[3]) <= int(match[2]):
        raise UsageError(
            f"'{text}' is no view: expected RESIZE/CROP with CROP not larger, e.g. 256/224, or squeeze224/224"
        )
    return View(int(match[2]), int(match[3]), squeeze=bool(match[1]))
