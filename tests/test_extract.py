"""Batched extraction: order, copies, and a warm cache that gives the very bits of a cold one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import feature_images as given_images
import numpy as np
import pytest
import torch
from PIL import Image

from ltbench.methods.base import View
from ltbench.methods.errors import BadParameter
from ltbench.methods.features import transform
from ltbench.methods.features.extract import Extractor, FeatureBatch
from ltbench.methods.features.pixels import PixelReader, Row
from ltbench.methods.features.transform import Augmentation

AUGMENTATIONS = ("rot90flip", "rot30flip", "rot15flip")


def collected(batches: Sequence[FeatureBatch]) -> tuple[list[int], torch.Tensor, torch.Tensor]:
    rows = [index for batch in batches for index in batch.indices]
    return (
        rows,
        torch.cat([batch.maps[0] for batch in batches]),
        torch.cat([batch.pooled for batch in batches]),
    )


def assert_same_bits(left: Sequence[FeatureBatch], right: Sequence[FeatureBatch]) -> None:
    (rows, maps, pooled), (other_rows, other_maps, other_pooled) = collected(left), collected(right)
    assert rows == other_rows
    assert torch.equal(maps, other_maps)
    assert torch.equal(pooled, other_pooled)


def test_features_come_in_the_order_of_the_indices() -> None:
    images = given_images.images(7)
    extractor = Extractor("desc", given_images.context(), batch_size=3)
    every = list(extractor.batches(images, title="all"))
    assert [batch.indices for batch in every] == [(0, 1, 2), (3, 4, 5), (6,)]
    assert every[0].maps[0].shape == (3, 33, 7, 7)
    assert every[0].maps[0].dtype == torch.float32
    _, maps, pooled = collected(every)
    chosen = list(extractor.batches(images, indices=np.array([5, 0, 5]), title="some"))
    assert chosen[0].indices == (5, 0, 5)
    assert torch.equal(chosen[0].maps[0], maps[[5, 0, 5]])
    assert torch.equal(chosen[0].pooled, pooled[[5, 0, 5]])
    assert list(extractor.batches(images, indices=[], title="none")) == []


def test_each_row_is_the_backbone_of_the_view_of_its_image() -> None:
    images = given_images.images(3)
    extractor = Extractor("desc", given_images.context(), batch_size=2)
    _, maps, _ = collected(list(extractor.batches(images, title="all")))
    for index in range(3):
        seen = transform.view_pixels(images[index], View(64, 56))
        alone = extractor.backbone(torch.from_numpy(seen).permute(2, 0, 1)[None])["desc"]
        torch.testing.assert_close(maps[index], alone[0], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("augment", [None, Augmentation("rot90flip")])
def test_a_warm_cache_gives_the_bits_of_a_cold_one_and_of_none(
    tmp_path: Path, augment: Augmentation | None
) -> None:
    def run(context_cache: object) -> list[FeatureBatch]:
        extractor = Extractor("desc", given_images.context(cache=context_cache), batch_size=4)  # type: ignore[arg-type]
        return list(extractor.batches(given_images.images(5), augment=augment, title="x"))

    without = run(None)
    cold, warm = given_images.cache_in(tmp_path), given_images.cache_in(tmp_path)
    assert_same_bits(without, run(cold))
    assert_same_bits(without, run(warm))
    rows = 5 * (1 if augment is None else 7)
    assert (cold.stats().hits, cold.stats().misses) == (0, rows)
    assert (warm.stats().hits, warm.stats().misses) == (rows, 0)


def test_a_batch_of_hits_and_misses_gives_the_same_bits(tmp_path: Path) -> None:
    images, cache = given_images.images(8), given_images.cache_in(tmp_path)
    extractor = Extractor("desc", given_images.context(cache=cache), batch_size=3)
    list(extractor.batches(images, indices=[1, 4, 5], title="first"))
    mixed = list(extractor.batches(images, title="all"))
    plain = Extractor("desc", given_images.context(), batch_size=8)
    assert_same_bits(mixed, list(plain.batches(images, title="all")))
    assert (cache.stats().hits, cache.stats().misses) == (3, 3 + 5)


def test_a_feature_does_not_depend_on_what_is_computed_with_it(tmp_path: Path) -> None:
    timm, files = pytest.importorskip("timm"), pytest.importorskip("safetensors.torch")
    torch.manual_seed(0)
    # The last bits of its answers do depend on the number of images, even after rounding to float16.
    model = timm.create_model("mobilenetv2_050")
    files.save_file(model.state_dict(), tmp_path / "mobile.safetensors")
    backbone = f"timm:mobilenetv2_050@{tmp_path / 'mobile.safetensors'}"
    images = given_images.images(16)
    context = given_images.context(view=View(224, 224))
    together = list(Extractor(backbone, context, batch_size=16).batches(images, title="at once"))
    for size in (1, 5):
        parts = list(Extractor(backbone, context, batch_size=size).batches(images, title="in parts"))
        assert_same_bits(parts, together)


def test_a_warm_cache_decodes_no_image(tmp_path: Path) -> None:
    for decodings in (4, 0):
        source = given_images.NoisePictures()
        context = given_images.context(cache=given_images.cache_in(tmp_path))
        list(Extractor("desc", context).batches(given_images.images(4, source), title="x"))
        assert source.decoded.total() == decodings


def test_the_copies_of_an_image_share_one_decoding() -> None:
    source = given_images.NoisePictures()
    extractor = Extractor("desc", given_images.context(), batch_size=5)
    list(extractor.batches(given_images.images(3, source), augment=Augmentation("rot30flip"), title="x"))
    assert set(source.decoded.values()) == {1}


def test_decoding_in_threads_reads_the_same_pixels() -> None:
    augment = Augmentation("rot90flip")
    rows = [Row(index, pose) for index in (2, 0, 2) for pose in augment.poses]
    images, view = given_images.images(3), View(64, 56)
    alone, together = (PixelReader(images, view, augment, threaded=threaded) for threaded in (False, True))
    np.testing.assert_array_equal(together.read(rows), alone.read(rows))


def test_damaged_records_are_computed_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    images = given_images.images(3)
    extractor = Extractor("desc", given_images.context(cache=given_images.cache_in(tmp_path)))
    before = list(extractor.batches(images, title="x"))
    paths = sorted(tmp_path.rglob("*.npy"))
    paths[0].write_bytes(paths[0].read_bytes()[:1000])
    paths[1].write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        assert_same_bits(before, list(extractor.batches(images, title="x")))
    assert len(caplog.records) == 2
    warm = given_images.cache_in(tmp_path)
    again = Extractor("desc", given_images.context(cache=warm))
    assert_same_bits(before, list(again.batches(images, title="x")))
    assert warm.stats().misses == 0


def test_views_do_not_share_features(tmp_path: Path) -> None:
    for view in (View(64, 56), View(64, 48)):
        cache = given_images.cache_in(tmp_path)
        extractor = Extractor("desc", given_images.context(cache=cache, view=view))
        (batch,) = extractor.batches(given_images.images(2), title="x")
        assert cache.stats().hits == 0
        assert batch.maps[0].shape[-1] == view.crop // 8


def test_progress_counts_every_row() -> None:
    notes = given_images.ProgressNotes()
    extractor = Extractor("desc", given_images.context(progress=notes), batch_size=4)
    list(extractor.batches(given_images.images(6), title="plain"))
    list(extractor.batches(given_images.images(2), augment=Augmentation("rot90flip"), title="copies"))
    assert notes.steps == [("plain", 6, 6), ("copies", 14, 14)]


def test_values_beyond_float16_saturate() -> None:
    extractor = Extractor("desc", given_images.context())

    class Bright:
        def __call__(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"desc": torch.full((1, 1, 2, 2), 1e6), "pooled": torch.full((1, 2), -1e6)}

    extractor.backbone = Bright()  # type: ignore[assignment]
    (batch,) = extractor.batches(given_images.images(1), title="x")
    assert batch.maps[0].unique().tolist() == [65504.0]
    assert batch.pooled.unique().tolist() == [-65504.0]


@pytest.mark.parametrize(
    ("name", "count", "step"), [("rot90flip", 7, 90), ("rot30flip", 23, 30), ("rot15flip", 47, 15)]
)
def test_copies_are_all_poses_but_the_image_itself(name: str, count: int, step: int) -> None:
    augment = Augmentation(name)
    poses = [(pose.angle, pose.flip) for pose in augment.poses]
    assert len(augment) == count == len(poses)
    assert poses == [(a, f) for a in range(0, 360, step) for f in (False, True) if (a, f) != (0, False)]
    extractor = Extractor("desc", given_images.context(), batch_size=10)
    rows, _, _ = collected(
        list(extractor.batches(given_images.images(3), augment=augment, indices=[2, 0], title="x"))
    )
    assert rows == [2] * count + [0] * count


def test_no_two_copies_of_an_image_are_equal() -> None:
    images, view = given_images.images(1), View(64, 56)
    for name in AUGMENTATIONS:
        augment = Augmentation(name)
        views = [transform.view_pixels(images[0], view)]
        views += [transform.augmented_view(images[0], view, augment, pose) for pose in augment.poses]
        assert len({seen.tobytes() for seen in views}) == len(views)
        assert {seen.shape for seen in views} == {(56, 56, 3)}


def test_right_angles_turn_the_crop_itself() -> None:
    pixels, view = given_images.images(1)[0], View(64, 56)
    crop = Image.fromarray(transform.view_pixels(pixels, view))
    augment = Augmentation("rot90flip")
    for pose in augment.poses:
        mirrored = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if pose.flip else crop
        expected = np.asarray(mirrored.rotate(pose.angle))
        np.testing.assert_array_equal(transform.augmented_view(pixels, view, augment, pose), expected)


@pytest.mark.parametrize("name", ["rot30flip", "rot15flip"])
def test_rotations_equal_torchvision_but_for_ties_of_the_nearest_pixel(name: str) -> None:
    functional = pytest.importorskip("torchvision.transforms.functional")
    view, augment = View(64, 56), Augmentation(name)
    pixels = given_images.images(1)[0]
    resized = torch.tensor(transform.resize_image(pixels, 64)).permute(2, 0, 1)
    margin = 12  # ceil((sqrt(2) - 1) * 56 / 2)
    for pose in augment.poses:
        there = functional.hflip(resized) if pose.flip else resized
        if pose.angle:
            there = functional.pad(there, margin, padding_mode="edge")
            there = functional.rotate(there, pose.angle, fill=0)
        there = functional.center_crop(there, [56, 56])
        ours = transform.augmented_view(pixels, view, augment, pose)
        assert (ours != there.permute(1, 2, 0).numpy()).any(axis=2).mean() < 0.05, str(pose)


def test_no_corner_of_a_rotated_copy_is_empty() -> None:
    white = np.full((64, 64, 3), 255, np.uint8)
    for angle in range(0, 360, 15):
        assert transform.rotated_crop(white, angle, 64).min() == 255


def test_copies_that_two_augmentations_share_are_stored_once(tmp_path: Path) -> None:
    cache = given_images.cache_in(tmp_path)
    extractor = Extractor("desc", given_images.context(cache=cache))
    list(extractor.batches(given_images.images(1), augment=Augmentation("rot30flip"), title="x"))
    list(extractor.batches(given_images.images(1), augment=Augmentation("rot15flip"), title="x"))
    assert (cache.stats().hits, cache.stats().misses) == (23, 47)


def test_an_unknown_augmentation_lists_the_known() -> None:
    with pytest.raises(BadParameter, match=r"unknown augmentation 'rot7'.*'rot90flip'.*'rot15flip'"):
        Augmentation("rot7")
