"""Many whole numbers in few words."""

from __future__ import annotations

from collections.abc import Iterable


def number_ranges(numbers: Iterable[int], separator: str = ",") -> str:
    """Runs of consecutive numbers, in their order, as text: 1, 2, 3, 5 -> "1-3,5"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return separator.join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


def seed_ranges(seeds: Iterable[int]) -> str:
    """Seeds as the command line takes them, each once and ascending: 5, 1, 2, 3 -> "1-3,5"."""
    return number_ranges(sorted(set(seeds)))
