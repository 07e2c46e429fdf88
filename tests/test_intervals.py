"""Bootstrap intervals: against scikit-learn and scipy, and whether they cover what they claim to cover."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics

from ltbench.reports.numbers import number
from ltbench.reports.statistics.image_metrics import IMAGE_METRICS, image_metrics
from ltbench.reports.statistics.intervals import INTERVALS, category_intervals, image_intervals, seed_interval
from ltbench.reports.statistics.resampling import Draws, drawn_weights, left_out


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(4)


def by_definition(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    precision, recall, _ = metrics.precision_recall_curve(labels, scores)
    f1 = [2 * p * r / (p + r) for p, r in zip(precision, recall, strict=True) if p + r > 0]
    return {
        "image_auroc": metrics.roc_auc_score(labels, scores),
        "image_ap": metrics.average_precision_score(labels, scores),
        "image_f1max": max(f1),
    }


@pytest.mark.parametrize("decimals", [12, 1, 0])
def test_weighted_metrics_are_those_of_the_repeated_images(rng: np.random.Generator, decimals: int) -> None:
    labels = np.arange(40) < 15
    scores = (rng.normal(size=40) + labels).round(decimals)
    weights = Draws(resamples=300, seed=3).weights(labels)
    found = image_metrics(scores, labels, weights.astype(np.float64))
    single = image_metrics(scores, labels, weights)
    for column in range(0, 300, 23):
        drawn = np.repeat(np.arange(40), weights[:, column].astype(int))
        expected = by_definition(scores[drawn], labels[drawn])
        for name in IMAGE_METRICS:
            assert found[name][column] == pytest.approx(expected[name], abs=1e-12)
            assert single[name][column] == pytest.approx(expected[name], abs=1e-6)


def test_good_and_defective_images_are_drawn_apart() -> None:
    labels = np.array([True, False, False, True, False])
    weights = Draws(resamples=50).weights(labels)
    assert (weights[labels].sum(axis=0) == 2).all()
    assert (weights[~labels].sum(axis=0) == 3).all()


def test_every_image_is_as_likely_as_any_other(rng: np.random.Generator) -> None:
    counted = drawn_weights(5, 20_000, rng)
    assert np.abs(counted.mean(axis=1) - 1).max() < 0.03
    assert counted.var() == pytest.approx(0.8, abs=0.02)


def test_methods_meet_the_same_resamples() -> None:
    labels = np.arange(30) % 3 == 0
    draws = Draws(resamples=20)
    assert np.array_equal(draws.weights(labels), draws.weights(labels))
    assert np.array_equal(draws.weights(labels), Draws(resamples=20).weights(labels))
    assert not np.array_equal(draws.weights(labels), Draws(resamples=20, seed=1).weights(labels))


def test_left_out_images_are_left_out_once() -> None:
    few = left_out(np.array([True, False, True, False, False]))
    assert np.array_equal((few.weights == 0).sum(axis=1), np.ones(5))
    assert list(few.sizes) == [1] * 5
    many = left_out(np.arange(1501) < 450)
    assert ((many.weights == 0).sum(axis=1) == 1).all()
    assert np.array_equal((many.weights == 0).sum(axis=0), many.sizes)
    assert many.sizes[many.kinds].sum() == 450
    assert len(many.sizes) < 500


def test_the_interval_is_the_accelerated_one_of_scipy(rng: np.random.Generator) -> None:
    labels = np.arange(60) < 35
    scores = rng.normal(size=60) + 1.3 * labels
    value, found = category_intervals(scores, labels, Draws(resamples=20_000))["image_auroc"]

    def auroc(defective: np.ndarray, good: np.ndarray, axis: int = -1) -> np.ndarray:
        both = np.concatenate([defective, good], axis=axis)
        ranked = stats.rankdata(both, axis=axis)
        above = (
            ranked[..., : defective.shape[-1]].sum(axis=-1)
            - defective.shape[-1] * (defective.shape[-1] + 1) / 2
        )
        return above / (defective.shape[-1] * good.shape[-1])

    scipys = stats.bootstrap(
        (scores[labels], scores[~labels]), auroc, n_resamples=20_000, method="BCa", rng=rng
    ).confidence_interval
    assert value == pytest.approx(auroc(scores[labels], scores[~labels]))
    assert found.low == pytest.approx(scipys.low, abs=0.004)
    assert found.high == pytest.approx(scipys.high, abs=0.004)


@pytest.mark.parametrize(("auroc", "defective", "good"), [(0.75, 30, 20), (0.9, 60, 40), (0.95, 30, 12)])
def test_intervals_of_auroc_cover_the_truth_as_often_as_they_claim(
    auroc: float, defective: int, good: int
) -> None:
    rng = np.random.default_rng(1)
    labels = np.arange(defective + good) < defective
    shift = np.sqrt(2) * stats.norm.ppf(auroc)
    draws, repeats = Draws(resamples=500), 400
    covered = 0
    for _ in range(repeats):
        _, found = category_intervals(rng.normal(size=len(labels)) + shift * labels, labels, draws)[
            "image_auroc"
        ]
        covered += found.low <= auroc <= found.high
    # 95 % +- three standard errors of 400 repeats, and what small test sets cost.
    assert 0.91 <= covered / repeats <= 0.985


def over_seeds(means: np.ndarray) -> tuple[float, float]:
    return seed_interval(means.mean(), means.std(ddof=1), len(means))


def test_intervals_over_three_seeds_cover_the_truth_as_often_as_they_claim(rng: np.random.Generator) -> None:
    found = [over_seeds(rng.normal(0.8, 0.02, size=3)) for _ in range(1500)]
    assert 0.93 <= np.mean([low <= 0.8 <= high for low, high in found]) <= 0.97


def test_seed_intervals_are_students_and_stay_within_bounds(rng: np.random.Generator) -> None:
    means = rng.uniform(0.4, 0.6, size=5)
    expected = stats.ttest_1samp(means, 0.5).confidence_interval(0.95)
    assert over_seeds(means) == pytest.approx((expected.low, expected.high))
    assert over_seeds(np.array([0.99, 0.2])) == (0.0, 1.0)


def test_a_number_of_one_seed_or_with_a_hole_has_no_interval() -> None:
    assert number([1], [0.9], "").interval is None
    assert number([1, 2], [0.9, np.nan], "no maps").interval is None
    assert number([1, 2], [3.0, 4.0], "", is_fraction=False).interval is None
    assert number([1, 2], [0.8, 0.9], "").interval == over_seeds(np.array([0.8, 0.9]))


def test_perfect_separation_is_not_certainty() -> None:
    labels = np.arange(20) < 8
    found = category_intervals(labels.astype(float), labels, Draws())
    value, auroc = found["image_auroc"]
    assert value == auroc.high == 1.0
    # The chance to win 8 fair pairs at the bound is one in twenty.
    assert auroc.low**8 == pytest.approx(0.05)
    assert "all resamples are equal" in found["image_ap"][1].why
    assert category_intervals(1 - labels, labels, Draws())["image_auroc"][1].high == pytest.approx(
        1 - auroc.low
    )


@pytest.mark.parametrize(
    ("scores", "labels", "why"),
    [
        ([0.1, 0.2], [True, True], "no good image"),
        ([0.1, 0.2], [False, False], "no defective image"),
        ([0.1, np.nan], [True, False], "a score is not finite"),
        ([0.5, 0.2, 0.7], [True, False, False], "a single image cannot be resampled"),
    ],
)
def test_what_has_no_interval_says_why(scores: list[float], labels: list[bool], why: str) -> None:
    _, found = category_intervals(np.array(scores), np.array(labels), Draws())["image_auroc"]
    assert np.isnan([found.low, found.high]).all()
    assert found.why == why


def score_frame(rng: np.random.Generator, categories: int = 15, images: int = 100) -> pd.DataFrame:
    count = categories * images
    labels = np.tile(np.arange(images) < images // 2, categories)
    return pd.DataFrame(
        {
            "key": [f"{i:06d}" for i in rng.permutation(count)],
            "category": np.repeat([f"c{i}" for i in range(categories)], images),
            "label": labels,
            "score": (rng.normal(size=count) + labels).astype(np.float32),
        }
    )


def test_the_order_of_rows_does_not_move_an_interval(rng: np.random.Generator) -> None:
    frame = score_frame(rng, categories=3)
    found = image_intervals(frame, Draws())
    assert tuple(found.columns) == INTERVALS
    assert len(found) == 3 * len(IMAGE_METRICS)
    assert ((found["ci_low"] < found["value"]) & (found["value"] < found["ci_high"])).all()
    pd.testing.assert_frame_equal(found, image_intervals(frame.sample(frac=1, random_state=1), Draws()))


def test_intervals_of_a_cell_take_a_second_at_most(rng: np.random.Generator) -> None:
    frame, draws = score_frame(rng), Draws()
    start = time.process_time()
    image_intervals(frame, draws)
    assert time.process_time() - start < 3.0
