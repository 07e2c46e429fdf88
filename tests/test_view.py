"""The view of an image and of its mask, against torchvision and by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image
from split_trees import mvtec_style_class

from ltbench.benchmark.cell import Cell
from ltbench.benchmark.gallery import store_pictures
from ltbench.benchmark.selection import parse_view
from ltbench.benchmark.suites import asked_suite
from ltbench.methods.base import View
from ltbench.results.store import picture_stem
from ltbench.splits.datasets import open_dataset
from ltbench.splits.errors import SplitsError
from ltbench.splits.view import inside_view, resize_and_crop, resize_and_crop_mask


@pytest.mark.parametrize(("height", "width"), [(300, 300), (256, 256), (391, 517), (517, 391), (200, 203)])
@pytest.mark.parametrize(("resize", "crop"), [(256, 224), (101, 64), (96, 96)])
def test_view_equals_torchvision(height: int, width: int, resize: int, crop: int) -> None:
    transforms = pytest.importorskip("torchvision.transforms")
    pixels = np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    there = transforms.Compose([transforms.Resize(resize), transforms.CenterCrop(crop)])
    np.testing.assert_array_equal(
        resize_and_crop(pixels, resize, crop), np.asarray(there(Image.fromarray(pixels)))
    )


@given(st.integers(33, 90), st.integers(33, 90), st.integers(0, 2**32 - 1))
def test_mask_is_the_nearest_pixel_of_the_view(height: int, width: int, seed: int) -> None:
    resize, crop = 32, 24
    mask = np.random.default_rng(seed).integers(0, 3, (height, width)) * 127
    short = min(height, width)
    shape = (resize * height // short, resize * width // short)
    # Where the middle of a target pixel lies on the border of two source pixels, either is nearest.
    assume(not any(tied(height, shape[0], y) for y in range(shape[0])))
    assume(not any(tied(width, shape[1], x) for x in range(shape[1])))
    top, left = (round((side - crop) / 2) for side in shape)
    expected = np.array(
        [
            [
                mask[nearest(y + top, height, shape[0]), nearest(x + left, width, shape[1])] > 0
                for x in range(crop)
            ]
            for y in range(crop)
        ]
    )
    np.testing.assert_array_equal(resize_and_crop_mask(mask, resize, crop), expected)


def nearest(place: int, before: int, after: int) -> int:
    """The source pixel whose cell holds the middle of a target pixel."""
    return int((2 * place + 1) * before // (2 * after))


def tied(before: int, after: int, place: int) -> bool:
    return (2 * place + 1) * before % (2 * after) == 0


def test_a_defect_stays_where_its_mask_is() -> None:
    pixels = np.zeros((300, 400, 3), np.uint8)
    pixels[120:180, 150:240] = 255
    seen = resize_and_crop(pixels, 256, 224)[..., 0] > 127
    marked = resize_and_crop_mask(pixels[..., 0], 256, 224)
    assert marked.sum() > 1000
    assert (seen != marked).sum() <= 0.02 * marked.sum()


def test_mask_of_any_positive_value_counts() -> None:
    for dtype in (np.bool_, np.uint8, np.int64, np.float32):
        assert resize_and_crop_mask(np.ones((10, 12), dtype), 8, 8).all()


def test_crop_larger_than_the_image_names_both() -> None:
    with pytest.raises(SplitsError, match=r"cannot cut 64 x 64 out of 32 x 42 pixels"):
        resize_and_crop(np.zeros((30, 40, 3), np.uint8), 32, 64)


def test_view_needs_no_torch() -> None:
    code = "import sys, splits.view; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("shape", [(40, 60), (61, 40), (33, 33)])
def test_squeezing_brings_both_sides_to_one_size_as_torchvision_does(shape: tuple[int, int]) -> None:
    transforms = pytest.importorskip("torchvision.transforms")
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    steps = transforms.Compose([transforms.Resize((32, 32)), transforms.CenterCrop(28)])
    np.testing.assert_array_equal(
        resize_and_crop(pixels, 32, 28, squeeze=True), np.asarray(steps(Image.fromarray(pixels)))
    )


def test_a_squeezed_mask_stays_over_its_defect() -> None:
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[10:20, 60:80] = 255
    inside = resize_and_crop_mask(pixels[..., 0], 40, 40, squeeze=True)
    seen = resize_and_crop(pixels, 40, 40, squeeze=True)[..., 0] > 127
    assert inside.sum() == 10 * 10
    assert (inside == seen).all()
    assert not resize_and_crop_mask(pixels[..., 0], 40, 40).any()


def test_a_view_is_typed_and_recorded() -> None:
    for text, view in (("256/224", View(256, 224)), ("squeeze448/392", View(448, 392, squeeze=True))):
        assert parse_view(text, "synthetic") == view
        cell = Cell("synthetic", "clean", 1, "chance", view=view)
        assert view == View() or f"--view {text}" in cell.command()
    assert View(256, 224, squeeze=True).of_size(392) == View(448, 392, squeeze=True)


def test_ones_own_images_are_judged_as_a_whole_unless_another_view_is_asked_for() -> None:
    assert parse_view("", "mvtec:bottle") == View()
    whole = parse_view("", "folder:parts")
    assert inside_view((100, 750), whole.resize, whole.crop, squeeze=whole.squeeze) == (
        slice(0, 100),
        slice(0, 750),
    )
    for dataset, usual, other in (("folder:parts", whole, View()), ("mvtec", View(), whole)):
        assert "--view" not in Cell(dataset, "clean", 1, "chance", view=usual).command()
        assert "--view" in Cell(dataset, "clean", 1, "chance", view=other).command()
        assert asked_suite("demo", dataset).view == usual
    assert asked_suite("ltad-mvtec", "folder:parts").view == View(224, 224, squeeze=True)


def test_pictures_of_two_views_lie_beside_each_other(tmp_path: Path) -> None:
    mvtec_style_class(tmp_path / "parts", "bolt")
    dataset = open_dataset(f"folder:{tmp_path / 'parts'}", tmp_path)
    (defect, *_) = [image for image in dataset.images() if image.is_defective]
    for view in (View(256, 224), View(32, 16), View(16, 16, squeeze=True)):
        store_pictures([defect], dataset, view, tmp_path)
        stem = picture_stem(defect.key, str(view))
        with Image.open(tmp_path / "folder-parts" / "gallery" / f"{stem}.jpg") as picture:
            assert picture.size == (view.crop, view.crop)
    assert picture_stem(defect.key, str(View())) == defect.key
    assert len(list((tmp_path / "folder-parts" / "gallery").glob("*-mask.png"))) == 3
