"""Metrics on plain arrays: equal to the benchmark's, with a reason for every hole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ltbench
from ltbench.benchmark.errors import UsageError


def test_metrics_of_arrays_are_those_of_the_benchmark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LTBENCH_HOME", str(tmp_path))
    results = ltbench.evaluate("chance", limit=2, view="256/256")
    frame, maps, dataset = results.scores[1], results.maps[1], ltbench.open_dataset("synthetic")
    images = {image.key: image for image in dataset.images()}
    assert maps is not None
    masks = np.zeros(maps.shape, np.uint8)
    for plane, key in zip(masks, frame["key"], strict=True):
        mask = dataset.mask(images[key])
        plane[:] = 0 if mask is None else mask
    for category, rows in results.per_class().groupby("category"):
        chosen = np.flatnonzero(frame["category"] == category)
        values = ltbench.metrics.score(
            frame["label"][chosen], frame["score"][chosen], masks[chosen], maps[chosen]
        )
        assert values == dict(zip(rows["metric"], rows["value"], strict=True))


def test_metrics_of_arrays_take_masks_and_maps() -> None:
    masks = np.zeros((4, 16, 16), np.uint8)
    masks[2:, 4:8, 4:8] = 255
    values = ltbench.metrics.score([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], masks, masks / 255)
    assert values["pixel_auroc"] == values["image_auroc"] == 1
    assert not values.why
    assert list(ltbench.metrics.score([0, 1], [0, 1], metrics=["image_ap"])) == ["image_ap"]


def test_metric_without_a_value_is_none_with_a_reason() -> None:
    values = ltbench.metrics.score([0, 0], [0.1, 0.2], metrics=["image_auroc", "aupro"])
    assert values == {"image_auroc": None, "aupro": None}
    assert set(values.why) == {"image_auroc", "aupro"}
    assert "one class only" in values.why["image_auroc"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 2], [0, 1]), "labels have shape (2,) and values 0, 2: expected one per image"),
        (([0, 1], [0, 1, 2]), "scores have shape (3,): expected (2,), one per label"),
        (([0, 1], [0, 1], np.zeros((3, 4, 4))), "masks have shape (3, 4, 4): expected (2, height, width)"),
        (([0, 1], [0, 1], np.zeros((2, 4, 4)), np.zeros((2, 8, 8))), "expected maps at the masks' size"),
    ],
)
def test_arrays_that_do_not_fit_are_told_in_a_sentence(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        ltbench.metrics.score(*arguments)
