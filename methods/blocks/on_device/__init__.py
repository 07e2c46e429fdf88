"""The memory-bank kernels where tensors live: what a GPU does well, in few and large operations.

They answer what the kernels beside this package answer on a processor, which ask for them when a method
runs on a GPU. Sums are float64, in another order: answers agree to that rounding, and so do choices among
rows that are equally far within it.
"""

from __future__ import annotations

import torch


def is_gpu(device: str | torch.device) -> bool:
    """Whether the kernels of this package are to be taken: a GPU of CUDA or ROCm, which know float64."""
    return torch.device(device).type == "cuda"
