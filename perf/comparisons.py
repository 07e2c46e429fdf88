"""All comparisons by name."""

from __future__ import annotations

from perf.pairs import Comparison


def all_comparisons() -> list[Comparison]:
    """In the order of the table: metrics first. Kernels are left out where torch is not installed."""
    from perf import metrics

    found = [*metrics.COMPARISONS]
    try:
        from perf import images, kernels
    except ModuleNotFoundError as missing:
        if missing.name != "torch":
            raise
        return found
    return found + kernels.COMPARISONS + images.COMPARISONS


def find(name: str) -> Comparison:
    """The comparison called `name`; torch is not imported for a metric. Raises KeyError."""
    from perf import metrics

    known = {comparison.name: comparison for comparison in metrics.COMPARISONS}
    return known[name] if name in known else {each.name: each for each in all_comparisons()}[name]
