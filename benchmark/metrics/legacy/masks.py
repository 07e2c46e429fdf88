"""How public codes turn a mask that was resized to soft borders into anomalous pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Soft = npt.NDArray[np.floating[Any]]

MASK_RULES: Mapping[str, Callable[[Soft], npt.NDArray[np.bool_]]] = {
    "> 0": lambda soft: soft > 0,
    "> 0.5": lambda soft: soft > 0.5,
    "eroded": lambda soft: soft.astype(np.int64) > 0,
}
"""From masks (N, H, W) in [0, 1], resized with interpolation, to anomalous pixels.

"> 0" keeps every touched pixel (FUN-AD rounds up): dilated. "> 0.5" keeps the area. "eroded" is what
amazon-science/patchcore-inspection and TailedCore do: a cast to integers keeps fully covered pixels only.
"""
