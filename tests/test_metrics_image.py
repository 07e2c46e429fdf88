"""Image metrics against their definitions and scikit-learn."""

from __future__ import annotations

import metrics_by_definition as definition
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from ltbench.benchmark.errors import UsageError
from ltbench.benchmark.metrics import Answer, Truth, evaluate, load, names, select, standard
from ltbench.registry import UnknownName

IMAGE = ("image_auroc", "image_ap", "image_f1max")


@st.composite
def scored(draw):
    """Scores on a coarse grid, so that ties are common, and labels of both classes."""
    size = draw(st.integers(2, 24))
    scores = draw(st.lists(st.integers(-3, 4), min_size=size, max_size=size))
    labels = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    labels[:2] = [True, False]
    return np.array(scores, np.float32) / 4, np.array(labels)


def values(scores, labels, metrics=IMAGE):
    return [value.value for value in evaluate(Truth(labels), Answer(scores), metrics)]


@given(scored())
def test_image_metrics_equal_their_definition(case):
    scores, labels = case
    got = values(scores, labels)
    assert got[0] == float(definition.auroc(scores, labels))
    assert got[1] == pytest.approx(float(definition.average_precision(scores, labels)), abs=1e-15)
    assert got[2] == float(definition.f1_max(scores, labels))


def test_image_metrics_equal_scikit_learn_on_many_scores():
    rng = np.random.default_rng(1)
    labels = rng.random(5000) < 0.1
    for scores in (rng.normal(size=5000) + labels, np.round(rng.normal(size=5000) + labels, 1)):
        precision, recall, _ = precision_recall_curve(labels, scores)
        f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
        expected = [roc_auc_score(labels, scores), average_precision_score(labels, scores), f1.max()]
        assert values(scores, labels) == pytest.approx(expected, abs=1e-12)


def test_constant_scores_are_chance():
    labels = np.arange(10) < 3
    assert values(np.ones(10), labels) == [0.5, 0.3, pytest.approx(2 * 3 / (10 + 3))]


def test_perfect_scores_are_one_and_reversed_scores_have_auroc_zero():
    labels = np.arange(10) < 3
    assert values(labels.astype(np.float32), labels) == [1, 1, 1]
    assert values(-labels.astype(np.float32), labels)[0] == 0


@given(scored(), st.integers(0, 2**32 - 1))
def test_a_rising_transform_and_a_new_order_change_nothing(case, seed):
    scores, labels = case
    order = np.random.default_rng(seed).permutation(len(scores))
    ranks = np.unique(scores, return_inverse=True)[1].astype(np.float32) ** 3
    assert values(ranks[order], labels[order]) == values(scores, labels)


@pytest.mark.parametrize(
    ("scores", "labels", "why"),
    [
        ([0.1, 0.2], [False, False], "no defective image: one class only"),
        ([0.1, 0.2], [True, True], "no good image: one class only"),
        ([0.1, np.nan], [True, False], "scores are not finite: 1 NaN and 0 infinite, first at image 1"),
        ([np.inf, -np.inf], [True, False], "scores are not finite: 0 NaN and 2 infinite, first at image 0"),
        ([0.1], [True, False], r"scores have shape (1,) for 2 images"),
        (None, [True, False], "the method gives no image scores"),
    ],
)
def test_a_hole_has_a_reason_and_never_a_number(scores, labels, why):
    scores = None if scores is None else np.array(scores)
    for value in evaluate(Truth(np.array(labels)), Answer(scores), IMAGE):
        assert (value.value, value.why) == (None, why)


def test_image_metrics_do_not_care_for_bad_maps():
    truth = Truth(np.array([True, False]), np.array([np.eye(2), np.zeros((2, 2))], bool))
    answer = Answer(np.array([1.0, 0.0]), np.full((2, 2, 2), np.nan))
    assert [value.value for value in evaluate(truth, answer, IMAGE)] == [1, 1, 1]


def test_every_metric_of_the_folder_loads_and_states_its_recipe():
    assert set(standard()) < set(names())
    found = [load(name) for name in names()]
    assert len({metric.title for metric in found}) == len(found)
    for metric in found:
        assert metric.needs in {"scores", "maps"}
        assert "per category" in metric.recipe
        assert metric.description.endswith(".")


def test_the_standard_metrics_have_the_order_of_the_tables():
    assert standard() == (
        "image_auroc", "image_ap", "image_f1max", "pixel_auroc", "pixel_ap", "pixel_f1max", "aupro",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        ("standard", standard()),
        ("all", tuple(names())),
        ("aupimo, image_a*", ("image_auroc", "image_ap", "image_auroc_balanced", "aupimo")),
        (["aupro_01", "standard"], (*standard(), "aupro_01")),
    ],
)
def test_metrics_are_asked_for_by_name_glob_and_word(asked, chosen):
    assert select(asked) == chosen


def test_a_metric_that_nothing_matches_is_refused_with_a_hint():
    with pytest.raises(UsageError, match="no metric matches 'aupr0': did you mean 'aupro'"):
        select("standard,aupr0")


def test_an_unknown_metric_is_refused_with_a_hint():
    with pytest.raises(UnknownName, match="did you mean 'aupro'"):
        load("aupr0")
    with pytest.raises(UnknownName, match="unknown metric 'base'"):
        load("base")


def test_values_come_in_the_order_asked_for():
    truth, answer = Truth(np.array([True, False])), Answer(np.array([1.0, 0.0]))
    asked = ["image_f1max", "aupro", "image_auroc"]
    assert [value.metric for value in evaluate(truth, answer, asked)] == asked
