"""GPU versions of the memory-bank kernels, in few and large operations.

The CPU kernels of the parent package call them when a method runs on a GPU. Sums are float64 in another
order: results agree with the CPU's up to that rounding, and so do choices among rows that are equally far
within it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch


def is_gpu(device: str | torch.device) -> bool:
    """Whether the kernels of this package apply: a CUDA or ROCm GPU, which computes in float64."""
    return torch.device(device).type == "cuda"


def on_device(array: npt.NDArray[Any], device: str | torch.device) -> torch.Tensor:
    """Copy an array to the device as a tensor."""
    # torch warns of read-only arrays.
    return torch.from_numpy(np.require(array, requirements=["C", "W"])).to(device)
