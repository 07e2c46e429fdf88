"""Peak rates of this machine on one thread: sorting, moving memory, multiplying matrices."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Ceiling:
    """A measured rate."""

    name: str
    per_second: float
    """Keys, bytes read plus written, or floating-point operations per second of the processor."""
    text: str
    """Rate as text: "180 million float32 keys/s"."""


def ceilings() -> dict[str, Ceiling]:
    """All that can be measured here, by name; takes some seconds."""
    found = [_sort(), _memory(), _product("float32")]
    if _has_bfloat16():
        found.append(_product("bfloat16"))
    return {ceiling.name: ceiling for ceiling in found}


def _sort(keys: int = 1 << 23) -> Ceiling:
    values = np.random.default_rng(0).random(keys, dtype=np.float32)
    buffer = np.empty_like(values)

    def run() -> None:
        np.copyto(buffer, values)
        buffer.sort()

    rate = keys / _seconds(run)
    return Ceiling(
        "sort", rate, f"{rate / 1e6:.0f} million float32 keys/s (np.sort of {keys / 1e6:.0f} million)"
    )


def _memory(size: int = 1 << 28) -> Ceiling:
    source = np.ones(size // 8)
    target = np.ones(size // 8)
    rate = 2 * size / _seconds(lambda: np.copyto(target, source))
    return Ceiling("memory", rate, f"{rate / 1e9:.1f} GB/s read and written")


def _product(kind: str) -> Ceiling:
    """The best of NumPy's and torch's matrix product of a size that methods have."""
    rows, columns, depth = 1024, 4096, 1024
    operations = 2.0 * rows * columns * depth
    ways: list[Callable[[], object]] = []
    left = np.random.default_rng(0).random((rows, depth), dtype=np.float32)
    right = np.random.default_rng(1).random((columns, depth), dtype=np.float32)
    if kind == "float32":
        out = np.empty((rows, columns), np.float32)
        ways.append(lambda: np.matmul(left, right.T, out=out))
    try:
        import torch
    except ModuleNotFoundError:
        pass
    else:
        a, b = (torch.from_numpy(each).to(getattr(torch, kind)) for each in (left, right))
        ways.append(lambda: torch.mm(a, b.T))
    rate = operations / min(_seconds(way) for way in ways)
    return Ceiling(f"{kind} product", rate, f"{rate / 1e9:.0f} billion {kind} operations/s")


def _has_bfloat16() -> bool:
    try:
        from ltbench.methods.blocks.neighbors import has_native_bfloat16
    except ModuleNotFoundError:
        return False
    return has_native_bfloat16()


def _seconds(run: Callable[[], object], rounds: int = 5) -> float:
    run()
    times = []
    for _ in range(rounds):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return statistics.median(times)
