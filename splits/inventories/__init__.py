"""Tables of the files of the public data sets, by which splits are built and hashed without images.

`mvtec.csv`, `visa.csv` and `dagm.csv` hold counts and number ranges, one row per folder or class, for the
modules of the data sets.

`listing.csv` holds the order in which the TailedCore authors' disk listed the files of a class, as positions
in the pool sorted by path. It was recovered by replaying their generator on the released lists.

`ablation_nr05.csv` and `ablation_nr40.csv` belong to TailedCore's noise-ratio ablation on MVTec AD
(roomo7time/tailedcore @59bcb27, MIT). The first holds the listing order on the machine that generated the
lists of 5 % (commit d3cc772). The second holds the defects of a class, as positions sorted by path, that each
list of 40 % (commit bae5803) omits; a class without a row injects all.

`meds.csv` holds the defects of a data set, one bit each in the order of their paths, that each released MeDS
list injects.

`build.py` generates the tables from one-row-per-image lists and the released files.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources

from ltbench.splits.images import LabelledImage

Row = dict[str, str]


def table(name: str) -> list[Row]:
    """Read a table of this folder, e.g. "mvtec.csv", as dictionaries of text."""
    text = resources.files(__name__).joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def numbers(text: str) -> list[int]:
    """Parse number ranges separated by blanks.

    >>> numbers("0-3 7 9-10")
    [0, 1, 2, 3, 7, 9, 10]
    """
    values: list[int] = []
    for token in text.split():
        first, _, last = token.partition("-")
        values.extend(range(int(first), int(last or first) + 1))
    return values


def positions(mask: str) -> list[int]:
    """Positions of the set bits of a hexadecimal number, lowest bit first.

    >>> positions("a")
    [1, 3]
    """
    bits = int(mask, 16)
    return [position for position in range(bits.bit_length()) if bits >> position & 1]


def bit_mask(chosen: Iterable[int]) -> str:
    """Hexadecimal number with bits set at the given positions, the inverse of `positions`.

    >>> bit_mask([1, 3])
    'a'
    """
    return f"{sum(1 << position for position in chosen):x}"


@cache
def _listing() -> dict[tuple[str, str, str], tuple[int, ...]]:
    """Listing order by data set, class and pool, as positions in path order."""
    return {
        (row["dataset"], row["class"], row["pool"]): tuple(numbers(row["order"]))
        for row in table("listing.csv")
    }


def _ordered(images: Sequence[LabelledImage], dataset: str, category: str, pool: str) -> list[LabelledImage]:
    """Arrange the images of a pool ("good" or "defects"), given in path order, by the authors' listing."""
    return [images[position] for position in _listing()[dataset, category, pool]]


def in_listing_order(
    dataset: str,
    category: str,
    train: list[LabelledImage],
    good: list[LabelledImage],
    bad: list[LabelledImage],
) -> list[LabelledImage]:
    """Arrange the images of a class as the TailedCore authors' disk listed them.

    Args:
        dataset: Name of the data set.
        category: Name of the class.
        train: Good training images, sorted by path.
        good: Good test images.
        bad: Defective test images.

    Returns:
        Training images, then defects, both in listing order, then the good test images as given.
    """
    by_path = sorted(bad, key=lambda image: image.path)
    return [
        *_ordered(train, dataset, category, "good"),
        *_ordered(by_path, dataset, category, "defects"),
        *good,
    ]
