"""Learning-rate schedules: functions from an iteration (from 0) to a factor on each group's rate."""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[int], float]


def constant(iteration: int) -> float:  # noqa: ARG001  a schedule like the others
    """Keep the learning rate: the factor is always 1."""
    return 1.0


def drop(iterations: int, share: float = 0.8, factor: float = 0.1) -> Schedule:
    """Multiply the learning rate by `factor` after a share of all iterations.

    >>> schedule = drop(100, share=0.8, factor=0.1)
    >>> schedule(79), schedule(80)
    (1.0, 0.1)
    """
    # 0.801 * 57,000 is not a whole number in floating point.
    first = math.ceil(round(share * iterations, 6))
    return lambda iteration: factor if iteration >= first else 1.0


def late_drop(iterations: int) -> Schedule:
    """Drop to a tenth after 801 of 1000 epochs, as UniAD and HVQ-Trans do.

    Their step is set to 800 epochs, but their loop applies it one epoch later.
    """
    return drop(iterations, share=0.801)


def warm_cosine(iterations: int, *, warm_up: int = 0, final: float = 0.0) -> Schedule:
    """Warm up linearly from 0 to 1 in `warm_up` iterations, then decay by a half cosine to `final`."""

    def factor(iteration: int) -> float:
        if iteration < warm_up:
            return iteration / warm_up
        done = (iteration - warm_up) / max(1, iterations - 1 - warm_up)
        return final + (1 - final) * (1 + math.cos(math.pi * min(1.0, done))) / 2

    return factor


def warm_logarithm(iterations: int, *, warm_up: int) -> Schedule:
    """Warm up logarithmically from 0 to 1 until `warm_up` (at least 2), then decay linearly (AnomalyGPT).

    Equal to DeepSpeed's WarmupDecayLR, which is first applied after a step, so iteration 0 has the full rate.
    """

    def factor(iteration: int) -> float:
        if iteration == 0:
            return 1.0
        if iteration <= warm_up:
            return math.log(iteration) / math.log(warm_up)
        return max(0.0, (iterations - iteration + 1) / max(1, iterations - warm_up))

    return factor
