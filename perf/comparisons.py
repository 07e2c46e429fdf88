"""All comparisons by name."""

from __future__ import annotations

from perf.pairs import Comparison


def all_comparisons() -> list[Comparison]:
    """In the order of the table: metrics first. Kernels are left out where torch is not installed."""
    from perf import metrics

    found = [*metrics.COMPARISONS]
    try:
        from perf import kernels
    except ModuleNotFoundError as missing:
        if missing.name != "torch":
            raise
        return found
    return found + kernels.COMPARISONS


def find(name: str) -> Comparison:
    """The comparison called `name`. Raises KeyError."""
    return {comparison.name: comparison for comparison in all_comparisons()}[name]
