"""Exponential moving average of a model's weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Average:
    """Moving average of a module's weights: average = decay * average + (1 - decay) * weights per step.

    Buffers (running statistics, counters) are copied, not averaged.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._module, self._decay = module, decay
        self._weights = {name: weight.detach().clone() for name, weight in module.named_parameters()}

    @torch.no_grad()
    def update(self) -> None:
        """Add the current weights to the average."""
        for name, weight in self._module.named_parameters():
            self._weights[name].lerp_(weight, 1 - self._decay)

    @torch.no_grad()
    def install(self) -> None:
        """Copy the averaged weights into the module."""
        for name, weight in self._module.named_parameters():
            weight.copy_(self._weights[name])

    def state_dict(self) -> dict[str, Any]:
        """Averaged weights by name, for a checkpoint."""
        return self._weights

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the averaged weights."""
        for name, weight in self._weights.items():
            weight.copy_(state[name])
