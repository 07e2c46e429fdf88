"""StableAdamW by hand, against torch's AdamW where nothing is unstable, and its warm cosine."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from ltbench.methods.reconstruction.recipes import warmed
from ltbench.methods.training.schedules import warm_cosine
from ltbench.methods.training.stable_adamw import StableAdamW


def test_two_steps_by_hand() -> None:
    """Gradients 2 and 10 on one weight of 1: the second one is far beyond the first one's moment."""
    weight = torch.nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    optimizer = StableAdamW([weight], lr=0.1, weight_decay=0.5)
    value, mean, square, largest = 1.0, 0.0, 0.0, 0.0
    for step, gradient in enumerate((2.0, 10.0), start=1):
        weight.grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.step()
        value *= 1 - 0.1 * 0.5
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        largest = max(largest, square)
        denominator = math.sqrt(largest) / math.sqrt(1 - 0.999**step) + 1e-10
        excess = max(1.0, abs(gradient) / denominator)
        value -= 0.1 / (1 - 0.9**step) / excess * mean / denominator
        assert weight.item() == pytest.approx(value, rel=1e-9)
    assert excess > 1.3, "the case would not show the clipping"


def test_largest_second_moment_is_kept() -> None:
    torch.manual_seed(0)
    gradients = [10 * torch.ones(3), *(0.01 * torch.ones(3) for _ in range(40))]
    moved = {}
    for amsgrad in (True, False):
        weight = torch.nn.Parameter(torch.zeros(3))
        optimizer = StableAdamW([weight], lr=0.1, amsgrad=amsgrad, weight_decay=0, betas=(0.5, 0.5))
        for gradient in gradients:
            weight.grad = gradient.clone()
            optimizer.step()
        moved[amsgrad] = weight.detach().abs().max().item()
    assert moved[True] < 0.2 * moved[False]


def test_equal_gradients_step_as_adamw_does() -> None:
    ours, theirs = (torch.nn.Parameter(torch.linspace(-1, 1, 5)) for _ in range(2))
    mine = StableAdamW([ours], lr=0.01, eps=1e-8, weight_decay=0.1)
    adamw = torch.optim.AdamW([theirs], lr=0.01, eps=1e-8, weight_decay=0.1, amsgrad=True)
    for _ in range(10):
        for weight, optimizer in ((ours, mine), (theirs, adamw)):
            weight.grad = torch.full((5,), 0.3)
            optimizer.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_state_comes_back_from_disk_bit_for_bit() -> None:
    def after(steps: int, reload_at: int | None) -> torch.Tensor:
        torch.manual_seed(0)
        weight = torch.nn.Parameter(torch.ones(4))
        optimizer = StableAdamW([weight], lr=0.01)
        for step in range(steps):
            if step == reload_at:
                saved = optimizer.state_dict()
                optimizer = StableAdamW([weight], lr=0.01)
                optimizer.load_state_dict(saved)
            weight.grad = torch.randn(4)
            optimizer.step()
        return weight.detach()

    assert torch.equal(after(6, None), after(6, 3))


@pytest.mark.parametrize(("steps", "warm_up"), [(10_000, 100), (1000, 100), (300, 30), (5, 0), (14, 1)])
def test_the_schedule_of_dinomaly_is_a_line_and_then_a_cosine(steps: int, warm_up: int) -> None:
    schedule = warmed(steps)
    cosine = 0.1 + 0.45 * (1 + np.cos(np.pi * np.arange(steps - warm_up) / (steps - warm_up)))
    expected = np.concatenate([np.linspace(0, 1, warm_up), cosine])
    np.testing.assert_allclose([schedule(step) for step in range(steps)], expected, rtol=1e-12)


def test_warm_cosine_starts_at_zero_peaks_after_warm_up_and_ends_where_told() -> None:
    schedule = warm_cosine(10_000, warm_up=100, final=0.1)
    assert schedule(0) == 0
    assert schedule(50) == pytest.approx(0.5)
    assert schedule(100) == 1
    assert schedule(9_999) == pytest.approx(0.1)
    rates = [schedule(step) for step in range(100, 10_000)]
    assert all(a >= b for a, b in pairwise(rates))
