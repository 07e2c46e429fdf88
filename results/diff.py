"""Comparison of two results folders: values that differ, and whether methods moved more than by chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from ltbench.results.errors import ResultsDiffer
from ltbench.results.merge import compare
from ltbench.results.places import Place
from ltbench.results.store import Store


@dataclass(frozen=True)
class Difference:
    """Values that differ by more than the tolerance, and the mean change per method and metric."""

    rows: pd.DataFrame
    """Columns of `ltbench.results.merge.KEYS`, value_a, value_b, difference; largest first."""
    moved: pd.DataFrame
    """Pairs, mean (of b - a) and p (two-sided sign test over categories x seeds) by method and metric."""
    compared: int
    """Number of compared values."""

    def summary(self) -> dict[str, Any]:
        """Counts and changes as JSON values."""
        return {
            "compared": self.compared,
            "different": len(self.rows),
            "moved": self.moved.to_dict("records"),
        }

    def sentences(self) -> list[str]:
        """One line per method and metric that changed, then the counts."""
        lines = [
            f"{row.method} {row.metric}: {100 * row.mean:+.2f} points over {row.pairs} pairs, "
            f"sign test p = {row.p:.3g}"
            for row in self.moved.itertuples()
        ]
        alone = int(np.isinf(self.rows["difference"]).sum())
        remark = f", {alone} of them on one side only" if alone else ""
        return [*lines, f"{self.compared} values compared, {len(self.rows)} differ{remark}"]

    def require_equal(self) -> None:
        """Raise ResultsDiffer (exit code 5) if any value differs."""
        if len(self.rows):
            raise ResultsDiffer(f"{len(self.rows)} of {self.compared} values differ")


def difference(a: Place, b: Place, tolerance: float) -> Difference:
    """Compare all cells of two folders, matched by data set, split, seed, method and configuration.

    Args:
        a: First results folder.
        b: Second results folder.
        tolerance: Largest absolute difference that counts as equal.

    Raises:
        ResultsDiffer: If a folder holds no results.
    """
    left, right = Store(a).metrics(), Store(b).metrics()
    for path, frame in ((a, left), (b, right)):
        if frame.empty:
            raise ResultsDiffer(
                f"'{path}' holds no results: expected a folder that 'ltbench run' has written"
            )
    both = compare(left, right)
    wrong = both[both["difference"].abs() > tolerance].copy()
    order = wrong["difference"].abs().sort_values(ascending=False).index
    paired = both[np.isfinite(both["difference"]) & both["value_a"].notna()]
    # Differences within the tolerance are rounding, which must not count as ups and downs.
    paired = paired.assign(difference=paired["difference"].where(paired["difference"].abs() > tolerance, 0.0))
    groups = paired.groupby(["method", "metric"], sort=True)["difference"]
    moved = groups.agg(pairs="size", moved="any", mean="mean", p=_sign_test).reset_index()
    moved = moved[moved.pop("moved")]
    return Difference(wrong.loc[order].reset_index(drop=True), moved, len(both))


def _sign_test(differences: pd.Series) -> float:
    """p value of the two-sided exact sign test; ties are ignored."""
    ups, downs = int((differences > 0).sum()), int((differences < 0).sum())
    return float(binomtest(ups, ups + downs).pvalue) if ups + downs else 1.0
