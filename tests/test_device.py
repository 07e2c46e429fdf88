"""What becomes of a run on a GPU, as far as a machine without one can tell."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ltbench.benchmark.device import accelerator, settle
from ltbench.benchmark.settings import Settings
from ltbench.benchmark.worker import is_out_of_memory
from ltbench.methods.base import Context
from ltbench.methods.errors import MethodsError
from ltbench.methods.features.extract import engine
from ltbench.methods.training.engine import Batch, Plan, _Counters, train
from ltbench.methods.training.sampling import Sampler


def test_a_processor_is_left_as_it_is() -> None:
    before = torch.are_deterministic_algorithms_enabled()
    settle("cpu")
    assert torch.are_deterministic_algorithms_enabled() == before
    assert accelerator("cpu") is None


def test_on_a_gpu_float32_is_float32_and_sums_keep_their_order() -> None:
    code = (
        "import os, torch; from ltbench.benchmark.device import settle; settle('cuda:1');"
        "print(torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic,"
        " torch.are_deterministic_algorithms_enabled(),"
        " torch.is_deterministic_algorithms_warn_only_enabled(), os.environ['CUBLAS_WORKSPACE_CONFIG'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    assert done.stdout.split() == ["False", "True", "True", "True", ":4096:8"]


def test_one_cell_at_a_time_unless_more_are_asked_for() -> None:
    assert Settings(device="cuda:1").parallel == 1
    assert Settings(device="cuda", jobs=3).parallel == 3
    assert Settings().parallel == os.cpu_count()


def test_features_of_a_gpu_are_others_than_those_of_a_processor() -> None:
    assert engine("cuda:1") == engine("cuda") != engine("cpu")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("CUDA error: out of memory\nCompile with ..."), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (ValueError("out of memory of words"), False),
    ],
)
def test_out_of_memory_is_told_by_its_kind_or_its_words(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) == expected


def test_the_mean_loss_forgets_by_iterations_however_few_are_seen() -> None:
    counters = _Counters()
    counters.iteration = 20
    counters.record_loss(5.0)
    assert counters.loss == 5.0
    counters.iteration = 60
    counters.record_loss(1.0)
    assert counters.loss == pytest.approx(1 + 4 * 0.98**40)


def test_a_training_that_has_diverged_is_not_saved(tmp_path: Path) -> None:
    """On an accelerator a loss is looked at now and then; a checkpoint in between must not hold it."""
    # The processor under another name: losses are seen as seldom as on a GPU.
    context = Context(rng=np.random.default_rng(0), work=tmp_path, device="cpu:0")
    model = nn.Linear(2, 1)

    def loss(batch: Batch) -> torch.Tensor:
        value = model(torch.ones(len(batch.indices), 2)).square().mean()
        return value * float("nan") if batch.iteration == 5 else value

    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
    plan = Plan(15, checkpoint_seconds=0)
    with pytest.raises(MethodsError, match="diverged: the loss is nan at iteration 6 of 15"):
        train(model, loss, Sampler(8, 4, context.rng), optimizer, plan=plan, context=context, title="fit")
    (path,) = tmp_path.rglob("*.pt")
    state = torch.load(path, weights_only=True)
    assert state["numbers"]["iteration"] == 5
    assert all(value.isfinite().all() for value in state["parts"]["model"].values())
