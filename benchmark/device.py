"""Is the device that was asked for there? Said before anything starts, and not by every cell."""

from __future__ import annotations

from benchmark.errors import UsageError


def require_device(name: str) -> None:
    """Raise UsageError unless torch can put a tensor on the device `name`."""
    if name == "cpu":
        return
    import torch

    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        why = str(error).splitlines()[0].rstrip(".")
        raise UsageError(
            f"device '{name}' cannot be used here ({why}): expected 'cpu', or 'cuda' where torch sees a GPU"
        ) from error
