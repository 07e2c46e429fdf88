"""Mixed precision for GPUs that support it, and full precision for sensitive computations."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def mixed(device: str, enabled: bool) -> AbstractContextManager[object]:
    """Context of bfloat16 autocast on a GPU that supports it, if `enabled`; elsewhere it has no effect.

    bfloat16 has float32's range, so gradients need no scaling.
    """
    kind = torch.device(device).type
    if not enabled or kind != "cuda" or not torch.cuda.is_bf16_supported(including_emulation=False):
        return nullcontext()
    return torch.autocast(kind, dtype=torch.bfloat16)


def in_full_precision(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Decorate a function to compute in float32 even inside `mixed`.

    For squared distances, cosines, variances and coordinates. Converting the tensors alone is not enough,
    since autocast multiplies float32 tensors in bfloat16 too.
    """

    @wraps(function)
    def wide(*arguments: Arguments.args, **named: Arguments.kwargs) -> Result:
        kinds = [kind for kind in ("cuda", "cpu") if torch.is_autocast_enabled(kind)]
        if not kinds:
            return function(*arguments, **named)
        with ExitStack() as stack:
            for kind in kinds:
                stack.enter_context(torch.autocast(kind, enabled=False))
            return function(
                *(_widened(each) for each in arguments), **{n: _widened(v) for n, v in named.items()}
            )

    return wide


def _widened(value: Any) -> Any:
    """Convert a half-precision tensor to float32; other values unchanged."""
    is_half = isinstance(value, torch.Tensor) and value.dtype in (torch.bfloat16, torch.float16)
    return value.float() if is_half else value
