"""The labelled data set beside the judged one: handed over where declared, recorded, never the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from split_trees import mvtec_style_class

from ltbench.benchmark.auxiliary import Auxiliary, auxiliary_of
from ltbench.benchmark.cell import Cell
from ltbench.benchmark.embed import jobs
from ltbench.benchmark.errors import UsageError
from ltbench.benchmark.execute import execute
from ltbench.benchmark.resolve import Resolver
from ltbench.benchmark.settings import Settings
from ltbench.methods import catalog
from ltbench.methods.base import View
from ltbench.results.store import Store
from ltbench.splits.datasets import Dataset, open_dataset
from ltbench.splits.errors import DataMissing

VIEW = View(32, 32)


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    """The judged data set and another one."""
    judged, other = tmp_path / "judged", tmp_path / "other"
    mvtec_style_class(judged, "bolt", train=4, good=3, bad=3)
    mvtec_style_class(other, "cable", train=3, good=2, bad=3)
    mvtec_style_class(other, "screw", train=3, good=1, bad=2, suffix=None)
    return judged, other


def opened(name: str) -> Dataset:
    return open_dataset(name, Path("/nowhere"))


def cell(judged: Path, other: str) -> Cell:
    fields = {"auxiliary": other, "iterations": 1}
    return Cell(f"folder:{judged}", "clean", 1, "anomalyclip", fields, view=VIEW)


def leak_message(auxiliary: str, target: Path) -> str:
    method = catalog.create("anomalyclip", auxiliary=auxiliary)
    with pytest.raises(UsageError) as raised:
        auxiliary_of(method, opened(f"folder:{target}"), opened)
    return str(raised.value)


def test_the_judged_data_set_is_refused_under_its_own_name(trees: tuple[Path, Path]) -> None:
    assert "leakage" in leak_message(f"folder:{trees[0]}", trees[0])


def test_a_copy_of_the_judged_data_set_is_refused(trees: tuple[Path, Path], tmp_path: Path) -> None:
    copy = shutil.copytree(trees[0], tmp_path / "copy")
    assert "leakage" in leak_message(f"folder:{copy}", trees[0])


def test_a_data_set_that_contains_the_judged_one_is_refused(trees: tuple[Path, Path], tmp_path: Path) -> None:
    more = shutil.copytree(trees[0], tmp_path / "more")
    mvtec_style_class(more, "cable")
    assert "leakage" in leak_message(f"folder:{more}", trees[0])


def test_a_data_set_without_masks_or_name_is_refused(trees: tuple[Path, Path], tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    mvtec_style_class(plain, "screw", suffix=None)
    assert "no defective test image with a mask" in leak_message(f"folder:{plain}", trees[0])
    assert "names none" in leak_message("", trees[0])


def test_methods_without_the_need_get_nothing(trees: tuple[Path, Path]) -> None:
    assert auxiliary_of(catalog.create("chance"), opened(f"folder:{trees[0]}"), opened) is None


def given(trees: tuple[Path, Path]) -> Auxiliary:
    method = catalog.create("anomalyclip", auxiliary=f"folder:{trees[1]}")
    found = auxiliary_of(method, opened(f"folder:{trees[0]}"), opened)
    assert found is not None
    return found


def test_only_test_images_with_a_known_mask_are_handed_over(trees: tuple[Path, Path]) -> None:
    auxiliary = given(trees)
    facts = auxiliary.facts()
    assert (facts["images"], facts["defects"], facts["without_mask"]) == (6, 3, 2)
    handed = auxiliary.for_method()
    assert len(handed.images) == len(handed.labels) == 6
    assert handed.images.class_ids is None
    assert handed.images.class_names is None
    paths = {image.key: image for image in opened(f"folder:{trees[1]}").images()}
    for index, key in enumerate(handed.images.keys):
        assert paths[key].part == "test"
        assert handed.labels[index] == paths[key].is_defective
        if handed.labels[index]:
            mask = handed.mask(index)
            assert mask.dtype == np.bool_
            assert mask[:8, :8].all()
            assert mask.sum() == 64
    with pytest.raises(DataMissing, match="has no mask"):
        handed.mask(int(np.flatnonzero(~handed.labels)[0]))


def test_it_stands_on_the_result_and_makes_another_question(trees: tuple[Path, Path], tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", results=tmp_path / "runs", jobs=1)
    asked = cell(trees[0], f"folder:{trees[1]}")
    prepared = Resolver(settings).prepare(asked)
    embedded = {job.dataset: len(job.images) for job in jobs([prepared])}
    assert embedded == {f"folder:{trees[0]}": 10, f"folder:{trees[1]}": 6}
    stored = execute(prepared, settings)
    fact = stored.content["method"]["auxiliary"]
    assert fact["digest"] == opened(f"folder:{trees[1]}").data_digest()
    assert stored.metrics()["needs"].unique().tolist() == ["auxiliary_masks"]
    (trees[1] / "cable" / "test" / "good" / "000.png").unlink()
    store = Store(settings.results)
    assert prepared.finished(store) is not None
    assert Resolver(settings).prepare(asked).finished(store) is None
