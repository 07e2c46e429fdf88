"""Legacy recipes against plain restatements of the codes that they stand for."""

from __future__ import annotations

import metrics_by_definition as definition
import numpy as np
import pytest
from sklearn.metrics import auc, average_precision_score, roc_auc_score, roc_curve
from test_metrics_pixel import realistic

from ltbench.benchmark.metrics import STANDARD, Answer, Truth, evaluate
from ltbench.benchmark.metrics.legacy import RECIPES, evaluate_legacy, names
from ltbench.benchmark.metrics.legacy.masks import MASK_RULES
from ltbench.splits.errors import UnknownName


def cases():
    for seed, decimals in ((0, 8), (1, 8), (2, 1)):
        maps, masks = realistic(seed, images=6, size=48)
        yield np.round(maps, decimals).astype(np.float32), masks
        # A score in [0, 1] passes anomalib's sigmoid unchanged.
        yield ((maps - maps.min()) / np.ptp(maps)).astype(np.float32), masks


def legacy(name, maps, masks):
    truth = Truth(masks.any(axis=(1, 2)), masks)
    found = evaluate_legacy(truth, Answer(maps.max(axis=(1, 2)), maps), [name])
    return {value.metric: value.value for value in found}


def shares(maps, regions, threshold):
    return np.mean([(maps[region] > threshold).mean() for region in regions])


@pytest.mark.parametrize(("maps", "masks"), [*cases()])
def test_mvtec_exact_is_the_mvtec_steps(maps, masks):
    assert legacy("mvtec-exact", maps, masks)["aupro"] == pytest.approx(
        definition.mvtec_aupro(maps, masks, 0.3), abs=1e-12
    )


@pytest.mark.parametrize(("maps", "masks"), [*cases()])
def test_mvtec_200_takes_thresholds_from_the_ranks_of_normal_pixels(maps, masks):
    regions = definition.components(masks)
    normal = np.sort(maps[~masks])
    points = [(1.0, 1.0)]
    for rank in np.linspace(0, len(normal) - 1, 200).astype(int):
        points.append((1 - (rank + 1) / len(normal), shares(maps, regions, normal[rank])))
    expected = definition.area_to(points[::-1], 0.3)
    assert legacy("mvtec-200", maps, masks)["aupro"] == pytest.approx(float(expected), abs=1e-12)


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
    assert legacy("cflow-200-linear", maps, masks)["aupro"] == pytest.approx(expected, abs=1e-12)


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
        "pixel_auroc": np.trapezoid(recall, rate),
        "pixel_ap": np.trapezoid(precision, recall),
        "aupro": float(definition.area_to([*zip(rate, covered, strict=True)], 0.3)),
    }
    assert legacy("adeval-200", maps, masks) == pytest.approx(expected, abs=1e-12)


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
    assert legacy("anomalib<=2.2", maps, masks)["aupro"] == pytest.approx(
        anomalib_by_region(maps, masks), abs=1e-6
    )


def test_anomalous_images_only_forgets_good_images():
    maps, masks = realistic()
    shown = masks.any(axis=(1, 2))
    got = legacy("anomalous-images-only", maps, masks)
    assert got["pixel_auroc"] == pytest.approx(roc_auc_score(masks[shown].ravel(), maps[shown].ravel()))
    assert got["pixel_ap"] == pytest.approx(
        average_precision_score(masks[shown].ravel(), maps[shown].ravel())
    )
    assert got["aupro"] == pytest.approx(definition.mvtec_aupro(maps[shown], masks[shown], 0.3))


def test_auroc_flip_makes_worse_than_chance_look_better():
    maps, masks = realistic()
    truth, answer = Truth(masks.any(axis=(1, 2)), masks), Answer(-maps.max(axis=(1, 2)), -maps)
    exact = {value.metric: value.value for value in evaluate(truth, answer)}
    flip = {value.metric: value.value for value in evaluate_legacy(truth, answer, ["auroc-flip"])}
    assert exact["pixel_auroc"] < 0.5
    assert flip["pixel_auroc"] == 1 - exact["pixel_auroc"]
    assert flip["image_auroc"] == max(exact["image_auroc"], 1 - exact["image_auroc"])


def test_equal_steps_of_the_score_move_with_a_transform_and_the_exact_value_does_not():
    maps, masks = realistic(images=20)
    stretched = np.exp(2 * maps)
    exact = [legacy("mvtec-exact", each, masks)["aupro"] for each in (maps, stretched)]
    linear = [legacy("cflow-200-linear", each, masks)["aupro"] for each in (maps, stretched)]
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


def test_every_recipe_names_source_and_quirk_and_prints_standard_metrics():
    assert names() == list(RECIPES)
    for recipe in RECIPES.values():
        assert recipe.source
        assert recipe.quirk.endswith(".")
        assert set(recipe.computes) <= set(STANDARD)


@pytest.mark.parametrize(
    "maps", [np.zeros((12, 64, 64), np.float32), np.full((12, 64, 64), np.nan, np.float32)]
)
def test_what_a_recipe_cannot_compute_is_a_hole_with_a_reason(maps):
    masks = realistic()[1]
    truth = Truth(masks.any(axis=(1, 2)), masks)
    for value in evaluate_legacy(truth, Answer(maps.max(axis=(1, 2)), maps)):
        assert (value.value is None) == bool(value.why)
        assert value.recipe.startswith("legacy: ")
    linear = evaluate_legacy(truth, Answer(maps=maps), ["cflow-200-linear", "adeval-200"])
    assert all(value.value is None for value in linear)


def test_an_unknown_recipe_is_refused():
    with pytest.raises(UnknownName, match="did you mean 'mvtec-exact'"):
        evaluate_legacy(Truth(np.array([True])), Answer(), ["mvtec-exakt"])
