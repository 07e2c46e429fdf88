"""RegAD: features that learned to register images of a product, and Gaussians of a few supports."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from ltbench.methods import catalog
from ltbench.methods.base import Card, Context, MapPost, Need, Prediction
from ltbench.methods.blocks.gaussians import GaussianField
from ltbench.methods.blocks.score_maps import largest_of_smoothed
from ltbench.methods.errors import BadParameter, MethodsError
from ltbench.methods.features.backbone import DEFAULT_BACKBONE
from ltbench.methods.features.transform import VIEWED
from ltbench.methods.layers import trunk
from ltbench.methods.layers.registration import RegisteredPyramid, Siamese
from ltbench.methods.synthesis.pixel_bank import PixelBank, view_of_size
from ltbench.methods.synthesis.support import copies
from ltbench.methods.training import engine
from ltbench.methods.training.engine import Batch, Plan
from ltbench.methods.training.grouped import GroupedSampler
from ltbench.methods.training.identity import identity_of
from ltbench.methods.training.randomness import repeatable, seeded
from ltbench.methods.training.sampling import iterations_of
from ltbench.methods.training.schedules import Schedule, warm_cosine
from ltbench.splits.images import ImageSet

Rows = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
_IMAGES_AT_ONCE = 16
SMALLEST = 32
"""Side in pixels at which the second half of a transformer sees a single value."""


@dataclass
class RegAD:
    """Mahalanobis distance per position to the copies of a product's support images."""

    card: ClassVar[Card] = Card(
        title="RegAD",
        family="few-shot",
        summary="A network learns on all products to bring two images of the same one into register; a "
        "product is then modelled by a Gaussian per position of a few of its training images and their "
        "turned copies. Two support images are enough, and one defect among them is too much.",
        paper="Huang et al., ECCV 2022",
        url="https://github.com/MediaBrain-SJTU/RegAD",
        bibtex="""@inproceedings{huang2022regad,
  title     = {Registration Based Few-Shot Anomaly Detection},
  author    = {Huang, Chaoqin and Guan, Haoyan and Jiang, Aofan and Zhang, Ya and Spratling, Michael and
               Wang, Yan-Feng},
  booktitle = {European Conference on Computer Vision (ECCV)},
  year      = {2022}
}""",
        licence="MIT",
        deviations=(
            "It is trained on all products, as in LTAD's comparison; the paper leaves the judged one out.",
            "shots: supports are drawn once from the training set, whose labels are not told; the authors "
            "average ten fixed sets of good images. A product with fewer images has fewer supports.",
            "Products with one image are not trained on; the authors' code would look for another for ever.",
            "The last state is scored; the authors' code keeps the one that is best on the test set.",
            "grid and standardise: Gaussians on 28 x 28 of standardised channels fit one core; the paper's "
            "are 56 x 56 (grid = none) of channels as they are.",
            "encoder and iterations: defaults fit one core; the paper's are "
            "'timm:resnet18.tv_in1k?mean=0&std=1' (images as they are, from 0 to 1) and epochs = 50.",
            VIEWED,
        ),
    )
    needs: ClassVar[frozenset[Need]] = frozenset({"class_ids_fit", "class_ids_score"})
    version: ClassVar[int] = 4

    encoder: str = DEFAULT_BACKBONE
    """Network that is trained further; the paper's: timm:resnet18.tv_in1k?mean=0&std=1."""
    size: int | None = 224
    """Side in pixels of what the encoder sees; none = the view's."""
    shots: int = 2
    """Support images per product (LTAD: 2; paper: 2, 4 or 8), in training, where they are drawn with
    replacement, and for the Gaussians."""
    grid: int | None = 28
    """Side of the grid of Gaussians; none = that of the finest maps (paper)."""
    ridge: float = 0.01
    """Number added to the diagonal of every covariance."""
    standardise: bool = True
    """Bring every channel to unit variance over all products' supports first (paper: false)."""
    iterations: int = 60
    """Steps of training, unless epochs are given."""
    epochs: float | None = None
    """Passes over the training images instead of iterations (paper: 50)."""
    batch_size: int = 8
    """Largest number of query images per step, all of one product (paper: 32)."""
    learning_rate: float = 1e-4
    """SGD learning rate, momentum 0.9, along a half cosine to 0: from step to step, or, where epochs are
    given, from epoch to epoch, the last one at 0 (paper)."""
    max_minutes: float | None = None
    """Limit on the time of training; a result that met it is marked."""
    mixed_precision: bool = False
    """bfloat16 products on a GPU."""

    @repeatable()
    def fit(self, train: ImageSet, context: Context) -> None:
        self._view = view_of_size(context.view, self.size)
        if self._view.crop <= SMALLEST:
            raise BadParameter(
                f"size is {self._view.crop}: expected more than {SMALLEST} pixels, so that the coarsest maps "
                "of a single image have batch statistics"
            )
        bank = PixelBank(train, self._view, context, title="read training images")
        members = members_of(train)
        with seeded(context):
            encoder = trunk.load(self.encoder, context.weights_root)
            pyramid = RegisteredPyramid(encoder, self._view.crop)
            model = nn.ModuleDict({"pyramid": pyramid, "head": Siamese(encoder.widths[2])})
            model.to(context.device)
            self._train(model, bank, train, members, context)
        self._pyramid: RegisteredPyramid = pyramid
        self._supports = {
            product: self._embedded(
                torch.cat([copies(image) for image in bank.gather(self._drawn(images, context.rng))])
            )
            for product, images in members.items()
        }
        # Not of one product: a channel that lies still in its few supports would count without limit.
        self._scale = spread(self._supports.values()) if self.standardise else np.ones((), np.float32)

    @repeatable()
    def score(self, test: ImageSet, context: Context) -> Prediction:
        images = PixelBank(test, self._view, context, title="read test images")
        grids: Rows | None = None
        members = members_of(test)
        for product in context.progress(members, "score products", len(members)):
            if product not in self._supports:
                raise MethodsError(
                    f"product {product} has no training image: expected at least one support of each"
                )
            supports = self._supports[product] / self._scale
            field = GaussianField(self.ridge, device=context.device)
            field.add(supports.reshape(len(supports), -1, supports.shape[-1]))
            field.finish()
            for part in torch.from_numpy(members[product]).split(_IMAGES_AT_ONCE):
                vectors = self._embedded(images.gather(part)) / self._scale
                count, rows, columns, dim = vectors.shape
                found = field.distance(vectors.reshape(count, -1, dim)).reshape(count, rows, columns)
                if grids is None:
                    grids = np.empty((len(test), rows, columns), np.float32)
                grids[part.numpy()] = found
        post = MapPost()
        return Prediction(scores=largest_of_smoothed(grids, context.view.crop, post), grids=grids, post=post)

    def _train(
        self,
        model: nn.ModuleDict,
        bank: PixelBank,
        train: ImageSet,
        members: dict[int, Indices],
        context: Context,
    ) -> None:
        ids = train.class_ids
        paired = [images for images in members.values() if len(images) > 1]
        sampler = GroupedSampler(paired or list(members.values()), self.batch_size, context.rng)
        if self.epochs is None:
            steps, schedule = self.iterations, warm_cosine(self.iterations)
        else:
            steps = iterations_of(self.epochs, sampler)
            schedule = cosine_by_pass(self.epochs, sampler.batches_per_pass())
        if not paired:
            steps = 0

        def loss(batch: Batch) -> torch.Tensor:
            others = [
                companions(members[int(ids[index])], index, self.shots, batch.rng)
                for index in batch.indices.tolist()
            ]
            queries = model["pyramid"](bank.gather(batch.indices))[0][-1]
            shown = model["pyramid"](bank.gather(torch.from_numpy(np.concatenate(others))))[0][-1]
            return model["head"](queries, shown.unflatten(0, (-1, self.shots)).mean(dim=1))

        engine.train(
            model, loss, sampler, torch.optim.SGD(model.parameters(), lr=self.learning_rate, momentum=0.9),
            plan=Plan(
                steps,
                max_seconds=None if self.max_minutes is None else self.max_minutes * 60,
                schedule=schedule,
                mixed_precision=self.mixed_precision,
            ),
            context=context, title="train", identity=identity_of(catalog.config(self), train),
        )  # fmt: skip

    def _drawn(self, images: Indices, rng: np.random.Generator) -> torch.Tensor:
        """A product's supports."""
        return torch.from_numpy(np.sort(rng.permutation(images)[: self.shots]))

    @torch.inference_mode()
    def _embedded(self, images: torch.Tensor) -> Rows:
        """(B, h, w, C) of images (B, 3, s, s), a few at a time."""
        parts = []
        for part in images.split(_IMAGES_AT_ONCE):
            maps = self._pyramid.embed(part)
            if self.grid is not None and self.grid < maps.shape[-1]:
                maps = functional.adaptive_avg_pool2d(maps, self.grid)
            parts.append(maps.permute(0, 2, 3, 1).cpu().numpy())
        return np.concatenate(parts)


def spread(parts: Iterable[Rows]) -> Rows:
    """Standard deviation of every channel over all rows of (..., C) parts, (C,); 1 for a constant one."""
    rows = np.concatenate([part.reshape(-1, part.shape[-1]) for part in parts])
    deviation = rows.std(axis=0, dtype=np.float64).astype(np.float32)
    return np.where(deviation > 0, deviation, np.float32(1))


def members_of(images: ImageSet) -> dict[int, Indices]:
    """The images of each product, by its id."""
    ids = images.class_ids
    if ids is None:
        raise MethodsError("RegAD is told which product each image shows: expected class ids")
    return {int(product): np.flatnonzero(ids == product) for product in np.unique(ids)}


def companions(images: Indices, query: int, shots: int, rng: np.random.Generator) -> Indices:
    """`shots` images of a product other than the query, drawn with replacement."""
    return rng.choice(images[images != query], shots)


def cosine_by_pass(passes: float, batches: int) -> Schedule:
    """(1 + cos(pi p / passes)) / 2 in pass p, counted from 1, of so many batches: 0 in the last one."""

    def factor(iteration: int) -> float:
        done = (iteration // batches + 1) / passes
        return (1 + math.cos(math.pi * min(1.0, done))) / 2

    return factor
