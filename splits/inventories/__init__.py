"""Which files the public data sets hold, as compact tables: every split is built and hashed without an image.

`mvtec.csv`, `visa.csv` and `dagm.csv` hold counts and number ranges, one row a folder or class.
`listing.csv` holds the order in which the TailedCore authors' disk listed the files of a class (recovered by
replaying their generator on the lists they released), as positions in the pool sorted by path.
`ablation_nr05.csv` and `ablation_nr40.csv` are TailedCore's noise-ratio ablation on MVTec AD
(roomo7time/tailedcore @59bcb27, MIT): the order of listing on the machine that made the lists of 5 %
(commit d3cc772), and which of a class' defects, sorted by path, each list of 40 % (commit bae5803) leaves
out; a class without a row injects all.
`meds.csv` holds which of a data set's defects, sorted by path, each released MeDS list injects: one bit each.
`build.py` makes the tables from one-row-per-image lists and the released files.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib import resources

from ltbench.splits.images import UNKNOWN, LabelledImage, Part

Row = dict[str, str]


def table(name: str) -> list[Row]:
    """Rows of the committed table `name` ("mvtec.csv"), as dicts of text."""
    text = resources.files(__name__).joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def numbers(text: str) -> list[int]:
    """The integers of "0-3 7 9-10", as `number_ranges` writes them with blanks between."""
    found: list[int] = []
    for token in text.split():
        first, _, last = token.partition("-")
        found.extend(range(int(first), int(last or first) + 1))
    return found


def positions(mask: str) -> list[int]:
    """Positions of the bits that are set in a hexadecimal number, lowest bit first."""
    bits = int(mask, 16)
    return [position for position in range(bits.bit_length()) if bits >> position & 1]


def bit_mask(chosen: Iterable[int]) -> str:
    """The hexadecimal number that `positions` reads back."""
    return f"{sum(1 << position for position in chosen):x}"


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


def dagm(tested_defects: Callable[[str], set[int] | None]) -> tuple[LabelledImage, ...]:
    """All 16100 images of DAGM 2007, by class and number, as the original layout names them.

    Which test images are defective stands only in the data set's Label folders: `tested_defects` gives a
    class' numbers, or None where the folder is not at hand (the label is then UNKNOWN).
    """
    images: list[LabelledImage] = []
    for row in table("dagm.csv"):
        category = row["class"]
        labels: dict[Part, set[int] | None] = {
            "train": set(numbers(row["train_defects"])),
            "test": tested_defects(category),
        }
        for part, defective in labels.items():
            folder = f"{category}/{part.capitalize()}"
            for number in numbers(row[part]):
                path = f"{folder}/{number:04d}.PNG"
                if defective is None:
                    images.append(LabelledImage(path, category, part, UNKNOWN))
                elif number in defective:
                    mask = f"{folder}/Label/{number:04d}_label.PNG"
                    images.append(LabelledImage(path, category, part, "defect", mask))
                else:
                    images.append(LabelledImage(path, category, part))
    return tuple(images)
