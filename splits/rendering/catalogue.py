"""Classes of the synthetic data set, with their drawing functions, poses and defects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ltbench.splits.rendering import blemishes, marks
from ltbench.splits.rendering.board import pcb
from ltbench.splits.rendering.bolt import bolt
from ltbench.splits.rendering.canvas import Fault, Frame, PoseRange, Scene
from ltbench.splits.rendering.capsule import capsule
from ltbench.splits.rendering.marks import Overlaid
from ltbench.splits.rendering.moulded import button, cap
from ltbench.splits.rendering.surfaces import brushed, granite, leather, wood
from ltbench.splits.rendering.turned import gear, lock_washer, washer
from ltbench.splits.rendering.wiring import cable, connector
from ltbench.splits.rendering.woven import fabric, linen, mesh

Draw = Callable[[Frame, np.random.Generator, Fault], Scene]
Overlay = Callable[[Scene, Fault], Overlaid]

OVERLAYS: Mapping[str, Overlay] = {
    "crack": marks.crack,
    "dent": blemishes.dent,
    "hole": blemishes.hole,
    "scratch": marks.scratch,
    "smear": blemishes.smear,
    "spots": blemishes.spots,
    "stain": blemishes.stain,
    "thread": marks.thread,
    "warp": blemishes.warp,
}


@dataclass(frozen=True)
class Kind:
    """Class of objects or surfaces."""

    name: str
    draw: Draw
    pose: PoseRange
    structural: tuple[str, ...]
    """Defects of the object itself, which is drawn again with the same random numbers and the defect."""
    overlay: tuple[str, ...]
    """Defects drawn over the finished image."""
    trim: float = 1.0
    """Factor on the strength of every defect, which balances the difficulty of the classes."""

    @property
    def defects(self) -> tuple[str, ...]:
        """All defect types in alphabetical order."""
        return tuple(sorted(self.structural + self.overlay))


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_KINDS = (
    Kind("bolt", bolt, PoseRange(18, 0.04, 0.03), _words("bent_shaft chipped_head stripped"), ("scratch",)),
    Kind("brushed", brushed, PoseRange(3, 0.5), (), _words("dent scratch spots stain"), 0.7),
    Kind(
        "button",
        button,
        PoseRange(180, 0.04, 0.03),
        _words("chip missing_hole shifted_hole"),
        _words("crack scratch"),
    ),
    Kind(
        "cable",
        cable,
        PoseRange(8, 0.03, 0.02),
        _words("missing_core missing_wire swap"),
        _words("hole scratch"),
    ),
    Kind(
        "cap",
        cap,
        PoseRange(180, 0.04, 0.03),
        _words("bad_logo broken_rim rib_loss"),
        _words("scratch stain"),
    ),
    Kind(
        "capsule",
        capsule,
        PoseRange(8, 0.05, 0.03),
        _words("missing_print shifted_print squeeze"),
        _words("crack scratch"),
        1.2,
    ),
    Kind(
        "connector",
        connector,
        PoseRange(4, 0.04, 0.02),
        _words("bent_pin missing_pin short_pin"),
        ("scratch",),
    ),
    Kind("fabric", fabric, PoseRange(5, 0.5, 0.03), ("missing_thread",), _words("hole stain thread warp")),
    Kind(
        "gear",
        gear,
        PoseRange(180, 0.04, 0.03),
        _words("bent_tooth blocked_hole missing_tooth"),
        _words("scratch stain"),
    ),
    Kind("granite", granite, PoseRange(180, 0.5, 0.03), (), _words("crack scratch smear stain"), 1.5),
    Kind("leather", leather, PoseRange(180, 0.5, 0.03), (), _words("hole scratch smear stain")),
    Kind("linen", linen, PoseRange(5, 0.5, 0.03), ("missing_thread",), _words("hole stain thread")),
    Kind(
        "lock_washer",
        lock_washer,
        PoseRange(40, 0.04, 0.03),
        _words("chip wide_gap"),
        _words("scratch spots"),
    ),
    Kind("mesh", mesh, PoseRange(4, 0.5, 0.02), _words("bent broken"), _words("stain thread"), 1.2),
    Kind("pcb", pcb, PoseRange(2, 0.03, 0.02), _words("misplaced missing_part open short"), ("scratch",)),
    Kind("washer", washer, PoseRange(180, 0.04, 0.03), _words("chip deformed"), _words("scratch spots")),
    Kind("wood", wood, PoseRange(3, 0.5, 0.03), ("knot",), _words("hole scratch stain"), 0.8),
)
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _KINDS}
LOOK_ALIKES: Mapping[str, str] = {"linen": "fabric", "lock_washer": "washer"}
"""Classes that resemble another one, so that inferring classes is not trivial."""
