"""A training that is killed within a run goes on from its checkpoint and ends with the same numbers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from split_trees import mvtec_style_class

from ltbench.methods.errors import BadParameter
from ltbench.methods.training import engine
from ltbench.results.store import Store, StoredCell

ROOT = Path(__file__).parents[1]
SMALL = ["backbone=desc", "width=16", "heads=2", "hidden=32", "depth=1", "batch_size=2", "grid=8"]
LONG, KILLED_AFTER = 120, 20


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("bolt", "nut"):
        mvtec_style_class(tmp_path / "parts", name, train=4, good=3, bad=3)
    return tmp_path


def started(place: Path, results: str, method: str, fields: list[str]) -> subprocess.Popen[bytes]:
    """`ltbench run` in a process group of its own, with a checkpoint after every iteration."""
    words = ["run", "-m", method, "-s", "clean", "-d", "folder:parts", "--view", "64/64", "--jobs", "2"]
    for field in [*SMALL, *fields]:
        words += ["--set", field]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LTBENCH_")}
    own = {"LTBENCH_HOME": str(place / "home"), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    # Threads that wait for each other while others compute would take the machine's whole time.
    own["OMP_WAIT_POLICY"] = "passive"
    return subprocess.Popen(
        [sys.executable, "-m", "ltbench", *words, "--results", results],
        cwd=place, env={**inherited, **own, engine.CHECKPOINT_ENVIRONMENT: "0"}, process_group=0,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def iterations_in(checkpoint: Path) -> int:
    try:
        return int(torch.load(checkpoint, weights_only=True)["numbers"]["iteration"])
    except FileNotFoundError:
        return 0


def kill_on_the_way(process: subprocess.Popen[bytes], root: Path, name: str) -> Path:
    """Kill the whole group once the training has come some way; the checkpoint that it left."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        for checkpoint in root.rglob(f"{name}.pt"):
            if iterations_in(checkpoint) >= KILLED_AFTER:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return checkpoint
        time.sleep(0.05)
    raise TimeoutError(f"the run ended with {process.poll()} before its training had come far")


def only_cell(root: Path) -> StoredCell:
    (cell,) = Store(root).cells()
    return cell


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "fields", "name"),
    [
        ("uniad", [f"iterations={LONG}", "dropout=0.1", "neighbours=3"], "train"),
        ("ltad", ["phase_1_iterations=8", f"iterations={LONG}", "neighbours=3"], "phase_2"),
    ],
)
def test_a_run_that_is_killed_ends_as_if_it_had_not_been(
    method: str, fields: list[str], name: str, place: Path
) -> None:
    assert started(place, "whole", method, fields).wait() == 0
    killed = started(place, "resumed", method, fields)
    checkpoint = kill_on_the_way(killed, place / "resumed", name)
    assert KILLED_AFTER <= iterations_in(checkpoint) < LONG
    assert list(Store(place / "resumed").unfinished())
    # A time that no machine needs for this, so that the record tells whether the state was read.
    state = torch.load(checkpoint, weights_only=True)
    state["numbers"]["seconds"] += 1e5
    torch.save(state, checkpoint)

    assert started(place, "resumed", method, fields).wait() == 0
    whole, resumed = only_cell(place / "whole"), only_cell(place / "resumed")
    figures = resumed.content["figures"]
    assert figures[f"{name}_iterations"] == LONG
    assert figures[f"{name}_images_per_second"] < 0.1
    assert figures[f"{name}_loss"] == whole.content["figures"][f"{name}_loss"]
    assert (whole.scores()["score"] == resumed.scores()["score"]).all()
    assert whole.metrics()["value"].equals(resumed.metrics()["value"])
    assert not checkpoint.parent.exists()


def test_the_time_between_checkpoints_may_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(engine.CHECKPOINT_ENVIRONMENT, raising=False)
    assert engine.checkpoint_seconds() == 60
    monkeypatch.setenv(engine.CHECKPOINT_ENVIRONMENT, "2.5")
    assert engine.checkpoint_seconds() == 2.5
    for wrong in ("soon", "-1", "nan"):
        monkeypatch.setenv(engine.CHECKPOINT_ENVIRONMENT, wrong)
        with pytest.raises(BadParameter, match=f"is '{wrong}': expected seconds"):
            engine.checkpoint_seconds()
