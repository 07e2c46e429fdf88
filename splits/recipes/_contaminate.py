"""How many defects go into a class, which ones, and what to do when a class has too few."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ltbench.splits.errors import SplitsError
from ltbench.splits.images import LabelledImage
from ltbench.splits.recipes._assemble import draw

RatioBase = Literal["normal", "total"]
Shortage = Literal["cap", "error", "resample"]


@dataclass(frozen=True)
class Contamination:
    """A noise protocol."""

    ratio: float
    base: RatioBase = "normal"
    """"normal": defects / goods, as the released MeDS lists; "total": defects / all, as the paper's text."""
    shortage: Shortage = "cap"
    """"cap" takes all there are, "error" refuses, "resample" repeats images (nothing else does)."""
    stratified: bool = False
    """Spread over the defect types in proportion to their sizes, instead of over their union."""

    def wanted(self, goods: int) -> int:
        """Defects for a class with so many goods, rounded half to even as Python does."""
        share = self.ratio if self.base == "normal" else self.ratio / (1 - self.ratio)
        return round(share * goods)


def _per_type(pool: Sequence[LabelledImage], count: int) -> dict[str, int]:
    """`count` spread over the defect types by largest remainder; ties go to the first name."""
    sizes: dict[str, int] = defaultdict(int)
    for image in pool:
        sizes[image.defect] += 1
    exact = {defect: count * size / len(pool) for defect, size in sizes.items()}
    shares = {defect: int(value) for defect, value in exact.items()}
    by_remainder = sorted(exact, key=lambda defect: (shares[defect] - exact[defect], defect))
    for defect in by_remainder[: count - sum(shares.values())]:
        shares[defect] += 1
    return shares


def _take(
    pool: Sequence[LabelledImage], count: int, stratified: bool, key: tuple[object, ...]
) -> list[LabelledImage]:
    if not stratified:
        return draw(pool, count, *key)
    taken: list[LabelledImage] = []
    for defect, share in sorted(_per_type(pool, count).items()):
        taken += draw([image for image in pool if image.defect == defect], share, *key, defect)
    return taken


def draw_defects(
    contamination: Contamination,
    goods: Mapping[str, int],
    defects: Mapping[str, Sequence[LabelledImage]],
    *key: object,
) -> tuple[list[LabelledImage], list[str]]:
    """(defects to inject, notes on shortages) for classes with so many goods.

    Raises SplitsError under shortage="error".
    """
    injected: list[LabelledImage] = []
    short: list[str] = []
    repeats = 0
    for category, count in goods.items():
        pool, wanted = defects[category], contamination.wanted(count)
        if wanted > len(pool):
            short.append(f"{category} {len(pool)} of {wanted}")
            if contamination.shortage == "error":
                raise SplitsError(
                    f"class '{category}' has {len(pool)} defects, but {wanted} should be injected: "
                    "choose a lower ratio or another shortage policy ('cap', 'resample')"
                )
        if contamination.shortage == "resample" and pool:
            rounds, wanted = divmod(wanted, len(pool))
            injected += list(pool) * rounds
            repeats += max(rounds - 1, 0) * len(pool) + (wanted if rounds else 0)
        injected += _take(pool, min(wanted, len(pool)), contamination.stratified, (*key, category))
    if not short:
        return injected, []
    action = f"{repeats} repeats fill up" if repeats else "all are taken and none repeated"
    return injected, [f"fewer defects exist than asked for ({', '.join(short)}): {action}"]


def realised(goods: int, injected: int, contamination: Contamination) -> str:
    """The note that every contaminated split carries."""
    meant = "of the goods" if contamination.base == "normal" else "of all training images"
    return (
        f"{injected} defects among {goods + injected} training images: "
        f"{injected / max(goods, 1):.2%} of the goods, {injected / max(goods + injected, 1):.2%} of all "
        f"(asked for {contamination.ratio:.0%} {meant})"
    )
