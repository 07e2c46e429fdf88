"""The training loop."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from ltbench.methods.base import Context
from ltbench.methods.errors import BadParameter, MethodsError
from ltbench.methods.training.averaging import Average
from ltbench.methods.training.checkpoints import Checkpoint, Stateful
from ltbench.methods.training.precision import mixed
from ltbench.methods.training.sampling import Sampler
from ltbench.methods.training.schedules import Schedule, constant

_LOSS_EVERY_ON_ACCELERATOR = 20
"""Iterations between readings of the loss, each of which waits for the device."""
_LOSS_DECAY = 0.98
"""Decay of the moving mean of the loss, per iteration."""
CHECKPOINT_EVERY_SECONDS = 60.0
CHECKPOINT_ENVIRONMENT = "LTBENCH_CHECKPOINT_SECONDS"
"""Environment variable with another time between checkpoints, for preemptible machines."""


@dataclass(frozen=True)
class Batch:
    """Training batch on which a loss is computed."""

    indices: torch.Tensor
    """Indices of the training images, int64 (B,) on the CPU."""
    iteration: int
    """Number of the iteration, from 0."""
    iterations: int
    """Planned number of iterations."""
    rng: np.random.Generator
    """Generator of random numbers drawn outside torch."""


Loss = Callable[[Batch], torch.Tensor]
"""Function from a batch to the scalar to be minimised."""


@dataclass(frozen=True)
class Plan:
    """Length and settings of a training."""

    iterations: int
    max_seconds: float | None = None
    """Wall time after which training stops early; its outcome is then marked as truncated."""
    schedule: Schedule = constant
    """Learning-rate factor per iteration."""
    clip: float | None = None
    """Largest total norm of the gradients; None = no clipping."""
    average: float | None = None
    """Decay of a moving average of the weights, which replaces them at the end; None = the last weights."""
    mixed_precision: bool = False
    """Compute products in bfloat16 on a GPU."""
    checkpoint_seconds: float | None = None
    """Time between checkpoints; 0 = every iteration, None = LTBENCH_CHECKPOINT_SECONDS, else a minute."""


@dataclass(frozen=True)
class Outcome:
    """Summary of a finished training."""

    iterations: int
    seconds: float
    """Wall time of all iterations, including those before a resumption."""
    images: int
    """Training images processed, repetitions included."""
    loss: float
    """Moving mean of the loss at the end."""
    truncated: bool
    """Whether a time limit ended the training before its planned iterations."""

    @property
    def images_per_second(self) -> float:
        """Training images per second; 0 if no time was measured."""
        return self.images / self.seconds if self.seconds > 0 else 0.0


@dataclass
class _Counters:
    """Counters of a training, saved in its checkpoints."""

    iteration: int = 0
    seconds: float = 0.0
    images: int = 0
    loss: float = math.nan
    seen: int = 0
    """Iteration whose loss was read last."""

    def record_loss(self, loss: float) -> None:
        """Update the moving mean of the loss."""
        kept = _LOSS_DECAY ** (self.iteration - self.seen)
        self.loss = loss if math.isnan(self.loss) else kept * self.loss + (1 - kept) * loss
        self.seen = self.iteration

    def text(self) -> str:
        """Loss and speed for the progress report."""
        rate = self.images / self.seconds if self.seconds > 0 else 0.0
        return f"loss {self.loss:.4g}, {rate:.0f} images/s"


def checkpoint_seconds() -> float:
    """Default time between checkpoints: LTBENCH_CHECKPOINT_SECONDS, else a minute.

    Raises BadParameter if the variable is not a number of at least 0.
    """
    text = os.environ.get(CHECKPOINT_ENVIRONMENT, "") or str(CHECKPOINT_EVERY_SECONDS)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not seconds >= 0:
        raise BadParameter(f"{CHECKPOINT_ENVIRONMENT} is '{text}': expected seconds, 0 or more")
    return seconds


def train(
    model: nn.Module,
    loss: Loss,
    sampler: Sampler,
    optimizer: torch.optim.Optimizer,
    *,
    plan: Plan,
    context: Context,
    title: str,
    identity: str = "",
) -> Outcome:
    """Train a model to the end of the plan and leave it in evaluation mode.

    Reports iterations, images per second, the last loss, and "truncated" = 1 if the time limit ended it.

    Args:
        model: Module to train, including buffers that a resumption must restore.
        loss: Loss of a batch.
        sampler: Source of batches.
        optimizer: Optimizer of the model's parameters.
        plan: Length and settings.
        context: Device, random numbers and work folder.
        title: Name of the training in progress and reports ("phase 1" -> "phase_1_iterations", ...).
        identity: Identity of the training, see `identity_of`. With `context.work`, a checkpoint of the same
            identity is resumed, bit for bit on a CPU.

    Raises:
        MethodsError: If the loss is no longer finite.
        BadParameter: For a negative number of iterations.
    """
    if plan.iterations < 0:
        raise BadParameter(f"iterations is {plan.iterations}: expected 0 or more")
    for group in optimizer.param_groups:
        group.setdefault("initial_lr", group["lr"])
    average = Average(model, plan.average) if plan.average is not None else None
    name = title.replace(" ", "_")
    run = _Run(model, loss, sampler, optimizer, plan, context, average)
    pause = plan.checkpoint_seconds if plan.checkpoint_seconds is not None else checkpoint_seconds()
    checkpoint = Checkpoint(context.work / f"{name}.pt", identity) if context.work is not None else None
    if checkpoint is not None:
        run.counters = _Counters(**checkpoint.load(run.parts(), context.rng))
    model.train()
    saved_at = time.monotonic()
    for _ in run.iterations(title):
        run.step()
        if checkpoint is not None and time.monotonic() - saved_at >= pause:
            run.save(checkpoint)
            saved_at = time.monotonic()
    if checkpoint is not None:
        run.save(checkpoint)
    if average is not None:
        average.install()
    model.eval()
    outcome = run.outcome()
    _report(outcome, name, context)
    return outcome


@dataclass
class _Run:
    """Running training: its inputs, counters and latest loss."""

    model: nn.Module
    loss: Loss
    sampler: Sampler
    optimizer: torch.optim.Optimizer
    plan: Plan
    context: Context
    average: Average | None
    counters: _Counters = field(default_factory=_Counters)
    latest: torch.Tensor | None = None
    """Loss of the last iteration, still on the device."""

    def parts(self) -> dict[str, Stateful]:
        """Objects whose state a checkpoint holds."""
        parts: dict[str, Stateful] = {
            "model": self.model,
            "optimizer": self.optimizer,
            "sampler": self.sampler,
        }
        return parts if self.average is None else {**parts, "average": self.average}

    def save(self, checkpoint: Checkpoint) -> None:
        """Save a checkpoint, unless the training has diverged."""
        # A diverged training must not be resumed.
        self.read_loss()
        checkpoint.save(self.parts(), vars(self.counters), self.context.rng)

    def iterations(self, title: str) -> Iterator[None]:
        """Yield once per remaining iteration until the time limit, showing loss and speed as progress."""
        counters, limit = self.counters, self.plan.max_seconds
        left = range(counters.iteration, self.plan.iterations)
        for _ in self.context.progress(left, lambda: f"{title}: {counters.text()}", len(left)):
            if limit is not None and counters.seconds >= limit:
                return
            started = time.monotonic()
            yield
            counters.seconds += time.monotonic() - started

    def step(self) -> None:
        """Train on one batch."""
        counters, plan = self.counters, self.plan
        batch = Batch(self.sampler.next(), counters.iteration, plan.iterations, self.context.rng)
        groups = self.optimizer.param_groups
        for group in groups:
            group["lr"] = group["initial_lr"] * plan.schedule(counters.iteration)
        self.optimizer.zero_grad(set_to_none=True)
        with mixed(self.context.device, plan.mixed_precision):
            value = self.loss(batch)
        value.backward()
        if plan.clip is not None:
            nn.utils.clip_grad_norm_([p for group in groups for p in group["params"]], plan.clip)
        self.optimizer.step()
        if self.average is not None:
            self.average.update()
        counters.iteration += 1
        counters.images += len(batch.indices)
        self.latest = value.detach()
        last = counters.iteration == plan.iterations
        if self.context.device == "cpu" or last or counters.iteration % _LOSS_EVERY_ON_ACCELERATOR == 0:
            self.read_loss()

    def read_loss(self) -> None:
        """Record the latest loss unless already recorded; raises MethodsError if it is not finite."""
        if self.latest is None or self.counters.seen == self.counters.iteration:
            return
        loss = float(self.latest)
        if not math.isfinite(loss):
            raise MethodsError(
                f"training diverged: the loss is {loss} at iteration {self.counters.iteration} of "
                f"{self.plan.iterations}; lower the learning rate or clip the gradients"
            )
        self.counters.record_loss(loss)

    def outcome(self) -> Outcome:
        """Summarise the training."""
        counters = self.counters
        truncated = counters.iteration < self.plan.iterations
        return Outcome(counters.iteration, counters.seconds, counters.images, counters.loss, truncated)


def _report(outcome: Outcome, name: str, context: Context) -> None:
    """Report the figures of a training under its name."""
    context.report(f"{name}_iterations", float(outcome.iterations))
    context.report(f"{name}_images_per_second", round(outcome.images_per_second, 2))
    if math.isfinite(outcome.loss):
        context.report(f"{name}_loss", outcome.loss)
    if outcome.truncated:
        context.report("truncated", 1.0)
