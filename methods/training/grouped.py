"""Batches of one group each: images of a single product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ltbench.methods.training.sampling import Sampler


class GroupedSampler(Sampler):
    """Batches whose images are all of one group; every pass shows each image once.

    Images within their groups and the batches of all groups come in a new order in each pass (RegAD). The
    last batch of a group is as small as it comes out.
    """

    def __init__(
        self, groups: Sequence[npt.NDArray[np.int64]], batch_size: int, rng: np.random.Generator
    ) -> None:
        """Raises MethodsError without an image, BadParameter for an empty batch."""
        super().__init__(sum(map(len, groups)), batch_size, rng)
        self._groups = groups
        self._batches: list[npt.NDArray[np.int64]] = []

    def next(self) -> torch.Tensor:
        """int64 (B,): the images of the next batch."""
        if self._position >= len(self._batches):
            self.passes += 1
            self._position = 0
            self._batches = self._drawn()
        self._position += 1
        return torch.from_numpy(self._batches[self._position - 1])

    def batches_per_pass(self) -> int:
        return sum(-(-len(group) // self.batch_size) for group in self._groups)

    def state_dict(self) -> dict[str, Any]:
        return {"seed": self._seed, "passes": self.passes, "position": self._position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._seed, self.passes, self._position = state["seed"], state["passes"], state["position"]
        self._batches = self._drawn() if self.passes else []

    def _drawn(self) -> list[npt.NDArray[np.int64]]:
        """The batches of the pass that has begun."""
        rng = np.random.default_rng([self._seed, self.passes])
        batches = [
            order[low : low + self.batch_size]
            for order in map(rng.permutation, self._groups)
            for low in range(0, len(order), self.batch_size)
        ]
        return [batches[number] for number in rng.permutation(len(batches))]
