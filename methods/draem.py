"""DRAEM: one network restores corrupted images, another one segments what had to be restored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy import ndimage
from torch import nn
from torch.nn import functional

from ltbench.methods import catalog
from ltbench.methods.base import Card, Context, MapPost, Need, Prediction
from ltbench.methods.blocks.image_scores import largest_of_pooled
from ltbench.methods.errors import BadParameter
from ltbench.methods.features.transform import VIEWED
from ltbench.methods.layers.unets import Restorer, Segmenter, start_small
from ltbench.methods.synthesis.perlin import blobs
from ltbench.methods.synthesis.pixel_bank import PixelBank, at_most, pixel_batches, view_of_size
from ltbench.methods.synthesis.textures import TextureSource
from ltbench.methods.training import engine
from ltbench.methods.training.engine import Batch, Plan
from ltbench.methods.training.identity import identity_of
from ltbench.methods.training.pixel_losses import focal
from ltbench.methods.training.randomness import repeatable, seeded
from ltbench.methods.training.sampling import Sampler, iterations_of
from ltbench.methods.training.schedules import Schedule
from ltbench.methods.training.structural_similarity import dissimilarity
from ltbench.splits.images import ImageSet

TURNED = 0.3
"""Share of the images that are rotated before anything else."""
LARGEST_TURN = 90.0
UNTOUCHED = 0.5
"""Share of the images that stay as they are."""
MOST_IMAGE = 0.8
"""Largest share of the image that shines through a texture."""
PAPER_SIDE = 256
DEEPEST = 32
"""Sides are halved five times."""


@dataclass
class Draem:
    """Map: probability of being anomalous at every pixel; image score: its largest mean over a window."""

    card: ClassVar[Card] = Card(
        title="DRAEM",
        family="reconstruction",
        summary="Blobs of foreign texture are painted on normal images; one network learns to take them "
        "away, a second one to segment them from the picture before and after. Defects need not look like "
        "the textures, but must be restored unlike themselves.",
        paper="Zavrtanik et al., ICCV 2021",
        url="https://github.com/VitjanZ/DRAEM",
        bibtex="""@inproceedings{zavrtanik2021draem,
  title     = {{DRAEM} - A Discriminatively Trained Reconstruction Embedding for Surface Anomaly Detection},
  author    = {Zavrtanik, Vitjan and Kristan, Matej and Sko{\\v{c}}aj, Danijel},
  booktitle = {IEEE/CVF International Conference on Computer Vision (ICCV)},
  pages     = {8330--8339},
  year      = {2021}
}""",
        licence="MIT",
        deviations=(
            "textures: generated ones ship with the package; the paper paints pictures of DTD (its folder "
            "'images' may be given).",
            "size, restorer_width, segmenter_width and iterations: defaults fit one core; the paper's are "
            "256, 128, 64 and epochs = 700.",
            "batch_size: every pass shows each image once; the authors' code draws with replacement.",
            "A texture's weight is 0.2 to 1, as in the authors' code; the paper says 0.1 to 1.",
            "Images are shrunk by the view, with antialiasing; OpenCV, there, takes the nearest four pixels, "
            "as is done here with a folder's textures.",
            "Changes of the textures are Pillow's, with the ranges of the authors' imgaug ones; brightness "
            "changes in Y of YCbCr, where imgaug picks one of six colour spaces.",
            VIEWED,
        ),
    )
    needs: ClassVar[frozenset[Need]] = frozenset()
    version: ClassVar[int] = 3

    size: int | None = 64
    """Side in pixels of what both networks see (paper: 256), a multiple of 32; none = the view's."""
    textures: str = "generated"
    """'generated', or a folder of pictures (paper: 'images' of DTD)."""
    restorer_width: int = 8
    """Channels of the first stage of the restoring network (paper: 128)."""
    segmenter_width: int = 16
    """Channels of the first stage of the segmenting network (paper: 64)."""
    iterations: int = 600
    """Training steps, unless epochs are given."""
    epochs: float | None = None
    """Passes over the training images instead of iterations (paper: 700)."""
    batch_size: int = 8
    """Images per step."""
    learning_rate: float = 1e-3
    """Adam learning rate; a fifth of it after 80 % of the steps and again after 90 % (paper: 1e-4)."""
    pool: int = 21
    """Side of the mean filter whose maximum is the image score, in pixels of a 256 x 256 map; a map of
    another size has a window of the same share."""
    max_minutes: float | None = None
    """Limit on the time of training; a result that met it is marked."""
    mixed_precision: bool = False
    """bfloat16 products on a GPU."""

    @repeatable()
    def fit(self, train: ImageSet, context: Context) -> None:
        self._view = view_of_size(context.view, self.size)
        if self._view.crop % DEEPEST:
            raise BadParameter(f"size is {self._view.crop}: expected a multiple of {DEEPEST} pixels")
        bank = PixelBank(train, self._view, context, title="read training images")
        source = TextureSource(self.textures, self._view.crop)
        with seeded(context):
            self._model = nn.ModuleDict(
                {"restore": Restorer(self.restorer_width), "segment": Segmenter(self.segmenter_width)}
            )
            self._model.apply(start_small).to(context.device)
            optimizer = torch.optim.Adam(self._model.parameters(), lr=self.learning_rate)
            sampler = Sampler(len(bank), self.batch_size, context.rng)
            steps = self.iterations if self.epochs is None else iterations_of(self.epochs, sampler)

            def loss(batch: Batch) -> torch.Tensor:
                made = [corrupted(image, source, batch.rng) for image in bank.gather(batch.indices).cpu()]
                clean, given, mask = (
                    torch.stack(part).to(context.device) for part in zip(*made, strict=True)
                )
                return self._loss(clean, given, mask)

            engine.train(
                self._model, loss, sampler, optimizer, context=context, title="train",
                plan=Plan(
                    steps,
                    max_seconds=None if self.max_minutes is None else self.max_minutes * 60,
                    schedule=two_drops(steps),
                    mixed_precision=self.mixed_precision,
                ),
                identity=identity_of(catalog.config(self), train),
            )  # fmt: skip

    @torch.inference_mode()
    @repeatable()
    def score(self, test: ImageSet, context: Context) -> Prediction:
        post, side = MapPost(sigma=0.0), self._view.crop
        window = max(1, round(self.pool * side / PAPER_SIDE))
        scores, grids = [], []
        for images in pixel_batches(test, self._view, context, title="score test images"):
            maps = self._segmented(images)[1].softmax(dim=1)[:, 1]
            scores.append(largest_of_pooled(maps.cpu().numpy(), side, post, window))
            grids.append(at_most(maps, context.view.crop).cpu().numpy())
        return Prediction(scores=np.concatenate(scores), grids=np.concatenate(grids), post=post)

    def _segmented(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Restored images (B, 3, H, W), and logits (B, 2, H, W)."""
        restored = self._model["restore"](images)
        return restored, self._model["segment"](torch.cat([restored, images], dim=1))

    def _loss(self, clean: torch.Tensor, given: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Squared error and dissimilarity of what is restored, focal loss of what is segmented."""
        restored, logits = self._segmented(given)
        restored = restored.float()
        rebuilt = functional.mse_loss(restored, clean) + dissimilarity(restored, clean)
        return rebuilt + focal(logits.float().softmax(dim=1), mask)


def corrupted(
    image: torch.Tensor, source: TextureSource, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The image (3, s, s) that is to be restored, what is given of it, and where they differ (s, s).

    (1 - M) I + M ((1 - b) A + b I) with a blob M, a texture A and b from 0 to 0.8 (Zavrtanik et al. 2021).
    """
    if rng.random() < TURNED:
        angle = rng.uniform(-LARGEST_TURN, LARGEST_TURN)
        turned = ndimage.rotate(image.numpy(), angle, axes=(1, 2), reshape=False, order=1)
        image = torch.from_numpy(turned).clamp(0, 1)
    side = image.shape[-1]
    if rng.random() < UNTOUCHED:
        return image, image, torch.zeros(side, side, dtype=torch.bool)
    mask = torch.from_numpy(blobs(side, rng))
    texture = torch.from_numpy(source.draw(rng).transpose(2, 0, 1).astype(np.float32) / 255)
    through = rng.uniform(0, MOST_IMAGE)
    return image, torch.where(mask, (1 - through) * texture + through * image, image), mask


def two_drops(iterations: int) -> Schedule:
    """1, a fifth after 80 % of the iterations, a twenty-fifth after 90 %."""
    return lambda iteration: 0.2 ** ((iteration >= 0.8 * iterations) + (iteration >= 0.9 * iterations))
