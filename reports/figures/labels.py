"""Placement of labels without overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether the two share more than an edge."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def within(self, other: Box) -> bool:
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions at least `gap` apart and within [low, high], nearest to the wanted ones (least squares).

    Where the range is too short for the gap the positions are equally far apart. The order is kept.
    """
    count = len(wanted)
    if count > 1 and gap * (count - 1) > high - low:
        gap = (high - low) / (count - 1)
    order = sorted(range(count), key=lambda at: (wanted[at], at))
    # Positions less their least distance must not decrease: pool neighbours that do.
    pools = list[tuple[float, int]]()
    for place, at in enumerate(order):
        mean, size = wanted[at] - place * gap, 1
        while pools and pools[-1][0] > mean:
            other, others = pools.pop()
            mean = (mean * size + other * others) / (size + others)
            size += others
        pools.append((mean, size))
    found = [0.0] * count
    places = iter(enumerate(order))
    for mean, size in pools:
        for _ in range(size):
            place, at = next(places)
            found[at] = min(max(mean, low), high - (count - 1) * gap) + place * gap
    return found


def beside(
    anchor: tuple[float, float],
    size: tuple[float, float],
    taken: Sequence[Box],
    within: Box,
    distance: float = 6.0,
) -> Box | None:
    """A free box of (width, height) beside a point, or None if all places are taken.

    Tried are: right, left, above, below, then the corners. Farther rings are tried before giving up.
    """
    x, y = anchor
    width, height = size
    for away in (distance, 2.2 * distance, 4 * distance, 7 * distance):
        corner = 0.75 * away
        places = (
            (x + away, y - height / 2),
            (x - away - width, y - height / 2),
            (x - width / 2, y - away - height),
            (x - width / 2, y + away),
            (x + corner, y - corner - height),
            (x + corner, y + corner),
            (x - corner - width, y - corner - height),
            (x - corner - width, y + corner),
        )
        for left, top in places:
            box = Box(left, top, left + width, top + height)
            if box.within(within) and not any(box.meets(other) for other in taken):
                return box
    return None
