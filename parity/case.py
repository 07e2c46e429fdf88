"""The case: one stage of a method, computed by ltbench and by the authors' code from the same inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from parity.official import Clone, Repository

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Case:
    """One stage of one method, computed by both sides.

    Both sides take their inputs from `parity.inputs`, so that they need no file and repeat on any machine.
    """

    method: str
    """Name in the catalogue: "uniad"."""
    stage: str
    """E.g. "features", "loss and gradients", "optimizer step", "selection", "map", "image score"."""
    repository: Repository
    ours: Callable[[], Arrays]
    """Computes the stage with ltbench, at the settings that `setting` names; needs no clone."""
    official: Callable[[Clone], Arrays]
    """Computes the stage with the authors' code; returns arrays of the same names and shapes."""
    tolerance: float = 1e-5
    """Largest difference that counts as equal, in the unit of `difference`."""
    setting: str = ""
    """Fields of the method under which it equals the authors' code, where the defaults do not:
    "map_gradient='both'"."""
    default: Callable[[], Arrays] | None = None
    """Computes the stage at the method's defaults; given together with `setting`."""
    declared: str = ""
    """Reason for a remaining difference, in the words of the method's card; "" = both sides must agree."""
    is_golden: bool = True
    """Whether the authors' outputs are kept in tests/golden."""
    rounding: float | Mapping[str, float] = 0.0
    """Difference that the rounding of another processor makes here, for all arrays or by name, where it is
    more than the tolerance: golden values are compared within it."""

    def slack(self, array: str) -> float:
        """Largest difference from the golden values of an array that counts as equal."""
        rounding = self.rounding if isinstance(self.rounding, float) else self.rounding.get(array, 0.0)
        return max(2 * self.tolerance, rounding, 1e-5)


@dataclass(frozen=True)
class Outcome:
    """The comparison of both sides of a case."""

    case: Case
    difference: float
    default_difference: float | None = None
    """Difference at the method's defaults, where the case has a `setting`."""

    @property
    def verdict(self) -> str:
        """One of "equal", "equal with SETTING", "declared deviation", "differs"."""
        if self.difference <= self.case.tolerance:
            return f"equal with {self.case.setting}" if self.case.setting else "equal"
        return "declared deviation" if self.case.declared else "differs"


def compare(case: Case, clone: Clone) -> Outcome:
    """Run both sides of a case and compare them."""
    official = case.official(clone)
    default = case.default and difference(case.default(), official)
    return Outcome(case, difference(case.ours(), official), default)


def difference(ours: Arrays, official: Arrays) -> float:
    """Largest difference over all arrays.

    Arrays of floating-point numbers: the largest absolute difference, as a share of the largest absolute
    official value. Arrays of integers or truth values (selected indices, labels): the share of entries that
    are not equal. Raises ValueError if names or shapes differ.
    """
    if set(ours) != set(official):
        raise ValueError(f"the two sides name different arrays: {sorted(ours)} and {sorted(official)}")
    return max(_difference(name, np.asarray(ours[name]), np.asarray(official[name])) for name in official)


def _difference(name: str, ours: npt.NDArray[Any], official: npt.NDArray[Any]) -> float:
    if ours.shape != official.shape:
        raise ValueError(f"array '{name}' has shape {ours.shape} here and {official.shape} there")
    if not np.issubdtype(official.dtype, np.floating):
        return float((ours != official).mean()) if ours.size else 0.0
    largest = float(np.abs(official).max(initial=0.0)) or 1.0
    return float(np.abs(ours.astype(np.float64) - official.astype(np.float64)).max(initial=0.0)) / largest
