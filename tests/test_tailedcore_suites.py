"""The suite of TailedCore's noise-ratio figure asks for the figure's points at the settings of its tables."""

from __future__ import annotations

from collections import Counter

import pytest

from ltbench.benchmark import suites
from ltbench.benchmark.cell import Cell
from ltbench.methods import catalog
from ltbench.results.published import cells
from ltbench.splits.verify import locked


def config(cell: Cell) -> tuple[str, str]:
    """(method, hyper-parameters that it would be built with)."""
    fields = catalog.config(catalog.create(cell.method, **cell.fields))
    return cell.method, repr(sorted(fields.items()))


def test_the_noise_suite_has_every_point_of_the_figure_with_five_seeds() -> None:
    points = {(c.split, c.method) for c in cells("tailedcore") if c.table > 100}
    asked = Counter((cell.split, cell.method) for cell in suites.load("tailedcore-noise").cells())
    assert asked == dict.fromkeys(points, 5)
    assert len(points) == 36


@pytest.mark.parametrize("recipe", ["pareto", "step_k4", "step_k1"])
def test_the_noise_suite_has_the_settings_of_the_main_tables_at_every_ratio(recipe: str) -> None:
    main = {config(cell) for cell in suites.load("tailedcore-mvtec").cells() if cell.split == recipe}
    for cell in suites.load("tailedcore-noise").cells():
        if cell.split.startswith(recipe):
            assert config(cell) in main


def test_every_split_of_the_noise_suite_is_a_released_list() -> None:
    for cell in suites.load("tailedcore-noise").cells():
        assert locked()[f"mvtec/{cell.split}/seed{cell.seed}"]["evidence"] == "release-exact"
