"""Inputs and weights of the cases: drawn by a seeded rule, the same on every machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from zlib import crc32

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ltbench.splits.images import ImageSet, LabelledImage


def draw(name: str, *shape: int, scale: float = 1.0) -> npt.NDArray[np.float32]:
    """Normal random numbers that depend on the name and the shape alone."""
    rng = np.random.Generator(np.random.PCG64(crc32(name.encode())))
    return np.asarray(rng.standard_normal(shape) * scale, np.float32)


def tensor(name: str, *shape: int, scale: float = 1.0) -> torch.Tensor:
    """The numbers of `draw` as a tensor."""
    return torch.from_numpy(draw(name, *shape, scale=scale))


def images(name: str, count: int, side: int) -> npt.NDArray[np.uint8]:
    """Smooth random pictures (count, side, side, 3), grey levels 0 to 255."""
    coarse = torch.from_numpy(draw(name, count, 3, 8, 8))
    fine = nn.functional.interpolate(coarse, size=(side, side), mode="bicubic", align_corners=False)
    grey = (fine * 48 + 128).clamp(0, 255).permute(0, 2, 3, 1)
    return np.ascontiguousarray(grey.round().numpy().astype(np.uint8))


class _Pictures:
    """A source of pixels that finds a picture by the datum's path."""

    def __init__(self, pixels: Mapping[str, npt.NDArray[np.uint8]]) -> None:
        self._pixels = pixels

    def pixels(self, image: LabelledImage) -> npt.NDArray[np.uint8]:
        return self._pixels[image.path]

    def content_digest(self, image: LabelledImage) -> str:
        return f"{crc32(self._pixels[image.path].tobytes()):064x}"


def image_set(
    pixels: npt.NDArray[np.uint8], ids: Sequence[int] | None = None, names: tuple[str, ...] | None = None
) -> ImageSet:
    """Pictures (N, H, W, 3) as a method is given them; the i-th image of the set is the i-th picture.

    ids: the class of each picture. names: of each class.
    """
    images = [LabelledImage(f"{number}.png", "product", "train") for number in range(len(pixels))]
    # An ImageSet orders its images by their keys.
    images.sort(key=lambda image: image.key)
    source = _Pictures(dict(zip((image.path for image in images), pixels, strict=True)))
    class_ids = None if ids is None else np.array(ids, np.int64)
    return ImageSet(images, source, class_ids=class_ids, class_names=names)


def fill(module: nn.Module, name: str = "") -> nn.Module:
    """Give every parameter and buffer of a module values that depend on its name and shape alone.

    Matrices and kernels have the spread 1 / sqrt(fan-in), weights of normalisation layers lie around 1,
    other vectors around 0, running variances are at least 1. Integer buffers stay as they are.
    """
    with torch.no_grad():
        for key, value in module.state_dict().items():
            if not value.is_floating_point():
                continue
            drawn = tensor(f"{name}/{key}", *value.shape)
            if key.endswith("running_var"):
                drawn = 1 + 0.2 * drawn.abs()
            elif value.ndim >= 2:
                drawn = drawn / max(value[0].numel(), 1) ** 0.5
            else:
                drawn = 0.1 * drawn + float(key.endswith("weight"))
            value.copy_(drawn)
    return module


def hand_over(
    ours: nn.Module, official: nn.Module, rename: Callable[[str], str] | Mapping[str, str], ignore: str = ""
) -> None:
    """Copy all parameters and buffers of our module into the official one.

    rename: the official name of each of our names; "" = the official module has no such tensor.
    ignore: beginning of official names that may stay as they are. Raises KeyError if the map leaves another
    official tensor without values, ValueError if a shape differs.
    """
    name_of = rename.__getitem__ if isinstance(rename, Mapping) else rename
    values = {name_of(key): value for key, value in ours.state_dict().items() if name_of(key)}
    with torch.no_grad():
        for key, target in official.state_dict().items():
            if key in values:
                if target.shape != values[key].shape:
                    raise ValueError(
                        f"'{key}' has shape {tuple(values[key].shape)} here, {tuple(target.shape)} there"
                    )
                target.copy_(values[key])
            elif not key.endswith("num_batches_tracked") and not (ignore and key.startswith(ignore)):
                raise KeyError(f"the map of names gives no values to the official tensor '{key}'")
