"""The Ray engine gives the same results as the local one, and survives a node that goes away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from split_trees import mvtec_style_class
from test_run import VIEW, silent

from benchmark.cell import Cell
from benchmark.engines import Options
from benchmark.errors import UsageError
from benchmark.run import plan, run
from benchmark.settings import Settings
from results.diff import difference
from results.status import Status

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def cluster() -> Iterator[object]:
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'ltbench[ray]'")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def cells(tmp_path: Path) -> list[Cell]:
    for name in ("bolt", "nut"):
        mvtec_style_class(tmp_path / "parts", name, train=4, good=3, bad=3)
    return [
        Cell(f"folder:{tmp_path / 'parts'}", "clean", seed, "chance", {}, view=VIEW) for seed in (1, 2, 3)
    ]


def test_ray_and_local_agree_bit_for_bit(cluster: object, cells: list[Cell], tmp_path: Path) -> None:
    for engine in ("ray", "local"):
        settings = Settings(home=tmp_path / "home", results=tmp_path / engine, jobs=1)
        outcome = run(plan(cells, settings).cells, settings, Options(), silent, engine=engine)
        assert [cell.status for cell in outcome.cells] == [Status.OK] * 3
    difference(tmp_path / "ray", tmp_path / "local", 0.0).require_equal()


def test_a_node_that_dies_costs_time_only(cluster: object, cells: list[Cell], tmp_path: Path) -> None:
    node = cluster.add_node(num_cpus=1)  # type: ignore[attr-defined]
    settings = Settings(home=tmp_path / "home", results=tmp_path / "runs", jobs=2)

    class Killer:
        killed = False

        def started(self, index: int) -> None: ...

        def progressed(self, index: int, stage: str, done: int, total: int) -> None: ...

        def finished(self, index: int, status: Status, error: str) -> None:
            if not self.killed:
                self.killed = True
                cluster.remove_node(node, allow_graceful=False)  # type: ignore[attr-defined]

    from contextlib import nullcontext

    outcome = run(
        plan(cells, settings).cells,
        settings,
        Options(),
        lambda titles, before: nullcontext(Killer()),
        engine="ray",
    )
    assert [cell.status for cell in outcome.cells] == [Status.OK] * 3


def test_a_wrong_address_is_one_sentence(
    cells: list[Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    settings = Settings(home=tmp_path / "home", results=tmp_path / "runs", ray_address="nowhere:1")

    def refuse(**_: object) -> None:
        raise ConnectionError("refused")

    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(UsageError, match="no Ray cluster answers at 'nowhere:1'"):
        run(plan(cells, settings).cells, settings, Options(), silent, engine="ray")
