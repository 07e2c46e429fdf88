"""Which files the public data sets hold, as compact tables: every split is built and hashed without an image.

`mvtec.csv`, `visa.csv` and `dagm.csv` hold counts and number ranges, one row a folder or class.
`listing.csv` holds the order in which the TailedCore authors' disk listed the files of a class (recovered by
replaying their generator on the lists they released), as positions in the pool sorted by path.
`build.py` makes the tables from one-row-per-image lists.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources

from splits.images import LabelledImage

Row = dict[str, str]


def table(name: str) -> list[Row]:
    """Rows of the committed table `name` ("mvtec.csv"), as dicts of text."""
    text = resources.files(__name__).joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def numbers(text: str) -> list[int]:
    """The integers of "0-3 7 9-10"."""
    found: list[int] = []
    for token in text.split():
        first, _, last = token.partition("-")
        found.extend(range(int(first), int(last or first) + 1))
    return found


def ranges(values: Iterable[int]) -> str:
    """The shortest text that `numbers` reads back as `values`, in their order."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    return " ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


@cache
def _listing() -> dict[tuple[str, str, str], tuple[int, ...]]:
    return {
        (row["dataset"], row["class"], row["pool"]): tuple(numbers(row["order"]))
        for row in table("listing.csv")
    }


def _in_listing_order(
    images: Sequence[LabelledImage], dataset: str, category: str, pool: str
) -> list[LabelledImage]:
    """`images` (sorted by path) of one pool ("good" or "defects"), as the authors' disk listed them."""
    return [images[position] for position in _listing()[dataset, category, pool]]


def _of_category(
    dataset: str,
    category: str,
    train: list[LabelledImage],
    good: list[LabelledImage],
    bad: list[LabelledImage],
) -> list[LabelledImage]:
    by_path = sorted(bad, key=lambda image: image.path)
    return [
        *_in_listing_order(train, dataset, category, "good"),
        *_in_listing_order(by_path, dataset, category, "defects"),
        *good,
    ]


@cache
def mvtec() -> tuple[LabelledImage, ...]:
    """All 5354 images of MVTec AD, classes and files in the recovered listing order."""
    found: dict[str, tuple[list[LabelledImage], list[LabelledImage], list[LabelledImage]]] = {}
    for row in table("mvtec.csv"):
        category, part, defect = row["class"], row["part"], row["defect"]
        train, good, bad = found.setdefault(category, ([], [], []))
        pool = train if part == "train" else bad if defect else good
        for number in range(int(row["count"])):
            path = f"{category}/{part}/{defect or 'good'}/{number:03d}.png"
            mask = f"{category}/ground_truth/{defect}/{number:03d}_mask.png" if defect else ""
            pool.append(LabelledImage(path, category, "train" if part == "train" else "test", defect, mask))
    return tuple(
        image for category, pools in found.items() for image in _of_category("mvtec", category, *pools)
    )


@cache
def visa() -> tuple[LabelledImage, ...]:
    """All 10821 images of VisA under MVTec-style paths (as both papers write them), in the recovered order.

    Defects are called "bad" and masks "NNN_mask.png", as the TailedCore converter does.
    """
    images: list[LabelledImage] = []
    for row in table("visa.csv"):
        category, width = row["class"], int(row["digits"])
        tested = set(numbers(row["test_good"]))
        train, good = [], []
        for number in range(int(row["normal"])):
            part = "test" if number in tested else "train"
            path = f"{category}/{part}/good/{number:0{width}d}.JPG"
            if number in tested:
                good.append(LabelledImage(path, category, "test"))
            else:
                train.append(LabelledImage(path, category, "train"))
        bad = [
            LabelledImage(
                f"{category}/test/bad/{number:03d}.JPG",
                category,
                "test",
                "bad",
                f"{category}/ground_truth/bad/{number:03d}_mask.png",
            )
            for number in range(int(row["anomalous"]))
        ]
        images += _of_category("visa", category, train, good, bad)
    return tuple(images)
