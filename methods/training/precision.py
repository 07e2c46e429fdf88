"""Mixed precision where an accelerator gains from it, and full precision where numbers need it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def mixed(device: str, enabled: bool) -> AbstractContextManager[object]:
    """bfloat16 products on a GPU that has them, if `enabled`; else nothing changes: a CPU computes float32.

    bfloat16 has float32's range, so gradients need no scaling.
    """
    kind = torch.device(device).type
    if not enabled or kind != "cuda" or not torch.cuda.is_bf16_supported():
        return nullcontext()
    return torch.autocast(kind, dtype=torch.bfloat16)


def full(tensor: torch.Tensor) -> AbstractContextManager[object]:
    """Inside, work on this tensor's device is float32 whatever surrounds it: cosines, norms, softmaxes."""
    if tensor.device.type != "cuda":
        return nullcontext()
    return torch.autocast(tensor.device.type, enabled=False)
