"""Rendering of single images by name, independent of order, number and process."""

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
"""Version of the images, raised whenever a pixel changes."""
SEED = 2026
STRENGTHS: dict[str, tuple[float, float]] = {"": (0.7, 1.3), "hard": (0.45, 1.0)}
"""Range of the strength of defects by difficulty."""
SMALLEST_MASK = 12
"""Smallest accepted number of defective pixels."""
ATTEMPTS = 5
"""Attempts to draw a defect of that size."""
VISIBLE = 0.06
"""Change of any channel, before the camera model, above which a pixel counts as defective."""


@dataclass(frozen=True)
class Name:
    """Name of an image, which determines it together with difficulty and seed."""

    category: str
    part: str
    defect: str
    """Type of the defect; "" = good."""
    index: int


@dataclass(frozen=True)
class Draft:
    """Image before the camera model."""

    clean: Scene
    """The same object without its defect."""
    colour: Plane
    """float32 (3, H, W)."""
    mask: Mask | None
    """bool (H, W), true where defective; None for a good image."""


def draft(name: Name, difficulty: str = "", seed: int = SEED) -> Draft:
    """Draw an image before the camera model, with a mask of at least SMALLEST_MASK pixels if possible."""
    kind = KINDS[name.category]
    clean = _drawn(kind, name, seed, Fault("", 0.0, stream(seed, "none")))
    if not name.defect:
        return Draft(clean, clean.colour, None)
    low, high = STRENGTHS[difficulty]
    for attempt in range(ATTEMPTS):
        rng = stream(seed, name.category, name.part, name.defect, name.index, "defect", attempt)
        # A defect that lies mostly outside the object is drawn again, slightly stronger.
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
    """Render an image: pixels uint8 (H, W, 3), and its mask uint8 (H, W) of 0 and 255, None if good."""
    drafted = draft(name, difficulty, seed)
    camera = stream(seed, name.category, name.part, name.defect, name.index, "camera")
    pixels = photograph(drafted.colour, camera)
    return pixels, None if drafted.mask is None else drafted.mask.astype(np.uint8) * np.uint8(255)


def _drawn(kind: Kind, name: Name, seed: int, fault: Fault) -> Scene:
    """Draw an object with its own pose and random numbers and a defect."""
    normal = stream(seed, name.category, name.part, name.defect, name.index, "normal")
    frame = draw_frame(kind.pose, normal)
    return kind.draw(frame, normal, fault)


def _changed(clean: Plane, defective: Plane) -> Mask:
    """Mask of visible differences of a redrawn object, closed by two pixels and opened by one."""
    differs = np.abs(np.clip(defective, 0, 1) - np.clip(clean, 0, 1)).max(axis=0) > VISIBLE
    cross = ndimage.generate_binary_structure(2, 1)
    # Padded, since closing would otherwise remove defects at the image's border.
    padded = np.pad(differs, 4, mode="edge")
    closed = ndimage.binary_closing(padded, cross, iterations=2)
    opened: Mask = ndimage.binary_opening(closed, cross, iterations=1)
    return opened[4 : 4 + SIZE, 4 : 4 + SIZE]
