"""Learning-rate schedules: from an iteration (from 0) to a factor on each group's own rate."""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[int], float]


def constant(iteration: int) -> float:  # noqa: ARG001  a schedule like the others
    """Always 1."""
    return 1.0


def drop(iterations: int, share: float = 0.8, factor: float = 0.1) -> Schedule:
    """1, and `factor` after this share of all iterations."""
    # 0.801 of 57,000 is no whole number in floating point.
    first = math.ceil(round(share * iterations, 6))
    return lambda iteration: factor if iteration >= first else 1.0


def late_drop(iterations: int) -> Schedule:
    """A tenth after 801 of 1000 epochs: UniAD's and HVQ's step of 800, set one epoch late by their loop."""
    return drop(iterations, share=0.801)


def warm_cosine(iterations: int, *, warm_up: int = 0, final: float = 0.0) -> Schedule:
    """From 0 to 1 in `warm_up` iterations, then along a half cosine to `final` at the last one."""

    def factor(iteration: int) -> float:
        if iteration < warm_up:
            return iteration / warm_up
        done = (iteration - warm_up) / max(1, iterations - 1 - warm_up)
        return final + (1 - final) * (1 + math.cos(math.pi * min(1.0, done))) / 2

    return factor


def warm_logarithm(iterations: int, *, warm_up: int) -> Schedule:
    """From 0 to 1 along a logarithm until `warm_up` (2 or more), then along a line towards 0 (AnomalyGPT).

    DeepSpeed's WarmupDecayLR: it is first asked after a step, so that iteration 0 runs at the full rate.
    """

    def factor(iteration: int) -> float:
        if iteration == 0:
            return 1.0
        if iteration <= warm_up:
            return math.log(iteration) / math.log(warm_up)
        return max(0.0, (iterations - iteration + 1) / max(1, iterations - warm_up))

    return factor
