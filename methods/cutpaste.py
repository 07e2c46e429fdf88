"""CutPaste: an embedding trained to distinguish images from copies with a pasted piece, and its Gaussian."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ltbench.methods import catalog
from ltbench.methods.base import Card, Context, Need, Prediction
from ltbench.methods.blocks.shrinkage import ShrunkGaussian
from ltbench.methods.features.backbone import DEFAULT_BACKBONE
from ltbench.methods.features.transform import VIEWED
from ltbench.methods.layers import trunk
from ltbench.methods.layers.trunk import Trunk
from ltbench.methods.synthesis.pasting import cut_paste, jittered, scarred
from ltbench.methods.synthesis.pixel_bank import PixelBank, pixel_batches, view_of_size
from ltbench.methods.training import engine
from ltbench.methods.training.engine import Batch, Plan
from ltbench.methods.training.identity import identity_of
from ltbench.methods.training.randomness import repeatable, seeded
from ltbench.methods.training.sampling import Sampler, iterations_of
from ltbench.methods.training.schedules import warm_cosine
from ltbench.splits.images import ImageSet

NORMAL = 0
KINDS = 3
"""Normal, with a pasted patch, with a pasted scar."""


@dataclass
class CutPaste:
    """Score: Mahalanobis distance of an image's embedding to the Gaussian of the training images."""

    card: ClassVar[Card] = Card(
        title="CutPaste",
        family="self-supervision",
        summary="A network learns to tell normal images from copies onto which a patch or a thin scar of "
        "themselves was pasted; an image is as anomalous as its embedding is far from those of the training "
        "images. One Gaussian for all products is a coarse model of them.",
        paper="Li et al., CVPR 2021",
        url="https://arxiv.org/abs/2104.04015",
        bibtex="""@inproceedings{li2021cutpaste,
  title     = {{CutPaste}: Self-Supervised Learning for Anomaly Detection and Localization},
  author    = {Li, Chun-Liang and Sohn, Kihyuk and Yoon, Jinsung and Pfister, Tomas},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  pages     = {9664--9674},
  year      = {2021}
}""",
        licence="no official code",
        deviations=(
            "One Gaussian with a shrunk covariance for all products: which product an image shows is not "
            "told. The paper has one model per product.",
            "encoder, size, iterations and batch_size: defaults fit one core; the paper's are 'resnet18', "
            "256, 65536 steps and 32 source images.",
            "train_norms and learning_rate: a pretrained encoder keeps the statistics of its norms and is "
            "trained at a tenth of the paper's rate, at which its loss stays at ln 3; the paper starts at "
            "random weights.",
            "head: one hidden layer before the last; the paper does not say how many.",
            "maps: Grad-CAM of the classifier's odds at the coarsest maps; the paper's localisation trains a "
            "second model on 32 x 32 patches, and LTAD's tables have none.",
            "Images are jittered in colour, but not shifted at random first, as the paper's are: it does not "
            "say how far.",
            "Pasting follows a public reimplementation (Runinho/pytorch-cutpaste) where the paper names "
            "ranges only: a patch's aspect is uniform in its logarithm; a scar's sides scale with the size. "
            "That code begins at ImageNet's weights and holds them for 20 steps, unless told otherwise.",
            VIEWED,
        ),
    )
    needs: ClassVar[frozenset[Need]] = frozenset()
    version: ClassVar[int] = 4

    encoder: str = DEFAULT_BACKBONE
    """Network that is trained: 'timm:NAME', 'resnet18' from random weights (paper), or
    'timm:resnet18.tv_in1k'."""
    train_norms: bool = False
    """Whether the encoder's norms are those of the batch in training (paper: true); else they keep the
    statistics that they came with."""
    size: int | None = 112
    """Side in pixels of what the encoder sees (paper: 256); none = the view's."""
    head: tuple[int, ...] = (512,)
    """Widths of the hidden layers before the last one of 128."""
    iterations: int = 200
    """Steps of training, unless epochs are given (paper: 65536)."""
    epochs: float | None = None
    """Passes over the training images instead of iterations."""
    batch_size: int = 8
    """Source images per step, each in three variants (paper: 32)."""
    learning_rate: float = 0.003
    """SGD learning rate, momentum 0.9, along a half cosine to 0 at the last step (paper: 0.03)."""
    weight_decay: float = 3e-5
    """SGD weight decay."""
    maps: bool = True
    """Whether to localise by Grad-CAM."""
    max_minutes: float | None = None
    """Limit on the time of training; a result that met it is marked."""
    mixed_precision: bool = False
    """bfloat16 products on a GPU."""

    @repeatable()
    def fit(self, train: ImageSet, context: Context) -> None:
        self._view = view_of_size(context.view, self.size)
        bank = PixelBank(train, self._view, context, title="read training images")
        with seeded(context):
            encoder = trunk.load(self.encoder, context.weights_root, train_norms=self.train_norms)
            self._model = Teller(encoder, self.head).to(context.device)
            optimizer = torch.optim.SGD(
                self._model.parameters(),
                lr=self.learning_rate,
                momentum=0.9,
                weight_decay=self.weight_decay,
            )
            sampler = Sampler(len(bank), self.batch_size, context.rng)
            steps = self.iterations if self.epochs is None else iterations_of(self.epochs, sampler)

            def loss(batch: Batch) -> torch.Tensor:
                images, kinds = variants(bank.gather(batch.indices), batch.rng)
                return functional.cross_entropy(self._model(images), kinds)

            engine.train(
                self._model, loss, sampler, optimizer, context=context, title="train",
                plan=Plan(
                    steps,
                    max_seconds=None if self.max_minutes is None else self.max_minutes * 60,
                    schedule=warm_cosine(steps),
                    mixed_precision=self.mixed_precision,
                ),
                identity=identity_of(catalog.config(self), train),
            )  # fmt: skip
        with torch.inference_mode():
            embedded = [self._model.embed(images)[1].cpu().numpy() for images in bank.batches()]
        self._gaussian = ShrunkGaussian(np.concatenate(embedded))

    @repeatable()
    def score(self, test: ImageSet, context: Context) -> Prediction:
        scores, grids = [], []
        for images in pixel_batches(test, self._view, context, title="score test images"):
            embedded, seen = self._model.explained(images)
            scores.append(self._gaussian.distance(embedded.detach().cpu().numpy()))
            grids.append(seen.detach().cpu().numpy())
        return Prediction(
            scores=np.concatenate(scores).astype(np.float32),
            grids=np.concatenate(grids).astype(np.float32) if self.maps else None,
        )


def variants(images: torch.Tensor, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """(3 B, 3, H, W) of (B, 3, H, W), jittered, then with a patch, then with a scar; and their kinds."""
    jitter = [jittered(image, rng) for image in images]
    patched = [cut_paste(image, rng) for image in jitter]
    scars = [scarred(image, rng) for image in jitter]
    kinds = torch.arange(KINDS, device=images.device).repeat_interleave(len(images))
    return torch.stack([*jitter, *patched, *scars]), kinds


class Teller(nn.Module):
    """Logits (B, 3) of what was done to images (B, 3, H, W)."""

    def __init__(self, encoder: Trunk, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.encoder = encoder
        layers: list[nn.Module] = []
        for before, after in pairwise((encoder.widths[-1], *hidden, 128)):
            layers += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU()]
        self.head = nn.Sequential(*layers, nn.Linear(128, KINDS))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(images)[-1].mean(dim=(2, 3)))

    @torch.no_grad()
    def embed(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Coarsest maps (B, C, h, w), and their mean at length 1 (B, C)."""
        maps = self.encoder(images)[-1]
        return maps, functional.normalize(maps.mean(dim=(2, 3)), dim=1)

    def explained(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings (B, C), and where the odds of having been altered come from, (B, h, w) >= 0 (Grad-CAM).

        Every channel weighs as much as the mean gradient of the odds at it (Selvaraju et al., ICCV 2017).
        """
        maps, embedded = self.embed(images)
        with torch.enable_grad():
            maps = maps.clone().requires_grad_(True)
            logits = self.head(maps.mean(dim=(2, 3)))
            odds = logits[:, NORMAL + 1 :].logsumexp(dim=1) - logits[:, NORMAL]
            (gradient,) = torch.autograd.grad(odds.sum(), maps)
        weights = gradient.mean(dim=(2, 3), keepdim=True)
        return embedded, functional.relu((weights * maps).sum(dim=1))
