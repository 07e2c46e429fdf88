"""Tables of the files that the public data sets hold: every split is built and hashed without an image.

`mvtec.csv`, `visa.csv` and `dagm.csv` hold counts and number ranges, one row a folder or class; the modules
of the data sets read them.
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
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources

from ltbench.splits.images import LabelledImage

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


def _ordered(images: Sequence[LabelledImage], dataset: str, category: str, pool: str) -> list[LabelledImage]:
    """`images` (sorted by path) of one pool ("good" or "defects"), as the authors' disk listed them."""
    return [images[position] for position in _listing()[dataset, category, pool]]


def in_listing_order(
    dataset: str,
    category: str,
    train: list[LabelledImage],
    good: list[LabelledImage],
    bad: list[LabelledImage],
) -> list[LabelledImage]:
    """Images of a class as the authors' disk listed them: training, defects, then the tested good ones."""
    by_path = sorted(bad, key=lambda image: image.path)
    return [
        *_ordered(train, dataset, category, "good"),
        *_ordered(by_path, dataset, category, "defects"),
        *good,
    ]
