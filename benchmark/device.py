"""Selection of the requested device: check that it exists, set a process up for it, name it."""

from __future__ import annotations

import os

from ltbench.benchmark.errors import UsageError


def require_device(name: str) -> None:
    """Raise UsageError unless torch can put a tensor on the device `name`."""
    if name == "cpu":
        return
    why = _why_not(name)
    if why:
        raise UsageError(
            f"device '{name}' cannot be used here ({why}): expected 'cpu', or 'cuda' where torch sees a GPU"
        )


def _why_not(name: str) -> str:
    import torch

    try:
        device = torch.device(name)
        if device.type == "cuda" and torch.cuda.is_available():
            # Nothing is put there: that would take memory of the device for as long as this process lives.
            count = torch.cuda.device_count()
            return f"torch sees {count} of them" if (device.index or 0) >= count else ""
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        return str(error).splitlines()[0].rstrip(".")
    return ""


def settle(name: str) -> None:
    """Make results on a GPU repeatable in this process: full float32 precision, and a fixed order of sums.

    If torch has no kernel of fixed order (some gradients of resizing and pooling), it takes another one.
    """
    import torch

    if torch.device(name).type != "cuda":
        return
    # Read when the library of products starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False


def accelerator(name: str) -> str | None:
    """Name of a device's accelerator: "NVIDIA H100 80GB HBM3, CUDA 13.0"; None for a processor."""
    import torch

    if torch.device(name).type != "cuda":
        return None
    library = f"CUDA {torch.version.cuda}" if torch.version.cuda else f"ROCm {torch.version.hip}"
    return f"{torch.cuda.get_device_name(torch.device(name))}, {library}"
