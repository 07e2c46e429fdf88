"""Rankings of training images: toy orders, floors, files and the list a person works through."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from ltbench.benchmark.errors import BrokenPrediction
from ltbench.benchmark.label_correction import (
    PICTURES,
    auprc,
    correction_rows,
    inspection_depth,
    rank_training,
    ranking_rows,
)
from ltbench.methods.base import Prediction
from ltbench.results.errors import ResultsError
from ltbench.results.ranking import export_ranking, has_ranking, label_correction, ranking, summary
from ltbench.results.store import Store, StoredCell
from ltbench.results.writer import CellWriter
from ltbench.splits.images import LabelledImage
from tests.small_images import Painter, context, train_images


def injected_at(places: list[int], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores falling from `count`, and injected images at these places (1 = most suspicious)."""
    flags = np.zeros(count, bool)
    flags[np.array(places) - 1] = True
    return np.arange(count, 0, -1.0), flags


@pytest.mark.parametrize(
    ("places", "count", "precision", "depth"),
    [
        ([1, 2, 3], 12, 1.0, 3 / 12),
        ([1, 3, 4], 12, (1 + 2 / 3 + 3 / 4) / 3, 4 / 12),
        ([12], 12, 1 / 12, 1.0),
        ([1], 1, 1.0, 1.0),
    ],
)
def test_toy_rankings(places: list[int], count: int, precision: float, depth: float) -> None:
    scores, injected = injected_at(places, count)
    assert auprc(scores, injected) == pytest.approx(precision)
    assert inspection_depth(scores, injected) == pytest.approx(depth)


def test_one_late_defect_gives_the_published_depth_of_grid() -> None:
    """Table 30 of MeDS: 26 defects among 290 images of grid, 9.31 % inspected: the last is at place 27."""
    scores, injected = injected_at([*range(1, 26), 27], 290)
    assert round(100 * inspection_depth(scores, injected), 2) == 9.31


def test_average_precision_is_that_of_scikit_learn_with_ties() -> None:
    draws = np.random.default_rng(0)
    for _ in range(20):
        scores, injected = draws.integers(0, 8, 30).astype(float), draws.random(30) < 0.3
        if injected.any():
            assert auprc(scores, injected) == pytest.approx(average_precision_score(injected, scores))


def test_images_as_suspicious_as_the_last_defect_are_inspected_before_it() -> None:
    assert inspection_depth(np.array([3.0, 1, 1, 1]), np.array([True, True, False, False])) == 1.0


def test_a_ranking_that_knows_nothing_is_at_the_floor() -> None:
    draws = np.random.default_rng(1)
    injected = np.arange(200) < 40
    values = [auprc(draws.random(200), injected) for _ in range(300)]
    # A little above the share, by about ln(n) / n: early luck counts more than late bad luck.
    assert np.mean(values) == pytest.approx(0.2, abs=0.03)
    assert inspection_depth(np.zeros(200), injected) == 1.0


def test_each_class_is_a_row_and_a_clean_class_is_a_hole_with_its_reason() -> None:
    train = train_images(spots=3)
    scores = np.array([100.0 * image.is_defective + image.path.startswith("checks") for image in train])
    clean, spotted = correction_rows(train, scores)
    assert (clean["category"], clean["n_injected"], clean.get("auprc")) == ("checks", 0, None)
    assert "no injected defect" in clean["why"]
    assert spotted["auprc"] == 1
    assert spotted["depth"] == spotted["depth_floor"] == spotted["auprc_floor"] == 3 / 13


def test_places_count_from_one_in_every_class() -> None:
    train = train_images(spots=2)
    scores = np.random.default_rng(0).random(len(train))
    rows = ranking_rows(train, scores)
    for category, size in (("checks", 4), ("stripes", 12)):
        mine = [row for row in rows if row["category"] == category]
        assert [row["place"] for row in mine] == list(range(1, size + 1))
        assert [row["score"] for row in mine] == sorted((row["score"] for row in mine), reverse=True)


class ByBrightness:
    needs = frozenset()

    def rank(self, train: Any, context: Any) -> np.ndarray:
        return np.array([float(np.ptp(pixels[..., 0])) for pixels in train], np.float32)


class ByScore:
    needs = frozenset()

    def score(self, images: Any, context: Any) -> Prediction:
        return Prediction(scores=ByBrightness().rank(images, context))


class Broken(ByScore):
    def rank(self, train: Any, context: Any) -> np.ndarray:
        return np.full(len(train), np.nan, np.float32)


class Gallery(Painter):
    name = "d"

    def __init__(self, allowed: bool) -> None:
        super().__init__()
        self.gallery_allowed = allowed

    def mask(self, image: LabelledImage) -> np.ndarray:
        return (self.pixels(image)[..., 1] < 40).astype(np.uint8) * 255


def ranked(root: Path, method: Any, *, pictures: bool = True) -> tuple[StoredCell, dict[str, Any]]:
    train = tuple(sorted(train_images(spots=3), key=lambda image: image.key))
    split = SimpleNamespace(train=train, categories=("checks", "stripes"))
    facts = SimpleNamespace(needs=())
    prepared: Any = SimpleNamespace(split=split, dataset=Gallery(pictures), facts=facts)
    writer = CellWriter(Store(root).folder("d", "s", 1, "m", "c" * 64), {})
    facts = rank_training(method, prepared, context(), writer, root)
    return writer.finish({"identity": {}, "status": "ok", "label_correction": facts}), facts


@pytest.mark.parametrize(("method", "way"), [(ByBrightness(), "rank"), (ByScore(), "score")])
def test_ranking_is_stored_with_the_cell(tmp_path: Path, method: Any, way: str) -> None:
    cell, facts = ranked(tmp_path, method)
    assert Store(tmp_path).find(cell.folder) is not None
    assert has_ranking(cell)
    assert len(ranking(cell)) == 17
    assert facts["ranked_by"] == way
    assert facts["auprc_mean"] == label_correction(cell)["auprc"].dropna().mean()
    assert (facts["categories"], facts["auprc_categories"], facts["auprc_std"]) == (2, 1, None)


def test_pictures_of_the_first_places_are_stored_where_the_licence_allows_it(tmp_path: Path) -> None:
    cell, _ = ranked(tmp_path / "open", ByBrightness())
    table = ranking(cell)
    first = set(table[table["place"] <= PICTURES]["key"])
    stored = {path.stem.partition("-")[0] for path in (tmp_path / "open" / "d" / "gallery").glob("*.jpg")}
    assert stored == first
    assert len(first) == 4 + PICTURES, "the smaller class has four images"
    ranked(tmp_path / "closed", ByBrightness(), pictures=False)
    assert not list((tmp_path / "closed").rglob("*.jpg"))


def test_spread_over_classes_is_the_sample_deviation() -> None:
    import pandas as pd

    frame = pd.DataFrame({"auprc": [0.5, 0.7, None, 0.9], "depth": [0.1, 0.2, None, 0.6]})
    facts = summary(frame)
    assert facts["auprc_std"] == pytest.approx(np.std([0.5, 0.7, 0.9], ddof=1))
    assert facts["depth_mean"] == pytest.approx(0.3)
    assert facts["depth_categories"] == 3


def test_a_ranking_with_holes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BrokenPrediction, match=r"expected \(17,\) finite ones"):
        ranked(tmp_path, Broken())


def test_the_list_for_a_person_starts_with_the_worst_of_every_class(tmp_path: Path) -> None:
    cell, _ = ranked(tmp_path, ByBrightness())
    out = tmp_path / "lists" / "todo.csv"
    assert export_ranking(cell, out, limit=3) == 6
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [(row["place"], row["category"]) for row in rows[:3]] == [
        ("1", "checks"), ("1", "stripes"), ("2", "checks")
    ]  # fmt: skip
    assert "spot" in rows[1]["path"]
    assert {row["decision"] for row in rows} == {""}
    assert "injected" not in rows[0], "the benchmark's truth would spoil the work"
    export_ranking(cell, out, truth=True)
    assert next(csv.DictReader(out.read_text().splitlines()))["injected"] == "False"


def test_a_cell_without_ranking_says_how_to_get_one(tmp_path: Path) -> None:
    writer = CellWriter(Store(tmp_path).folder("d", "s", 1, "m", "c" * 64), {})
    cell = writer.finish({"identity": {}, "status": "ok"})
    assert not has_ranking(cell)
    with pytest.raises(ResultsError, match="--rank-training"):
        ranking(cell)
