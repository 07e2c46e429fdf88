"""Results of several machines in one folder: copied whole, conflicts refused by name."""

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
"""Two runs of one cell on one device class agree to the last bits; more is a conflict."""


@dataclass
class Merged:
    """What a merge did."""

    copied: int = 0
    already_there: int = 0
    upgraded: int = 0
    """Failed or unfinished cells of the target that a finished one replaced."""
    damaged: list[str] = field(default_factory=list)
    """Cells of the sources that are not what their record says; they are left out."""
    conflicts: list[str] = field(default_factory=list)


def merge(sources: Sequence[Place], target: Place, *, dry_run: bool = False) -> Merged:
    """Copy every cell of `sources` into `target`; the target is left alone if any value conflicts.

    Two cells conflict when their identity is equal and a value is not. Raises ResultsDiffer naming them all.
    Records keep machine, commit and times of the run that made them; which cells came from where is written
    into the target's `runs` folder. With `dry_run` nothing is written.
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
            place = target / below(cell.folder, source)
            present = planned.get(place) or store.find(place)
            if present is None:
                planned[place], origin[place] = cell, source
                done.copied += 1
            elif present.status != "ok" and cell.status == "ok":
                planned[place], origin[place] = cell, source
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
    for place, cell in planned.items():
        _copy(cell.folder, place)
    for source in sources:
        _copy_shared(source, target)
    if planned:
        came = {below(place, target): str(source) for place, source in sorted(origin.items(), key=str)}
        write_run(target, {"merged": came})
    return done


def conflict(left: StoredCell, right: StoredCell) -> str:
    """Why two cells in one place cannot both be true, "" if they agree."""
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
    """Values side by side: KEYS, value_a, value_b, difference (b - a; inf where one is missing)."""
    both = a[[*KEYS, "value"]].merge(b[[*KEYS, "value"]], on=list(KEYS), how="outer", suffixes=("_a", "_b"))
    difference = both["value_b"] - both["value_a"]
    one_missing = both["value_a"].isna() ^ both["value_b"].isna()
    both["difference"] = difference.mask(one_missing, np.inf).fillna(0.0)
    return both


KEYS = ("dataset", "split", "seed", "method", "config_digest", "category", "metric")


def _copy(source: Place, target: Place) -> None:
    if isinstance(source, RemotePath) or isinstance(target, RemotePath):
        _copy_files(source, target)
        return
    # Into a neighbour first, with a name that is never listed: a merge that is cut off leaves no half cell.
    target.parent.mkdir(parents=True, exist_ok=True)
    arriving = target.parent / f".{target.name}.arriving"
    shutil.rmtree(arriving, ignore_errors=True)
    # Not copy2: to whoever asks whether a site is older than its cells, these are new.
    shutil.copytree(source, arriving, copy_function=shutil.copy)
    shutil.rmtree(target, ignore_errors=True)
    arriving.rename(target)


def _copy_files(source: Place, target: Place) -> None:
    """File by file, the record last: it says what the others must be, so a cut leaves no half cell."""
    (target / RECORD).unlink(missing_ok=True)
    for path in sorted(matches(source, "*"), key=lambda path: path.name == RECORD):
        if not path.is_dir():
            write_bytes(target / path.name, path.read_bytes())


def _copy_shared(source: Place, target: Place) -> None:
    for path in (*matches(source, "*/gallery/*"), *matches(source, f"{RUNS}/*.json")):
        place = target / below(path, source)
        if not path.is_dir() and not place.exists():
            write_bytes(place, path.read_bytes())
    for path in matches(source, asked.PATTERN):
        asked.merge_file(path, target / below(path, source))
