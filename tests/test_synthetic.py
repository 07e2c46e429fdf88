"""The embedded data set: pictures by name alone, masks that mark what differs, a cache that never lies."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import mannwhitneyu

from ltbench.registry import UnknownName
from ltbench.splits import recipes
from ltbench.splits.datasets import open_dataset
from ltbench.splits.datasets.layout import scan
from ltbench.splits.datasets.synthetic import SyntheticDataset
from ltbench.splits.errors import SplitsError
from ltbench.splits.images import ImageSet, LabelledImage
from ltbench.splits.rendering import picture
from ltbench.splits.rendering.catalogue import KINDS, LOOK_ALIKES
from ltbench.splits.rendering.picture import SMALLEST_MASK, STRENGTHS, VERSION, VISIBLE, Name, draft, render

ROOT = Path(__file__).parents[1]
PAIRS = [(kind.name, defect) for kind in KINDS.values() for defect in kind.defects]
SOME = ("washer", "pcb", "wood")


def digest(name: Name) -> str:
    pixels, mask = render(name)
    return hashlib.sha256(pixels.tobytes() + (b"" if mask is None else mask.tobytes())).hexdigest()


def names_to_compare() -> list[Name]:
    return [
        Name("granite", "train", "", 3),
        Name("gear", "test", "bent_tooth", 1),
        Name("linen", "test", "stain", 0),
    ]


@pytest.fixture
def small(tmp_path: Path) -> SyntheticDataset:
    found = open_dataset("synthetic:small+washer", tmp_path)
    assert isinstance(found, SyntheticDataset)
    return found


def first_defective(dataset: SyntheticDataset) -> LabelledImage:
    return next(image for image in dataset.images() if image.is_defective)


def test_fifteen_classes_and_two_look_alikes_have_their_defects() -> None:
    alike = {kind for kind in KINDS if kind in LOOK_ALIKES}
    assert len(KINDS) == 17
    assert len(alike) == 2
    assert sum(len(kind.defects) for kind in KINDS.values() if kind.name not in alike) == 67
    assert list(KINDS) == sorted(KINDS)


@pytest.mark.parametrize("category", list(KINDS))
def test_every_defect_marks_what_differs_from_the_same_object_without_it(category: str) -> None:
    kind = KINDS[category]
    for defect in kind.defects:
        name = Name(category, "test", defect, 1)
        made = draft(name)
        assert made.mask is not None
        assert made.mask.sum() >= SMALLEST_MASK
        change = np.abs(np.clip(made.colour, 0, 1) - np.clip(made.clean.colour, 0, 1)).max(axis=0)
        # Thin remainders fall to the opening of the mask, and a fibre's shadow is not part of the fibre.
        assert (change[~made.mask] > VISIBLE).mean() < 0.01, defect
        assert change[made.mask].mean() > 4 * change[~made.mask].mean(), defect
        assert change[made.mask].max() > VISIBLE, defect
        if defect in kind.overlay:
            assert not (made.mask & (made.clean.object <= 0.5)).any(), defect


def test_masks_are_zero_or_255_and_good_pictures_have_none() -> None:
    pixels, mask = render(Name("cable", "test", "swap", 0))
    assert (pixels.shape, pixels.dtype) == ((256, 256, 3), np.uint8)
    assert mask is not None
    assert (mask.shape, mask.dtype) == ((256, 256), np.uint8)
    assert set(np.unique(mask)) == {0, 255}
    assert render(Name("cable", "test", "", 0))[1] is None


def test_pictures_do_not_depend_on_order_or_on_what_was_drawn_before() -> None:
    names = names_to_compare()
    forward = [digest(name) for name in names]
    assert [digest(name) for name in reversed(names)] == forward[::-1]
    assert len(set(forward)) == len(names)


def test_other_processes_draw_the_same_bytes() -> None:
    code = "import tests.test_synthetic as t; print(*[t.digest(name) for name in t.names_to_compare()])"
    environment = {**os.environ, "PYTHONHASHSEED": "77", "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env=environment
    )
    assert done.stdout.split() == [digest(name) for name in names_to_compare()]


def test_pictures_of_one_class_all_differ() -> None:
    seen = [digest(Name("brushed", part, "", index)) for part in ("train", "test") for index in range(4)]
    assert len(set(seen)) == len(seen)


def test_a_changed_picture_has_a_new_version() -> None:
    """Guards recorded results: raise `picture.VERSION` and write the file anew whenever pictures change."""
    file = ROOT / "tests" / "synthetic_fingerprint.json"
    recorded = json.loads(file.read_text(encoding="utf-8"))
    assert recorded["version"] == VERSION
    for category, blocks in recorded["blocks"].items():
        name = Name(category, "test", KINDS[category].defects[0], 0)
        # Means of blocks: a grey level may flip between processors, a mean does not move.
        assert np.abs(block_means(render(name)[0]) - np.asarray(blocks)).max() < 0.5, category


def block_means(pixels: np.ndarray) -> np.ndarray:
    return pixels.mean(axis=2).reshape(4, 64, 4, 64).mean(axis=(1, 3))


def test_hard_defects_are_fainter() -> None:
    assert STRENGTHS["hard"][1] < STRENGTHS[""][1]
    changes = {}
    for difficulty in STRENGTHS:
        drafts = [draft(Name("brushed", "test", "stain", index), difficulty) for index in range(6)]
        changes[difficulty] = np.mean([np.abs(made.colour - made.clean.colour).max() for made in drafts])
    assert changes["hard"] < 0.9 * changes[""]


def test_a_defect_too_small_to_see_is_drawn_again_and_stronger(monkeypatch: pytest.MonkeyPatch) -> None:
    strengths: list[float] = []

    def faint(scene: picture.Scene, fault: picture.Fault) -> tuple[np.ndarray, np.ndarray]:
        strengths.append(fault.strength)
        mask = np.zeros((256, 256), dtype=bool)
        mask[0, : SMALLEST_MASK if len(strengths) == 3 else SMALLEST_MASK - 1] = True
        return scene.colour, mask

    monkeypatch.setattr(picture, "OVERLAYS", {**picture.OVERLAYS, "scratch": faint})
    made = draft(Name("wood", "test", "scratch", 0))
    assert made.mask is not None
    assert made.mask.sum() == SMALLEST_MASK
    assert len(strengths) == len(set(strengths)) == 3


def test_the_listing_has_the_sizes_of_the_benchmark(tmp_path: Path) -> None:
    images = open_dataset("synthetic", tmp_path).images()
    assert len({image.path for image in images}) == len(images)
    for category, kind in KINDS.items():
        own = [image for image in images if image.category == category]
        assert sum(image.part == "train" for image in own) == 100
        assert sum(image.part == "test" and not image.is_defective for image in own) == 30
        defects = [image.defect for image in own if image.is_defective]
        assert set(defects) == set(kind.defects)
        assert 24 <= len(defects) <= 30
        assert all(image.part == "test" and image.mask for image in own if image.is_defective)


def test_the_order_of_keys_does_not_tell_the_label(tmp_path: Path) -> None:
    test = [image for image in open_dataset("synthetic", tmp_path).images() if image.part == "test"]
    order = {image.path: rank for rank, image in enumerate(sorted(test, key=lambda image: image.key))}
    good = [order[image.path] for image in test if not image.is_defective]
    bad = [order[image.path] for image in test if image.is_defective]
    assert mannwhitneyu(good, bad).pvalue > 0.01


def test_content_digests_name_the_recipe_and_draw_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ltbench.splits.datasets.synthetic.render", None)
    plain, hard = open_dataset("synthetic", tmp_path), open_dataset("synthetic:hard", tmp_path)
    digests = {dataset.content_digest(image) for dataset in (plain, hard) for image in dataset.images()}
    assert len(digests) == 2 * len(plain.images())
    small = open_dataset("synthetic:small", tmp_path)
    assert {small.content_digest(image) for image in small.images()} < digests
    assert len({dataset.data_digest() for dataset in (plain, hard, small)}) == 3
    plain.require_pixels()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("recipe", ["step_k4", "pareto", "clean"])
def test_recipes_find_heads_tails_and_defects(recipe: str, tmp_path: Path) -> None:
    split = recipes.build(recipe, open_dataset("synthetic", tmp_path), seed=1)
    assert set(split.categories) == set(KINDS)
    assert (recipe == "clean") == (not split.injected)


def test_methods_see_pictures_through_the_image_set(small: SyntheticDataset) -> None:
    seen = ImageSet(small.images()[:2], small)
    assert seen[0].shape == (256, 256, 3)
    assert len(seen.content_digest(1)) == 64


def test_unknown_words_and_foreign_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'washer'"):
        open_dataset("synthetic:washr", tmp_path)
    dataset = open_dataset("synthetic:hard+small+gear", tmp_path)
    assert dataset.name == "synthetic:gear+hard+small"
    image = dataset.images()[0]
    for foreign in (
        replace(image, path="gear/train/good/x.png"),
        replace(image, path="bottle/train/good/000.png", category="bottle"),
        replace(image, defect="melted"),
    ):
        with pytest.raises(SplitsError, match="none of data set"):
            dataset.pixels(foreign)
        with pytest.raises(SplitsError, match="none of data set"):
            dataset.mask(foreign)


def test_a_written_tree_is_read_as_the_same_data_set(small: SyntheticDataset, tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    told: list[tuple[int, int]] = []
    assert small.materialise(folder, progress=lambda *step: told.append(step)) == len(small.images())
    assert told[-1] == (len(told) - 1, len(small.images()))
    assert scan(folder) == tuple(sorted(small.images(), key=lambda image: (image.category, image.path)))
    read = open_dataset(f"folder:{folder}", tmp_path)
    for image in (small.images()[0], first_defective(small)):
        assert np.array_equal(read.pixels(image), small.pixels(image))
        drawn, kept = small.mask(image), read.mask(image)
        assert (drawn is None and kept is None) or np.array_equal(drawn, kept)
    file = folder / small.images()[0].path
    before = file.stat().st_mtime_ns
    small.materialise(folder)
    assert file.stat().st_mtime_ns == before
    with pytest.raises(SplitsError, match="cannot be written"):
        small.materialise(file)


def test_kept_files_are_plain_png(small: SyntheticDataset) -> None:
    image = first_defective(small)
    pixels, mask = small.pixels(image), small.mask(image)
    with Image.open(small.root / image.path) as file:
        assert np.array_equal(np.asarray(file), pixels)
    with Image.open(small.root / image.mask) as file:
        assert np.array_equal(np.asarray(file), mask)
