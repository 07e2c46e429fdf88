"""What suites ask for: calls that share a table by seeds add up, in one folder and in merged ones."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from generated_results import generate

from ltbench.benchmark import suites as shipped
from ltbench.benchmark.commands.bench import is_current
from ltbench.benchmark.suites import Suite, SuiteMethod
from ltbench.benchmark.suites.asked import store_facts
from ltbench.number_ranges import seed_ranges
from ltbench.reports.boards import boards
from ltbench.reports.material import read
from ltbench.reports.pages.index import _progress
from ltbench.results.asked import PATTERN, AskedCell, ask, suites
from ltbench.results.errors import ResultsError
from ltbench.results.files import write_json
from ltbench.results.merge import merge
from ltbench.results.places import matches


def asked(seed: int, method: str = "chance") -> AskedCell:
    return AskedCell(f"d/s/seed{seed}/{method}-0", "d", "s", seed, method)


def facts(seeds: list[int], methods: tuple[str, ...] = ("chance",), **more: object) -> dict[str, object]:
    cells = [asdict(asked(seed, method)) for seed in seeds for method in methods]
    suite = {"name": "demo", "dataset": "d", "splits": ("s",), "methods": methods}
    return {**suite, "seeds": seeds, "cells": cells, **more}


def test_seeds_of_several_calls_add_up(tmp_path: Path) -> None:
    for seed in (3, 1, 2):
        ask(tmp_path, facts([seed], labels={f"chance-{seed}": f"row {seed}"}))
    (suite,) = suites(tmp_path)
    assert suite.seeds == (1, 2, 3)
    assert suite.cells == tuple(asked(seed) for seed in (1, 2, 3))
    assert suite.labels == {f"chance-{seed}": f"row {seed}" for seed in (1, 2, 3)}


def test_another_table_of_the_same_name_replaces_what_was_asked(tmp_path: Path) -> None:
    ask(tmp_path, facts([1, 2]))
    ask(tmp_path, facts([3], methods=("chance", "padim")))
    (suite,) = suites(tmp_path)
    assert (suite.seeds, suite.methods) == ((3,), ("chance", "padim"))


def test_asking_again_for_the_same_touches_no_file(tmp_path: Path) -> None:
    ask(tmp_path, facts([1, 2]))
    (file,) = matches(tmp_path, PATTERN)
    before = file.stat().st_mtime_ns
    ask(tmp_path, facts([1, 2]))
    assert file.stat().st_mtime_ns == before


def test_cells_that_version_1_asked_for_are_read(tmp_path: Path) -> None:
    """They were the names of folders."""
    old = {**facts([1]), "cells": ["d/s/seed1/chance-0"]}
    write_json(tmp_path / "suites" / "old.json", old)
    ask(tmp_path, facts([2]))
    (suite,) = suites(tmp_path)
    assert suite.cells == (asked(1), asked(2))


def test_the_same_suite_on_two_data_sets_is_two(tmp_path: Path) -> None:
    ask(tmp_path, facts([1]))
    ask(tmp_path, facts([2], dataset="e"))
    assert [(suite.dataset, suite.seeds) for suite in suites(tmp_path)] == [("d", (1,)), ("e", (2,))]


def test_a_file_that_is_no_suite_is_named(tmp_path: Path) -> None:
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "x.json").write_text(json.dumps({"name": "x", "dataset": "d"}))
    with pytest.raises(ResultsError, match=r"x.json.*splits"):
        suites(tmp_path)


def test_numbers_in_few_words() -> None:
    assert seed_ranges([1]) == "1"
    assert seed_ranges([3, 1, 2, 8, 10, 9]) == "1-3,8-10"


def test_merged_folders_ask_for_all_their_seeds(tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        generate(tmp_path / f"m{seed}", boards=[("synthetic", "pareto")], seeds=(seed,))
        (board,) = boards(read(tmp_path / f"m{seed}"))
        assert board.asked == (seed,)
    merge([tmp_path / f"m{seed}" for seed in (1, 2, 3)], tmp_path / "all")
    (board,) = boards(read(tmp_path / "all"))
    assert board.asked == (1, 2, 3)
    assert {entry.finished for entry in board.entries if entry.method != "softpatch"} == {(1, 2, 3)}


def test_a_site_is_not_current_after_a_merge_or_another_wish(tmp_path: Path) -> None:
    generate(tmp_path / "there", boards=[("synthetic", "pareto")], seeds=(1,))
    generate(tmp_path / "more", boards=[("synthetic", "pareto")], seeds=(2,))
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").touch()
    assert is_current(tmp_path / "there", site)
    merge([tmp_path / "more"], tmp_path / "there")
    assert not is_current(tmp_path / "there", site)
    (site / "index.html").touch()
    ask(tmp_path / "there", facts([7]))
    assert not is_current(tmp_path / "there", site)


def test_seeds_of_which_none_is_there_do_not_empty_a_board(tmp_path: Path) -> None:
    generate(tmp_path, boards=[("synthetic", "pareto")], seeds=(1, 2))
    for file in matches(tmp_path, PATTERN):
        file.write_text(json.dumps({**json.loads(file.read_text()), "seeds": [7]}))
    (board,) = boards(read(tmp_path))
    assert board.asked == (1, 2)


def test_half_a_copied_cell_is_no_cell(tmp_path: Path) -> None:
    generate(tmp_path, boards=[("synthetic", "pareto")], seeds=(1,))
    material = read(tmp_path)
    whole = material.cells[0].folder
    whole.rename(whole.parent / f".{whole.name}.arriving")
    assert len(read(tmp_path).cells) == len(material.cells) - 1


def test_progress_counts_rows_and_not_methods(tmp_path: Path) -> None:
    """Two rows of one method, one of them on one split only."""
    rows = [SuiteMethod("ltad"), SuiteMethod("ltad", {"x": 1}, only=("pareto",))]
    suite = Suite("own", "Own", "", "synthetic", ["pareto", "clean"], [1], rows)
    cells = [
        AskedCell(
            f"synthetic/{cell.split}/seed1/ltad-{len(cell.fields)}", "synthetic", cell.split, 1, cell.method
        )
        for cell in suite.cells()
    ]
    store_facts(suite, tmp_path, dict.fromkeys(cells, ""))
    (progress,) = _progress(read(tmp_path))
    assert (progress.done, progress.asked) == (0, 3)


@pytest.mark.parametrize("name", shipped.names())
def test_a_suite_is_kept_whole(name: str, tmp_path: Path) -> None:
    suite = shipped.load(name)
    store_facts(suite, tmp_path, {})
    (kept,) = suites(tmp_path)
    assert (kept.name, kept.title, kept.dataset) == (suite.name, suite.title, suite.dataset)
    assert kept.seeds == tuple(suite.seeds)
    assert kept.splits == tuple(suite.splits)
