"""What is special about PatchCore, SoftPatch, TailedCore and PaDiM, on pictures where it shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from small_images import SIDE, Painter, context, image_set, judged_images, train_images
from torch import from_numpy
from torch.nn import functional

from ltbench.methods import catalog
from ltbench.methods.base import Method, Prediction
from ltbench.methods.blocks.denoise import denoise
from ltbench.methods.blocks.memory import MemoryBank
from ltbench.methods.errors import BadParameter, MethodsError
from ltbench.methods.features.embed import PatchEmbedder
from ltbench.splits.images import ImageSet, LabelledImage

BANKS = ["patchcore", "softpatch", "tailedcore"]
ALL = [*BANKS, "padim"]


def run(name: str, train: list[LabelledImage], **fields: Any) -> tuple[Method, Prediction, dict[str, float]]:
    figures: dict[str, float] = {}
    method = catalog.create(name, backbone="desc", **fields)
    shared = context(figures=figures)
    method.fit(image_set(train), shared)
    return method, method.score(image_set(judged_images()), shared), figures


def by_kind(prediction: Prediction) -> dict[tuple[str, str], np.ndarray]:
    """Scores per (product, defect)."""
    images = sorted(judged_images(), key=lambda image: image.key)
    kinds = [(image.category, image.defect) for image in images]
    return {kind: prediction.scores[[k == kind for k in kinds]] for kind in set(kinds)}


@pytest.mark.parametrize("name", ALL)
def test_spotted_images_score_above_good_ones_of_their_product(name: str) -> None:
    scores = by_kind(run(name, train_images({"stripes": 12, "checks": 8}))[1])
    for product in ("stripes", "checks"):
        assert scores[product, "spot"].min() > scores[product, ""].max()


@pytest.mark.parametrize("name", BANKS)
def test_the_worst_patch_is_on_the_spot_and_is_the_image_score(name: str) -> None:
    _, prediction, _ = run(name, train_images({"stripes": 12, "checks": 8}))
    assert prediction.grids is not None
    np.testing.assert_array_equal(prediction.scores, prediction.grids.max(axis=(1, 2)))
    painter = Painter()
    images = sorted(judged_images(), key=lambda image: image.key)
    for image, grid in zip(images, prediction.grids, strict=True):
        if image.defect:
            red = painter.pixels(image)[..., 0].astype(int) - painter.pixels(image)[..., 1] > 150
            rows, columns = np.nonzero(red)
            row, column = np.unravel_index(grid.argmax(), grid.shape)
            cell = SIDE / len(grid)
            assert abs(row * cell + cell / 2 - rows.mean()) <= 2 * cell
            assert abs(column * cell + cell / 2 - columns.mean()) <= 2 * cell


def test_scores_are_squared_distances_to_the_nearest_memory_patch() -> None:
    rng = np.random.default_rng(0)
    rows, vectors = (
        rng.normal(size=(50, 6)).astype(np.float32),
        rng.normal(size=(2, 3, 4, 6)).astype(np.float32),
    )
    squared = ((vectors.reshape(-1, 1, 6) - rows[None]) ** 2).sum(2)
    np.testing.assert_allclose(MemoryBank(rows).grids(vectors).ravel(), squared.min(1), rtol=1e-5)
    weights = rng.uniform(0.5, 2, size=50).astype(np.float32)
    expected = weights[squared.argmin(1)] * squared.min(1)
    np.testing.assert_allclose(MemoryBank(rows, weights=weights).grids(vectors).ravel(), expected, rtol=1e-5)


# ---- PatchCore


def test_the_whole_bank_knows_every_training_patch() -> None:
    train = train_images()
    method = catalog.create("patchcore", backbone="desc", coreset_ratio=1.0)
    method.fit(image_set(train), context())
    assert not method.score(image_set(train), context()).scores.any()


@pytest.mark.parametrize("start", ["mean10", "random1"])
def test_the_bank_has_the_size_that_was_asked_for(start: str) -> None:
    patches = 14 * 64  # 14 images on an 8 x 8 grid
    for fields, rows in [
        ({"coreset_ratio": 0.25}, patches // 4),
        ({"coreset_ratio": 0.25, "grid": 4}, patches // 16),
        ({"coreset_ratio": 0.25, "max_bank": 30}, 30),
    ]:
        _, prediction, figures = run("patchcore", train_images(), coreset_start=start, **fields)
        assert figures["memory_bank_mb"] == pytest.approx(rows * 33 * 4 / 1e6)
        assert prediction.grids is not None
        assert prediction.grids.shape[1] == fields.get("grid", 8)


def test_contamination_blinds_patchcore_but_not_softpatch() -> None:
    """The same defect sits in training: a full memory knows it, a denoised one does not."""
    train = train_images({"stripes": 20}, spots=2)
    injected = [image for image in train if image.defect]
    seen = {
        name: _scores_of(name, train, injected, coreset_ratio=0.5)
        / _scores_of(name, train, train[:5], coreset_ratio=0.5)
        for name in ("patchcore", "softpatch")
    }
    assert seen["softpatch"] > 3 * seen["patchcore"]


def _scores_of(name: str, train: list[LabelledImage], judged: list[LabelledImage], **fields: Any) -> float:
    method = catalog.create(name, backbone="desc", **fields)
    method.fit(image_set(train), context())
    return float(method.score(image_set(judged), context()).scores.mean())


# ---- denoising


def planted(outliers: int = 3) -> np.ndarray:
    """(20, 4, 4, 16): well-behaved patches, and the same odd patch in single places of a few images."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(20, 4, 4, 16)).astype(np.float32)
    for image in range(outliers):
        vectors[image, 1, image] += 20
    return vectors


def test_planted_outliers_are_dropped_and_the_share_is_kept() -> None:
    clean = denoise(planted(), neighbours=6, removed=0.15, projection=None, rng=np.random.default_rng(0))
    kept = clean.kept.reshape(20, 4, 4)
    assert not any(kept[image, 1, image] for image in range(3))
    assert kept.mean() == pytest.approx(0.85, abs=0.01)
    assert clean.factor.reshape(20, 4, 4)[0, 1, 0] > 3


def test_one_threshold_per_position_drops_the_same_share_everywhere() -> None:
    clean = denoise(
        planted(), neighbours=6, removed=0.25, projection=8, rng=np.random.default_rng(0), pooling="position"
    )
    assert (clean.kept.reshape(20, 16).sum(axis=0) == 15).all()


def test_nothing_is_dropped_where_all_images_are_one_or_the_share_is_zero() -> None:
    rng = np.random.default_rng(0)
    for vectors in (planted()[:1], np.repeat(planted()[:1], 9, axis=0)):
        assert denoise(vectors, neighbours=6, removed=0.15, projection=None, rng=rng).kept.all()
    assert denoise(planted(), neighbours=6, removed=0.0, projection=None, rng=rng).kept.all()
    with pytest.raises(BadParameter, match=r"removed 1\.5"):
        denoise(planted(), neighbours=6, removed=1.5, projection=None, rng=rng)


def test_soft_weights_multiply_the_patch_scores_by_outlier_factors() -> None:
    weighted, plain = (run("softpatch", train_images(), soft_weights=soft)[1].grids for soft in (True, False))
    assert weighted is not None
    assert plain is not None
    ratio = weighted[plain > 0] / plain[plain > 0]
    # A factor below 0.5 needs neighbours twice as dense as oneself, one above the threshold was dropped.
    assert 0.5 < ratio.min() < 1 < ratio.max() < 3


@pytest.mark.parametrize("start", ["mean10", "random1"])
def test_no_dropped_patch_enters_the_memory_not_even_first(start: str) -> None:
    """Asked for as many centres as there are patches, the memory is exactly what was kept."""
    _, _, figures = run("softpatch", train_images(), coreset_start=start, coreset_of="all", coreset_ratio=1.0)
    assert figures["kept_share"] == pytest.approx(0.85, abs=0.01)
    assert figures["memory_bank_mb"] == pytest.approx(figures["kept_share"] * 14 * 64 * 33 * 4 / 1e6)


# ---- long tails


LONG_TAIL = {"stripes": 40, "checks": 3}


def test_denoising_alone_erases_a_rare_product_and_tailedcore_keeps_it() -> None:
    good = {}
    for name in BANKS:
        scores = by_kind(run(name, train_images(LONG_TAIL))[1])
        good[name] = scores["checks", ""].mean() / scores["stripes", ""].mean()
    assert good["softpatch"] > 2 * good["patchcore"]
    assert good["tailedcore"] < 1.2 * good["patchcore"]


def test_the_tail_is_found_and_reported_without_labels() -> None:
    _, _, figures = run("tailedcore", train_images(LONG_TAIL), augment="none")
    assert figures["estimated_tail_images"] == 3
    assert figures["tail_memory_rows"] == int(0.1 * 3 * 64)
    assert figures["head_memory_rows"] == pytest.approx(0.1 * 0.85 * 43 * 64, abs=2)


def test_even_products_have_no_tail_memory() -> None:
    _, _, figures = run("tailedcore", train_images({"stripes": 12, "checks": 12}))
    assert figures["estimated_tail_images"] == 0
    assert "tail_memory_rows" not in figures


@pytest.mark.parametrize(
    ("fields", "rows"),
    [
        ({}, 3 * 8 * 64),
        ({"max_augmented_images": 1}, (3 + 7) * 64),
        ({"max_augmented_rows": 3 * 7 * 10}, 3 * 64 + 210),
    ],
)
def test_copies_of_tail_images_enter_the_memory_up_to_the_limits(fields: dict[str, int], rows: int) -> None:
    _, _, figures = run("tailedcore", train_images(LONG_TAIL), coreset_ratio=0.5, **fields)
    assert figures["tail_memory_rows"] == rows // 2


def test_variants_are_the_two_memories_alone() -> None:
    both, head, tail = (
        run("tailedcore", train_images(LONG_TAIL), variant=variant, augment="none")[2]
        for variant in ("full", "head", "tail")
    )
    assert both["memory_bank_mb"] == pytest.approx(head["memory_bank_mb"] + tail["memory_bank_mb"])
    with pytest.raises(MethodsError, match="no tail was found"):
        run("tailedcore", train_images({"stripes": 12}), variant="tail")


# ---- PaDiM


def test_padim_scores_the_maximum_of_the_smoothed_map() -> None:
    _, prediction, _ = run("padim", train_images(), grid=None)
    assert prediction.grids is not None
    wide = functional.interpolate(from_numpy(prediction.grids)[:, None], SIDE, mode="bilinear")[:, 0].numpy()
    expected = [ndimage.gaussian_filter(plane, 4.0).max() for plane in wide]
    np.testing.assert_allclose(prediction.scores, expected, rtol=1e-5)
    _, raw, _ = run("padim", train_images(), grid=None, smooth_image_score=False)
    np.testing.assert_array_equal(raw.scores, prediction.grids.max(axis=(1, 2)))


def test_padim_draws_the_channels_that_were_asked_for() -> None:
    few, many = (run("padim", train_images(), channels=channels)[0] for channels in (5, 1000))
    assert few._field.mean.shape[1] == 5
    assert many._field.mean.shape[1] == 33


# ---- patch vectors


def embedded(images: ImageSet, **options: Any) -> tuple[PatchEmbedder, np.ndarray]:
    embedder = PatchEmbedder("desc", context(), **options)
    return embedder, embedder.fit(images, title="embed").vectors


def test_channels_get_unit_spread_and_keep_it_when_scoring() -> None:
    images = image_set(train_images())
    embedder, vectors = embedded(images)
    _, raw = embedded(images, standardise=False)
    np.testing.assert_allclose(vectors.std(axis=(0, 1, 2)), 1 / np.sqrt(33), rtol=1e-4)
    np.testing.assert_allclose(vectors, raw / raw.std(axis=(0, 1, 2)) / np.sqrt(33), rtol=1e-3)
    again = embedder.collect(images, title="embed again").vectors
    np.testing.assert_array_equal(again, vectors)


def test_a_set_of_patches_follows_the_images_asked_for() -> None:
    images = image_set(train_images())
    embedder, vectors = embedded(images)
    some = embedder.collect(images, title="some", indices=[5, 2])
    assert some.indices == (5, 2)
    np.testing.assert_allclose(some.vectors, vectors[[5, 2]], rtol=1e-6)


def test_pooled_embedding_of_patchcore_has_1024_numbers_whatever_the_backbone() -> None:
    assert embedded(image_set(train_images()), embedding="patchcore")[1].shape == (14, 8, 8, 1024)
    with pytest.raises(BadParameter, match="'mean'"):
        embedded(image_set(train_images()), embedding="mean")
