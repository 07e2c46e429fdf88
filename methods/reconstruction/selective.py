"""Training that MeDS adds to a host: towards memory scores, then on the images that look normal."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ltbench.methods.base import Context
from ltbench.methods.blocks.progressive import Rounding, Selection, robust_maximum
from ltbench.methods.errors import BadParameter
from ltbench.methods.reconstruction.hosting import (
    Host,
    Objective,
    Rebuilt,
    Student,
    TrainedHost,
    train_student,
)
from ltbench.methods.training.engine import Batch
from ltbench.methods.training.sampling import Sampler

Floats = npt.NDArray[np.float32]
DistillationLoss = Literal["mse", "l1", "norm"]


def score_difference(found: torch.Tensor, wanted: torch.Tensor, kind: DistillationLoss) -> torch.Tensor:
    """How far score maps (B, h, w) are from each other: a scalar.

    "mse" and "l1" are means over all patches; "norm" is the mean over images of the length of the difference
    (eq. 9 of MeDS).
    """
    difference = found - wanted
    if kind == "mse":
        return difference.square().mean()
    if kind == "l1":
        return difference.abs().mean()
    if kind != "norm":
        raise BadParameter(f"unknown distillation loss '{kind}': expected 'mse', 'l1' or 'norm'")
    # A length has no gradient at 0.
    return (difference.square().sum(dim=(1, 2)) + 1e-12).sqrt().mean()


def distillation_objective(
    student: Student, memory: Floats, kind: DistillationLoss, weight: float
) -> Objective:
    """Makes a student's score map that of the memory (N, h, w); no mining, no auxiliary loss that it can do
    without."""
    wanted = torch.from_numpy(memory)

    def objective(rebuilt: Rebuilt, batch: Batch) -> torch.Tensor:
        found = student.distance(rebuilt)
        loss = weight * score_difference(found, wanted[batch.indices].to(found.device), kind)
        return loss + rebuilt.extra if student.needs_extra else loss

    return objective


class SelectiveTraining(nn.Module):
    """A host's own training on the images of each class that look normal, chosen anew before every pass.

    Its state, which checkpoints hold, is the student's, the initial scores and how far the training is.
    """

    def __init__(
        self,
        trained: TrainedHost,
        selection: Selection,
        groups: npt.NDArray[np.int64],
        initial: Floats,
        *,
        iterations: int,
        percent: float,
        rounding: Rounding,
    ) -> None:
        """groups: (N,) whose members share a threshold; initial: (N,) robust maxima to begin with."""
        super().__init__()
        self.student = trained.student
        self.register_buffer("initial", torch.from_numpy(np.asarray(initial, np.float32)))
        self.register_buffer("done", torch.zeros((), dtype=torch.long))
        # Part of the state, so that a resumed training tells them too; NaN = nothing was selected yet.
        self.register_buffer("shares", torch.full((2,), torch.nan, dtype=torch.float64))
        """Share of all images that the first and the last selection kept."""
        self._trained, self._selection, self._groups = trained, selection, groups
        self._iterations, self._percent, self._rounding = iterations, percent, rounding

    def run(self, host: Host, context: Context, *, title: str, identity: str) -> None:
        """Train to the end."""
        sampler = Sampler(len(host.targets), host.batch_size, context.rng, drop_last=True)
        sampler.on_pass = self._choose
        train_student(
            host, self.student, self._objective, context, title=title, iterations=self._iterations,
            sampler=sampler, trained=self, identity=identity,
        )  # fmt: skip

    def _objective(self, rebuilt: Rebuilt, batch: Batch) -> torch.Tensor:
        self.done.fill_(batch.iteration + 1)
        return self.student.loss(rebuilt, batch.iteration / batch.iterations)

    def _choose(self, sampler: Sampler) -> None:
        moment = int(self.done) / self._iterations
        initial = self.initial.cpu().numpy()
        current = initial
        if self._selection.blend(moment) > 0:
            self.student.eval()
            current = robust_maximum(self._trained.training_grids(), self._percent, self._rounding)
            self.student.train()
        kept = self._selection.select(initial, current, self._groups, moment)
        if not kept.any():
            # Nothing but classes of one or two images under the unguarded rule: there is no choice to make.
            kept[:] = True
        if self.shares[0].isnan():
            self.shares[0] = float(kept.mean())
        self.shares[1] = float(kept.mean())
        sampler.restrict(np.flatnonzero(kept))
