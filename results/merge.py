"""Merging results of several machines into one folder, refusing conflicts."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import pandas as pd

from ltbench.results import asked
from ltbench.results.errors import ResultsDiffer
from ltbench.results.files import write_bytes
from ltbench.results.places import Place, RemotePath, below, matches
from ltbench.results.runs import FOLDER as RUNS
from ltbench.results.runs import write_run
from ltbench.results.store import RECORD, Store, StoredCell

VALUE_TOLERANCE = 1e-9
"""Largest difference of two runs of one cell, which agree to the last bits on one class of devices."""


@dataclass
class Merged:
    """Numbers of copied, present and replaced cells of a merge, and the damaged and conflicting cells."""

    copied: int = 0
    already_there: int = 0
    upgraded: int = 0
    """Number of failed or unfinished cells of the target that were replaced by finished ones."""
    damaged: list[str] = field(default_factory=list)
    """Cells of the sources whose files do not match their record; they are not copied."""
    conflicts: list[str] = field(default_factory=list)


def merge(sources: Sequence[Place], target: Place, *, dry_run: bool = False) -> Merged:
    """Copy every cell of several results folders into one, unless any value conflicts.

    Two cells conflict if they have the same identity but different values. Records keep machine, commit and
    times of their run; the source of every cell is written to the `runs` folder of the target.

    Args:
        sources: Results folders to copy.
        target: Results folder to copy into.
        dry_run: Check and count only, without writing.

    Raises:
        ResultsDiffer: With all conflicting cells; nothing was copied.
    """
    store = Store(target)
    done = Merged()
    planned: dict[Place, StoredCell] = {}
    origin: dict[Place, Place] = {}
    for source in sources:
        for cell in Store(source).cells():
            if why := cell.damage():
                done.damaged.append(why)
                continue
            destination = target / below(cell.folder, source)
            present = planned.get(destination) or store.find(destination)
            if present is None:
                planned[destination], origin[destination] = cell, source
                done.copied += 1
            elif present.status != "ok" and cell.status == "ok":
                planned[destination], origin[destination] = cell, source
                done.upgraded += 1
            elif cell.status == "ok" and (why := conflict(present, cell)):
                done.conflicts.append(f"{cell.folder} and {present.folder}: {why}")
            else:
                done.already_there += 1
    if done.conflicts:
        raise ResultsDiffer(
            f"{len(done.conflicts)} cells have one identity and other values, nothing was merged: "
            + "; ".join(done.conflicts)
        )
    if dry_run:
        return done
    for destination, cell in planned.items():
        _copy(cell.folder, destination)
    for source in sources:
        _copy_shared(source, target)
    if planned:
        came = {
            below(destination, target): str(source) for destination, source in sorted(origin.items(), key=str)
        }
        write_run(target, {"merged": came})
    return done


def conflict(left: StoredCell, right: StoredCell) -> str:
    """Describe the conflict of two cells in the same folder; "" if they agree."""
    one, other = asdict(left.record.identity), asdict(right.record.identity)
    if one != other:
        return f"other {', '.join(name for name, value in one.items() if other[name] != value)}"
    values = compare(left.metrics(), right.metrics())
    wrong = values[values["difference"].abs() > VALUE_TOLERANCE]
    if not wrong.empty:
        row = wrong.iloc[0]
        return f"{row['metric']} of {row['category']} is {row['value_a']:.6f} and {row['value_b']:.6f}"
    return ""


def compare(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """Join the values of two tables: KEYS, value_a, value_b, difference (b - a; inf if one is missing)."""
    both = a[[*KEYS, "value"]].merge(b[[*KEYS, "value"]], on=list(KEYS), how="outer", suffixes=("_a", "_b"))
    difference = both["value_b"] - both["value_a"]
    one_missing = both["value_a"].isna() ^ both["value_b"].isna()
    both["difference"] = difference.mask(one_missing, np.inf).fillna(0.0)
    return both


KEYS = ("dataset", "split", "seed", "method", "config_digest", "category", "metric")


def _copy(source: Place, target: Place) -> None:
    """Copy the folder of a cell, which appears complete at once."""
    if isinstance(source, RemotePath) or isinstance(target, RemotePath):
        _copy_files(source, target)
        return
    # Copied to a hidden neighbour first, so that an interrupted merge leaves no incomplete cell.
    target.parent.mkdir(parents=True, exist_ok=True)
    arriving = target.parent / f".{target.name}.arriving"
    shutil.rmtree(arriving, ignore_errors=True)
    # Not copy2: with new times, a site made before the merge counts as older than its cells.
    shutil.copytree(source, arriving, copy_function=shutil.copy)
    shutil.rmtree(target, ignore_errors=True)
    arriving.rename(target)


def _copy_files(source: Place, target: Place) -> None:
    """Copy file by file, the record with the digests last, so that an interrupted copy is no cell."""
    (target / RECORD).unlink(missing_ok=True)
    for path in sorted(matches(source, "*"), key=lambda path: path.name == RECORD):
        if not path.is_dir():
            write_bytes(target / path.name, path.read_bytes())


def _copy_shared(source: Place, target: Place) -> None:
    """Copy gallery images, call logs and requested cells of suites that the target lacks."""
    for path in (*matches(source, "*/gallery/*"), *matches(source, f"{RUNS}/*.json")):
        destination = target / below(path, source)
        if not path.is_dir() and not destination.exists():
            write_bytes(destination, path.read_bytes())
    for path in matches(source, asked.PATTERN):
        asked.merge_file(path, target / below(path, source))
