"""Comparisons of work on images: reading, embedding and anomaly maps, beside the usual ways."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from ltbench.benchmark.maps import anomaly_maps
from ltbench.methods.blocks.embedding import patchcore_embedding
from ltbench.methods.features.cache import FeatureCache, FeatureSpec
from ltbench.splits.view import resize_and_crop
from perf import map_peers
from perf.comparison import Comparison, Limit, Side

torch.set_num_threads(1)
Rows = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]


def _grids(brief: bool, count: int) -> Rows:
    return np.random.default_rng(0).random((2 if brief else count, 28, 28), dtype=np.float32)


def _layers(brief: bool) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    batch = 1 if brief else 8
    return (
        torch.randn(batch, 512, 28, 28, generator=generator),
        torch.randn(batch, 1024, 14, 14, generator=generator),
    )


def _largest(ours: Any, theirs: Any) -> float:
    """Largest difference over the range of our values."""
    one, other = np.asarray(ours), np.asarray(theirs)
    return float(np.abs(one - other).max() / np.ptp(one))


def _maps(count: int, size: int, faster: float) -> Comparison:
    return Comparison(
        name=f"maps {size}",
        size=f"{count} grids of 28² to {size}², Gaussian of 4 pixels",
        inputs=partial(_grids, count=count),
        ours=Side("ltbench", lambda grids: anomaly_maps(grids, size, 4.0)),
        peers=(
            Side(
                "torch + scipy",
                lambda grids: map_peers.interpolate_and_scipy(grids, size, 4.0),
                faster=faster,
            ),
            Side(
                "torch convolution",
                lambda grids: map_peers.torch_convolution(grids, size, 4.0),
                faster=faster,
            ),
        ),
        difference=_largest,
        limit=Limit("float32 product", 2 * count * size * 28 * (28 + size), "two products per map"),
        tolerance=1e-5,
    )


EMBEDDING = Comparison(
    name="patchcore embedding",
    size="8 images, 512 x 28² and 1024 x 14² to 784 vectors of 1024",
    inputs=_layers,
    ours=Side("ltbench", lambda layers: patchcore_embedding(layers).numpy()),
    peers=(
        Side("unfold as released", lambda layers: map_peers.released_embedding(*layers).numpy(), faster=20),
    ),
    difference=_largest,
    limit=Limit(
        "memory", 4 * 8 * (512 * 28**2 + 1024 * 14**2 + 1024 * 28**2), "layers read, vectors written"
    ),
    tolerance=1e-5,
)


# ---- images: the first time and again

RESIZE, CROP = 256, 224
SPEC = FeatureSpec("wide_resnet50_2", "", ("layer2", "layer3"), "resize256-crop224", "")


@dataclass(frozen=True, eq=False)
class Stored:
    """One image as a file, and its features in a cache; the files go when this does."""

    image: Path
    cache: FeatureCache


def _stored(brief: bool) -> Stored:
    folder = Path(tempfile.mkdtemp(prefix="ltbench-perf-"))
    size = 280 if brief else 1024
    rng = np.random.default_rng(0)
    # Smooth shading with sensor noise: a PNG of about 1.5 MB.
    shade = np.add.outer(np.arange(size), np.arange(size))[..., None] * 100 / size
    pixels = np.clip(60 + shade + rng.normal(0, 3, (size, size, 3)), 0, 255).astype(np.uint8)
    image = folder / "image.png"
    Image.fromarray(pixels).save(image)
    cache = FeatureCache(folder / "features", 1 << 30)
    layers = {"layer2": (512, 28, 28), "layer3": (1024, 14, 14), "pooled": (2048,)}
    cache.put(SPEC, "0" * 64, {name: rng.random(shape).astype(np.float16) for name, shape in layers.items()})
    stored = Stored(image, cache)
    weakref.finalize(stored, shutil.rmtree, folder, ignore_errors=True)
    return stored


def _ours_decoded(given: Stored) -> Pixels:
    with Image.open(given.image) as image:
        return resize_and_crop(np.asarray(image.convert("RGB")), RESIZE, CROP)


def _read_again(given: Stored) -> Any:
    return given.cache.get(SPEC, "0" * 64)


def _levels(ours: Pixels, theirs: Pixels) -> float:
    """Largest difference in grey levels."""
    return float(np.abs(ours.astype(int) - theirs.astype(int)).max())


READING = Comparison(
    name="image, first time",
    size="PNG of 1024² decoded, resized to 256, cropped to 224²",
    inputs=_stored,
    ours=Side("ltbench", _ours_decoded),
    peers=(
        Side("Pillow + torchvision", lambda given: map_peers.torchvision_view(given.image), ("torchvision",)),
    ),
    difference=_levels,
    tolerance=0,
)

AGAIN = Comparison(
    name="image, again",
    size="what a method waits for: features of 512 x 28² and 1024 x 14² from the cache, or the PNG's pixels",
    inputs=_stored,
    ours=Side("ltbench, feature cache", _read_again),
    peers=(
        Side(
            "Pillow + torchvision",
            lambda given: map_peers.torchvision_tensor(given.image),
            ("torchvision",),
            faster=30,
        ),
    ),
    difference=None,
)

COMPARISONS = [_maps(64, 256, 10), _maps(8, 1024, 15), EMBEDDING, READING, AGAIN]
