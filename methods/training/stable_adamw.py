"""StableAdamW: AdamW that shortens steps while its second moments lag behind the gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch


class StableAdamW(torch.optim.Optimizer):
    """StableAdamW (Wortsman et al., NeurIPS 2023) with AMSGrad, as Dinomaly and INP-Former are trained.

    Weight decay first, p <- p (1 - lr decay); then with moments m, v and denominator d = sqrt(max v) /
    sqrt(1 - beta2^t) + eps, the step is lr / (1 - beta1^t) / max(1, RMS(g / d)) m / d, one RMS per tensor.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-10,
        weight_decay: float = 1e-4,
        amsgrad: bool = True,
    ) -> None:
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad
        }  # fmt: skip
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], torch.Tensor] | None = None) -> torch.Tensor | None:
        """Update every parameter that has a gradient; returns the loss of the closure, if given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)
        return loss

    def _update(self, parameter: torch.Tensor, gradient: torch.Tensor, group: dict[str, Any]) -> None:
        """Apply one step to a parameter."""
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros(())
            for name in ("mean", "square", "largest")[: 3 if group["amsgrad"] else 2]:
                state[name] = torch.zeros_like(parameter)
        state["step"] += 1
        step, (beta1, beta2) = int(state["step"]), group["betas"]
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        state["mean"].lerp_(gradient, 1 - beta1)
        state["square"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        second = state["square"]
        if group["amsgrad"]:
            second = torch.maximum(state["largest"], second, out=state["largest"])
        denominator = (second / (1 - beta2**step)).sqrt_().add_(group["eps"])
        # g / d is about 1 while the second moment matches the gradient.
        excess = (gradient / denominator).square_().mean().sqrt_().clamp_min_(1.0)
        rate = group["lr"] / (1 - beta1**step)
        parameter.sub_(state["mean"].div(denominator).mul_(rate / excess))
