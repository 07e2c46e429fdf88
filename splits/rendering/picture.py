"""One picture of the data set by name: the same for every order, count and process."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ltbench.splits.rendering.camera import photograph
from ltbench.splits.rendering.canvas import SIZE, Fault, Plane, Scene, draw_frame
from ltbench.splits.rendering.catalogue import KINDS, OVERLAYS, Kind
from ltbench.splits.rendering.marks import Mask
from ltbench.splits.rendering.streams import between, stream

VERSION = 2
"""Of the pictures: raised whenever a pixel of one changes."""
SEED = 2026
STRENGTHS: dict[str, tuple[float, float]] = {"": (0.7, 1.3), "hard": (0.45, 1.0)}
"""Range of the defects' strength by difficulty."""
SMALLEST_MASK = 12
"""Pixels."""
ATTEMPTS = 5
VISIBLE = 0.06
"""Change of any channel, before the camera, from which a pixel counts as defective."""


@dataclass(frozen=True)
class Name:
    """What a picture is called, which is all that it depends on."""

    category: str
    part: str
    defect: str
    """"" = good."""
    index: int


@dataclass(frozen=True)
class Draft:
    """A picture before the camera, float32 (3, H, W)."""

    clean: Scene
    """As it would be without its defect."""
    colour: Plane
    mask: Mask | None
    """bool (H, W); None for a good one."""


def draft(name: Name, difficulty: str = "", seed: int = SEED) -> Draft:
    """The picture before the camera and its mask of at least SMALLEST_MASK pixels."""
    kind = KINDS[name.category]
    clean = _drawn(kind, name, seed, Fault("", 0.0, stream(seed, "none")))
    if not name.defect:
        return Draft(clean, clean.colour, None)
    low, high = STRENGTHS[difficulty]
    for attempt in range(ATTEMPTS):
        rng = stream(seed, name.category, name.part, name.defect, name.index, "defect", attempt)
        # A defect that fell mostly off the object is drawn anew, and a little stronger.
        strength = between(rng, low, high) * kind.trim * (1 + 0.1 * attempt)
        fault = Fault(name.defect, strength, rng)
        if name.defect in kind.structural:
            colour = _drawn(kind, name, seed, fault).colour
            mask = _changed(clean.colour, colour)
        else:
            colour, mask = OVERLAYS[name.defect](clean, fault)
        if int(mask.sum()) >= SMALLEST_MASK:
            break
    return Draft(clean, colour, mask)


def render(
    name: Name, difficulty: str = "", seed: int = SEED
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8] | None]:
    """(pixels uint8 (H, W, 3), mask uint8 (H, W) of 0 and 255, or None for a good one)."""
    made = draft(name, difficulty, seed)
    camera = stream(seed, name.category, name.part, name.defect, name.index, "camera")
    pixels = photograph(made.colour, camera)
    return pixels, None if made.mask is None else made.mask.astype(np.uint8) * np.uint8(255)


def _drawn(kind: Kind, name: Name, seed: int, fault: Fault) -> Scene:
    normal = stream(seed, name.category, name.part, name.defect, name.index, "normal")
    frame = draw_frame(kind.pose, normal)
    return kind.draw(frame, normal, fault)


def _changed(clean: Plane, defective: Plane) -> Mask:
    """Where a re-drawn object differs visibly: closed by two pixels, opened by one."""
    differs = np.abs(np.clip(defective, 0, 1) - np.clip(clean, 0, 1)).max(axis=0) > VISIBLE
    cross = ndimage.generate_binary_structure(2, 1)
    # Padding: closing would otherwise eat what touches the picture's border.
    padded = np.pad(differs, 4, mode="edge")
    closed = ndimage.binary_closing(padded, cross, iterations=2)
    opened: Mask = ndimage.binary_opening(closed, cross, iterations=1)
    return opened[4 : 4 + SIZE, 4 : 4 + SIZE]
