"""Verification of all named splits: they are rebuilt and compared with the lock and the released files."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from ltbench.registry import UnknownName
from ltbench.splits import inventories, recipes
from ltbench.splits.datasets import DATASETS, Dataset, open_dataset
from ltbench.splits.errors import SplitsError, VerificationFailed
from ltbench.splits.interop.write import tailedcore
from ltbench.splits.named import NamedSplit, named
from ltbench.splits.split import Split

LOCK = "lock.csv"
_COLUMNS = ["dataset", "recipe", "seed", "paper", "evidence", "train", "injected", "test", "digest"]


@dataclass(frozen=True)
class Check:
    """One comparison of the verification."""

    subject: str
    """Compared split or file, e.g. "mvtec/pareto/seed1" or "mvtec/pareto/seed1 prune_good.txt"."""
    against: str
    """Reference of the comparison: "lock", "release" or "total"."""
    expected: str
    found: str

    @property
    def ok(self) -> bool:
        """Whether the found value is the expected one."""
        return self.expected == self.found


def locked() -> dict[str, dict[str, str]]:
    """Read the rows of the lock file by split id."""
    text = resources.files("ltbench.splits").joinpath(LOCK).read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return {f"{row['dataset']}/{row['recipe']}/seed{row['seed']}": row for row in rows}


def lock_row(split: Split, paper: str) -> list[str]:
    """Row of a split in the lock file."""
    counts = [len(split.train), len(split.injected), len(split.test)]
    return [
        split.dataset, split.recipe, str(split.seed), paper, split.evidence, *map(str, counts), split.digest,
    ]  # fmt: skip


def lock_text(dataset_of: Callable[[str], Dataset]) -> str:
    """Rebuild the text of the lock file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for name in named():
        split = recipes.build(name.recipe, dataset_of(name.dataset), name.seed)
        writer.writerow(lock_row(split, name.paper))
    return text.getvalue()


def write_lock() -> None:
    """Overwrite the lock file with the splits as built now; a change of the lock changes results."""
    (Path(__file__).parent / LOCK).write_text(lock_text(cache(without_images)), encoding="utf-8")


def without_images(name: str) -> Dataset:
    """Open a data set without images, which the verification does not need."""
    return open_dataset(name, Path("/nonexistent"))


def verify(dataset: str | None = None, progress: Callable[[str], None] | None = None) -> tuple[Check, ...]:
    """Verify the named splits of one data set, or of all, in seconds and without images.

    Args:
        dataset: Name of the data set; None = all.
        progress: Function that is called with the id of every split.

    Returns:
        All checks, including failed ones.

    Raises:
        UnknownName: For a data set without named splits, where nothing would be checked.
    """
    known = dict.fromkeys(split.dataset for split in named())
    if dataset is not None and dataset not in known:
        raise UnknownName("data set with named splits", dataset, known)
    checks: list[Check] = []
    opened = {name: without_images(name) for name in known if dataset in (None, name)}
    for name, source in opened.items():
        total: int = DATASETS.load(name).FACTS.image_count
        checks.append(Check(name, "total", str(total), str(len({i.path for i in source.images()}))))
    rows = locked()
    for split_name in named(dataset):
        if progress is not None:
            progress(split_name.id)
        checks += _check_split(split_name, opened[split_name.dataset], rows.get(split_name.id))
    gone = set(rows) - {name.id for name in named()}
    checks += [
        Check(split_id, "lock", rows[split_id]["digest"], "no such split") for split_id in sorted(gone)
    ]
    return tuple(checks)


def _check_split(name: NamedSplit, dataset: Dataset, row: dict[str, str] | None) -> Iterator[Check]:
    """Compare one named split with the lock and with its released files."""
    try:
        split = recipes.build(name.recipe, dataset, name.seed)
    except (SplitsError, UnknownName) as error:
        yield Check(name.id, "lock", "" if row is None else row["digest"], f"not built: {error}")
        return
    yield Check(name.id, "lock", "no row" if row is None else row["digest"], split.digest)
    for file, expected in _released().get((name.dataset, name.recipe, name.seed), {}).items():
        yield Check(f"{name.id} {file}", "release", expected, released_digest(split, dataset, file))


def _released() -> dict[tuple[str, str, int], dict[str, str]]:
    """Digests of released files by (data set, recipe, seed), then by file name."""
    lists: dict[tuple[str, str, int], dict[str, str]] = {}
    for row in inventories.table("released.csv"):
        lists.setdefault((row["dataset"], row["recipe"], int(row["seed"])), {})[row["file"]] = row["sha256"]
    return lists


def released_digest(split: Split, dataset: Dataset, file: str) -> str:
    """sha256 of a released file as written by ltbench; for MeDS' CSV, of its sorted paths."""
    if file == "train.csv":
        return hashlib.sha256("\n".join(sorted(image.path for image in split.train)).encode()).hexdigest()
    return hashlib.sha256(tailedcore(split, dataset)[file]).hexdigest()


def require(checks: tuple[Check, ...]) -> None:
    """Raise VerificationFailed, naming the first failure, if any check failed."""
    failed = [check for check in checks if not check.ok]
    if failed:
        first = failed[0]
        raise VerificationFailed(
            f"{len(failed)} of {len(checks)} checks failed, first '{first.subject}' against the "
            f"{first.against}: expected {first.expected[:16]}, found {first.found[:60]}"
        )
