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
"""Reading a loss waits for the device."""
_LOSS_MEMORY = 0.98
CHECKPOINT_EVERY_SECONDS = 60.0
CHECKPOINT_ENVIRONMENT = "LTBENCH_CHECKPOINT_SECONDS"
"""Names another time between checkpoints, for machines that may be taken away."""


@dataclass(frozen=True)
class Batch:
    """What a loss is computed on."""

    indices: torch.Tensor
    """int64 (B,), on the CPU: which training images."""
    iteration: int
    """From 0."""
    iterations: int
    """All that are planned."""
    rng: np.random.Generator
    """For draws that torch does not make."""


Loss = Callable[[Batch], torch.Tensor]
"""A scalar to be minimised."""


@dataclass(frozen=True)
class Plan:
    """How long and how to step."""

    iterations: int
    max_seconds: float | None = None
    """Wall time after which training stops, whatever was planned; the result is then marked as truncated."""
    schedule: Schedule = constant
    clip: float | None = None
    """Largest norm of all gradients together."""
    average: float | None = None
    """Decay of a moving average of the weights, which is what remains at the end; None = the last weights."""
    mixed_precision: bool = False
    """bfloat16 products on a GPU."""
    checkpoint_seconds: float | None = None
    """Time between checkpoints; 0 = after every iteration, None = as the environment says, else a minute."""


@dataclass(frozen=True)
class Outcome:
    """What a training came to."""

    iterations: int
    seconds: float
    """Spent in iterations, those before a resumption included."""
    images: int
    loss: float
    """Moving mean at the end."""
    truncated: bool

    @property
    def images_per_second(self) -> float:
        return self.images / self.seconds if self.seconds > 0 else 0.0


@dataclass
class _Counters:
    """What changes from one iteration to the next."""

    iteration: int = 0
    seconds: float = 0.0
    images: int = 0
    loss: float = math.nan
    seen: int = 0
    """Iteration whose loss was seen last."""

    def see(self, loss: float) -> None:
        kept = _LOSS_MEMORY ** (self.iteration - self.seen)
        self.loss = loss if math.isnan(self.loss) else kept * self.loss + (1 - kept) * loss
        self.seen = self.iteration

    def text(self) -> str:
        rate = self.images / self.seconds if self.seconds > 0 else 0.0
        return f"loss {self.loss:.4g}, {rate:.0f} images/s"


def checkpoint_seconds() -> float:
    """Time between checkpoints where a plan says nothing; raises BadParameter for what is no time."""
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
    """Step until the plan is fulfilled; afterwards the model is in evaluation mode.

    model: all that is trained, and what else must come back on resumption (buffers). title: names the step
    and its figures ("phase 1" -> "phase_1_iterations", ...). identity: what is trained on what, in words;
    with `context.work` a checkpoint of the same identity is resumed, bit for bit on a CPU.

    Raises MethodsError if the loss is no longer finite. Reports iterations, images per second, the last
    loss, and "truncated" (1 = a limit on the time cut the plan short).
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
    """One training on its way."""

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
        found: dict[str, Stateful] = {
            "model": self.model,
            "optimizer": self.optimizer,
            "sampler": self.sampler,
        }
        return found if self.average is None else {**found, "average": self.average}

    def save(self, checkpoint: Checkpoint) -> None:
        # What has diverged is not to be resumed.
        self.look()
        checkpoint.save(self.parts(), vars(self.counters), self.context.rng)

    def iterations(self, title: str) -> Iterator[None]:
        """Once per iteration that is left, while time lasts; shows loss and speed on the way."""
        counters, limit = self.counters, self.plan.max_seconds
        left = range(counters.iteration, self.plan.iterations)
        for _ in self.context.progress(left, lambda: f"{title}: {counters.text()}", len(left)):
            if limit is not None and counters.seconds >= limit:
                return
            started = time.monotonic()
            yield
            counters.seconds += time.monotonic() - started

    def step(self) -> None:
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
            self.look()

    def look(self) -> None:
        """Take the latest loss into account, if it was not; raises MethodsError if it is no number."""
        if self.latest is None or self.counters.seen == self.counters.iteration:
            return
        loss = float(self.latest)
        if not math.isfinite(loss):
            raise MethodsError(
                f"training diverged: the loss is {loss} at iteration {self.counters.iteration} of "
                f"{self.plan.iterations}; lower the learning rate or clip the gradients"
            )
        self.counters.see(loss)

    def outcome(self) -> Outcome:
        counters = self.counters
        truncated = counters.iteration < self.plan.iterations
        return Outcome(counters.iteration, counters.seconds, counters.images, counters.loss, truncated)


def _report(outcome: Outcome, name: str, context: Context) -> None:
    context.report(f"{name}_iterations", float(outcome.iterations))
    context.report(f"{name}_images_per_second", round(outcome.images_per_second, 2))
    if math.isfinite(outcome.loss):
        context.report(f"{name}_loss", outcome.loss)
    if outcome.truncated:
        context.report("truncated", 1.0)
