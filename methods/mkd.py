"""MKD: a slim student regresses several layers of a frozen network; where it fails, images are anomalous."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import ClassVar, Literal

import numpy as np
import torch
from torch.nn import functional

from ltbench.methods import catalog
from ltbench.methods.base import Card, Context, MapPost, Need, Prediction
from ltbench.methods.features.backbone import DEFAULT_BACKBONE
from ltbench.methods.features.transform import VIEWED
from ltbench.methods.layers.slim_student import SlimStudent
from ltbench.methods.reconstruction.arrangements import as_they_are
from ltbench.methods.reconstruction.recipes import seconds
from ltbench.methods.reconstruction.teacher import Teacher, TeacherSettings
from ltbench.methods.synthesis.pixel_bank import PixelBank, at_most, pixel_batches, view_of_size
from ltbench.methods.training import engine
from ltbench.methods.training.engine import Batch, Plan
from ltbench.methods.training.identity import identity_of
from ltbench.methods.training.randomness import repeatable, seeded
from ltbench.methods.training.sampling import Sampler, iterations_of
from ltbench.splits.images import ImageSet

Maps = Sequence[torch.Tensor]

VGG_LAYERS = ("features.8", "features.15", "features.22", "features.29")
PYRAMID = ("stride4", "stride8", "stride16")
PAPER_SIDE = 128
"""Side of the authors' maps in pixels."""
SCORED_LAYERS = 3
"""Images are judged by the deepest three of the layers that are learned."""


@dataclass
class Mkd:
    """Image score: the loss itself; map: gradient of the loss at the input, or distance of the features."""

    card: ClassVar[Card] = Card(
        title="MKD",
        family="distillation",
        summary="A much smaller network learns to give the same answers, in value and direction, as several "
        "layers of a pretrained one on normal images. Its loss is the image score and the loss' gradient at "
        "the pixels the map.",
        paper="Salehi et al., CVPR 2021",
        url="https://github.com/rohban-lab/Knowledge_Distillation_AD",
        bibtex="""@inproceedings{salehi2021mkd,
  title     = {Multiresolution Knowledge Distillation for Anomaly Detection},
  author    = {Salehi, Mohammadreza and Sadjadi, Niousha and Baselizadeh, Soroosh and
               Rohban, Mohammad H. and Rabiee, Hamid R.},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  pages     = {14902--14912},
  year      = {2021}
}""",
        licence="no licence file",
        deviations=(
            "map_gradient: by default the map's gradient runs through the student and the teacher's answers "
            "count as constants; the authors' code follows both ('both').",
            "Maps of images are not scaled to 0 and 1 each, which would destroy their order, and good test "
            "images are judged too; the authors' code scales them, clips at the 99th percentile and leaves "
            "the good ones out of the pixel metrics.",
            "iterations, batch_size, size: defaults fit one core; the authors' are 601 epochs (their loop "
            "makes one more, whose state it does not save), 64 and 128.",
            "The last state is scored; the authors' code also watches the AUROC of the test set every tenth "
            "epoch.",
            "localisation: the default compares features, which finds defects after far fewer steps; guided "
            "and gradient are two of the authors' three maps; their third averages 50 noisy copies.",
            "backbone: the default is a smaller network; the paper's is "
            "'timm:vgg16.tv_in1k?mean=0&std=1', whose four last poolings are learned. The student's answers "
            "to another backbone are averaged, not maximal, and may be negative, and its channels are "
            "standardised: the squared difference would drown the direction otherwise.",
            VIEWED,
        ),
    )
    needs: ClassVar[frozenset[Need]] = frozenset()
    version: ClassVar[int] = 3

    backbone: str = DEFAULT_BACKBONE
    """Frozen teacher; the paper's: timm:vgg16.tv_in1k?mean=0&std=1 (it sees values from 0 to 1)."""
    layers: tuple[str, ...] = ()
    """Learned layers, finest first; none = before the poolings 2 to 5 of VGG-16, else the last maps at
    strides 4, 8 and 16."""
    size: int | None = 112
    """Side in pixels of what both networks see (paper: 128); none = the view's."""
    direction_weight: float = 1.0
    """Weight of 1 - cosine of whole maps in the loss."""
    value_weight: float = 0.5
    """Weight of the mean squared difference in the loss (the paper's lambda; its value for MVTec AD)."""
    localisation: Literal["guided", "gradient", "features"] = "features"
    """Map: gradient with guided ReLUs (authors' default), the plain one, or the features' difference."""
    map_gradient: Literal["student", "both"] = "student"
    """Networks that the map's gradient runs through: the student alone, or the teacher too, as in the
    authors' code; 'both' needs a backbone with gradients ('timm:NAME')."""
    smoothing: float = 4.0
    """Deviation of the Gaussian over the map, in pixels of a map of 128 x 128."""
    iterations: int = 800
    """Training steps, unless epochs are given."""
    epochs: float | None = None
    """Passes over the training images instead of iterations (authors: 601)."""
    batch_size: int = 16
    """Images per step (paper: 64)."""
    learning_rate: float = 1e-3
    """Adam learning rate, constant."""
    max_minutes: float | None = None
    """Limit on the time of training; a result that met it is marked."""
    mixed_precision: bool = False
    """bfloat16 products on a GPU."""

    @repeatable()
    def fit(self, train: ImageSet, context: Context) -> None:
        is_vgg = self.backbone.startswith("timm:vgg")
        arrange = _pooled if is_vgg else as_they_are
        settings = TeacherSettings(
            self.backbone, self._layers(), arrange, self.size, standardise=not is_vgg, for_cosines=False
        )
        self._teacher = Teacher(settings, context)
        targets = self._teacher.learn(train, context.rng, title="embed training images")
        self._view = view_of_size(context.view, self.size)
        if self._follows_teacher:
            # Raises before the training where the backbone has no gradient.
            self._teacher.differentiable(
                torch.zeros(1, 3, self._view.crop, self._view.crop).to(context.device)
            )
        bank = PixelBank(train, self._view, context, title="read training images")
        shapes = [(maps.shape[1], maps.shape[2]) for maps in targets[torch.tensor([0])]]
        with seeded(context):
            self._student = SlimStudent(self._view.crop, shapes, rectified=is_vgg).to(context.device)
            optimizer = self._optimizer(self._student)
            sampler = Sampler(len(bank), self.batch_size, context.rng)
            steps = self.iterations if self.epochs is None else iterations_of(self.epochs, sampler)

            def loss(batch: Batch) -> torch.Tensor:
                answers = self._student(bank.gather(batch.indices))
                return self._discrepancy(answers, targets[batch.indices]).mean()

            plan = Plan(steps, max_seconds=seconds(self.max_minutes), mixed_precision=self.mixed_precision)
            engine.train(
                self._student, loss, sampler, optimizer, plan=plan, context=context, title="train",
                identity=identity_of(catalog.config(self), train),
            )  # fmt: skip
        self._student.requires_grad_(False)

    @repeatable()
    def score(self, test: ImageSet, context: Context) -> Prediction:
        scores, grids = [], []
        pixels = pixel_batches(test, self._view, context, title="score test images")
        for images, targets in zip(pixels, self._targets(test), strict=False):
            score, grid = self._judged(images, targets)
            scores.append(score.cpu().numpy())
            grids.append(at_most(grid, context.view.crop).cpu().numpy())
        post = MapPost(sigma=self.smoothing * context.view.crop / PAPER_SIDE)
        return Prediction(scores=np.concatenate(scores), grids=np.concatenate(grids), post=post)

    def _targets(self, test: ImageSet) -> Iterator[Maps | None]:
        """The teacher's answers to each batch of images; None where its gradient is wanted, too."""
        if self._follows_teacher:
            return repeat(None)
        batches = self._teacher.batches(test, title="embed test images")
        return ([maps.clone() for maps in targets] for _, targets in batches)

    @property
    def _follows_teacher(self) -> bool:
        return self.map_gradient == "both" and self.localisation != "features"

    def _judged(self, images: torch.Tensor, targets: Maps | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores (B,) and maps (B, h, w) of images (B, 3, s, s); targets: None = the teacher's, followed."""
        if self.localisation == "features":
            assert targets is not None
            with torch.no_grad():
                answers = self._student(images)[-SCORED_LAYERS:]
            compared = list(zip(answers, targets[-SCORED_LAYERS:], strict=True))
            return self._discrepancy(*zip(*compared, strict=True)), _feature_map(compared)
        self._student.guided = self.localisation == "guided"
        with torch.enable_grad():
            images = images.clone().requires_grad_(True)
            answers = self._student(images)[-SCORED_LAYERS:]
            wanted = self._teacher.differentiable(images) if targets is None else targets
            found = self._discrepancy(answers, wanted[-SCORED_LAYERS:])
            (gradient,) = torch.autograd.grad(found.sum(), images)
        self._student.guided = False
        return found.detach(), gradient.abs().sum(dim=1)

    def _discrepancy(self, answers: Maps, targets: Maps) -> torch.Tensor:
        """Loss per image (B,): over the layers, 1 - cosine of whole maps and the mean squared difference."""
        terms = []
        for answer, target in zip(answers, targets, strict=True):
            found, wanted = answer.to(target.dtype).flatten(1), target.flatten(1)
            direction = 1 - functional.cosine_similarity(found, wanted, dim=1)
            value = (found - wanted).square().mean(dim=1)
            terms.append(self.direction_weight * direction + self.value_weight * value)
        return torch.stack(terms).sum(dim=0)

    def _optimizer(self, student: SlimStudent) -> torch.optim.Optimizer:
        return torch.optim.Adam(student.parameters(), lr=self.learning_rate)

    def _layers(self) -> tuple[str, ...]:
        if self.layers:
            return self.layers
        if self.backbone.startswith("timm:vgg16"):
            return VGG_LAYERS
        return PYRAMID if self.backbone.startswith("timm:") else ()


def _pooled(maps: Maps) -> tuple[torch.Tensor, ...]:
    """VGG's maps after the pooling that follows them."""
    return tuple(functional.max_pool2d(layer, 2) for layer in maps)


def _feature_map(compared: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    """Mean squared difference per position, summed over the layers on the finest grid: (B, h, w)."""
    squared = [(answer - target).square().mean(dim=1, keepdim=True) for answer, target in compared]
    grid = squared[0].shape[-2:]
    resized = [
        functional.interpolate(layer, size=grid, mode="bilinear", align_corners=False) for layer in squared
    ]
    return torch.stack(resized).sum(dim=0)[:, 0]
