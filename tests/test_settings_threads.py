"""How many threads a cell gets."""

from __future__ import annotations

import os
from pathlib import Path

from ltbench.benchmark.settings import Settings, load_settings


def test_cells_share_the_cores() -> None:
    cores = os.cpu_count() or 1
    assert Settings().threads_of(1) == cores
    assert Settings().threads_of(10 * cores) == 1


def test_threads_that_the_environment_asks_for_are_kept(tmp_path: Path) -> None:
    asked = load_settings(environment={"OMP_NUM_THREADS": "3"}, folder=tmp_path)
    assert asked.threads_of(1) == asked.threads_of(8) == 3
    ours = load_settings(environment={"OMP_NUM_THREADS": "3", "LTBENCH_THREADS": "2"}, folder=tmp_path)
    assert ours.threads_of(1) == 2
    assert load_settings(environment={"OMP_NUM_THREADS": "4,2"}, folder=tmp_path).threads == 0
