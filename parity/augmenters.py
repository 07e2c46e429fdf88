"""imgaug's augmenters as far as DRAEM asks for them, with given draws: imgaug does not run with numpy 2.

Ranges are those that the authors' code passes, or else imgaug 0.4.0's defaults; pixels are changed by Pillow.
Beside imgaug itself, with numpy made compatible, the same parameters gave the same pixels, except for the
hue (up to 10 of 255 grey levels: OpenCV has 180 hues, Pillow 256), the colour space of a brightness
(luma, one of imgaug's six) and the borders of a rotation.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageOps
from scipy import ndimage

from parity.pixel_methods import Shares

Array = npt.NDArray[Any]
Range = tuple[float, float]


class Replaying:
    """The namespace `imgaug.augmenters`, whose draws come from the exchangeable `shares`."""

    def __init__(self, *shares: float) -> None:
        self.shares = Shares(*shares)
        self.pillike = SimpleNamespace(
            EnhanceSharpness=self._sharpness, Autocontrast=self._autocontrast, Equalize=self._equalize
        )

    def Sequential(self, children: list[Callable[..., Array]]) -> Callable[..., Array]:  # noqa: N802  imgaug's
        def run(image: Array) -> Array:
            for child in children:
                image = child(image=image)
            return image

        return run

    def Affine(self, rotate: Range) -> Callable[..., Array]:  # noqa: N802
        def run(image: Array) -> Array:
            degrees = self.shares.uniform(*rotate)
            if image.dtype == np.uint8:
                # To the right, other than Pillow.
                return np.asarray(Image.fromarray(image).rotate(-degrees, Image.Resampling.BILINEAR))
            return ndimage.rotate(image, degrees, reshape=False, order=1)

        return run

    def GammaContrast(self, gamma: Range, per_channel: bool) -> Callable[..., Array]:  # noqa: N802
        assert per_channel
        ramp = np.arange(256) / 255

        def run(image: Array) -> Array:
            tables = [(255 * ramp ** self.shares.uniform(*gamma)).astype(np.uint8) for _ in range(3)]
            return np.stack([table[image[..., channel]] for channel, table in enumerate(tables)], axis=-1)

        return run

    def MultiplyAndAddToBrightness(self, mul: Range, add: Range) -> Callable[..., Array]:  # noqa: N802
        def run(image: Array) -> Array:
            factor, summand = self.shares.uniform(*mul), self.shares.uniform(*add)
            steps = [lambda light: light * factor, lambda light: light + summand]
            if self.shares.random() >= 0.5:
                steps.reverse()
            coded = np.array(Image.fromarray(image).convert("YCbCr"))
            light = coded[..., 0].astype(float)
            for step in steps:
                light = np.clip(step(light), 0, 255)
            coded[..., 0] = light.astype(np.uint8)
            return np.asarray(Image.fromarray(coded, "YCbCr").convert("RGB"))

        return run

    def AddToHueAndSaturation(self, value: Range, per_channel: bool) -> Callable[..., Array]:  # noqa: N802
        assert per_channel
        low, high = int(value[0]), int(value[1])

        def run(image: Array) -> Array:
            coded = np.array(Image.fromarray(image).convert("HSV")).astype(int)
            coded[..., 0] = (coded[..., 0] + self.shares.integers(low, high + 1)) % 256
            coded[..., 1] = np.clip(coded[..., 1] + self.shares.integers(low, high + 1), 0, 255)
            return np.asarray(Image.fromarray(coded.astype(np.uint8), "HSV").convert("RGB"))

        return run

    def Solarize(self, p: float, threshold: Range) -> Callable[..., Array]:  # noqa: N802
        def run(image: Array) -> Array:
            if self.shares.random() >= p:
                return image
            above = image >= self.shares.integers(int(threshold[0]), int(threshold[1]) + 1)
            return np.where(above, 255 - image, image)

        return run

    def Posterize(self) -> Callable[..., Array]:  # noqa: N802
        return lambda image: image & (256 - 2 ** (8 - self.shares.integers(1, 9)))

    def Invert(self) -> Callable[..., Array]:  # noqa: N802
        return lambda image: 255 - image

    def _sharpness(self) -> Callable[..., Array]:
        def run(image: Array) -> Array:
            sharper = ImageEnhance.Sharpness(Image.fromarray(image))
            return np.asarray(sharper.enhance(self.shares.uniform(0.0, 2.0)))

        return run

    def _autocontrast(self) -> Callable[..., Array]:
        def run(image: Array) -> Array:
            return np.asarray(ImageOps.autocontrast(Image.fromarray(image), self.shares.integers(0, 21)))

        return run

    def _equalize(self) -> Callable[..., Array]:
        return lambda image: np.asarray(ImageOps.equalize(Image.fromarray(image)))
