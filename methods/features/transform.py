"""Transforms from an image to a backbone's input: the view of the benchmark, and its rotated copies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from ltbench.methods.base import View
from ltbench.methods.errors import BadParameter
from ltbench.splits.images import Pixels
from ltbench.splits.view import centre_crop, resize_and_crop, resize_image

VIEWED = (
    "The image is seen through the benchmark's view, which by default cuts borders off; the authors resize "
    "the whole image to a square (view squeezeSIDE/SIDE)."
)
"""Deviation of methods whose authors crop nothing, for their cards."""
RECIPE = 1
"""Raised by one whenever a change of the geometry moves pixels: older cached features are then not read."""


@dataclass(frozen=True)
class Pose:
    """One rotated and mirrored copy of an image."""

    angle: int
    """Degrees, counter-clockwise."""
    flip: bool
    """Mirrored left to right before the rotation."""

    def __str__(self) -> str:
        return f"{self.angle:03d}{'flip' if self.flip else ''}"


@dataclass(frozen=True)
class Augmentation:
    """Rotated and mirrored copies of an image that are embedded besides the image itself.

    TailedCore enlarges its tail classes so (released code of Jung et al., CVPR 2025). Copies are ordered by
    angle, the plain one before the mirrored one; the unchanged image is not among them.
    """

    name: str
    """Part of the cache key: "rot90flip", "rot30flip" or "rot15flip"."""

    def __post_init__(self) -> None:
        if self.name not in _STEPS:
            raise BadParameter(
                f"unknown augmentation '{self.name}': expected one of {', '.join(map(repr, _STEPS))}"
            )

    def __len__(self) -> int:
        """Copies per image: 7, 23 or 47."""
        return len(self.poses)

    @cached_property
    def poses(self) -> tuple[Pose, ...]:
        """Every copy, in the order in which they are embedded."""
        angles = range(0, 360, _STEPS[self.name])
        return tuple(Pose(angle, flip) for angle in angles for flip in (False, True))[1:]

    @property
    def turns_the_crop(self) -> bool:
        """Whether the crop is turned by right angles, rather than the resized image rotated and cropped."""
        return _STEPS[self.name] == 90

    def record_name(self, pose: Pose) -> str:
        """Name of one copy in the cache; augmentations that make the same copy share it."""
        return f"{'turn' if self.turns_the_crop else 'rotate'}{pose}"


_STEPS = {"rot90flip": 90, "rot30flip": 30, "rot15flip": 15}


def view_pixels(pixels: Pixels, view: View) -> Pixels:
    """Resized and cropped part of an image that a backbone gets: uint8 (crop, crop, 3)."""
    return resize_and_crop(pixels, view.resize, view.crop, squeeze=view.squeeze)


def augmented_view(pixels: Pixels, view: View, augmentation: Augmentation, pose: Pose) -> Pixels:
    """One copy of an image: uint8 (crop, crop, 3)."""
    resized = resize_image(pixels, view.resize, squeeze=view.squeeze)
    return pose_of(resized, view.crop, augmentation, pose)


def pose_of(resized: Pixels, crop: int, augmentation: Augmentation, pose: Pose) -> Pixels:
    """One copy of an image whose shorter side is already resized: uint8 (crop, crop, 3)."""
    if augmentation.turns_the_crop:
        return np.ascontiguousarray(
            np.rot90(_mirrored(centre_crop(resized, crop), pose.flip), pose.angle // 90)
        )
    return rotated_crop(_mirrored(resized, pose.flip), pose.angle, crop)


def rotated_crop(resized: Pixels, angle: int, crop: int) -> Pixels:
    """The centre crop of an image rotated about its middle: uint8 (crop, crop, 3).

    Borders are continued by `ceil((sqrt(2) - 1) * crop / 2)` repeated pixels, so that no corner of the
    crop is empty at any angle; nearest neighbour, as in the released code of TailedCore.
    """
    if angle == 0:
        return centre_crop(resized, crop)
    margin = math.ceil((math.sqrt(2) * crop - crop) / 2)
    padded = np.pad(resized, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    turned = Image.fromarray(padded).rotate(angle, Image.Resampling.NEAREST)
    return centre_crop(np.asarray(turned), crop)


def _mirrored(pixels: Pixels, flip: bool) -> Pixels:
    return np.ascontiguousarray(pixels[:, ::-1]) if flip else pixels
