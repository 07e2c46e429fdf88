"""FUN-AD: a patch classifier trained on labels that it gives its own contaminated training set."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from ltbench.methods import catalog
from ltbench.methods.base import Card, Context, Need, Prediction
from ltbench.methods.blocks.pseudo_labels import (
    ANOMALOUS_ABOVE,
    balanced_cross_entropy,
    disagreement,
    distances_to_others,
    mutual_pairs,
    normal_looking,
    scaled,
    shaken,
)
from ltbench.methods.features.backbone import DEFAULT_BACKBONE
from ltbench.methods.features.tokens import TokenBank, TokenReader, Tokens
from ltbench.methods.training import engine
from ltbench.methods.training.engine import Batch, Plan
from ltbench.methods.training.identity import identity_of
from ltbench.methods.training.randomness import repeatable, seeded
from ltbench.methods.training.sampling import Sampler, iterations_of
from ltbench.splits.images import ImageSet

SLOPE = 0.2
_IMAGES_AT_ONCE = 32


@dataclass
class FunAD:
    """Score of a patch: probability of the classifier; of an image: its largest."""

    card: ClassVar[Card] = Card(
        title="FUN-AD",
        family="self-training",
        summary="Patches far from images that look normal so far are labelled anomalous, a small classifier "
        "learns these labels, and says in turn which images look normal. Defects differ from each other more "
        "than normal patches do; the method expects some of them in training.",
        paper="Im et al., WACV 2025",
        url="https://github.com/SpatialAILab/FUNAD",
        bibtex="""@inproceedings{im2025funad,
  title     = {{FUN-AD}: Fully Unsupervised Learning for Anomaly Detection with Noisy Training Data},
  author    = {Im, Jiin and Son, Yongho and Hong, Je Hyeong},
  booktitle = {IEEE/CVF Winter Conference on Applications of Computer Vision (WACV)},
  pages     = {9447--9456},
  year      = {2025}
}""",
        licence="no licence file; its README tells of a patent application that limits commercial use",
        deviations=(
            "refresh = 20 and bank_rows = 2048: the images that look normal are chosen anew every 20 "
            "iterations and a random part of their patches is the memory; the paper chooses at every "
            "iteration and keeps all of them, which many products do not allow.",
            "The last state is scored; the authors' code keeps the epoch that is best on the test set.",
            "Noise is added to the patches that the classifier learns, not to those that are smoothed, as "
            "the paper says; the released code adds it to both.",
            "No synthetic anomalies are added to the batches; the authors' code has an option for it.",
            "The cross entropy is taken from logits; that of the released code stands still where a "
            "probability rounds to 0 or 1.",
            "A training set smaller than a batch is one batch, and at least one image looks normal; the "
            "released code trains on nothing there, or stops.",
            "iterations, batch_size, learning_rate, width, hidden: defaults fit one core; the paper's are "
            "1500 epochs, 32, 2e-5, none and 1024,128. The papers' suites have 100 epochs, as many steps on "
            "15 products as 1500 on one.",
            "backbone: the default is a smaller network; the paper's is 'timm:vit_base_patch8_224.dino' with "
            "layers = norm and grid = 28. Maps of another size are resized with their corners aligned.",
            "image_weight: the paper puts the class token beside each patch, as it is. By default patches "
            "stand alone: the embedding of an image tells mostly which product it shows, and labels made "
            "with it tell products apart (docs/baselines.md).",
            "standardise: channels of a convolutional network differ in scale and are standardised, and so "
            "is the embedding of the whole image; the paper's are not. A squared distance below 0.01 is zero "
            "in either unit.",
            "Features are rounded to float16 once (docs/backbones.md).",
            "On the generated products the method is at chance: the patches that it labels "
            "anomalous are hardly more often so than any others (docs/baselines.md).",
        ),
    )
    needs: ClassVar[frozenset[Need]] = frozenset()
    version: ClassVar[int] = 2

    backbone: str = DEFAULT_BACKBONE
    """Frozen features; the paper's: timm:vit_base_patch8_224.dino."""
    layers: tuple[str, ...] = ()
    """Layers of the backbone, side by side; none = its default."""
    grid: int = 14
    """Side of the grid of patches (paper: 28)."""
    standardise: bool = True
    """Whether channels have mean 0 and deviation 1 over the training set (paper: false)."""
    image_weight: float = 0.0
    """Variance of the whole image's embedding in a patch, as a multiple of the patch's own where both are
    standardised; 0 = patches alone. Not standardised, 1 leaves the embedding as it is (paper)."""
    width: int | None = 128
    """Width of the adapted patches, in which distances are taken; none = that of the features (paper)."""
    hidden: tuple[int, ...] = (128, 32)
    """Widths of the classifier's hidden layers (paper: 1024,128)."""
    iterations: int = 400
    """Steps of training, unless epochs are given."""
    epochs: float | None = None
    """Passes over the training images instead of iterations (paper: 1500)."""
    batch_size: int = 8
    """Images per step (paper: 32)."""
    learning_rate: float = 3e-4
    """RMSprop learning rate (paper: 2e-5)."""
    momentum: float = 0.2
    """RMSprop momentum."""
    smoothness: float = 2.5
    """Weight of the term that brings mutual nearest neighbours' scores together."""
    refresh: int = 20
    """Iterations between two choices of the images that look normal (paper: 1)."""
    bank_rows: int = 2048
    """Upper limit of the memory, in patches (paper: none)."""
    max_minutes: float | None = None
    """Limit on the time of training; a result that met it is marked."""
    mixed_precision: bool = False
    """bfloat16 products on a GPU."""

    @repeatable()
    def fit(self, train: ImageSet, context: Context) -> None:
        self._reader = TokenReader(
            self.backbone, context, layers=self.layers, grid=self.grid, standardise=self.standardise
        )
        bank = self._reader.fit(train, title="embed training images")
        self._centre, self._scale = self._embedding_scales(bank)
        inputs = bank.vectors.shape[-1] + bank.pooled.shape[-1]
        with seeded(context):
            self._model = Classifier(inputs, self.width or inputs, self.hidden, self.bank_rows)
            self._model.to(context.device)
            optimizer = torch.optim.RMSprop(
                self._model.parameters(), lr=self.learning_rate, momentum=self.momentum
            )
            sampler = Sampler(len(bank), self.batch_size, context.rng, drop_last=True)
            steps = self.iterations if self.epochs is None else iterations_of(self.epochs, sampler)
            engine.train(
                self._model,
                lambda batch: self._loss(bank, batch),
                sampler,
                optimizer,
                plan=Plan(
                    steps,
                    max_seconds=None if self.max_minutes is None else self.max_minutes * 60,
                    mixed_precision=self.mixed_precision,
                ),
                context=context,
                title="train",
                identity=identity_of(catalog.config(self), train),
            )

    @torch.inference_mode()
    @repeatable()
    def score(self, test: ImageSet, context: Context) -> Prediction:
        parts = [
            self._model(self._joined(tokens)).sigmoid().cpu().numpy()
            for tokens in self._reader.batches(test, title="score test images")
        ]
        grids = np.concatenate(parts).reshape(-1, self.grid, self.grid)
        return Prediction(scores=grids.max(axis=(1, 2)), grids=grids)

    def _loss(self, bank: TokenBank, batch: Batch) -> torch.Tensor:
        model = self._model
        if batch.iteration % self.refresh == 0:
            chosen = normal_looking(self._image_scores(bank), batch.rng)
            model.remember(self._rows_of(chosen, bank, batch.rng))
        tokens = self._joined(bank.gather(batch.indices))
        memory = self._memory(bank)
        with torch.no_grad():
            adapted = model.adapt(tokens).flatten(0, 1).float()
            distance = scaled(distances_to_others(adapted, memory)).view(tokens.shape[:2])
        logits = model(shaken(tokens, distance)).float()
        labelled = balanced_cross_entropy(logits.flatten(), (distance > ANOMALOUS_ABOVE).flatten())
        probabilities = model(tokens).float().sigmoid().flatten()
        return labelled + self.smoothness * disagreement(probabilities, mutual_pairs(adapted))

    @torch.no_grad()
    def _image_scores(self, bank: TokenBank) -> np.ndarray:
        """Largest patch probability of every training image, (N,)."""
        parts = torch.arange(len(bank)).split(_IMAGES_AT_ONCE)
        found = [self._model(self._joined(bank.gather(part))).sigmoid().amax(dim=1) for part in parts]
        return torch.cat(found).float().cpu().numpy()

    def _rows_of(self, images: np.ndarray, bank: TokenBank, rng: np.random.Generator) -> torch.Tensor:
        """Indices of the images' patches in the bank, int64; at most `bank_rows` of them, drawn at random."""
        patches = bank.vectors.shape[1]
        rows = (images[:, None] * patches + np.arange(patches)).ravel()
        if len(rows) > self.bank_rows:
            rows = np.sort(rng.choice(rows, self.bank_rows, replace=False))
        return torch.from_numpy(rows)

    @torch.no_grad()
    def _memory(self, bank: TokenBank) -> torch.Tensor:
        """Remembered patches as the classifier adapts them now, (M, width)."""
        rows = self._model.remembered()
        patches = bank.vectors.shape[1]
        image = rows // patches
        raw = (bank.vectors[image, rows % patches].float() - bank.mean) * bank.scale
        return self._model.adapt(torch.cat([raw, self._whole(bank.pooled[image])], dim=-1)).float()

    def _joined(self, tokens: Tokens) -> torch.Tensor:
        """Each patch with the embedding of its image, (B, T, C + P)."""
        whole = self._whole(tokens.pooled)[:, None].expand(-1, tokens.vectors.shape[1], -1)
        return torch.cat([tokens.vectors, whole], dim=-1)

    def _whole(self, pooled: torch.Tensor) -> torch.Tensor:
        return (pooled - self._centre) * self._scale

    def _embedding_scales(self, bank: TokenBank) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and factor of the embeddings of whole images, (P,) each."""
        pooled = bank.pooled
        if not self.standardise:
            return torch.zeros_like(pooled[0]), torch.full_like(pooled[0], self.image_weight**0.5)
        deviation = pooled.std(dim=0, correction=0)
        # A patch's C channels have variance C in sum, the embedding's P numbers this multiple of it.
        factor = (self.image_weight * bank.vectors.shape[-1] / pooled.shape[-1]) ** 0.5
        return pooled.mean(dim=0), torch.where(deviation > 1e-6, factor / deviation.clamp_min(1e-6), 0.0)


class Classifier(nn.Module):
    """Adapter and classifier of patches: (..., C) -> (...), logits of being anomalous."""

    _rows: torch.Tensor

    def __init__(self, inputs: int, width: int, hidden: tuple[int, ...], bank_rows: int) -> None:
        super().__init__()
        self.adapt = nn.Sequential(nn.Linear(inputs, width), nn.LeakyReLU(SLOPE))
        widths = (width, *hidden)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.LeakyReLU(SLOPE)]
        self.judge = nn.Sequential(*layers, nn.Linear(widths[-1], 1))
        # Part of the state, so that a resumed training knows them.
        self.register_buffer("_rows", torch.full((bank_rows,), -1))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.judge(self.adapt(tokens)).squeeze(-1)

    def remember(self, rows: torch.Tensor) -> None:
        """Keep these numbers of patches, at most `bank_rows`."""
        self._rows.fill_(-1)
        self._rows[: len(rows)] = rows.to(self._rows.device)

    def remembered(self) -> torch.Tensor:
        return self._rows[self._rows >= 0]
