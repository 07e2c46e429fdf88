"""Metrics as released codes print them, against plain restatements of these codes."""

from __future__ import annotations

import metrics_by_definition as definition
import numpy as np
import pytest
from sklearn.metrics import auc, roc_auc_score, roc_curve
from test_metrics_pixel import realistic

from ltbench.benchmark.metrics import Answer, Truth, evaluate
from perf.recipes_figure import MASK_RULES


def cases():
    for seed, decimals in ((0, 8), (1, 8), (2, 1)):
        maps, masks = realistic(seed, images=6, size=48)
        yield np.round(maps, decimals).astype(np.float32), masks
        # A score in [0, 1] passes anomalib's sigmoid unchanged.
        yield ((maps - maps.min()) / np.ptp(maps)).astype(np.float32), masks


RELEASED = (
    "aupro_mvtec3d", "aupro_cflow", "pixel_auroc_adeval", "pixel_ap_adeval", "aupro_adeval",
    "pixel_auroc_defective", "aupro_anomalib",
)  # fmt: skip


def computed(name, maps, masks):
    truth = Truth(masks.any(axis=(1, 2)), masks)
    return evaluate(truth, Answer(maps=maps), [name])[0].value


def shares(maps, regions, threshold):
    return np.mean([(maps[region] > threshold).mean() for region in regions])


@pytest.mark.parametrize(("maps", "masks"), [*cases()])
def test_mvtec_200_takes_thresholds_from_the_ranks_of_normal_pixels(maps, masks):
    regions = definition.components(masks)
    normal = np.sort(maps[~masks])
    points = [(1.0, 1.0)]
    for rank in np.linspace(0, len(normal) - 1, 200).astype(int):
        points.append((1 - (rank + 1) / len(normal), shares(maps, regions, normal[rank])))
    expected = definition.area_to(points[::-1], 0.3)
    assert computed("aupro_mvtec3d", maps, masks) == pytest.approx(float(expected), abs=1e-12)


@pytest.mark.parametrize(("maps", "masks"), [*cases()])
def test_cflow_200_takes_equal_steps_of_the_score_and_stretches_the_rates(maps, masks):
    regions = definition.components(masks)
    rates, overlaps = [], []
    for threshold in np.arange(maps.min(), maps.max(), (maps.max() - maps.min()) / 200):
        rate = (maps[~masks] > threshold).mean()
        if rate < 0.3:
            rates.append(rate)
            overlaps.append(shares(maps, regions, threshold))
    rates = np.array(rates)
    expected = auc((rates - rates.min()) / (rates.max() - rates.min()), overlaps)
    assert computed("aupro_cflow", maps, masks) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("maps", "masks"), [*cases()])
def test_adeval_200_counts_in_bins(maps, masks):
    low, high = float(maps.min()), float(maps.max())
    borders = np.linspace(0, 1, 201, dtype=np.float32) * np.float32(high - low) + np.float32(low)
    borders = np.concatenate([[-np.inf], borders, [np.inf]])
    weight = np.zeros(maps.shape)
    for region in definition.components(masks):
        weight[region] = 1 / region.sum()
    missed = np.cumsum(np.histogram(maps[masks], borders)[0])
    passed = np.cumsum(np.histogram(maps[~masks], borders)[0])
    uncovered = np.cumsum(np.histogram(maps[masks], borders, weights=weight[masks])[0])
    hits, alarms = (missed[-1] - missed[:-1])[::-1], (passed[-1] - passed[:-1])[::-1]
    covered = (1 - uncovered[:-1] / uncovered[-1])[::-1]
    recall, rate = hits / missed[-1], alarms / passed[-1]
    precision = np.where(hits + alarms > 0, hits / np.maximum(hits + alarms, 1), 1.0)
    expected = {
        "pixel_auroc_adeval": np.trapezoid(recall, rate),
        "pixel_ap_adeval": np.trapezoid(precision, recall),
        "aupro_adeval": float(definition.area_to([*zip(rate, covered, strict=True)], 0.3)),
    }
    assert {name: computed(name, maps, masks) for name in expected} == pytest.approx(expected, abs=1e-12)


def anomalib_by_region(maps, masks, limit=0.3):
    """One scikit-learn ROC curve per region against all normal pixels, resampled by position."""
    if maps.min() < 0 or maps.max() > 1:
        maps = 1 / (1 + np.exp(-maps))
    rate = roc_curve(masks.ravel(), maps.ravel(), drop_intermediate=False)[0]
    samples = int((rate <= limit).sum())
    x, y = np.zeros(samples), np.zeros(samples)
    regions = definition.components(masks)
    for region in regions:
        judged = region | ~masks
        rate, share, _ = roc_curve(region[judged], maps[judged], drop_intermediate=False)
        after = int(np.searchsorted(rate, limit))
        last = int((rate <= limit).sum()) - 1
        exact = abs(rate[last] - limit) <= 1e-8 + 1e-5 * limit
        kept = np.arange(last + 1) if exact else np.append(np.arange(last + 1), after)
        old = kept / kept.max() * (samples - 1)
        new = np.arange(samples, dtype=float)
        if not exact:
            new[-1] = old[-2] + (old[-1] - old[-2]) * (limit - rate[after - 1]) / (
                rate[after] - rate[after - 1]
            )
        x += np.interp(new, old, rate[kept])
        y += np.interp(new, old, share[kept])
    return np.trapezoid(y, x) / len(regions) / x[-1]


@pytest.mark.parametrize(("maps", "masks"), [*cases()])
def test_anomalib_2_2_resamples_each_region_by_position(maps, masks):
    assert computed("aupro_anomalib", maps, masks) == pytest.approx(anomalib_by_region(maps, masks), abs=1e-6)


def test_the_auroc_of_defective_images_forgets_good_images():
    maps, masks = realistic()
    shown = masks.any(axis=(1, 2))
    expected = roc_auc_score(masks[shown].ravel(), maps[shown].ravel())
    assert computed("pixel_auroc_defective", maps, masks) == pytest.approx(expected)


def test_equal_steps_of_the_score_move_with_a_transform_and_the_exact_value_does_not():
    maps, masks = realistic(images=20)
    stretched = np.exp(2 * maps)
    exact = [computed("aupro", each, masks) for each in (maps, stretched)]
    linear = [computed("aupro_cflow", each, masks) for each in (maps, stretched)]
    assert exact[0] == exact[1]
    assert abs(linear[0] - linear[1]) > 0.01


def test_a_mask_is_dilated_kept_or_eroded_by_its_rule():
    soft = np.array([[[0.0, 0.2, 0.5, 0.7, 1.0]]])
    pixels = {name: rule(soft).ravel().tolist() for name, rule in MASK_RULES.items()}
    assert pixels == {
        "> 0": [False, True, True, True, True],
        "> 0.5": [False, False, False, True, True],
        "eroded": [False, False, False, False, True],
    }


@pytest.mark.parametrize(
    "maps", [np.zeros((12, 64, 64), np.float32), np.full((12, 64, 64), np.nan, np.float32)]
)
def test_a_released_metric_without_a_value_has_a_reason(maps):
    masks = realistic()[1]
    truth = Truth(masks.any(axis=(1, 2)), masks)
    found = {value.metric: value for value in evaluate(truth, Answer(maps=maps), RELEASED)}
    for value in found.values():
        assert (value.value is None) == bool(value.why)
    assert found["aupro_cflow"].value is None
    assert found["aupro_adeval"].value is None
