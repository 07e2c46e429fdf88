"""Peers of image reading and anomaly maps: library calls, and released steps restated plainly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from scipy import ndimage
from torch.nn import functional

Rows = npt.NDArray[np.float32]


def interpolate_and_scipy(grids: Rows, size: int, sigma: float) -> Rows:
    """Bilinear upsampling in torch and a Gaussian per map in SciPy, as patchcore-inspection does."""
    maps = functional.interpolate(torch.from_numpy(grids)[:, None], size=(size, size), mode="bilinear")
    return np.stack([ndimage.gaussian_filter(each, sigma=sigma) for each in maps[:, 0].numpy()])


def torch_convolution(grids: Rows, size: int, sigma: float) -> Rows:
    """Bilinear upsampling and a 2-D convolution in torch, as anomalib's GaussianBlur2d (scipy's borders)."""
    radius = int(4 * sigma + 0.5)
    line = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma) ** 2)
    kernel = torch.outer(line, line)[None, None] / line.sum() ** 2
    maps = functional.interpolate(torch.from_numpy(grids)[:, None], size=(size, size), mode="bilinear")
    # SciPy's "reflect" repeats the border pixel, torch's does not.
    mirrored = np.pad(maps[:, 0].numpy(), ((0, 0), (radius, radius), (radius, radius)), mode="symmetric")
    return functional.conv2d(torch.from_numpy(mirrored)[:, None], kernel)[:, 0].numpy()


def released_embedding(fine: torch.Tensor, coarse: torch.Tensor, dim: int = 1024) -> torch.Tensor:
    """PatchCore's embedding step by step: unfold each layer, resize the coarse one's patches, pool twice."""
    batch, _, rows, columns = fine.shape
    vectors = []
    for features in (fine, coarse):
        _, channels, height, width = features.shape
        patches = functional.unfold(features, 3, padding=1).reshape(batch, channels, 3, 3, height, width)
        if (height, width) != (rows, columns):
            planes = patches.reshape(-1, 1, height, width)
            planes = functional.interpolate(
                planes, size=(rows, columns), mode="bilinear", align_corners=False
            )
            patches = planes.reshape(batch, channels, 3, 3, rows, columns)
        flat = patches.permute(0, 4, 5, 1, 2, 3).reshape(batch * rows * columns, 1, -1)
        vectors.append(functional.adaptive_avg_pool1d(flat, dim).squeeze(1))
    both = torch.stack(vectors, dim=1).reshape(batch * rows * columns, 1, -1)
    return functional.adaptive_avg_pool1d(both, dim).reshape(batch, rows, columns, dim)


def torchvision_view(path: Path) -> npt.NDArray[np.uint8]:
    """Decode with Pillow, resize and crop with torchvision: uint8 (224, 224, 3)."""
    from torchvision import transforms

    view = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])
    with Image.open(path) as image:
        return np.asarray(view(image.convert("RGB")))


def torchvision_tensor(path: Path) -> torch.Tensor:
    """The same as a normalised tensor: what a data loader of TailedCore or patchcore-inspection gives."""
    from torchvision import transforms

    mean, deviation = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    finish = transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean, deviation)])
    return finish(Image.fromarray(torchvision_view(path)))
