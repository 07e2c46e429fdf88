"""The suites of MeDS ask for what its tables and figures have, at the paper's settings."""

from __future__ import annotations

from typing import Any

import pytest

from ltbench.benchmark import suites
from ltbench.benchmark.cell import Cell
from ltbench.methods import catalog
from ltbench.methods.meds import Meds

NAMES = [name for name in suites.names() if name.startswith("meds-") or name.startswith("demo-meds")]


def rows(suite: str, **wanted: Any) -> list[Cell]:
    """Cells of the first split whose method, made from the cell, has these attributes."""
    loaded = suites.load(suite)
    made = [
        (cell, catalog.create(cell.method, **cell.fields))
        for cell in loaded.cells()
        if cell.split == loaded.splits[0]
    ]
    return [
        cell
        for cell, method in made
        if all(getattr(method, name, None) == value for name, value in wanted.items())
    ]


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_can_be_made_and_none_is_asked_for_twice(name: str) -> None:
    cells = suites.load(name).cells()
    configurations = set()
    for cell in cells:
        fields = catalog.config(catalog.create(cell.method, **cell.fields))
        configurations.add((cell.split, cell.seed, cell.method, repr(sorted(fields.items()))))
    assert len(configurations) == len(cells)


@pytest.mark.parametrize(("name", "ratios"), [("meds-mvtec", (0, 10, 20, 40)), ("meds-visa", (0, 2, 5, 10))])
def test_tables_1_and_2_have_every_host_alone_and_under_meds(name: str, ratios: tuple[int, ...]) -> None:
    suite = suites.load(name)
    assert tuple(suite.splits) == tuple(f"meds_nr{ratio:02d}" for ratio in ratios)
    for host in ("hvq", "dinomaly", "inpformer"):
        (cell,) = [cell for cell in rows(name) if cell.method == host]
        (ours,) = rows(name, host=host, preset="paper")
        inner = catalog.create("meds", **ours.fields)._inner()
        alone = catalog.create(host, **cell.fields)
        assert (inner.backbone, inner.size) == (alone.backbone, alone.size)
        assert inner.depth == alone.depth
    meds = catalog.create("meds", **rows(name, host="dinomaly")[0].fields)
    assert (meds.k, meds.draws, meds.ratio, meds.top_percent) == (1, 100, 0.1, 1)
    assert meds._inner().mining == 0.5
    assert meds._inner().iterations == 10_000
    assert catalog.create("meds", **rows(name, host="inpformer")[0].fields)._inner().epochs == 100
    assert catalog.create("meds", **rows(name, host="hvq")[0].fields)._inner().epochs == 200


@pytest.mark.parametrize("host", ["dinomaly", "inpformer"])
def test_tables_4_and_5_have_their_six_rows(host: str) -> None:
    plain = {"host": host, "preset": "paper", "draws": 100, "ratio": 0.1, "k": 1, "distill_iterations": None}
    assert len(rows("meds-ablations", stop_after="memory", **plain)) == 1
    assert len(rows("meds-ablations", stop_after="distillation", **plain)) == 1
    for init, criterion in (("random", "memory"), ("random", "distilled"), ("distilled", "distilled")):
        found = rows(
            "meds-ablations", init=init, criterion=criterion, stop_after="selection", top_percent=1, **plain
        )
        assert len(found) == 1
    assert [cell for cell in rows("meds-ablations") if cell.method == host]


@pytest.mark.parametrize(
    ("field", "values"),
    [("draws", {1, 5, 10, 50}), ("ratio", {0.01, 0.5, 1.0}), ("k", {0, 2, 3}), ("top_percent", {0.1, 5}),
     ("distill_iterations", {100, 500, 1000})],
)  # fmt: skip
def test_figures_vary_one_setting_at_a_time(field: str, values: set[float]) -> None:
    swept = [
        catalog.create("meds", **cell.fields)
        for cell in suites.load("meds-ablations").cells()
        if cell.method == "meds" and cell.split == "meds_nr20"
    ]
    base = Meds(preset="paper")
    found = {getattr(method, field) for method in swept if getattr(method, field) != getattr(base, field)}
    assert values <= found


def test_real_iad_is_taken_by_camera_from_its_own_lists() -> None:
    suite = suites.load("meds-realiad")
    assert all(split.startswith("fuiad_nr") for split in suite.splits)
    (cell,) = [cell for cell in suite.cells() if cell.method == "meds" and cell.split == "fuiad_nr10"]
    method = catalog.create("meds", **cell.fields)
    assert "camera_ids_fit" in method.needs
    assert method.replacement is False
