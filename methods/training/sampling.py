"""Sampler of training batches: endless shuffled passes over a set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from ltbench.methods.errors import BadParameter, MethodsError


class Sampler:
    """Batches of image indices; every pass shows each image once, newly shuffled.

    The last batch of a pass may be smaller. `drop_last` omits it, for batch statistics that need several
    images, unless the whole set is smaller than a batch.
    """

    def __init__(
        self, count: int, batch_size: int, rng: np.random.Generator, *, drop_last: bool = False
    ) -> None:
        """Raises MethodsError for an empty set, BadParameter for an empty batch."""
        if count < 1:
            raise MethodsError("the training set is empty: expected at least one image")
        if batch_size < 1:
            raise BadParameter(f"batch_size is {batch_size}: expected at least 1")
        self.batch_size = batch_size
        self.passes = 0
        """Number of passes begun."""
        self.on_pass: Callable[[Sampler], None] | None = None
        """Callback before each pass, which may call `restrict`."""
        self._seed = int(rng.integers(2**63 - 1))
        self._drop_last = drop_last
        self._images = np.arange(count)
        self._order = np.empty(0, np.int64)
        self._position = 0

    def restrict(self, images: Sequence[int] | np.ndarray) -> None:
        """Show only these images from the next pass on."""
        kept = np.asarray(images, np.int64)
        if len(kept) == 0:
            raise MethodsError("no training image is left to choose from: expected at least one")
        self._images = kept

    def next(self) -> torch.Tensor:
        """Indices of the next batch, int64 (B,)."""
        if self._position >= len(self._order):
            if self.on_pass is not None:
                self.on_pass(self)
            self._begin()
        batch = self._order[self._position : self._position + self.batch_size]
        self._position += len(batch)
        return torch.from_numpy(batch)

    def batches_per_pass(self) -> int:
        """Number of batches of the next pass."""
        whole, rest = divmod(len(self._images), self.batch_size)
        return whole + (1 if rest and not (self._drop_last and whole) else 0)

    def state_dict(self) -> dict[str, Any]:
        """Seed, position and order, from which a checkpoint resumes."""
        return {
            "seed": self._seed,
            "passes": self.passes,
            "position": self._position,
            "images": torch.from_numpy(self._images),
            "order": torch.from_numpy(self._order),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a state."""
        self._seed, self.passes, self._position = state["seed"], state["passes"], state["position"]
        self._images, self._order = state["images"].numpy(), state["order"].numpy()

    def _begin(self) -> None:
        """Begin a pass: shuffle the images, without an incomplete last batch if it is to be dropped."""
        order = np.random.default_rng([self._seed, self.passes]).permutation(self._images)
        whole = len(order) // self.batch_size * self.batch_size
        self._order = order[:whole] if self._drop_last and whole else order
        self._position = 0
        self.passes += 1


def iterations_of(epochs: float, sampler: Sampler) -> int:
    """Convert epochs to iterations, at least one; every epoch counts as long as the next one."""
    return max(1, round(epochs * sampler.batches_per_pass()))
