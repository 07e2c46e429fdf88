"""Cleaned split after the user's decisions about the images of an audit."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from ltbench.benchmark.audit.files import FACTS, LIST
from ltbench.benchmark.errors import UsageError
from ltbench.splits.datasets import Dataset
from ltbench.splits.split import Split

DROP, KEEP = ("drop", "defect", "remove", "x"), ("", "keep", "good", "ok")


def dropped_paths(folder: Path) -> set[str]:
    """Read which images the user decided to drop.

    Args:
        folder: Folder of an audit, or its list.

    Raises:
        UsageError: There is no list, it lacks a column, holds an unknown decision, or drops nothing.
    """
    path = folder / LIST if folder.is_dir() else folder
    if not path.is_file():
        raise UsageError(f"'{path}' does not exist: expected the list that 'ltbench audit' has written")
    # Spreadsheets write a mark in front, and semicolons where the comma is a decimal sign.
    text = path.read_text(encoding="utf-8-sig")
    delimiter = ";" if text.partition("\n")[0].count(";") > text.partition("\n")[0].count(",") else ","
    dropped = set()
    for number, row in enumerate(csv.DictReader(text.splitlines(), delimiter=delimiter), start=2):
        if row.get("path") is None or row.get("decision") is None:
            raise UsageError(f"line {number} of '{path}' has no 'path' and 'decision': expected both columns")
        decision = row["decision"].strip().lower()
        if decision in DROP:
            dropped.add(row["path"])
        elif decision not in KEEP:
            raise UsageError(
                f"decision '{row['decision']}' in line {number} of '{path}' is not known: expected 'drop', "
                "'keep' or nothing"
            )
    if not dropped:
        raise UsageError(
            f"'{path}' drops no image: write 'drop' into the column 'decision' of those to leave out"
        )
    return dropped


def without(split: Split, dropped: set[str], name: str, dataset: Dataset) -> Split:
    """Leave images out of both lists of a split.

    Raises:
        UsageError: An image is not in the list, or none would be left.
    """
    unknown = sorted(dropped - {image.path for image in (*split.train, *split.test)})
    if unknown:
        raise UsageError(
            f"'{unknown[0]}' is no image of '{split.recipe}' on '{dataset.name}': expected paths of "
            "that audit's list"
        )
    train = tuple(image for image in split.train if image.path not in dropped)
    if not train:
        raise UsageError("every image is dropped: expected at least one to train on")
    return replace(
        split,
        recipe=name,
        train=train,
        test=tuple(image for image in split.test if image.path not in dropped),
        evidence="own",
        source=f"'{split.recipe}' without {len(dropped)} images that a person dropped",
        parameters={"recipe": "imported", "name": name},
        notes=(*split.notes, f"{len(dropped)} images were dropped after an audit"),
    )


def facts_beside(folder: Path) -> dict[str, Any]:
    """Read the facts of the audit that a list belongs to.

    Raises:
        UsageError: They are not beside the list, or damaged.
    """
    path = (folder if folder.is_dir() else folder.parent) / FACTS
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"'{path}' cannot be read ({error}): keep the list in the folder of its audit"
        ) from error
    return facts
