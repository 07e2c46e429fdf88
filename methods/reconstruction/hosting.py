"""What a reconstruction method consists of, so that it can be trained its own way or another's."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ltbench.methods.base import Context, Prediction
from ltbench.methods.errors import MethodsError
from ltbench.methods.reconstruction.arrangements import Maps, finest
from ltbench.methods.reconstruction.teacher import Targets, Teacher
from ltbench.methods.training.engine import Batch, Plan, train
from ltbench.methods.training.randomness import seeded
from ltbench.methods.training.sampling import Sampler
from ltbench.methods.training.schedules import Schedule
from ltbench.splits.images import ImageSet

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Rebuilt:
    """What a student makes of a batch."""

    targets: Maps
    """Per group (B, C, h, w), without gradient."""
    outputs: Maps
    extra: torch.Tensor
    """Scalar auxiliary loss, weighted; 0 for most."""
    added: torch.Tensor | None = None
    """Further patch scores (B, h, w) by which images are judged, but on which nothing is trained."""


class Student(nn.Module):
    """A trainable network that rebuilds targets: `student(maps, class_ids) -> Rebuilt`."""

    needs_extra: ClassVar[bool] = False
    """Whether `Rebuilt.extra` must be part of any objective: some parts learn from nothing else."""

    def distance(self, rebuilt: Rebuilt) -> torch.Tensor:
        """Patch scores (B, h, w): how far the outputs are from the targets, before any smoothing."""
        raise NotImplementedError

    def loss(self, rebuilt: Rebuilt, progress: float) -> torch.Tensor:
        """The method's own objective, with its auxiliary terms; `progress` from 0 to 1 drives schedules."""
        raise NotImplementedError

    def scored(self, rebuilt: Rebuilt) -> torch.Tensor:
        """Patch scores by which images are judged, where they are finer than `distance`: (B, h, w)."""
        return self.distance(rebuilt)


@dataclass(frozen=True)
class Host:
    """One method, ready to be trained on one training set."""

    unsaved: ClassVar = ("targets", "images", "build", "optimizer", "schedule")
    """What a trained student no longer needs."""

    teacher: Teacher
    targets: Targets
    images: ImageSet
    class_ids: torch.Tensor | None
    """int64 (N,) where the student asks for them."""
    build: Callable[[], Student]
    """A student with fresh random weights; draws from torch's generator."""
    optimizer: Callable[[nn.Module], torch.optim.Optimizer]
    schedule: Callable[[int], Schedule]
    iterations: int
    batch_size: int
    predict: Callable[[Floats], Prediction]
    """From patch scores (N, h, w) to the method's answer."""
    predict_memory: Callable[[Floats], Prediction] | None = None
    """The same from patch scores by memories; None = `predict`."""
    classify: Callable[[Maps], torch.Tensor] | None = None
    """Class ids of images that are scored, from their targets; None = the ids that the harness gives."""
    drop_last: bool = True
    """Whether the last batch of a pass is left away where it is incomplete."""
    clip: float | None = None
    max_seconds: float | None = None
    mixed_precision: bool = False
    memory: Teacher | None = None
    """Source of the features that memories are made of; None = the student's own targets."""
    memory_map: Callable[[Maps], torch.Tensor] = finest
    """From those targets to one map (B, C, h, w) on the grid of the student's distance."""
    memory_metric: Literal["cosine", "euclidean"] = "cosine"
    """The student's own distance, so that memory scores and student scores are of one kind."""

    def maps(self, indices: torch.Tensor) -> tuple[Maps, torch.Tensor | None]:
        """Targets and class ids of training images, on the device."""
        maps = self.targets[indices]
        ids = None if self.class_ids is None else self.class_ids[indices].to(maps[0].device)
        return maps, ids

    def memory_vectors(self, indices: torch.Tensor, *, title: str) -> Floats:
        """Patches of training images that memories are made of, (B, h, w, D)."""
        if self.memory is None:
            maps = self.memory_map(self.targets[indices])
        else:
            batches = self.memory.batches(self.images, title=title, indices=indices.tolist())
            maps = torch.cat([self.memory_map(found) for _, found in batches])
        return maps.permute(0, 2, 3, 1).contiguous().cpu().numpy()

    def scored_vectors(self, images: ImageSet, *, title: str) -> Iterator[tuple[tuple[int, ...], Floats]]:
        """(which images, their patches (B, h, w, D)) of any images."""
        for indices, maps in (self.memory or self.teacher).batches(images, title=title):
            yield indices, self.memory_map(maps).permute(0, 2, 3, 1).contiguous().cpu().numpy()

    @property
    def digest(self) -> str:
        """What is trained on what, in short: names checkpoints."""
        parts = [self.teacher.identity, *self.images.keys]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@runtime_checkable
class Hosts(Protocol):
    """A method whose training can be taken over."""

    backbone: str

    def host(self, train: ImageSet, context: Context) -> Host: ...


Objective = Callable[[Rebuilt, Batch], torch.Tensor]


def native_objective(student: Student) -> Objective:
    """The method's own loss."""
    return lambda rebuilt, batch: student.loss(rebuilt, batch.iteration / batch.iterations)


def train_student(
    host: Host,
    student: Student,
    objective: Objective,
    context: Context,
    *,
    title: str,
    iterations: int | None = None,
    sampler: Sampler | None = None,
    trained: nn.Module | None = None,
    identity: str = "",
) -> None:
    """One phase: a fresh optimizer and schedule, `iterations` (None = the host's) steps of an objective.

    trained: the module that checkpoints hold, where it is more than the student.
    """
    steps = host.iterations if iterations is None else iterations
    sampler = sampler or Sampler(len(host.targets), host.batch_size, context.rng, drop_last=host.drop_last)

    def loss(batch: Batch) -> torch.Tensor:
        return objective(student(*host.maps(batch.indices)), batch)

    train(
        trained or student,
        loss,
        sampler,
        host.optimizer(student),
        plan=Plan(
            steps,
            max_seconds=host.max_seconds,
            schedule=host.schedule(steps),
            clip=host.clip,
            mixed_precision=host.mixed_precision,
        ),
        context=context,
        title=title,
        identity=f"{host.digest} {title} {identity}",
    )


class TrainedHost:
    """A student that has learned, and all it takes to score with it."""

    def __init__(self, host: Host, student: Student) -> None:
        self.host, self.student = host, student.eval()

    @torch.no_grad()
    def training_grids(self, batch_size: int = 32) -> Floats:
        """Patch scores (N, h, w) of the training images."""
        parts = []
        for indices in torch.arange(len(self.host.targets)).split(batch_size):
            rebuilt = self.student(*self.host.maps(indices))
            parts.append(self.student.distance(rebuilt).float().cpu().numpy())
        return np.concatenate(parts)

    @torch.no_grad()
    def grids(self, images: ImageSet, *, title: str = "score test images") -> Floats:
        """Patch scores (N, h, w) of any images."""
        ids = self._given_ids(images)
        parts = []
        for indices, maps in self.host.teacher.batches(images, title=title):
            mine = None if ids is None else ids[list(indices)].to(maps[0].device)
            if self.host.classify is not None:
                mine = self.host.classify(maps)
            rebuilt = self.student(maps, mine)
            parts.append(self.student.scored(rebuilt).float().cpu().numpy())
        return np.concatenate(parts) if parts else np.zeros((0, 1, 1), np.float32)

    def predict(self, images: ImageSet) -> Prediction:
        """The method's answer."""
        return self.host.predict(self.grids(images))

    def _given_ids(self, images: ImageSet) -> torch.Tensor | None:
        if self.host.class_ids is None or self.host.classify is not None:
            return None
        if images.class_ids is None:
            raise MethodsError("class ids of the images to be scored are missing: the method declares them")
        known = set(self.host.class_ids.tolist())
        strange = sorted(set(images.class_ids.tolist()) - known)
        if strange:
            raise MethodsError(
                f"no training image shows the product with class id {strange[0]}: this method knows only "
                "products that it was trained on"
            )
        return torch.from_numpy(images.class_ids)


def fit_host(host: Host, context: Context) -> TrainedHost:
    """Train a host its own way."""
    with seeded(context):
        student = host.build().to(context.device)
        train_student(host, student, native_objective(student), context, title="train")
    return TrainedHost(host, student)
