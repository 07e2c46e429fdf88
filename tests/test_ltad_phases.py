"""The two phases of LTAD: what their losses sum, by plain loops, and the constants that they step with."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ltbench.benchmark import suites
from ltbench.benchmark.conformance import small_context
from ltbench.methods import catalog
from ltbench.methods.layers.uniad import ReconstructionTransformer
from ltbench.methods.ltad import LTAD
from ltbench.methods.ltad_parts import phases
from ltbench.methods.ltad_parts.detection import Detection, SemanticHead
from ltbench.methods.ltad_parts.names import FreeVectors
from ltbench.methods.ltad_parts.synthesis import Synthesis
from ltbench.methods.training.engine import Batch

CHANNELS = (2, 3)
CLASSES, PATCHES, CODE, TEXT = 3, 9, 4, 5
CHOSEN = [4, 0, 2, 5]


@pytest.fixture(autouse=True)
def _fixed_draws() -> None:
    torch.manual_seed(0)


def training_set() -> phases.TrainingSet:
    vectors = torch.randn(6, PATCHES, sum(CHANNELS))
    bank = SimpleNamespace(gather=lambda indices: SimpleNamespace(vectors=vectors[indices]))
    return phases.TrainingSet(bank, torch.randn(6, CODE), torch.tensor([0, 1, 2, 0, 1, 2]), CHANNELS)  # type: ignore[arg-type]


def loss_of(phase: Any, *arguments: Any, **named: Any) -> torch.Tensor:
    """The loss that a phase hands to its stepping, on a batch, with draws of seed 7."""
    losses: list[Any] = []
    stepping = SimpleNamespace(run=lambda _model, loss, *_, **__: losses.append(loss))
    phase(*arguments, stepping=stepping, context=small_context(), **named)
    torch.manual_seed(7)
    return losses[0](Batch(torch.tensor(CHOSEN), 0, 1, np.random.default_rng(0)))


@torch.no_grad()
def test_phase_1_sums_the_mean_square_of_every_layer_and_the_weighted_divergence() -> None:
    training, names = training_set(), FreeVectors(CLASSES, TEXT)
    synthesis = Synthesis(CODE, TEXT, CHANNELS, grid=3, width=8)
    weight = LTAD().kl_weight
    found = loss_of(phases.phase_one, synthesis, names, training, kl_weight=weight)
    torch.manual_seed(7)
    noise = torch.randn(len(CHOSEN), CODE)
    assert weight == 1e-3
    expected = 0.0
    for row, index in enumerate(CHOSEN):
        code = training.codes[index]
        mean, log_variance = synthesis.mean(code), synthesis.log_variance(code)
        sampled = [
            float(m) + math.exp(float(v) / 2) * float(e)
            for m, v, e in zip(mean, log_variance, noise[row], strict=True)
        ]
        given = torch.cat([torch.tensor(sampled), names.prototype[training.ids[index]]])
        real = training.bank.gather(torch.tensor([index])).vectors[0].split(list(CHANNELS), dim=-1)
        for ours, theirs in zip(synthesis.decoder(given[None]), real, strict=True):
            expected += float((ours[0] - theirs).square().mean()) / len(CHANNELS) / len(CHOSEN)
        for m, v in zip(mean.tolist(), log_variance.tolist(), strict=True):
            expected += weight * (m**2 + math.exp(v) - v - 1) / 2 / CODE / len(CHOSEN)
    assert float(found.detach()) == pytest.approx(expected, rel=1e-5)


@torch.no_grad()
def test_phase_2_sums_both_losses_on_real_and_synthetic_features() -> None:
    training, names = training_set(), FreeVectors(CLASSES, TEXT)
    synthesis = Synthesis(CODE, TEXT, CHANNELS, grid=3, width=8)
    rebuild = ReconstructionTransformer(sum(CHANNELS), 3, width=8, heads=2, hidden=8, layers=1, neighbours=0)
    head = SemanticHead(CHANNELS, TEXT)
    share = torch.full((CLASSES,), LTAD().real_probability)
    found = loss_of(
        phases.phase_two, Detection(rebuild, head), synthesis, names, training,
        real_probability=share, jitter=20.0, temperature=1.0, only_abnormal=False,
    )  # fmt: skip
    torch.manual_seed(7)
    ids = training.ids[CHOSEN]
    real = training.bank.gather(torch.tensor(CHOSEN)).vectors
    with torch.no_grad():
        synthetic = synthesis(training.codes[CHOSEN], names.prototype[ids])
    takes_real = torch.rand(len(CHOSEN)) < 0.5
    assert takes_real.any()
    assert not takes_real.all()
    normal = torch.stack([real[n] if takes_real[n] else synthetic[n] for n in range(len(CHOSEN))])
    abnormal = normal + torch.randn_like(normal) * 20 * normal.norm(dim=-1, keepdim=True) / sum(CHANNELS)
    expected = float((rebuild(abnormal) - normal).square().sum()) / len(CHOSEN) / PATCHES
    for row, patch in np.ndindex(len(CHOSEN), PATCHES):
        for patches, wanted in ((normal, 0), (abnormal, 1)):
            projected = head(patches)[row, patch]
            powers = [math.exp(float(t[ids[row]] @ projected)) for t in (names.normal, names.abnormal)]
            expected -= math.log(powers[wanted] / sum(powers)) / len(CHOSEN) / PATCHES
    assert float(found.detach()) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("suite", ["ltad-mvtec", "ltad-visa", "ltad-dagm", "ltad-ablations"])
def test_both_phases_step_adamw_at_the_papers_rate(suite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Any, Any, Any]] = []
    monkeypatch.setattr(
        phases.engine,
        "train",
        lambda _model, _loss, sampler, optimizer, plan, **_: seen.append((sampler, optimizer, plan)),
    )
    rows = [
        catalog.create(row.name, **row.fields) for row in suites.load(suite).methods if row.name == "ltad"
    ]
    for row in rows:
        assert isinstance(row, LTAD)
        training = SimpleNamespace(bank=range(1846), identity="")
        for stepping in (
            row._stepping(row.phase_1_iterations, row.phase_1_epochs, None, row.phase_1_learning_rate),
            row._stepping(row.iterations, row.epochs, row.clip, row.learning_rate),
        ):
            stepping.run(
                torch.nn.Linear(1, 1), lambda _: torch.zeros(()), training, small_context(), title=""
            )  # type: ignore[arg-type]
    for number, (sampler, optimizer, plan) in enumerate(seen):
        # The 1,846 training images of MVTec AD, step100: 231 batches of 8 per epoch.
        assert sampler.batch_size == 8
        assert plan.iterations == (23_100, 115_500)[number % 2]
        assert type(optimizer) is torch.optim.AdamW
        assert optimizer.defaults["lr"] == 1e-4
        # UniAD's, which the paper builds on and leaves open.
        assert optimizer.defaults["weight_decay"] == 1e-4
        assert plan.clip == (None, 0.1)[number % 2]
        last = plan.iterations * 4 // 5
        assert [plan.schedule(step) for step in (0, last - 1, last)] == [1.0, 1.0, 0.1]
    assert len(seen) == 2 * len(rows)
