"""torch's own generators, started from a method's only source of randomness."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from methods.base import Context


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
