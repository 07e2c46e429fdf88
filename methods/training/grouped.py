"""Sampler of batches that contain images of one group only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ltbench.methods.training.sampling import Sampler


class GroupedSampler(Sampler):
    """Batches of images of one group (RegAD: one product); every pass shows each image once.

    Each pass shuffles the images within their groups and the batches of all groups. The last batch of a
    group may be smaller.
    """

    def __init__(
        self, groups: Sequence[npt.NDArray[np.int64]], batch_size: int, rng: np.random.Generator
    ) -> None:
        """Raises MethodsError without an image, BadParameter for an empty batch."""
        super().__init__(sum(map(len, groups)), batch_size, rng)
        self._groups = groups
        self._batches: list[npt.NDArray[np.int64]] = []

    def next(self) -> torch.Tensor:
        """Indices of the next batch, int64 (B,)."""
        if self._position >= len(self._batches):
            self.passes += 1
            self._position = 0
            self._batches = self._drawn()
        self._position += 1
        return torch.from_numpy(self._batches[self._position - 1])

    def batches_per_pass(self) -> int:
        """Number of batches in a pass; the last batch of a group may be smaller."""
        return sum(-(-len(group) // self.batch_size) for group in self._groups)

    def state_dict(self) -> dict[str, Any]:
        """Seed and position, from which a checkpoint resumes."""
        return {"seed": self._seed, "passes": self.passes, "position": self._position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a state."""
        self._seed, self.passes, self._position = state["seed"], state["passes"], state["position"]
        self._batches = self._drawn() if self.passes else []

    def _drawn(self) -> list[npt.NDArray[np.int64]]:
        """Draw the batches of the current pass."""
        rng = np.random.default_rng([self._seed, self.passes])
        batches = [
            order[low : low + self.batch_size]
            for order in map(rng.permutation, self._groups)
            for low in range(0, len(order), self.batch_size)
        ]
        return [batches[number] for number in rng.permutation(len(batches))]
