"""FUN-AD: each step against loops over single patches, its training, what it finds in a dirty set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from interrupted_training import require_exact_resumption
from scipy.spatial.distance import cdist
from small_images import context, image_set, judged_images, train_images

from ltbench.methods import catalog
from ltbench.methods.base import Context
from ltbench.methods.blocks.pseudo_labels import (
    balanced_cross_entropy,
    disagreement,
    distances_to_others,
    mutual_pairs,
    normal_looking,
    scaled,
    shaken,
)

SMALL = {"backbone": "desc", "grid": 6, "width": 16, "hidden": (8,), "batch_size": 4, "bank_rows": 60}


@pytest.fixture(autouse=True)
def _fixed_draws() -> None:
    torch.manual_seed(0)


def test_half_of_the_images_that_score_low_look_normal() -> None:
    scores = np.array([0.2, 0.9, 0.25, 0.3, 0.21, 0.54, 0.56, 0.6], np.float32)
    # Scaled to 0 to 1, 0.55 is the middle of 0.2 and 0.9.
    low = {0, 2, 3, 4, 5}
    draws = [normal_looking(scores, np.random.default_rng(seed)) for seed in range(40)]
    assert all(len(set(draw)) == 2 and set(draw) <= low for draw in draws)
    assert set(np.concatenate(draws)) == low
    assert len(normal_looking(np.ones(6, np.float32), np.random.default_rng(0))) == 3
    assert normal_looking(np.ones(1, np.float32), np.random.default_rng(0)).tolist() == [0]


def test_a_patch_of_the_memory_is_compared_with_its_neighbour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ltbench.methods.blocks.pseudo_labels._QUERIES_AT_ONCE", 7)
    bank = torch.randn(30, 6)
    queries = torch.cat([torch.randn(20, 6), bank[:10]])
    squared = np.sort(cdist(queries.double(), bank.double(), "sqeuclidean"), axis=1)
    expected = np.where(squared[:, 0] < 1e-2, squared[:, 1], squared[:, 0])
    np.testing.assert_allclose(distances_to_others(queries, bank), expected, rtol=1e-4)
    alone = distances_to_others(bank[:2], bank[:1])
    assert alone[0] == 0
    assert alone[1] > 0


def test_distances_are_scaled_within_the_batch() -> None:
    assert scaled(torch.tensor([2.0, 6.0, 4.0, 3.0])).tolist() == [0.0, 1.0, 0.5, 0.25]
    assert scaled(torch.full((3,), 7.0)).tolist() == [0.0, 0.0, 0.0]


def test_noise_comes_to_barely_anomalous_patches_only() -> None:
    tokens = torch.randn(400, 9, 3) * torch.tensor([1.0, 10.0, 0.0])
    tokens[:, 4] *= 2
    distance = torch.tensor([0.0, 0.5, 0.51, 0.7, 0.89, 0.9, 0.95, 1.0, 0.2]).expand(400, 9)
    noise = shaken(tokens, distance) - tokens
    moved = noise.abs().amax(dim=(0, 2)) > 0
    assert moved.tolist() == [False, False, True, True, True, False, False, False, False]
    # The widest position gives the deviation.
    torch.testing.assert_close(noise[:, 3].std(dim=0), torch.tensor([2.0, 20.0, 0.0]), rtol=0.15, atol=1e-6)
    assert torch.equal(shaken(tokens[:1], distance[:1]), tokens[:1])


def test_both_sides_weigh_the_same_whatever_their_number() -> None:
    logits, anomalous = torch.tensor([2.0, -1.0, 0.5, -3.0]), torch.tensor([True, False, False, False])
    probability = 1 / (1 + np.exp(-logits.double().numpy()))
    expected = -np.log(probability[0]) - np.log(1 - probability[1:]).mean()
    assert float(balanced_cross_entropy(logits, anomalous)) == pytest.approx(expected, rel=1e-6)
    nothing = balanced_cross_entropy(logits, torch.zeros(4, dtype=torch.bool))
    assert float(nothing) == pytest.approx(-np.log(1 - probability).mean(), rel=1e-6)


def test_pairs_are_each_others_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ltbench.methods.blocks.pseudo_labels._QUERIES_AT_ONCE", 16)
    features = torch.randn(50, 3)
    distance = cdist(features.double(), features.double())
    np.fill_diagonal(distance, np.inf)
    nearest = distance.argmin(axis=1)
    expected = [(i, int(j)) for i, j in enumerate(nearest) if nearest[j] == i and i < j]
    first, second = mutual_pairs(features)
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == expected
    scores = torch.rand(50)
    halves = [abs(float(scores[i] - scores[j])) / 2 for i, j in expected]
    assert float(disagreement(scores, (first, second))) == pytest.approx(np.mean(halves), rel=1e-5)
    assert float(disagreement(scores, mutual_pairs(features[:1]))) == 0


def test_defects_of_a_dirty_training_set_are_found() -> None:
    train = train_images({"stripes": 24}, spots=4)
    method = catalog.create("funad", **{**SMALL, "grid": 8, "iterations": 80, "learning_rate": 1e-3})
    method.fit(image_set(train), context())
    judged = judged_images(6, ("stripes",))
    scores = method.score(image_set(judged), context()).scores
    defective = np.array([bool(image.defect) for image in sorted(judged, key=lambda image: image.key)])
    assert (scores[defective][:, None] > scores[~defective]).mean() > 0.9


def variances(**fields: object) -> tuple[float, float]:
    """Summed variance of the channels of a patch, and of the embedding of the whole image beside it."""
    method = catalog.create("funad", **{**SMALL, "iterations": 1, **fields})
    method.fit(image_set(train_images()), context())
    tokens = next(method._reader.batches(image_set(train_images()), title=""))
    variance = method._joined(tokens).flatten(0, 1).var(dim=0)
    split = tokens.vectors.shape[-1]
    return float(variance[:split].sum()), float(variance[split:].sum())


def test_patch_and_whole_image_weigh_the_same_whatever_their_widths() -> None:
    """33 numbers of a patch, 66 of the image."""
    patch, image = variances(image_weight=1.0)
    assert image == pytest.approx(patch, rel=0.05)
    assert variances(image_weight=0.25)[1] == pytest.approx(patch / 4, rel=0.05)
    assert variances(image_weight=0.0)[1] == 0


def test_features_that_are_not_standardised_stay_as_they_are() -> None:
    method = catalog.create("funad", **SMALL, iterations=1, standardise=False, image_weight=1.0)
    method.fit(image_set(train_images()), context())
    tokens = next(method._reader.batches(image_set(train_images()), title=""))
    assert torch.equal(method._joined(tokens)[:, 0, tokens.vectors.shape[-1] :], tokens.pooled)


def test_a_killed_training_ends_with_the_same_scores(tmp_path: Path) -> None:
    """Killed between two choices of the memory, which must be known after the resumption."""

    def scores(shared: Context) -> np.ndarray:
        method = catalog.create("funad", **SMALL, iterations=9, refresh=4)
        method.fit(image_set(train_images()), shared)
        return method.score(image_set(judged_images()), shared).scores

    require_exact_resumption(scores, context, tmp_path, done=6)
