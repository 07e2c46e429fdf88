"""Scales, label places, curves and bars: the parts of the figures that compute something."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from ltbench.benchmark import metrics as benchmark_metrics
from ltbench.benchmark.metrics import Answer, Truth
from ltbench.reports.figures.axes import broken
from ltbench.reports.figures.cost import Costed, accuracy_by_cost
from ltbench.reports.figures.critical_difference import Ranked, critical_difference_diagram
from ltbench.reports.figures.labels import Box, beside, spread
from ltbench.reports.figures.pro import pro_points
from ltbench.reports.figures.rates import thinned
from ltbench.reports.figures.roc import roc_points
from ltbench.reports.figures.scale import Scale, log_ticks, padded, padded_log, plain, ticks
from ltbench.reports.figures.score_by_size import SizedScore, score_by_size
from ltbench.reports.figures.theme import shortened, text_width

SVG = "{http://www.w3.org/2000/svg}"
finite = st.floats(-1e6, 1e6)


def tips(figure: str) -> list[str]:
    return [node.text or "" for node in ET.fromstring(figure).iter(f"{SVG}title")][1:]


@settings(deadline=None)
@given(finite, st.floats(1e-6, 1e6), st.integers(3, 9))
def test_ticks_are_round_and_inside(low: float, span: float, count: int) -> None:
    found = ticks(low, low + span, count)
    assert 1 <= len(found) <= 2 * count + 2
    # Far from zero, floats are too coarse to lie within a narrow span exactly.
    slack = 1e-6 * span + 4 * float(np.spacing(abs(low) + span))
    assert all(low - slack <= tick <= low + span + slack for tick in found)
    steps = np.diff(found)
    assert np.allclose(steps, steps[:1], rtol=1e-3)


def test_ticks_of_scores() -> None:
    assert ticks(61, 99, 4) == [70, 80, 90]
    assert ticks(0, 1, 5) == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert log_ticks(2, 400) == [2, 5, 10, 20, 50, 100, 200]
    assert log_ticks(0.01, 90_000) == [0.01, 0.1, 1, 10, 100, 1000, 10_000]


def test_tick_texts_are_short() -> None:
    assert [plain(v) for v in (0.05, 12.5, 1000, 25_000, 3e6, -4)] == [
        "0.05",
        "12.5",
        "1,000",
        "25k",
        "3M",
        "−4",
    ]


def test_scales_place_their_ends() -> None:
    linear, log = Scale(10, 20, 100, 0), Scale(1, 100, 0, 50, is_log=True)
    assert (linear(10), linear(20), linear(15)) == (100, 0, 50)
    assert (log(1), log(100), log(10)) == (0, 50, 25)


def test_ranges_are_never_empty() -> None:
    for values in ([], [0.0], [5.0, 5.0], [float("nan")]):
        low, high = padded(values)
        assert low < high
        low, high = padded_log(values)
        assert 0 < low < high
    assert padded([40, 99.9], bounds=(0, 100))[1] == 100


@settings(deadline=None)
@given(st.lists(st.floats(0, 200), min_size=1, max_size=12), st.floats(1, 16))
def test_spread_labels_do_not_touch_and_keep_their_order(wanted: list[float], gap: float) -> None:
    found = spread(wanted, gap, 0, 200)
    assert min(found) >= -1e-9
    assert max(found) <= 200 + 1e-9
    ordered = sorted(found)
    assert all(b - a >= gap - 1e-6 for a, b in itertools.pairwise(ordered))
    for a, b in itertools.combinations(range(len(wanted)), 2):
        if wanted[a] < wanted[b]:
            assert found[a] < found[b]


def test_labels_that_have_room_stay_where_they_are() -> None:
    assert spread([10, 50, 90], 14, 0, 100) == [10, 50, 90]
    assert spread([50, 50], 14, 0, 100) == [43, 57]
    assert spread([1, 2, 3], 60, 0, 100) == [0, 50, 100]


def test_a_label_finds_a_free_place_or_none() -> None:
    within = Box(0, 0, 100, 40)
    right = beside((50, 20), (30, 10), [], within)
    assert right == Box(56, 15, 86, 25)
    left = beside((50, 20), (30, 10), [right], within)
    assert left is not None
    assert left.right <= 50
    assert beside((50, 20), (30, 10), [within], within) is None


def test_long_names_keep_their_beginning_and_their_end() -> None:
    assert shortened("PatchCore", 200) == "PatchCore"
    cut = shortened("a rather long name of a method", 80)
    assert cut.startswith("a rath")
    assert "…" in cut
    assert text_width(cut) <= 80
    variants = [shortened(f"PatchCore (coreset_ratio={share})", 140) for share in (0.1, 0.01)]
    assert len(set(variants)) == 2
    assert shortened("long", 1) == "…"
    assert all(
        text_width(words, 14) <= 120 for words in broken("some words that need more than one line", 120, 14)
    )


@pytest.mark.parametrize("decimals", [9, 1])
def test_the_area_under_the_roc_curve_is_that_of_scikit_learn(decimals: int) -> None:
    rng = np.random.default_rng(3)
    labels = np.arange(90) < 50
    scores = (rng.normal(size=90) + labels).round(decimals)
    curve = roc_points("m", scores, labels)
    assert curve.area == pytest.approx(metrics.roc_auc_score(labels, scores), abs=1e-12)
    alarms, found, _ = metrics.roc_curve(labels, scores, drop_intermediate=False)
    assert np.allclose(curve.false_positives, alarms)
    assert np.allclose(curve.covered, found)


@pytest.mark.parametrize("decimals", [9, 1])
def test_the_area_under_the_pro_curve_is_the_metric(decimals: int) -> None:
    rng = np.random.default_rng(3)
    masks = np.zeros((5, 32, 32), dtype=bool)
    masks[0, 3:9, 4:11] = masks[1, 12:15, 2:5] = masks[1, 20:23, 18:23] = masks[3, 30, 30] = True
    maps = (rng.normal(size=masks.shape) + masks).round(decimals).astype(np.float32)
    truth = Truth(labels=masks.any(axis=(1, 2)), masks=masks)
    (value,) = benchmark_metrics.evaluate(truth, Answer(scores=maps.max(axis=(1, 2)), maps=maps), ["aupro"])
    assert pro_points("m", maps, masks).area == pytest.approx(value.value, abs=1e-9)


def test_a_thinned_curve_stays_close_to_all_its_points() -> None:
    rng = np.random.default_rng(0)
    x = np.sort(rng.random(20_000)) * 400
    y = 200 * np.sqrt(x / 400) + rng.normal(0, 0.05, x.size)
    points = np.column_stack([x, y])
    kept = np.array(thinned(points))
    assert len(kept) < 400
    starts, steps = kept[:-1], np.diff(kept, axis=0)
    along = np.einsum("nsk,sk->ns", points[::20, None] - starts, steps) / np.sum(steps**2, axis=1)
    nearest = starts + np.clip(along, 0, 1)[..., None] * steps
    away = np.linalg.norm(points[::20, None] - nearest, axis=2).min(axis=1)
    assert away.max() < 0.4
    steps = np.array([[0, 0], [0, 30], [10, 30], [10, 60], [90, 60]], dtype=float)
    assert thinned(steps) == [tuple(point) for point in steps]


def test_a_trend_is_not_drawn_where_there_are_no_classes() -> None:
    points = [SizedScore("m", f"c{n}", n, 0.8) for n in (4, 5, 6, 200, 220)]
    told = [tip for tip in tips(score_by_size(points, title="t")) if tip == "trend of m"]
    assert len(told) == 2


def test_bars_join_methods_within_the_critical_difference() -> None:
    methods = [Ranked("a", 1.2), Ranked("b", 2.0), Ranked("c", 3.4), Ranked("d", 3.4)]
    found = [
        tip for tip in tips(critical_difference_diagram(methods, 1.0, title="t")) if tip.startswith("no ")
    ]
    assert found == ["no significant difference: a, b", "no significant difference: c, d"]


def test_the_line_of_costs_joins_methods_that_no_cheaper_one_beats() -> None:
    methods = [
        Costed("cheap", 1, 0.7),
        Costed("worse", 5, 0.6),
        Costed("good", 10, 0.9),
        Costed("free", 0, 0.99),
    ]
    figure = accuracy_by_cost(methods, title="t", cost="seconds")
    assert "No cheaper method is better than: cheap, good." in figure
    assert not any(tip.startswith("free") for tip in tips(figure))
