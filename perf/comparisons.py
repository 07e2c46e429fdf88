"""All comparisons by name."""

from __future__ import annotations

from perf.comparison import Comparison


def all_comparisons() -> list[Comparison]:
    """All comparisons in the order of the table, metrics first; kernels need torch, some of them a GPU."""
    from perf import metrics

    found = [*metrics.COMPARISONS]
    try:
        import torch
    except ModuleNotFoundError:
        return found
    from perf import images, kernels

    found += kernels.COMPARISONS + images.COMPARISONS
    if torch.cuda.is_available():
        from perf import accelerator

        found += accelerator.COMPARISONS
    return found


def find(name: str) -> Comparison:
    """The comparison called `name`; torch is not imported for a metric. Raises KeyError."""
    from perf import metrics

    known = {comparison.name: comparison for comparison in metrics.COMPARISONS}
    return known[name] if name in known else {each.name: each for each in all_comparisons()}[name]
