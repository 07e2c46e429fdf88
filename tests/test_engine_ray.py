"""The Ray engine gives the same results as the local one, and survives a node that goes away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty_cells import drive
from remote_roots import new_bucket, s3_environment
from split_trees import mvtec_style_class
from test_faults import require_equal, start_driver, wait_for_a_cell
from test_run import VIEW, silent

from ltbench.benchmark.cell import Cell
from ltbench.benchmark.engines import Options
from ltbench.benchmark.errors import UsageError
from ltbench.benchmark.run import plan, run
from ltbench.benchmark.settings import Settings
from ltbench.results.diff import difference
from ltbench.results.places import place
from ltbench.results.status import Status
from ltbench.results.store import Store

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


def test_a_driver_killed_and_started_again_loses_nothing(
    cluster: object, cells: list[Cell], tmp_path: Path
) -> None:
    tree, runs, home = str(tmp_path / "parts"), tmp_path / "runs", tmp_path / "home"
    address = cluster.address  # type: ignore[attr-defined]
    with start_driver(tree, str(runs), home, 5, engine="ray", ray_address=address) as driver:
        wait_for_a_cell(runs)
        driver.kill()
    finished = sum(not cell.damage() for cell in Store(runs).cells())
    again = drive(tree, str(runs), str(home), range(1, 6), engine="ray")
    # A cell that was running when its driver died may still have ended.
    assert finished <= again.reused <= finished + 1
    drive(tree, str(tmp_path / "whole"), str(home), range(1, 6))
    require_equal(runs, tmp_path / "whole", 5)


def test_results_and_features_may_lie_behind_a_url(
    cluster: object, cells: list[Cell], tmp_path: Path
) -> None:
    looks = [Cell(cells[0].dataset, "clean", 1, "patchcore", {"backbone": "desc"}, view=VIEW)]
    settings = Settings(home=tmp_path / "home", results=tmp_path / "local", jobs=1)
    run(plan(looks, settings).cells, settings, Options(), silent)
    with s3_environment() as variables:
        results, cache = (place(new_bucket(variables, complete=True)) for _ in range(2))
        remote = Settings(home=tmp_path / "node", results=results, cache=cache, jobs=1)
        outcome = run(plan(looks, remote).cells, remote, Options(), silent, engine="ray")
        assert [cell.status for cell in outcome.cells] == [Status.OK]
        difference(results, tmp_path / "local", 0.0).require_equal()
        assert any(path.name.endswith(".npy") for path, _, _ in cache.files())  # type: ignore[union-attr]


def test_relative_names_mean_what_they_mean_to_the_driver(
    cluster: object, cells: list[Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    named = [Cell("folder:parts", "clean", 1, "chance", {}, view=VIEW)]
    settings = Settings(home=Path("home"), results=Path("runs"), jobs=1)
    outcome = run(plan(named, settings).cells, settings, Options(), silent, engine="ray")
    assert [(cell.status, cell.folder.parts[0]) for cell in outcome.cells] == [(Status.OK, "runs")]  # type: ignore[union-attr]
    assert len(list(Store(tmp_path / "runs").cells())) == 1


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
