"""`folder:PATH`: any person's images in MVTec AD's layout, and what is said when they are not right."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from split_trees import draw, draw_mask, mvtec_style_class

from ltbench.registry import UnknownName
from ltbench.splits.datasets import open_dataset
from ltbench.splits.errors import DataMissing, SplitsError
from ltbench.splits.recipes import build


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    mvtec_style_class(tmp_path / "parts", "bolt")
    mvtec_style_class(tmp_path / "parts", "nut", suffix="")
    mvtec_style_class(tmp_path / "parts", "washer", suffix=None)
    return tmp_path / "parts"


def test_a_tree_is_read_with_labels_pixels_and_masks_of_both_suffix_styles(parts: Path) -> None:
    dataset = open_dataset(f"folder:{parts}", parts.parent)
    images = dataset.images()
    assert {image.category for image in images} == {"bolt", "nut", "washer"}
    assert len(images) == 3 * 7
    for category, suffix in (("bolt", "_mask"), ("nut", "")):
        defect = next(image for image in images if image.category == category and image.is_defective)
        assert defect.mask == f"{category}/ground_truth/scratch/000{suffix}.png"
        mask = dataset.mask(defect)
        assert mask is not None
        assert mask.shape == dataset.pixels(defect).shape[:2]
        assert (mask[:8, :8] == 255).all()
        assert mask.sum() == 64 * 255
    assert [image.mask for image in images if image.category == "washer"] == [""] * 7
    good = next(image for image in images if not image.is_defective)
    assert dataset.mask(good) is None
    assert dataset.name == "folder:parts"


def test_one_class_can_be_named_directly(parts: Path) -> None:
    dataset = open_dataset("folder:parts/bolt", parts.parent)
    assert {image.path.split("/")[0] for image in dataset.images()} == {"bolt"}
    assert dataset.pixels(dataset.images()[0]).dtype == np.uint8


def test_a_defect_named_like_a_mask_does_not_steal_a_mask(tmp_path: Path) -> None:
    mvtec_style_class(tmp_path / "p", "bolt", bad=0)
    for stem in ("000", "000_mask"):
        draw(tmp_path / "p/bolt/test/dent" / f"{stem}.png")
        draw_mask(tmp_path / "p/bolt/ground_truth/dent" / f"{stem}_mask.png")
    masks = {i.path: i.mask for i in open_dataset(f"folder:{tmp_path / 'p'}", tmp_path).images() if i.defect}
    assert masks["bolt/test/dent/000.png"].endswith("dent/000_mask.png")
    assert masks["bolt/test/dent/000_mask.png"].endswith("dent/000_mask_mask.png")


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "I;16", "1", "LA"])
def test_every_usual_image_mode_becomes_rgb_of_8_bits(tmp_path: Path, mode: str) -> None:
    mvtec_style_class(tmp_path / "p", "bolt", train=1)
    file = tmp_path / "p/bolt/train/good/000.png"
    if mode == "I;16":
        Image.fromarray(np.full((16, 16), 40000, dtype=np.uint16)).save(file)
        expected = round(40000 / 257)
    else:
        expected = 255 if mode == "1" else 120
        Image.new("L", (16, 16), expected).convert(mode).save(file)
    dataset = open_dataset(f"folder:{tmp_path / 'p'}", tmp_path)
    pixels = dataset.pixels(next(image for image in dataset.images() if image.part == "train"))
    assert pixels.shape == (16, 16, 3)
    assert np.abs(pixels.astype(int) - expected).max() <= (3 if mode == "P" else 0)


def test_a_broken_image_is_named(parts: Path) -> None:
    broken = parts / "bolt/train/good/001.png"
    broken.write_bytes(broken.read_bytes()[:40])
    dataset = open_dataset(f"folder:{parts}", parts.parent)
    image = next(image for image in dataset.images() if image.path == "bolt/train/good/001.png")
    with pytest.raises(SplitsError, match=r"bolt/train/good/001\.png' cannot be read"):
        dataset.pixels(image)


def test_a_mask_of_another_size_is_named_with_both_sizes(parts: Path) -> None:
    draw_mask(parts / "bolt/ground_truth/scratch/000_mask.png", size=20)
    dataset = open_dataset(f"folder:{parts}", parts.parent)
    image = next(image for image in dataset.images() if image.mask.startswith("bolt"))
    with pytest.raises(SplitsError, match=r"000_mask\.png' has 20 x 20 pixels, expected 16 x 16"):
        dataset.mask(image)


@pytest.mark.parametrize("part", ["train/good", "test"])
def test_an_empty_class_is_named(parts: Path, part: str) -> None:
    shutil.rmtree(parts / "nut" / part)
    (parts / "nut" / "train" / "good").mkdir(parents=True, exist_ok=True)
    with pytest.raises(SplitsError, match="class 'nut'"):
        open_dataset(f"folder:{parts}", parts.parent).images()


def test_a_folder_without_classes_or_without_existence_is_said(tmp_path: Path) -> None:
    with pytest.raises(SplitsError, match="holds no class"):
        open_dataset(f"folder:{tmp_path}", tmp_path).images()
    with pytest.raises(DataMissing, match="does not exist"):
        open_dataset("folder:nowhere", tmp_path)
    with pytest.raises(SplitsError, match="names no folder"):
        open_dataset("folder:", tmp_path)
    with pytest.raises(UnknownName, match="did you mean 'mvtec'"):
        open_dataset("mvtek", tmp_path)


def test_the_data_digest_follows_content_and_not_the_place(parts: Path, tmp_path: Path) -> None:
    before = open_dataset(f"folder:{parts}", tmp_path).data_digest()
    moved = tmp_path / "elsewhere" / "parts"
    shutil.copytree(parts, moved)
    assert open_dataset(f"folder:{moved}", tmp_path).data_digest() == before
    draw(moved / "bolt/train/good/000.png", level=7)
    assert open_dataset(f"folder:{moved}", tmp_path).data_digest() != before


def test_data_that_must_be_fetched_by_hand_says_all_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataMissing) as caught:
        open_dataset("mvtec", tmp_path).require_pixels()
    for fact in ("MVTec AD", "CC BY-NC-SA 4.0", "4.9 GB", "https://www.mvtec.com", str(tmp_path / "mvtec")):
        assert fact in str(caught.value)
    assert caught.value.exit_code == 4


def test_splits_do_not_depend_on_the_order_in_which_a_disk_lists_files(tmp_path: Path) -> None:
    names = ["bolt", "nut", "washer", "pin"]
    for place, order in (("one", names), ("two", names[::-1])):
        for name in order:
            mvtec_style_class(tmp_path / place / "parts", name, train=25, bad=6)
    digests = {
        recipe: {
            build(recipe, open_dataset(f"folder:{tmp_path / place / 'parts'}", tmp_path), 3).digest
            for place in ("one", "two")
        }
        for recipe in ("pareto", "step_k4", "meds_nr20")
    }
    assert all(len(found) == 1 for found in digests.values())
    assert len({next(iter(found)) for found in digests.values()}) == 3


def test_a_class_whose_defects_are_all_injected_is_told_under_overlap_none(parts: Path) -> None:
    split = build("meds_nr67", open_dataset(f"folder:{parts}", parts.parent), 1, "none")
    assert "no defect is left to test in bolt, nut, washer" in split.notes
