"""Repeatable training: torch seeded from a method's random numbers, deterministic sums."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ltbench.methods.base import Context
from ltbench.methods.blocks.threads import one_blas_thread


@contextmanager
def seeded(context: Context) -> Iterator[None]:
    """Context in which torch's random numbers (initial weights, dropout, noise) follow from `context.rng`.

    On exit, torch's generators return to their previous state.
    """
    seed = int(context.rng.integers(2**63 - 1))
    device = torch.device(context.device)
    devices = [device] if device.type != "cpu" else []
    with torch.random.fork_rng(devices=devices, device_type=device.type if devices else "cuda"):
        torch.manual_seed(seed)
        yield


@contextmanager
def repeatable() -> Iterator[None]:
    """Context or decorator that computes with one CPU thread and torch's deterministic kernels.

    A sum split over threads depends on their number, and torch's accumulating kernels depend on the order in
    which threads finish. Training amplifies such last bits: after 30 steps of RD, a score differed by 7 %. On
    one thread, a cell gives the same bits at any machine load, `--jobs` and `--threads`.
    """
    threads = torch.get_num_threads()
    is_deterministic = torch.are_deterministic_algorithms_enabled()
    warns_only = torch.is_deterministic_algorithms_warn_only_enabled()
    fills = torch.utils.deterministic.fill_uninitialized_memory
    torch.set_num_threads(1)
    # Some GPU operations have no deterministic kernel; benchmark/device.py sets how they are handled.
    torch.use_deterministic_algorithms(True, warn_only=is_deterministic and warns_only)
    torch.utils.deterministic.fill_uninitialized_memory = False
    try:
        with one_blas_thread():
            yield
    finally:
        torch.utils.deterministic.fill_uninitialized_memory = fills
        torch.use_deterministic_algorithms(is_deterministic, warn_only=warns_only)
        torch.set_num_threads(threads)
