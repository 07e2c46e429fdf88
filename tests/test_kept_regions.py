"""Regions that are kept on disk are those of the data set's masks, whatever happens to the files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from split_trees import mvtec_style_class

from ltbench.benchmark.kept_regions import regions_within
from ltbench.benchmark.metrics.blocks.regions import MasksOfRegions, Regions, label_regions
from ltbench.methods.base import View
from ltbench.splits.datasets import Dataset, open_dataset
from ltbench.splits.images import LabelledImage
from ltbench.splits.view import resize_and_crop_mask

VIEW = View(resize=40, crop=32)


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    mvtec_style_class(tmp_path / "parts", "bolt", good=3, bad=3)
    return tmp_path / "parts"


def opened(parts: Path) -> tuple[Dataset, list[LabelledImage]]:
    dataset = open_dataset(f"folder:{parts}", parts.parent)
    return dataset, list(dataset.images())


def by_hand(dataset: Dataset, images: list[LabelledImage]) -> np.ndarray:
    found = [dataset.mask(image) for image in images]
    empty = np.zeros((VIEW.crop, VIEW.crop), bool)
    return np.stack(
        [empty if mask is None else resize_and_crop_mask(mask, VIEW.resize, VIEW.crop) for mask in found]
    )


def kept(parts: Path, folder: Path) -> tuple[Regions, np.ndarray]:
    """(as given, masks as they should be)."""
    dataset, images = opened(parts)
    return regions_within(VIEW, images, dataset, folder), by_hand(dataset, images)


def assert_regions_of(given: Regions, masks: np.ndarray) -> None:
    np.testing.assert_array_equal(MasksOfRegions(given, masks.shape), masks)
    expected = label_regions(masks)
    assert given.pixels == expected.pixels
    for name in ("index", "region", "size", "pixels_of_image"):
        one, other = getattr(given, name), getattr(expected, name)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_kept_regions_are_the_data_sets_and_are_not_read_twice(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, expected = kept(parts, tmp_path / "kept")
    assert_regions_of(given, expected)
    assert expected.any()
    dataset, images = opened(parts)
    monkeypatch.setattr(type(dataset), "mask", None)
    assert_regions_of(regions_within(VIEW, images, dataset, tmp_path / "kept"), expected)


def test_a_changed_mask_is_read_anew(parts: Path, tmp_path: Path) -> None:
    _, before = kept(parts, tmp_path / "kept")
    file = next((parts / "bolt" / "ground_truth").rglob("*.png"))
    turned = 255 - np.asarray(Image.open(file))
    Image.fromarray(turned).save(file)
    after, expected = kept(parts, tmp_path / "kept")
    assert_regions_of(after, expected)
    assert (expected != before).any()


@pytest.mark.parametrize("damage", [b"", b"abc", None])
def test_a_damaged_file_is_made_again(parts: Path, tmp_path: Path, damage: bytes | None) -> None:
    kept(parts, tmp_path / "kept")
    (file,) = (tmp_path / "kept").iterdir()
    whole = file.read_bytes()
    # None: one bit is turned around.
    file.write_bytes(bytes([whole[0] ^ 1]) + whole[1:] if damage is None else damage)
    given, expected = kept(parts, tmp_path / "kept")
    assert_regions_of(given, expected)
    assert file.read_bytes() == whole


def test_a_folder_that_cannot_be_written_costs_time_only(parts: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file in the way")
    given, expected = kept(parts, tmp_path / "kept")
    assert_regions_of(given, expected)


def test_images_without_any_defect_have_no_regions(parts: Path, tmp_path: Path) -> None:
    dataset, images = opened(parts)
    good = [image for image in images if not image.is_defective]
    for _ in range(2):
        given = regions_within(VIEW, good, dataset, tmp_path / "kept")
        assert_regions_of(given, np.zeros((len(good), VIEW.crop, VIEW.crop), bool))
