"""Every value of the papers' suites has the place it comes from, and no source is left without a value."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from generated_results import generate
from packed_pages import whole

from ltbench.benchmark import suites
from ltbench.benchmark.suites import sources
from ltbench.benchmark.suites.asked import store_facts
from ltbench.benchmark.suites.document import PAGE, document
from ltbench.reports.site import build_site
from ltbench.results import asked
from ltbench.results.places import matches


@pytest.mark.parametrize("name", sources.of_papers())
def test_every_setting_has_a_source(name: str) -> None:
    missing = [
        f'[{one.method}], or ["{name}".{one.method}]: {one.field} = "..." (its value: {one.value})'
        for one in sources.settings(suites.load(name))
        if not one.source
    ]
    assert not missing, f"{sources.FILE.name} lacks for {name}:\n" + "\n".join(missing)


def test_no_source_is_left_without_a_value() -> None:
    unused = sources.unused()
    assert not unused, f"no suite of a paper sets what {sources.FILE.name} has under:\n" + "\n".join(unused)


def test_suites_of_the_papers_are_known_and_their_sources_no_suite() -> None:
    assert {"ltad-mvtec", "tailedcore-visa", "meds-realiad", "ltad-ablations"} <= set(sources.of_papers())
    assert not {"demo", "demo-ltad", "folder", "sources"} & set(sources.of_papers())
    assert "sources" not in suites.names()


def test_the_nearest_source_holds() -> None:
    assert "dinomaly_realiad_sep.py" in sources.told("meds-realiad", "dinomaly", "iterations")
    assert "dinomaly_mvtec_uni.py" in sources.told("meds-mvtec", "dinomaly", "iterations")
    assert "run_step" not in sources.told("meds-mvtec", "patchcore", "row")
    assert "TailedCore, configs/patchcore.yaml" in sources.told("tailedcore-visa", "patchcore", "backbone")
    assert sources.told("ltad-mvtec", "padim", "no_such_field") == ""


def test_fields_of_a_host_have_the_hosts_source_unless_meds_changes_them() -> None:
    settings = {one.field: one for one in sources.settings(suites.load("meds-mvtec")) if one.method == "meds"}
    assert settings["dinomaly.size"].value == "392"
    assert settings["dinomaly.size"].source == sources.told("meds-mvtec", "dinomaly", "size")
    assert settings["hvq.epochs"].value == "200"
    assert "appendix B.2" in settings["hvq.epochs"].source


def test_a_value_set_by_hand_does_not_pass_for_the_papers(tmp_path: Path) -> None:
    suite = suites.asked_suite("ltad-mvtec", None, None, {"channels": 12, "percentile": 0.5})
    told = {(one["method"], one["field"]): one for one in sources.facts(suite)}
    assert told["padim", "channels"] == {
        "method": "padim", "field": "channels", "value": "12", "source": sources.CHANGED
    }  # fmt: skip
    assert told["tailedcore", "percentile"]["source"] == sources.CHANGED
    assert told["padim", "layers"]["source"] == sources.told("ltad-mvtec", "padim", "layers")
    assert sources.facts(suites.load("demo")) == []


def test_settings_of_two_calls_are_told_once(tmp_path: Path) -> None:
    suite = suites.load("tailedcore-mvtec")
    for seed in (1, 2):
        store_facts(replace(suite, seeds=[seed]), tmp_path, {})
    (kept,) = asked.suites(tmp_path)
    assert len(set(kept.settings)) == len(kept.settings) == len(sources.settings(suite))
    assert kept.seeds == (1, 2)


def test_a_file_without_settings_is_read_too(tmp_path: Path) -> None:
    store_facts(suites.load("tailedcore-mvtec"), tmp_path, {})
    (file,) = matches(tmp_path, asked.PATTERN)
    facts = json.loads(file.read_text())
    del facts["settings"]
    file.write_text(json.dumps(facts))
    (kept,) = asked.suites(tmp_path)
    assert kept.settings == ()


def test_the_site_tells_where_settings_come_from(tmp_path: Path) -> None:
    results = generate(tmp_path / "results", boards=[("mvtec", "pareto")], seeds=(1,), gallery=0)
    store_facts(suites.load("tailedcore-mvtec"), results, {})
    build_site(results, tmp_path / "site")
    methods = whole(tmp_path / "site" / "methods.html")
    (board,) = (tmp_path / "site").glob("mvtec--pareto.html")
    assert "Where settings come from" in methods
    assert sources.told("tailedcore-mvtec", "patchcore", "coreset_start") in methods
    assert "Source of the view" in board.read_text()


def test_page_of_the_documentation_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == document(), "run python -m ltbench.benchmark.suites.document"
