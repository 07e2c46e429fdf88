"""Choice of the patch score grids kept with a cell, for new pixel metrics without another fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

KeptMaps = Literal["small", "all", "none"]

SMALL_MAP = 64 * 64
"""Patches of an image at most: 16 KB. A method that scores every pixel would leave gigabytes."""


def are_kept(shape: Sequence[int], which: KeptMaps) -> bool:
    """Whether grids of this shape (N, h, w) are written."""
    return which == "all" or (which == "small" and math.prod(shape[1:]) <= SMALL_MAP)
