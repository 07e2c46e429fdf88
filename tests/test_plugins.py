"""A metric, recipe, data set, method, page and backbone from outside are one file each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import plugin_examples
import pytest
import torch

from ltbench.benchmark import metrics
from ltbench.methods import catalog
from ltbench.methods.features.backbone import BACKBONES
from ltbench.methods.features.backbone import load as load_backbone
from ltbench.registry import FOLDER_VARIABLE, PluginError, Registry, UnknownName
from ltbench.reports.pages import PAGES, pages
from ltbench.reports.render import Renderer
from ltbench.splits import recipes
from ltbench.splits.datasets import open_dataset

ROOT = Path(__file__).parents[1]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of plug-ins that this process uses."""
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    monkeypatch.setenv(FOLDER_VARIABLE, str(plugins))
    return plugins


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_method_is_one_file(folder: Path) -> None:
    plugin_examples.add(folder, "methods")
    assert "mean_colour" in catalog.names()
    assert catalog.config(catalog.create("mean_colour", neighbours="3")) == {"neighbours": 3}


def test_a_recipe_is_one_file(folder: Path) -> None:
    plugin_examples.add(folder, "recipes")
    assert "half" in recipes.names()
    dataset = open_dataset("synthetic:small+washer", folder)
    split, again = (recipes.build("half", dataset, seed=1) for _ in range(2))
    assert split.digest == again.digest != recipes.build("half", dataset, seed=2).digest
    assert 2 * len(split.train) >= len(recipes.build("clean", dataset, seed=1).train)


def test_a_metric_is_one_file_whose_content_is_part_of_its_recipe(folder: Path) -> None:
    plugin_examples.add(folder, "metrics")
    assert "clean_recall" in metrics.names()
    truth = metrics.Truth(np.array([False, False, True, True]))
    answer = metrics.Answer(np.array([0.1, 0.4, 0.3, 0.9]))
    (value,) = metrics.evaluate(truth, answer, ["clean_recall"])
    assert value.value == 0.5
    path = folder / "metrics" / "clean_recall.py"
    path.write_text(path.read_text(encoding="utf-8") + "# another state\n", encoding="utf-8")
    assert metrics.load("clean_recall").recipe != value.recipe


def test_a_data_set_is_one_file(folder: Path) -> None:
    plugin_examples.add(folder, "datasets")
    dataset = open_dataset("stripes", folder)
    assert len(dataset.images()) == 32
    assert {len(recipes.build("clean", dataset, seed=1).test)} == {16}


def test_a_backbone_is_one_file_and_its_digest_counts(folder: Path) -> None:
    plugin_examples.add(folder, "backbones")
    assert "grey-grid" in BACKBONES.names()
    maps = load_backbone("grey-grid")(torch.zeros(2, 3, 32, 32, dtype=torch.uint8))
    assert maps["cells"].shape == (2, 2, 4, 4)
    assert catalog.pretrained(catalog.create("patchcore", backbone="grey-grid")) == ["grey-grid"]


def test_a_page_is_one_file_and_its_template(folder: Path) -> None:
    plugin_examples.add(folder, "pages")
    (page,) = [page for page in pages() if page.name == "slowest"]
    assert page.templates == folder / "pages"
    source = Renderer(folders=[page.templates])._environment.get_template("slowest.html.j2")
    assert source.name == "slowest.html.j2"


def test_names_are_listed_without_importing_a_plug_in(folder: Path) -> None:
    write(folder / "methods" / "broken.py", "raise RuntimeError('imported')")
    assert "broken" in catalog.names()
    with pytest.raises(PluginError, match=r"broken\.py' cannot be imported, line 1: RuntimeError: imported"):
        catalog.load_class("broken")


def test_files_with_an_underscore_in_front_are_no_plug_ins(folder: Path) -> None:
    write(folder / "methods" / "_parts.py", "")
    assert "_parts" not in catalog.names()


def test_a_name_that_exists_twice_is_refused_with_both_places(folder: Path) -> None:
    write(folder / "pages" / "guide.py", "")
    sentence = r"page 'guide' exists twice, as 'ltbench\.reports\.pages\.guide' and '.*guide\.py': rename"
    with pytest.raises(PluginError, match=sentence):
        PAGES.load("guide")


def test_a_module_without_its_attribute_is_named(folder: Path) -> None:
    write(folder / "pages" / "empty.py", "")
    with pytest.raises(PluginError, match=r"page 'empty' has no 'PAGE': expected one in '.*empty\.py'"):
        PAGES.load("empty")


def test_an_unknown_name_is_answered_with_the_nearest_and_all_known() -> None:
    engines = Registry("engine", "ltbench.benchmark.engines")
    assert engines.names() == ["local", "ray"]
    with pytest.raises(UnknownName, match=r"unknown engine 'locl': did you mean .local.\? known are"):
        engines.load("locl")


def test_a_folder_of_plug_ins_that_does_not_exist_is_named(folder: Path) -> None:
    folder.rmdir()
    with pytest.raises(PluginError, match=r"folder of plug-ins '.*plugins' does not exist"):
        catalog.names()


def ltbench(place: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LTBENCH_")}
    return subprocess.run(
        [sys.executable, "-m", "ltbench", *words], capture_output=True, text=True, cwd=place, timeout=300,
        check=False, env={**inherited, "LTBENCH_HOME": str(place / "home"), **variables},
    )  # fmt: skip


@pytest.mark.parametrize("way", ["installed", "folder"])
def test_every_kind_of_plug_in_takes_part_in_a_run_and_a_report(tmp_path: Path, way: str) -> None:
    variables = {}
    if way == "installed":
        target = plugin_examples.install(tmp_path / "site-packages")
        variables["PYTHONPATH"] = os.pathsep.join([str(target), str(ROOT)])
    else:
        write(tmp_path / "ltbench.toml", 'plugins = "mine"\n')
        for group in plugin_examples.GROUPS:
            plugin_examples.add(tmp_path / "mine", group)
    common = ["--dataset", "stripes", "--split", "half", "--view", "64/64", "--jobs", "1", "--json"]
    done = ltbench(
        tmp_path, "run", "-m", "mean_colour", *common, "--metrics", "image_auroc,clean_recall", **variables
    )
    assert done.returncode == 0, done.stderr
    (cell,) = json.loads(done.stdout)["cells"]
    assert cell["means"] == {"image_auroc": 1.0, "clean_recall": 1.0}
    done = ltbench(tmp_path, "run", "-m", "patchcore", "--set", "backbone=grey-grid", *common, **variables)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["cells"][0]["means"]["image_auroc"] == 1.0
    assert ltbench(tmp_path, "report", **variables).returncode == 0
    assert "<td>mean_colour</td>" in (tmp_path / "site" / "slowest.html").read_text(encoding="utf-8")
