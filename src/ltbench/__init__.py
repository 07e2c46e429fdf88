"""A benchmark of visual anomaly detection on long-tailed, contaminated training data.

Example:
    import ltbench

    results = ltbench.evaluate("patchcore", split="pareto", seeds=[1, 2])
    results.leaderboard()
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ltbench import metrics
    from ltbench.benchmark.api import build_split, evaluate, load_results, open_dataset, report
    from ltbench.benchmark.models.interface import fit, load_model
    from ltbench.benchmark.models.model import Model
    from ltbench.benchmark.result_set import Results
    from ltbench.methods.base import Card, Context, MapPost, Prediction, View
    from ltbench.splits.images import ImageSet

__all__ = [
    "Card",
    "Context",
    "ImageSet",
    "MapPost",
    "Model",
    "Prediction",
    "Results",
    "View",
    "build_split",
    "evaluate",
    "fit",
    "load_model",
    "load_results",
    "metrics",
    "open_dataset",
    "report",
]

# Imported when first used, so that `import ltbench` takes neither NumPy nor pandas nor torch.
_MODULES = {
    **dict.fromkeys(
        ("build_split", "evaluate", "load_results", "open_dataset", "report"), "ltbench.benchmark.api"
    ),
    **dict.fromkeys(("fit", "load_model"), "ltbench.benchmark.models.interface"),
    "Model": "ltbench.benchmark.models.model",
    "Results": "ltbench.benchmark.result_set",
    **dict.fromkeys(("Card", "Context", "MapPost", "Prediction", "View"), "ltbench.methods.base"),
    "ImageSet": "ltbench.splits.images",
}


def __getattr__(name: str) -> Any:
    if name == "metrics":
        return importlib.import_module("ltbench.metrics")
    if name not in _MODULES:
        raise AttributeError(f"module 'ltbench' has no attribute '{name}': it has {', '.join(__all__)}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
