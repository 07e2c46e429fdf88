"""A training that is killed half-way and asked for again, for tests of trained methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ltbench.methods.base import Context
from ltbench.methods.training.engine import CHECKPOINT_ENVIRONMENT

Scores = Callable[[Context], np.ndarray]
"""Fits a method anew in this context, scores its test images."""


class Killed(Exception):
    """The process ended here."""


class Steps:
    """A progress that counts training steps by phase, and ends the process in the middle of one."""

    def __init__(self, phase: str = "", deadline: int | None = None) -> None:
        self.left: dict[str, int] = {}
        self._phase, self._deadline = phase, deadline

    def __call__(self, items: Iterable[Any], title: Any, total: int | None = None) -> Iterator[Any]:
        # Training alone has a title that changes.
        name = title().partition(":")[0] if callable(title) else ""
        if name and total is not None:
            self.left[name] = total
        for number, item in enumerate(items):
            if name and name == self._phase and number == self._deadline:
                raise Killed
            yield item


def require_exact_resumption(
    scores: Scores, make: Callable[[], Context], work: Path, *, phase: str = "train", done: int = 2
) -> None:
    """Killed after `done` steps of a phase, a training goes on from there to the scores it would have had."""
    undisturbed = Steps()
    whole = scores(_context(make, None, undisturbed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CHECKPOINT_ENVIRONMENT, "0")
        with pytest.raises(Killed):
            scores(_context(make, work, Steps(phase, done)))
    resumed = Steps()
    np.testing.assert_array_equal(scores(_context(make, work, resumed)), whole)
    assert resumed.left[phase] == undisturbed.left[phase] - done


def _context(make: Callable[[], Context], work: Path | None, steps: Steps) -> Context:
    context = make()
    context.work, context.progress = work, steps
    return context
