"""InReaCh: channels against loops over single patches, positions, what the memory forgets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from small_images import Painter, context, image_set, judged_images, train_images

from ltbench.methods import catalog
from ltbench.methods.base import Context, MapPost, View
from ltbench.methods.blocks.channels import NO_CHANNEL, Spread, associate, recurring
from ltbench.methods.blocks.score_maps import anomaly_maps
from ltbench.methods.errors import BadParameter
from ltbench.methods.inreach import ALIGNED_ABOVE, asymmetry, with_positions
from ltbench.splits.images import LabelledImage


def random_vectors(images: int = 7, patches: int = 12, dim: int = 5) -> np.ndarray:
    rng = np.random.default_rng(3)
    shared = rng.normal(size=(patches, dim))
    noise = rng.normal(size=(images, patches, dim))
    return (shared[rng.permuted(np.tile(np.arange(patches), (images, 1)), axis=1)] + 0.4 * noise).astype(
        np.float32
    )


def associate_by_loops(vectors: np.ndarray, order: np.ndarray, seeds: int) -> np.ndarray:
    images, patches, _ = vectors.shape
    joined = np.full((images, patches), NO_CHANNEL)
    exact = vectors.astype(np.float64)
    for place, image in enumerate(order):
        for patch in range(patches):
            asked = [
                (((exact[order[k], other] - exact[image, patch]) ** 2).sum(), k, other)
                for k in range(min(place, seeds))
                for other in range(patches)
            ]
            if not asked:
                continue
            _, k, other = min(asked)
            answers = ((exact[image] - exact[order[k], other]) ** 2).sum(axis=1)
            if answers.argmin() == patch:
                joined[image, patch] = k * patches + other
    return joined


@pytest.mark.parametrize("seeds", [1, 3, 20])
def test_a_patch_joins_the_nearest_seed_patch_that_would_have_it_back(seeds: int) -> None:
    vectors, order = random_vectors(), np.array([4, 0, 6, 2, 1, 5, 3])
    expected = associate_by_loops(vectors, order, seeds)
    np.testing.assert_array_equal(associate(vectors, order, seeds), expected)
    assert (expected[4] == NO_CHANNEL).all()
    assert (expected != NO_CHANNEL).mean() > 0.4


def test_many_seeds_are_compared_in_parts_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, order = random_vectors(), np.arange(7)
    whole = associate(vectors, order, 5)
    monkeypatch.setattr("ltbench.methods.blocks.channels._SEEDS_AT_ONCE", 2)
    np.testing.assert_array_equal(associate(vectors, order, 5), whole)


def recurring_by_loops(
    vectors: np.ndarray,
    joined: np.ndarray,
    origins: np.ndarray,
    longer_than: int,
    deviations: float,
    spread: str,
) -> np.ndarray:
    images, patches, _ = vectors.shape
    kept = np.zeros((images, patches), bool)
    for number in range(len(origins) * patches):
        members = [(int(origins[number // patches]), number % patches)]
        members += [tuple(place) for place in np.argwhere(joined == number)]
        if len(members) <= longer_than:
            continue
        rows = np.array([vectors[place] for place in members], np.float64)
        distances = np.linalg.norm(rows - rows.mean(axis=0), axis=1)
        deviation = distances.std() if spread == "distances" else np.sqrt((distances**2).mean())
        near = [
            place
            for place, far in zip(members, distances, strict=True)
            if far < deviations * deviation or (far == deviation == 0 and spread == "rms")
        ]
        if len(near) > longer_than:
            for place in near:
                kept[place] = True
    return kept


@pytest.mark.parametrize(
    ("spread", "deviations"),
    [("distances", 5.0), ("distances", 3.0), ("distances", 8.0), ("rms", 5.0), ("rms", 1.2), ("rms", 1.05)],
)
@pytest.mark.parametrize("longer_than", [1, 3, 5])
def test_long_and_tight_channels_are_kept(longer_than: int, spread: Spread, deviations: float) -> None:
    vectors, origins = random_vectors(9), np.array([2, 5])
    joined = associate(vectors, np.array([2, 5, 0, 1, 3, 4, 6, 7, 8]), 2)
    found = recurring(
        vectors, joined, origins, longer_than=longer_than, max_deviations=deviations, spread=spread
    )
    expected = recurring_by_loops(vectors, joined, origins, longer_than, deviations, spread)
    np.testing.assert_array_equal(found, expected)
    assert expected.any() or longer_than == 5


def one_channel(vectors: np.ndarray, spread: Spread) -> np.ndarray:
    """Which of the vectors (N, D), one per image and all in one channel, are kept."""
    joined = np.array([NO_CHANNEL] + [0] * (len(vectors) - 1))[:, None]
    return recurring(vectors[:, None].astype(np.float32), joined, [0], spread=spread)[:, 0]


def test_one_patch_far_from_all_others_leaves_its_channel() -> None:
    """By the released definition; as a root mean square no patch of 24 can be so far."""
    vectors = np.random.default_rng(0).normal(size=(24, 4)) * 0.05
    vectors[9] = 1000, 0, 0, 0
    assert np.flatnonzero(~one_channel(vectors, "distances")).tolist() == [9]
    assert one_channel(vectors, "rms").all()


def test_a_channel_spread_evenly_is_dropped_whole_by_the_released_definition() -> None:
    assert not one_channel(np.eye(6), "distances").any()
    assert one_channel(np.eye(6), "rms").all()


def test_an_unknown_spread_is_refused() -> None:
    with pytest.raises(BadParameter, match="spread is 'range'"):
        one_channel(np.eye(6), "range")  # type: ignore[arg-type]


def test_a_moving_part_is_followed_and_a_defect_is_not() -> None:
    """Parts change places from image to image; one place of one image shows what no other does."""
    rng = np.random.default_rng(0)
    parts = rng.normal(size=(16, 8)) * 5
    vectors = np.stack([parts[rng.permutation(16)] for _ in range(10)]).astype(np.float32)
    vectors += rng.normal(size=vectors.shape).astype(np.float32) * 0.1
    vectors[7, 3] = 40
    order = np.arange(10)
    kept = recurring(vectors, associate(vectors, order, 1), order[:1], spread="rms")
    assert not kept[7, 3]
    assert kept.sum() == 10 * 16 - 1


def test_equal_patches_stay_together_where_the_spread_is_a_root_mean_square() -> None:
    vectors = np.repeat(random_vectors(1), 5, axis=0)
    joined = associate(vectors, np.arange(5), 1)
    assert recurring(vectors, joined, [0], spread="rms").all()
    assert not recurring(vectors, joined, [0]).any()


def test_rows_and_columns_follow_the_patch_vector() -> None:
    vectors = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype(np.float32)
    placed = with_positions(vectors, 5.0)
    np.testing.assert_array_equal(placed[..., :3], vectors)
    assert placed[1, 3, 2, 3:].tolist() == pytest.approx([3 * 5 / 4, 2 * 5 / 5])


def test_stripes_in_one_pose_are_aligned_and_noise_is_not() -> None:
    def fixed(path: str, pixels: np.ndarray) -> np.ndarray:
        del path
        rows = np.arange(len(pixels))
        return np.broadcast_to((255 * (rows < 32))[:, None, None], pixels.shape).astype(np.uint8)

    aligned = asymmetry(
        image_set(train_images(), source=Painter(fixed)), Context(np.random.default_rng(0), View(64, 64))
    )
    # Half of the picture differs from its transpose by 255.
    assert aligned == pytest.approx(255**2 / 2)
    mixed = asymmetry(image_set(train_images({"checks": 6})), context())
    assert mixed < ALIGNED_ABOVE


def run(train: list[LabelledImage], judged: list[LabelledImage], **fields: Any) -> tuple[np.ndarray, dict]:
    figures: dict[str, float] = {}
    method = catalog.create("inreach", backbone="desc", grid=None, **fields)
    shared = context(figures=figures)
    method.fit(image_set(train), shared)
    return method.score(image_set(judged), shared).scores, figures


def test_spotted_images_score_above_good_ones_of_their_product() -> None:
    judged = judged_images()
    scores, figures = run(train_images({"stripes": 12, "checks": 8}), judged)
    ordered = sorted(judged, key=lambda image: image.key)
    for product in ("stripes", "checks"):
        good = [s for s, i in zip(scores, ordered, strict=True) if i.category == product and not i.defect]
        bad = [s for s, i in zip(scores, ordered, strict=True) if i.category == product and i.defect]
        assert min(bad) > max(good)
    assert figures["channels"] > 0
    assert figures["memory_bank_mb"] == pytest.approx(
        int(0.1 * round(figures["kept_share"] * 20 * 64)) * 33 * 4 / 1e6, rel=0.05
    )


def test_contamination_is_forgotten() -> None:
    """A defect that the training set holds twice stays anomalous; PatchCore knows it."""
    train = train_images({"stripes": 20}, spots=2)
    injected = [image for image in train if image.defect]
    seen, _ = run(train, injected, coreset_ratio=1.0)
    good, _ = run(train, train[:5], coreset_ratio=1.0)
    memory = catalog.create("patchcore", backbone="desc", coreset_ratio=1.0)
    memory.fit(image_set(train), context())
    assert not memory.score(image_set(injected), context()).scores.any()
    assert seen.min() > 2 * good.max()


def test_without_a_long_channel_everything_is_remembered() -> None:
    scores, figures = run(train_images({"stripes": 3}), train_images({"stripes": 3}), coreset_ratio=1.0)
    assert figures["channels"] == figures["kept_share"] == 0
    assert not scores.any()


def test_where_the_spread_rule_empties_all_channels_everything_is_remembered() -> None:
    """The released code stops with an empty memory."""
    train = train_images({"stripes": 12})
    scores, figures = run(train, train, coreset_ratio=1.0, max_deviations=0.5)
    assert figures["channels"] == figures["kept_share"] == 0
    assert not scores.any()


def test_the_image_score_is_the_maximum_of_a_repeated_and_smoothed_map() -> None:
    method = catalog.create("inreach", backbone="desc", smoothing=3.0)
    method.fit(image_set(train_images()), context())
    answer = method.score(image_set(judged_images(1)), context())
    assert answer.post == MapPost(sigma=3.0, upsample="nearest")
    assert answer.grids is not None
    repeated = answer.grids.repeat(8, axis=1).repeat(8, axis=2).astype(np.float64)
    maps = ndimage.gaussian_filter(repeated, (0, 3, 3))
    np.testing.assert_allclose(answer.scores, maps.max(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(anomaly_maps(answer.grids, 64, 3.0, "nearest"), maps, rtol=1e-4, atol=1e-5)
