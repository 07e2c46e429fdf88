"""The promise of seeds: the same bits whatever else the machine does and however many threads a cell has."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from small_images import context
from test_methods_conformance import NAMES, digest, fit, judged_images, predict, train_images
from threadpoolctl import threadpool_info

from ltbench.methods.blocks.threads import one_blas_thread
from ltbench.methods.training.randomness import repeatable, seeded

BLAS_FOLDERS = {"numpy.libs", "scipy.libs"}
BUSY = "while True: sum(range(10_000))"


@pytest.fixture
def busy_machine() -> Iterator[None]:
    """Four processes that compute beside the test."""
    loops = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(4)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@pytest.mark.slow
@pytest.mark.usefixtures("busy_machine")
@pytest.mark.parametrize("name", NAMES)
def test_fits_beside_busy_processes_give_one_answer(name: str) -> None:
    found = set()
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 2, 1, 2, 2):
            torch.set_num_threads(threads)
            found.add(digest(predict(fit(name, train_images()), judged_images())))
    finally:
        torch.set_num_threads(before)
    assert len(found) == 1


@pytest.mark.slow
@pytest.mark.parametrize("method", ["padim", "patchcore", "softpatch", "tailedcore", "inreach", "rd", "hvq"])
def test_cells_of_one_and_of_two_threads_store_the_same_scores(method: str, tmp_path: Path) -> None:
    """Images of the size that users have, where products are large enough to be shared by threads."""
    import pandas as pd

    scores = []
    for threads in (1, 2):
        results = tmp_path / str(threads)
        command = [sys.executable, "-m", "ltbench", "run", "--method", method, "--split", "step_k4"]
        command += ["--limit", "6", "--jobs", "1", "--results", str(results)]
        command += ["--set", "iterations=20"] if method in {"rd", "hvq"} else []
        environment = {"LTBENCH_THREADS": str(threads), "LTBENCH_HOME": str(tmp_path / f"home{threads}")}
        subprocess.run(
            command, check=True, capture_output=True, cwd=Path(__file__).parents[1],
            env={**os.environ, **environment},
        )  # fmt: skip
        (file,) = results.rglob("scores.parquet")
        scores.append(pd.read_parquet(file))
    pd.testing.assert_frame_equal(*scores, check_exact=True)


def test_repeatable_sections_give_back_the_settings_they_change() -> None:
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with repeatable():
        assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == (1, True)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


def test_accumulating_kernels_are_deterministic_in_repeatable_sections() -> None:
    """The sum of many rows into few, which torch otherwise shares among threads in any order."""
    index = torch.arange(200_000) % 7

    @repeatable()
    def summed() -> torch.Tensor:
        with seeded(context()):
            rows = torch.randn(len(index), 8)
        return torch.zeros(7, 8).index_put_((index,), rows, accumulate=True)

    torch.set_num_threads(2)
    first = summed()
    assert all(torch.equal(summed(), first) for _ in range(5))


def test_matrix_products_of_numpy_and_scipy_are_limited_to_one_thread() -> None:
    with one_blas_thread():
        found = [
            library["num_threads"]
            for library in threadpool_info()
            if library["user_api"] == "blas" and Path(library["filepath"]).parent.name in BLAS_FOLDERS
        ]
    assert found == [1, 1]
