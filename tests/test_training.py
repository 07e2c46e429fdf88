"""The training engine: exact resumption, budgets, schedules, and randomness that stays inside."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ltbench.methods.base import Context
from ltbench.methods.blocks import pseudo_labels
from ltbench.methods.errors import BadParameter, MethodsError
from ltbench.methods.layers import attention
from ltbench.methods.reconstruction import token_students
from ltbench.methods.training.averaging import Average
from ltbench.methods.training.engine import Batch, Outcome, Plan, train
from ltbench.methods.training.precision import in_full_precision, mixed
from ltbench.methods.training.randomness import seeded
from ltbench.methods.training.sampling import Sampler, iterations_of
from ltbench.methods.training.schedules import constant, drop, late_drop, warm_cosine
from ltbench.methods.training.structural_similarity import dissimilarity

DATA = np.random.default_rng(5).standard_normal((13, 6)).astype(np.float32)


class Killed(Exception):
    """The process ended here."""


def trained(
    work: Path | None, plan: Plan, *, killed_at: int | None = None, seed: int = 1, identity: str = "x"
) -> tuple[dict[str, torch.Tensor], Outcome, dict[str, float]]:
    """A network with dropout, batch statistics, and draws of both kinds, after training."""
    figures: dict[str, float] = {}
    context = Context(rng=np.random.default_rng(seed), work=work, report=figures.__setitem__)
    data = torch.from_numpy(DATA)

    def loss(batch: Batch) -> torch.Tensor:
        if batch.iteration == killed_at:
            raise Killed
        rows = (
            data[batch.indices] + torch.from_numpy(batch.rng.normal(0, 0.1, (len(batch.indices), 6))).float()
        )
        return (model(rows + 0.1 * torch.randn_like(rows)) - data[batch.indices]).square().mean()

    with seeded(context):
        model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 6))
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        sampler = Sampler(len(DATA), 4, context.rng, drop_last=True)
        outcome = train(
            model, loss, sampler, optimizer, plan=plan, context=context, title="fit", identity=identity
        )
    return model.state_dict(), outcome, figures


def equal(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(left[name], right[name]) for name in left)


PLANS = {
    "plain": Plan(30, checkpoint_seconds=0),
    "with everything": Plan(
        30, schedule=warm_cosine(30, warm_up=5), clip=0.5, average=0.9, checkpoint_seconds=0
    ),
}


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_a_killed_training_goes_on_as_if_nothing_had_happened(tmp_path: Path, plan: Plan) -> None:
    whole, outcome, _ = trained(None, plan)
    with pytest.raises(Killed):
        trained(tmp_path, plan, killed_at=17)
    resumed, again, _ = trained(tmp_path, plan)
    assert equal(whole, resumed)
    assert (again.iterations, again.images, again.loss) == (outcome.iterations, outcome.images, outcome.loss)


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    first, _, _ = trained(tmp_path, PLANS["plain"])
    second, _, _ = trained(tmp_path, PLANS["plain"], killed_at=0)
    assert equal(first, second)


def test_the_checkpoint_of_another_training_is_not_read(tmp_path: Path) -> None:
    trained(tmp_path, Plan(5), seed=2, identity="other")
    found, _, _ = trained(tmp_path, PLANS["plain"])
    assert equal(found, trained(None, PLANS["plain"])[0])


def test_a_damaged_checkpoint_costs_time_only(tmp_path: Path) -> None:
    trained(tmp_path, PLANS["plain"])
    file = tmp_path / "fit.pt"
    file.write_bytes(file.read_bytes()[:100])
    assert equal(trained(tmp_path, PLANS["plain"])[0], trained(None, PLANS["plain"])[0])


def test_the_same_seed_trains_the_same_and_another_seed_another() -> None:
    first, second = trained(None, PLANS["plain"])[0], trained(None, PLANS["plain"])[0]
    assert equal(first, second)
    assert not equal(first, trained(None, PLANS["plain"], seed=2)[0])


def test_training_leaves_torchs_own_randomness_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    trained(None, Plan(3))
    assert torch.equal(torch.rand(3), expected)


def test_a_limit_on_the_time_is_kept_and_told() -> None:
    _, outcome, figures = trained(None, Plan(10**9, max_seconds=0.05))
    assert outcome.truncated
    assert 0 < outcome.iterations < 10**9
    assert figures["truncated"] == 1.0
    assert figures["fit_iterations"] == outcome.iterations
    assert "truncated" not in trained(None, Plan(3))[2]


def test_progress_shows_loss_and_speed() -> None:
    told: list[str] = []

    def progress(items: Any, title: Any, total: int | None = None) -> Any:
        for item in items:
            told.append(title())
            yield item

    model = nn.Linear(6, 1)
    context = Context(rng=np.random.default_rng(0), progress=progress)
    train(
        model, lambda batch: model(torch.from_numpy(DATA)[batch.indices]).square().mean(),
        Sampler(13, 4, context.rng), torch.optim.SGD(model.parameters(), lr=1e-3),
        plan=Plan(3), context=context, title="phase 1",
    )  # fmt: skip
    assert told[0].startswith("phase 1: loss nan, 0 images/s")
    assert len(told) == 3
    assert "nan" not in told[-1]


def test_a_loss_that_is_not_finite_ends_the_training() -> None:
    model = nn.Linear(6, 1)
    context = Context(rng=np.random.default_rng(0))
    with pytest.raises(MethodsError, match="the loss is inf at iteration 1"):
        train(
            model, lambda _: model.weight.abs().sum() * math.inf, Sampler(13, 4, context.rng),
            torch.optim.SGD(model.parameters(), lr=1.0), plan=Plan(3), context=context, title="t",
        )  # fmt: skip


def test_gradients_are_clipped_together() -> None:
    model = nn.Linear(2, 1)
    with torch.no_grad():
        model.weight.fill_(0), model.bias.fill_(0)
    context = Context(rng=np.random.default_rng(0))
    train(
        model, lambda _: 300 * model.weight.sum() + 400 * model.bias.sum(), Sampler(1, 1, context.rng),
        torch.optim.SGD(model.parameters(), lr=1.0), plan=Plan(1, clip=1.0), context=context, title="t",
    )  # fmt: skip
    moved = torch.cat([model.weight.flatten(), model.bias])
    assert torch.allclose(moved.norm(), torch.tensor(1.0), atol=1e-4)


def test_a_pass_shows_every_image_once() -> None:
    sampler = Sampler(10, 4, np.random.default_rng(0))
    batches = [sampler.next().tolist() for _ in range(6)]
    assert [len(batch) for batch in batches] == [4, 4, 2] * 2
    for one_pass in (batches[:3], batches[3:]):
        assert sorted(number for batch in one_pass for number in batch) == list(range(10))
    assert batches[:3] != batches[3:]
    assert (sampler.passes, sampler.batches_per_pass()) == (2, 3)
    assert iterations_of(2.5, sampler) == 8


def test_small_batches_are_dropped_only_where_there_are_others() -> None:
    sampler = Sampler(10, 4, np.random.default_rng(0), drop_last=True)
    assert [len(sampler.next()) for _ in range(4)] == [4, 4, 4, 4]
    assert len(Sampler(3, 4, np.random.default_rng(0), drop_last=True).next()) == 3
    with pytest.raises(MethodsError, match="empty"):
        Sampler(0, 4, np.random.default_rng(0))
    with pytest.raises(BadParameter, match="batch_size"):
        Sampler(3, 0, np.random.default_rng(0))


def test_images_can_be_chosen_before_each_pass() -> None:
    sampler = Sampler(6, 2, np.random.default_rng(0))
    sampler.on_pass = lambda own: own.restrict([own.passes, 5])
    assert [sorted(sampler.next().tolist()) for _ in range(3)] == [[0, 5], [1, 5], [2, 5]]
    with pytest.raises(MethodsError, match="no training image"):
        sampler.restrict([])


def test_schedules_begin_and_end_where_they_should() -> None:
    assert constant(10**6) == 1
    step = drop(10)
    assert [step(i) for i in (0, 7, 8, 9)] == [1, 1, 0.1, 0.1]
    late = late_drop(1000 * 57)
    assert [late(i) for i in (0, 801 * 57 - 1, 801 * 57, 57_000)] == [1, 1, 0.1, 0.1]
    cosine = warm_cosine(1000, warm_up=100, final=0.01)
    assert cosine(0) == 0
    assert cosine(100) == 1
    assert cosine(999) == pytest.approx(0.01)
    middle = [cosine(i) for i in range(100, 1000)]
    assert middle == sorted(middle, reverse=True)


def test_the_moving_average_is_its_definition() -> None:
    model = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(1.0)
    average = Average(model, 0.9)
    expected = 1.0
    for value in (2.0, 3.0, -1.0):
        with torch.no_grad():
            model.weight.fill_(value)
        average.update()
        expected = 0.9 * expected + 0.1 * value
    average.install()
    assert model.weight.item() == pytest.approx(expected)


def test_a_processor_computes_in_float32_whatever_is_asked() -> None:
    with mixed("cpu", True):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_what_needs_float32_has_it_inside_mixed_precision() -> None:
    rows = torch.randn(20, 64, generator=torch.Generator().manual_seed(0))

    def product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return left @ right.T

    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert product(rows, rows).dtype == torch.bfloat16
        found = in_full_precision(product)(rows, right=rows)
        widened = in_full_precision(product)(rows.bfloat16(), rows.bfloat16())
    assert torch.equal(found, product(rows, rows))
    assert torch.equal(widened, product(rows.bfloat16().float(), rows.bfloat16().float()))


@pytest.mark.parametrize(
    "compute",
    [
        lambda rows: pseudo_labels._squared_distances(rows, rows),
        lambda rows: dissimilarity(rows.view(2, 3, 16, 16), rows.flip(0).view(2, 3, 16, 16)),
        lambda rows: attention._cosines(rows[None], rows[None]),
        lambda rows: attention._linear_attention(rows[None], rows[None], rows[None], 1e-6),
        lambda rows: token_students.coherence_of(rows[None], rows[None, :5]),
    ],
)
def test_distances_cosines_and_variances_do_not_feel_mixed_precision(
    compute: Callable[[torch.Tensor], torch.Tensor],
) -> None:
    rows = torch.rand(24, 64, generator=torch.Generator().manual_seed(0))
    expected = compute(rows)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(compute(rows), expected)
