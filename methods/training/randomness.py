"""Repeatable training: torch's generators started from a method's source of randomness, sums in one order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ltbench.methods.base import Context
from ltbench.methods.blocks.threads import one_blas_thread


@contextmanager
def seeded(context: Context) -> Iterator[None]:
    """Inside, torch draws (initial weights, dropout, noise) follow from `context.rng`.

    Afterwards they go on as if nothing had been drawn.
    """
    seed = int(context.rng.integers(2**63 - 1))
    device = torch.device(context.device)
    devices = [device] if device.type != "cpu" else []
    with torch.random.fork_rng(devices=devices, device_type=device.type if devices else "cuda"):
        torch.manual_seed(seed)
        yield


@contextmanager
def repeatable() -> Iterator[None]:
    """Compute with one CPU thread and torch's deterministic kernels; also a decorator, `@repeatable()`.

    A sum that several threads share depends on how many there are, and torch's accumulating kernels depend
    on which thread comes first. Training amplifies last bits: 30 steps of RD turn them into 7 % of a score.
    A cell on one thread gives the same bits whatever the load of the machine, `--jobs` and `--threads` are.
    """
    threads = torch.get_num_threads()
    is_deterministic = torch.are_deterministic_algorithms_enabled()
    warns_only = torch.is_deterministic_algorithms_warn_only_enabled()
    fills = torch.utils.deterministic.fill_uninitialized_memory
    torch.set_num_threads(1)
    # A GPU has operations without a deterministic kernel; benchmark/device.py decides about those.
    torch.use_deterministic_algorithms(True, warn_only=is_deterministic and warns_only)
    torch.utils.deterministic.fill_uninitialized_memory = False
    try:
        with one_blas_thread():
            yield
    finally:
        torch.utils.deterministic.fill_uninitialized_memory = fills
        torch.use_deterministic_algorithms(is_deterministic, warn_only=warns_only)
        torch.set_num_threads(threads)
