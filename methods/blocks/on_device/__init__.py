"""The memory-bank kernels where tensors live: what a GPU does well, in few and large operations.

They answer what the kernels beside this package answer on a processor, which ask for them when a method
runs on a GPU. Sums are float64, in another order: answers agree to that rounding, and so do choices among
rows that are equally far within it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch


def is_gpu(device: str | torch.device) -> bool:
    """Whether the kernels of this package are to be taken: a GPU of CUDA or ROCm, which know float64."""
    return torch.device(device).type == "cuda"


def on_device(array: npt.NDArray[Any], device: str | torch.device) -> torch.Tensor:
    """A tensor of the array's values there, by one copy."""
    # torch warns of arrays that may not be written to.
    return torch.from_numpy(np.require(array, requirements=["C", "W"])).to(device)
