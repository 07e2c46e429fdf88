"""Mixed precision where an accelerator gains from it, and full precision where numbers need it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch

Given = ParamSpec("Given")
Found = TypeVar("Found")


def mixed(device: str, enabled: bool) -> AbstractContextManager[object]:
    """bfloat16 products on a GPU that has them, if `enabled`; else nothing changes: a CPU computes float32.

    bfloat16 has float32's range, so gradients need no scaling.
    """
    kind = torch.device(device).type
    if not enabled or kind != "cuda" or not torch.cuda.is_bf16_supported(including_emulation=False):
        return nullcontext()
    return torch.autocast(kind, dtype=torch.bfloat16)


def in_full_precision(function: Callable[Given, Found]) -> Callable[Given, Found]:
    """The same function in float32 whatever surrounds it: squared distances, cosines, variances, coordinates.

    Widening its tensors alone would not do: inside `mixed`, products of float32 are made in bfloat16 too.
    """

    @wraps(function)
    def wide(*arguments: Given.args, **named: Given.kwargs) -> Found:
        kinds = [kind for kind in ("cuda", "cpu") if torch.is_autocast_enabled(kind)]
        if not kinds:
            return function(*arguments, **named)
        with ExitStack() as stack:
            for kind in kinds:
                stack.enter_context(torch.autocast(kind, enabled=False))
            return function(*(_wide(each) for each in arguments), **{n: _wide(v) for n, v in named.items()})

    return wide


def _wide(value: Any) -> Any:
    is_half = isinstance(value, torch.Tensor) and value.dtype in (torch.bfloat16, torch.float16)
    return value.float() if is_half else value
