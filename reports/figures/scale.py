"""From values to pixels, and where an axis has its ticks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Values `low` to `high` lie between the pixels `start` and `end`."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def __call__(self, value: float) -> float:
        low, high, here = self.low, self.high, value
        if self.is_log:
            low, high, here = math.log10(low), math.log10(high), math.log10(value)
        return self.start + (self.end - self.start) * (here - low) / (high - low)

    def ticks(self, count: int = 5) -> list[float]:
        """Round values within the scale, about `count` of them."""
        return log_ticks(self.low, self.high, count) if self.is_log else ticks(self.low, self.high, count)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten from `low` to `high`, about `count` of them."""
    step = _round_step(high - low, max(count, 1))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(at * step, 12) for at in range(first, last + 1)]


def log_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """1, 2 and 5 times powers of ten if few decades are shown, else powers of ten."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        found = [f * 10.0**d for d in decades for f in factors if low * 0.999 <= f * 10.0**d <= high * 1.001]
        if len(found) <= count + 2:
            return found
    stride = math.ceil(len(found) / count)
    return found[::stride]


def padded(
    values: Iterable[float], share: float = 0.06, bounds: tuple[float, float] | None = None
) -> tuple[float, float]:
    """Smallest and largest value with some room around them, within `bounds`; never an empty range."""
    told = [value for value in values if math.isfinite(value)]
    low, high = (min(told), max(told)) if told else (0.0, 1.0)
    room = (high - low) * share or max(abs(high) * share, share)
    low, high = low - room, high + room
    if bounds is not None:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    return low, high


def padded_log(values: Iterable[float], share: float = 0.06) -> tuple[float, float]:
    """The same on a logarithmic scale; values that are not positive are left out."""
    low, high = padded([math.log10(value) for value in values if value > 0 and math.isfinite(value)], share)
    return 10.0**low, 10.0**high


def plain(value: float) -> str:
    """A tick's text: 0.05, 12.5, 1,000, 10k."""
    if abs(value) >= 10_000:
        return f"{value / 1000:,.6g}k" if abs(value) < 1e6 else f"{value / 1e6:,.6g}M"
    return f"{value:,.6g}".replace("-", "−")


def _round_step(span: float, count: int) -> float:
    """1, 2 or 5 times a power of ten: what comes nearest to `count` steps in the span."""
    power = 10.0 ** math.floor(math.log10(span / count))
    return min((factor * power for factor in (1, 2, 5, 10)), key=lambda step: abs(span / step - count))
