"""Maps as torch tensors: the accelerator's path, taken on the CPU, gives NumPy's answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from test_metrics_pixel import PIXEL, mapped, realistic

from ltbench.benchmark.metrics import Answer, Truth, Undefined, evaluate, tensor_curve
from ltbench.benchmark.metrics.curve import area_under_overlap, auroc, average_precision, f1_max
from ltbench.benchmark.metrics.pixel_curve import curve_of_maps
from ltbench.benchmark.metrics.regions import label_regions
from ltbench.benchmark.metrics.tensor_curve import curve_of_tensor
from ltbench.methods.blocks.score_maps import anomaly_map_tensor, anomaly_maps


def four(curve):
    return [auroc(curve), average_precision(curve), f1_max(curve), area_under_overlap(curve, 0.3)]


def values(truth, maps):
    return [(value.value, value.why) for value in evaluate(truth, Answer(maps=maps), [*PIXEL, "aupimo"])]


@settings(max_examples=60, deadline=None)
@given(case=mapped())
def test_a_tensor_gives_what_an_array_gives(case):
    maps, masks = case
    regions = label_regions(masks)
    try:
        expected = four(curve_of_maps(maps, regions))
    except Undefined as reason:
        with pytest.raises(Undefined, match=str(reason)):
            curve_of_tensor(torch.from_numpy(maps), regions)
        return
    assert four(curve_of_tensor(torch.from_numpy(maps), regions)) == pytest.approx(expected, rel=0, abs=1e-12)


@pytest.mark.parametrize("decimals", [1, 3, 9])
@pytest.mark.parametrize("chunk", [1000, 1 << 26])
def test_counts_are_the_same_integers(decimals, chunk, monkeypatch):
    monkeypatch.setattr(tensor_curve, "CHUNK", chunk)
    maps, masks = realistic()
    maps = np.round(maps, decimals)
    regions = label_regions(masks)
    ours, theirs = curve_of_tensor(torch.from_numpy(maps), regions).whole, curve_of_maps(maps, regions).whole
    for name in ("threshold", "new_hits", "hits", "false_above", "false_alarms"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    np.testing.assert_allclose(ours.overlap, theirs.overlap, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_of_any_type_are_judged_like_their_values(dtype):
    maps, masks = realistic(3)
    tensor = torch.from_numpy(maps).to(dtype).requires_grad_()
    truth = Truth(masks.any(axis=(1, 2)), masks)
    assert values(truth, tensor) == values(truth, tensor.detach().double().numpy())
    there = four(curve_of_tensor(tensor, truth.regions))
    assert there == pytest.approx([value for value, _ in values(truth, tensor)[: len(there)]], abs=1e-12)


def test_a_tensor_with_nan_is_refused_by_name():
    maps, masks = realistic(3)
    maps = maps.copy()
    maps[2, 0, 0] = np.nan
    with pytest.raises(Undefined, match="1 NaN and 0 infinite, first at image 2"):
        curve_of_tensor(torch.from_numpy(maps), label_regions(masks))


@pytest.mark.parametrize("upsample", ["bilinear", "nearest"])
def test_maps_made_where_the_grids_are_equal_numpys(upsample):
    grids = np.random.default_rng(0).random((3, 7, 9), dtype=np.float32)
    made = anomaly_map_tensor(torch.from_numpy(grids), 40, 2.0, upsample)
    np.testing.assert_allclose(made.numpy(), anomaly_maps(grids, 40, 2.0, upsample), atol=1e-6)


@pytest.mark.gpu
def test_an_accelerator_agrees():
    if not torch.cuda.is_available():
        pytest.skip("no accelerator")
    maps, masks = realistic(3)
    truth = Truth(masks.any(axis=(1, 2)), masks)
    found = [value for value, _ in values(truth, torch.from_numpy(maps).cuda())]
    assert found == pytest.approx([value for value, _ in values(truth, maps)], abs=1e-12)


def test_arrays_are_judged_without_torch():
    code = (
        "import sys, numpy as np; from ltbench.benchmark.metrics import Answer, Truth, evaluate;"
        "masks = np.zeros((2, 4, 4), bool); masks[0, 0] = True;"
        "evaluate(Truth(masks.any(axis=(1, 2)), masks), Answer(maps=np.zeros(masks.shape)), ['aupro']);"
        "print('torch' in sys.modules)"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "False"
