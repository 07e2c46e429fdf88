"""Thresholds of models: as many false alarms as they say, from images that no fit has seen."""

from __future__ import annotations

import numpy as np
import pytest

from ltbench.benchmark.models.held_out import folds_of, thresholds_of
from ltbench.splits.images import LabelledImage


def test_a_threshold_exists_where_enough_images_were_held_out() -> None:
    assert [entry.value for entry in thresholds_of(range(1, 100))] == [99, 95]
    below = thresholds_of(range(1, 99))
    assert below[0].value is None
    assert below[0].why == "98 images were held out: 1% false alarms need at least 99"
    assert below[1].value == 95
    assert [entry.value for entry in thresholds_of(range(1, 20))] == [None, 19]
    assert [entry.value for entry in thresholds_of([])] == [None, None]


def test_normal_images_exceed_a_threshold_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0)
    exceeded = [
        draws.normal() > thresholds_of(draws.normal(size=59))[1].value  # type: ignore[operator]
        for _ in range(4000)
    ]
    # Sixty images: the threshold is the 57th of 59, and exactly 3 of 60 lie above in the mean.
    assert np.mean(exceeded) == pytest.approx(0.05, abs=3 * (0.05 * 0.95 / 4000) ** 0.5)


def test_every_image_is_held_out_once_but_the_only_one_of_its_category() -> None:
    sizes = {"a": 7, "b": 2, "c": 1}
    images = [LabelledImage(f"{c}/{n}", c, "train") for c, size in sizes.items() for n in range(size)]
    folds = folds_of(images, 3)
    assert sorted(image.path for fold in folds for image in fold) == [image.path for image in images[:-1]]
    for fold in folds:
        assert {image.category for image in images if image not in fold} == set(sizes)
    assert folds_of(images, 0) == []
