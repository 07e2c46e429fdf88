"""Training phases of MeDS: distillation of memory-bank scores, then training on selected images."""

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
    """Distance between score maps (B, h, w), a scalar.

    Args:
        found: Scores of the student.
        wanted: Scores of the memory banks.
        kind: "mse" or "l1" = mean over all patches; "norm" = mean over images of the Euclidean norm of the
            difference (MeDS, eq. 9).

    Raises:
        BadParameter: For an unknown kind.
    """
    difference = found - wanted
    if kind == "mse":
        return difference.square().mean()
    if kind == "l1":
        return difference.abs().mean()
    if kind != "norm":
        raise BadParameter(f"unknown distillation loss '{kind}': expected 'mse', 'l1' or 'norm'")
    # The square root has no gradient at 0.
    return (difference.square().sum(dim=(1, 2)) + 1e-12).sqrt().mean()


def distillation_objective(
    student: Student, memory: Floats, kind: DistillationLoss, weight: float
) -> Objective:
    """Build the objective that distils memory-bank scores into a student (MeDS, eq. 9).

    Hard mining and optional auxiliary losses of the student do not take part.

    Args:
        student: Network to train.
        memory: (N, h, w) memory-bank scores of the training images.
        kind: Distance between the scores.
        weight: Weight of the distance.
    """
    wanted = torch.from_numpy(memory)

    def objective(rebuilt: Rebuilt, batch: Batch) -> torch.Tensor:
        found = student.distance(rebuilt)
        loss = weight * score_difference(found, wanted[batch.indices].to(found.device), kind)
        return loss + rebuilt.extra if student.needs_extra else loss

    return objective


class SelectiveTraining(nn.Module):
    """Training of a host on the images of each class that look normal, selected before every pass (MeDS).

    Its state in checkpoints consists of the student, the initial scores and the elapsed iterations.
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
        """Prepare the training.

        Args:
            trained: Student after distillation.
            selection: Rule of the selection.
            groups: (N,), images with equal numbers share a threshold.
            initial: (N,), robust maxima under the distilled student.
            iterations: Number of training steps.
            percent: Share of patches in a robust maximum, in percent.
            rounding: Rounding of their number.
        """
        super().__init__()
        self.student = trained.student
        self.register_buffer("initial", torch.from_numpy(np.asarray(initial, np.float32)))
        self.register_buffer("done", torch.zeros((), dtype=torch.long))
        # Part of the state, so that a resumed training reports them too; NaN = no selection yet.
        self.register_buffer("shares", torch.full((2,), torch.nan, dtype=torch.float64))
        """Share of all images kept by the first and by the last selection."""
        self._trained, self._selection, self._groups = trained, selection, groups
        self._iterations, self._percent, self._rounding = iterations, percent, rounding

    def run(self, host: Host, context: Context, *, title: str, identity: str) -> None:
        """Train the student for all iterations."""
        sampler = Sampler(len(host.targets), host.batch_size, context.rng, drop_last=True)
        sampler.on_pass = self._choose
        train_student(
            host, self.student, self._objective, context, title=title, iterations=self._iterations,
            sampler=sampler, trained=self, identity=identity,
        )  # fmt: skip

    def _objective(self, rebuilt: Rebuilt, batch: Batch) -> torch.Tensor:
        """Loss of the host, which also records the elapsed iterations."""
        self.done.fill_(batch.iteration + 1)
        return self.student.loss(rebuilt, batch.iteration / batch.iterations)

    def _choose(self, sampler: Sampler) -> None:
        """Select the images of the next pass."""
        moment = int(self.done) / self._iterations
        initial = self.initial.cpu().numpy()
        current = initial
        if self._selection.blend(moment) > 0:
            self.student.eval()
            current = robust_maximum(self._trained.training_grids(), self._percent, self._rounding)
            self.student.train()
        kept = self._selection.select(initial, current, self._groups, moment)
        if not kept.any():
            # All classes have one or two images, none of which lies strictly below its threshold.
            kept[:] = True
        if self.shares[0].isnan():
            self.shares[0] = float(kept.mean())
        self.shares[1] = float(kept.mean())
        sampler.restrict(np.flatnonzero(kept))
