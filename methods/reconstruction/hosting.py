"""Parts of a reconstruction method, for training by itself or by another method such as MeDS."""

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
    """Output of a student for a batch, with the targets it is compared with."""

    targets: Maps
    """Teacher features (B, C, h, w) of each group of layers, without gradient."""
    outputs: Maps
    extra: torch.Tensor
    """Scalar auxiliary loss, already weighted; 0 for most students."""
    added: torch.Tensor | None = None
    """Additional patch scores (B, h, w) used for scoring images but not for training."""


class Student(nn.Module):
    """Trainable network that reconstructs targets: `student(maps, class_ids) -> Rebuilt`."""

    needs_extra: ClassVar[bool] = False
    """Whether every objective must include `Rebuilt.extra`, because some parts learn from it alone."""

    def distance(self, rebuilt: Rebuilt) -> torch.Tensor:
        """Patch scores (B, h, w): distance between outputs and targets, before any smoothing."""
        raise NotImplementedError

    def loss(self, rebuilt: Rebuilt, progress: float) -> torch.Tensor:
        """Training loss of the method with its auxiliary terms; `progress` rises from 0 to 1."""
        raise NotImplementedError

    def scored(self, rebuilt: Rebuilt) -> torch.Tensor:
        """Patch scores (B, h, w) for scoring images; overridden where they are finer than `distance`."""
        return self.distance(rebuilt)


@dataclass(frozen=True)
class Host:
    """Reconstruction method with everything needed to train it on one training set."""

    unsaved: ClassVar = ("targets", "images", "build", "optimizer", "schedule")
    """Fields that a trained student does not need."""

    teacher: Teacher
    targets: Targets
    images: ImageSet
    class_ids: torch.Tensor | None
    """int64 (N,), class of each training image; None if the student does not use it."""
    build: Callable[[], Student]
    """Builds a student with new random weights from torch's generator."""
    optimizer: Callable[[nn.Module], torch.optim.Optimizer]
    schedule: Callable[[int], Schedule]
    iterations: int
    batch_size: int
    predict: Callable[[Floats], Prediction]
    """Turns patch scores (N, h, w) into the method's prediction."""
    predict_memory: Callable[[Floats], Prediction] | None = None
    """Turns patch scores of a memory bank into a prediction; None = `predict`."""
    classify: Callable[[Maps], torch.Tensor] | None = None
    """Infers class ids of test images from their targets; None = use the ids given by the harness."""
    drop_last: bool = True
    """Whether an incomplete last batch of a pass is omitted."""
    clip: float | None = None
    max_seconds: float | None = None
    mixed_precision: bool = False
    memory: Teacher | None = None
    """Source of the features in memory banks; None = the student's own targets."""
    memory_map: Callable[[Maps], torch.Tensor] = finest
    """Combines these features to one map (B, C, h, w) on the grid of the student's distance."""
    memory_metric: Literal["cosine", "euclidean"] = "cosine"
    """Distance of memory banks, equal to the student's so that both scores are comparable."""

    def maps(self, indices: torch.Tensor) -> tuple[Maps, torch.Tensor | None]:
        """Targets and class ids of training images, on the device."""
        maps = self.targets[indices]
        ids = None if self.class_ids is None else self.class_ids[indices].to(maps[0].device)
        return maps, ids

    def memory_vectors(self, indices: torch.Tensor, *, title: str) -> Floats:
        """Patch vectors (B, h, w, D) of training images for memory banks."""
        if self.memory is None:
            maps = self.memory_map(self.targets[indices])
        else:
            batches = self.memory.batches(self.images, title=title, indices=indices.tolist())
            maps = torch.cat([self.memory_map(found) for _, found in batches])
        return maps.permute(0, 2, 3, 1).contiguous().cpu().numpy()

    def scored_vectors(self, images: ImageSet, *, title: str) -> Iterator[tuple[tuple[int, ...], Floats]]:
        """Yield indices of images and their patch vectors (B, h, w, D) for comparison with memory banks."""
        for indices, maps in (self.memory or self.teacher).batches(images, title=title):
            yield indices, self.memory_map(maps).permute(0, 2, 3, 1).contiguous().cpu().numpy()

    @property
    def digest(self) -> str:
        """Digest of teacher and training images, which identifies checkpoints."""
        parts = [self.teacher.identity, *self.images.keys]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@runtime_checkable
class Hosts(Protocol):
    """Method whose student can be trained by another method."""

    backbone: str

    def host(self, train: ImageSet, context: Context) -> Host: ...


Objective = Callable[[Rebuilt, Batch], torch.Tensor]


def native_objective(student: Student) -> Objective:
    """Objective of training a student by its own loss."""
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
    """Train a student for one phase, with a new optimizer and schedule.

    Args:
        host: Parts of the method.
        student: Network to train.
        objective: Loss of a batch.
        context: Device, random numbers and work folder.
        title: Name of the phase in progress and reports.
        iterations: Number of steps; None = the host's.
        sampler: Source of batches; None = shuffled passes over all training images.
        trained: Module whose state is saved in checkpoints; None = the student.
        identity: Further facts that identify the phase's checkpoints.
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
    """Trained student with the parts needed to score images."""

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
        """Score images."""
        return self.host.predict(self.grids(images))

    def _given_ids(self, images: ImageSet) -> torch.Tensor | None:
        """Class ids from the harness, if the student uses them. Raises MethodsError for unknown classes."""
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
    """Train a host by its own loss."""
    with seeded(context):
        student = host.build().to(context.device)
        train_student(host, student, native_objective(student), context, title="train")
    return TrainedHost(host, student)
