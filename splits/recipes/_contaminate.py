"""Contamination: the number and choice of injected defects per class, and the policy on shortages."""

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
    """Noise protocol of a recipe."""

    ratio: float
    base: RatioBase = "normal"
    """"normal": defects / good images, as in MeDS' released lists; "total": defects / all, as in its text."""
    shortage: Shortage = "cap"
    """Policy on too few defects: "cap" injects all, "error" raises an error, "resample" repeats images."""
    stratified: bool = False
    """Draw from each defect type in proportion to its size, instead of from all types together."""

    def wanted(self, goods: int) -> int:
        """Number of defects for a class with `goods` good images, rounded half to even.

        >>> Contamination(0.1).wanted(209), Contamination(0.1, base="total").wanted(209)
        (21, 23)
        """
        share = self.ratio if self.base == "normal" else self.ratio / (1 - self.ratio)
        return round(share * goods)


def _per_type(pool: Sequence[LabelledImage], count: int) -> dict[str, int]:
    """Distribute `count` over the defect types by the largest remainder method; ties go to the first name."""
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
    """Draw defects of a class, from all types together or from each type."""
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
    """Draw the defects to inject.

    Args:
        contamination: Noise protocol.
        goods: Number of good training images by class.
        defects: Available defects by class.
        key: Values that seed the draw.

    Returns:
        Injected defects, and notes on shortages.

    Raises:
        SplitsError: For too few defects under shortage="error".
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
    """Note on the realised noise ratio of a contaminated split."""
    meant = "of the goods" if contamination.base == "normal" else "of all training images"
    return (
        f"{injected} defects among {goods + injected} training images: "
        f"{injected / max(goods, 1):.2%} of the goods, {injected / max(goods + injected, 1):.2%} of all "
        f"(asked for {contamination.ratio:.0%} {meant})"
    )
