"""Gradient-scaled cosines against backward hooks and plain formulas."""

from __future__ import annotations

import pytest
import torch

from ltbench.methods.layers.cosine import (
    global_cosine,
    grouped_cosine,
    grouped_distance,
    hard_mining,
    point_distance,
    ramp,
    scale_grad,
    soft_mining,
)


def maps(seed: int, batch: int = 3) -> torch.Tensor:
    return torch.randn(batch, 6, 4, 4, generator=torch.Generator().manual_seed(seed))


def gradient(loss: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
    (found,) = torch.autograd.grad(loss, output)
    return found


def test_scaled_gradients_leave_values_alone() -> None:
    values = maps(0).requires_grad_()
    weights = torch.rand(3, 6, 4, 4)
    scaled = scale_grad(values, weights)
    assert torch.equal(scaled, values)
    factors = maps(1)
    torch.testing.assert_close(gradient((scaled * factors).sum(), values), factors * weights)


@pytest.mark.parametrize("weighting", [hard_mining(0.5), hard_mining(0.9, 0.3), soft_mining(3)])
def test_scaling_equals_a_backward_hook(weighting) -> None:
    target, output = maps(0), maps(1).requires_grad_()
    scaled = gradient(global_cosine(target, output, weighting), output)

    hooked = output.detach().clone().requires_grad_()
    inner = hooked * 1.0
    weights = weighting(point_distance(target, inner.detach()))
    inner.register_hook(lambda grad: grad * weights[:, None])
    torch.testing.assert_close(scaled, gradient(global_cosine(target, inner), hooked))


@pytest.mark.parametrize("weighting", [hard_mining(0.0), soft_mining(0.0)])
def test_mining_switched_off_is_the_plain_loss(weighting) -> None:
    target, output = maps(0), maps(1).requires_grad_()
    plain, mined = global_cosine(target, output), global_cosine(target, output, weighting)
    assert mined == plain
    torch.testing.assert_close(gradient(mined, output), gradient(plain, output))


def test_the_easy_share_of_all_points_of_the_batch_counts_a_tenth() -> None:
    distance = torch.arange(20.0).view(1, 4, 5)
    weights = hard_mining(0.9)(distance).flatten()
    assert weights.tolist() == pytest.approx([0.1] * 18 + [1.0] * 2)
    assert hard_mining(0.5)(distance).mean() == pytest.approx(0.55)


def test_points_far_from_their_target_count_by_the_cube_of_their_distance() -> None:
    distance = torch.tensor([[[1.0, 2.0, 3.0]]])
    assert soft_mining(3)(distance).flatten().tolist() == pytest.approx([1 / 8, 1, 27 / 8])


def test_global_cosine_takes_an_image_as_one_vector() -> None:
    target, output = maps(0), maps(1)
    dots = [
        1 - (a.flatten() @ b.flatten()) / (a.norm() * b.norm()) for a, b in zip(target, output, strict=True)
    ]
    torch.testing.assert_close(global_cosine(target, output), torch.stack(dots).mean())
    both = grouped_cosine([target, output], [output, output])
    torch.testing.assert_close(both, torch.stack(dots).mean() / 2)


def test_score_map_is_the_mean_over_groups_of_one_minus_cosine() -> None:
    a, b, c = maps(0), maps(1), maps(2)
    found = grouped_distance([a, b], [c, c])
    i, y, x = 1, 2, 3
    expected = [
        1 - torch.nn.functional.cosine_similarity(g[i, :, y, x], c[i, :, y, x], dim=0) for g in (a, b)
    ]
    torch.testing.assert_close(found[i, y, x], torch.stack(expected).mean())


def test_no_gradient_reaches_the_target() -> None:
    target, output = maps(0).requires_grad_(), maps(1).requires_grad_()
    for loss in (
        global_cosine(target, output, hard_mining(0.5)),
        grouped_cosine([target], [output], soft_mining(3)),
        grouped_distance([target], [output]).sum(),
    ):
        found = torch.autograd.grad(loss, [target, output], allow_unused=True)
        assert found[0] is None
        assert found[1].abs().sum() > 0


def test_half_precision_inputs_are_judged_in_float32() -> None:
    target = maps(0)
    near = target + 1e-2 * maps(1)
    assert point_distance(target.half(), near.half()).dtype == torch.float32
    assert (point_distance(target.half(), near.half()) > 0).any()


def test_mining_ramps_up_linearly_and_stays() -> None:
    assert [ramp(step, 0.9, 1000) for step in (0, 500, 1000, 5000)] == pytest.approx([0, 0.45, 0.9, 0.9])
    assert ramp(0, 0.9, 0) == 0.9
