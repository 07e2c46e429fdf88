"""Registry of imported splits, stored by name in the home folder and built like any recipe."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

from ltbench.registry import UnknownName
from ltbench.splits import recipes
from ltbench.splits.datasets import Dataset
from ltbench.splits.errors import SplitsError, VerificationFailed
from ltbench.splits.interop.parse import read_listing
from ltbench.splits.interop.read import to_split
from ltbench.splits.interop.text import write_whole
from ltbench.splits.recipes import Overlap
from ltbench.splits.split import Split

_NAME = re.compile(r"[a-z0-9][a-z0-9_.+-]*")


def _folder(home: Path, dataset: str, name: str) -> Path:
    """Folder of an imported split, with unusual characters of the data set's name replaced."""
    return home / "splits" / re.sub(r"[^A-Za-z0-9_.+-]", "_", dataset) / name


def register(split: Split, name: str, dataset: Dataset, home: Path) -> Split:
    """Store a split by name and seed, for `ltbench.splits.recipes.build`.

    Args:
        split: Split to store.
        name: New name of its recipe.
        dataset: Data set of the split.
        home: Home folder of ltbench.

    Returns:
        The split under its new name.

    Raises:
        SplitsError: If the name belongs to a recipe or another list, or is not usable as a file name.
    """
    if not _NAME.fullmatch(name):
        raise SplitsError(f"name '{name}' cannot be used: expected lower case letters, digits, '_', '.', '-'")
    if _is_taken(name, dataset, split.seed):
        raise SplitsError(f"name '{name}' is a recipe's: choose another, e.g. '{name}_imported'")
    folder = _folder(home, split.dataset, name)
    file = folder / f"seed{split.seed}.txt"
    kept = replace(split, recipe=name)
    if file.is_file() and file.read_bytes() != kept.manifest():
        raise SplitsError(
            f"name '{name}' already holds another list for seed {split.seed} ('{file}'): "
            "choose another name or delete that file"
        )
    about = {
        "digest": kept.digest,
        "evidence": kept.evidence,
        "groups": {group: list(members) for group, members in kept.groups.items()},
        "notes": list(kept.notes),
        "source": kept.source,
    }
    # The list is written last: without it the split does not exist, even after an interruption.
    write_whole(file.with_suffix(".json"), (json.dumps(about, indent=2, sort_keys=True) + "\n").encode())
    write_whole(file, kept.manifest())
    return kept


def _is_taken(name: str, dataset: Dataset, seed: int) -> bool:
    """Whether a recipe accepts the name, by building a split or raising an error."""
    for family in recipes.families():
        if not family.__name__.endswith(".registered"):  # type: ignore[attr-defined]
            try:
                if family.build(name, dataset, seed, "paper") is not None:
                    return True
            except (SplitsError, UnknownName):
                return True
    return False


def registered_names(dataset: str, home: Path) -> list[str]:
    """Names of the imported splits of a data set."""
    folder = _folder(home, dataset, "x").parent
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []


def load(name: str, dataset: Dataset, seed: int, overlap: Overlap, home: Path) -> Split | None:
    """Load an imported split.

    Args:
        name: Name of the split.
        dataset: Data set of the split.
        seed: Seed of the split.
        overlap: "none" removes training images from the test list.
        home: Home folder of ltbench.

    Returns:
        The split, or None if no split has this name.

    Raises:
        SplitsError: If the split has no list for this seed, or its metadata cannot be read.
        VerificationFailed: If its list was changed.
    """
    folder = _folder(home, dataset.name, name)
    if not _NAME.fullmatch(name) or not folder.is_dir():
        return None
    file = folder / f"seed{seed}.txt"
    if not file.is_file():
        stems = [path.stem.removeprefix("seed") for path in folder.glob("seed*.txt")]
        seeds = sorted(int(stem) for stem in stems if stem.isdecimal())
        raise SplitsError(
            f"split '{name}' of '{dataset.name}' has no seed {seed}: "
            f"expected one of {', '.join(map(str, seeds)) or 'none, import it again'}"
        )
    try:
        about = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SplitsError(
            f"'{file.with_suffix('.json')}' of split '{name}' cannot be read ({error}): delete '{file}' and "
            "import it again"
        ) from error
    split = to_split(read_listing(file), dataset, name=name, seed=seed, overlap="paper")
    if split.digest != about["digest"]:
        raise VerificationFailed(
            f"split '{name}' is not what was imported: '{file}' has digest {split.digest[:12]}, expected "
            f"{about['digest'][:12]}; import it again"
        )
    test = split.test
    if overlap == "none":
        trained = {image.path for image in split.train}
        test = tuple(image for image in split.test if image.path not in trained)
    return replace(
        split,
        test=test,
        groups={group: tuple(members) for group, members in about["groups"].items()},
        evidence=about["evidence"],
        source=about["source"],
        notes=tuple(about["notes"]),
    )
