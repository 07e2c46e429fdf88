"""AnomalyGPT without its language model: the image decoder that localises, and its few-shot memory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ltbench.methods import catalog
from ltbench.methods.base import Card, Context, MapPost, Need, Prediction
from ltbench.methods.blocks.blending import with_foreign_patches
from ltbench.methods.blocks.score_maps import largest_of_smoothed
from ltbench.methods.errors import BadParameter, MethodsError
from ltbench.methods.features.extract import FeatureBatch
from ltbench.methods.features.transform import view_pixels
from ltbench.methods.language.backbone import EncodedImages
from ltbench.methods.language.states import normal_and_abnormal
from ltbench.methods.language.windows import drawn_references, largest_cosine, unit_vectors
from ltbench.methods.training.engine import Batch, Plan, train
from ltbench.methods.training.pixel_losses import dice, focal
from ltbench.methods.training.randomness import repeatable, seeded
from ltbench.methods.training.sampling import Sampler, iterations_of
from ltbench.methods.training.schedules import warm_logarithm
from ltbench.splits.images import ImageSet

LOGIT_SCALE = 100.0
POST = MapPost(sigma=0, upsample="bilinear_corners")
WARM_UP, LEAST_WARM_UP = 0.1, 10
"""Share of all iterations in which the rate rises, and the fewest."""


@dataclass
class AnomalyGPT:
    """A linear layer per depth of the image encoder, trained on blended defects; or, with shots, a memory."""

    card: ClassVar[Card] = Card(
        title="AnomalyGPT (decoder)",
        family="vision-language",
        summary="Brings patches from four depths of an image encoder into the space of its texts and asks "
        "whether they look normal or damaged; learned on defects blended into the training images. With "
        "shots, the distance to patches of reference images instead. The language model, which describes but "
        "does not score, is left out.",
        paper="Gu et al., AAAI 2024",
        url="https://github.com/CASIA-IVA-Lab/AnomalyGPT",
        bibtex="""@inproceedings{gu2024anomalygpt,
  title     = {{AnomalyGPT}: Detecting Industrial Anomalies Using Large Vision-Language Models},
  author    = {Gu, Zhaopeng and Zhu, Bingke and Zhu, Guibo and Chen, Yingying and Tang, Ming and
               Wang, Jinqiao},
  booktitle = {AAAI Conference on Artificial Intelligence},
  year      = {2024}
}""",
        licence="CC BY-NC-SA 4.0",
        deviations=(
            "The language model is left out: scores come from the decoder's map, as in the paper, but its "
            "text loss, which reaches the decoder in half of the paper's training steps, is not there.",
            "backbone: 'toy-vl' ships with the package and knows no language; 'openclip:ViT-H-14"
            "@laion2b_s32b_b79k' stands in for the paper's ImageBind-Huge, whose image tower started from "
            "it (OpenCLIP weights, MIT; ImageBind's allow no commercial use).",
            "patches, least_change: defects are blended as the authors do it for VisA, whatever the data; "
            "for MVTec AD they have tables of widths, backgrounds, sizes and thresholds per product. "
            "Defects are blended at the view's size, theirs at 224 pixels.",
            "batch_size: pictures with conversations, which have no mask, fill the other half of the "
            "authors' steps; here they are left out, and the gradient that `clip` bounds is twice as long. "
            "The last step of a pass holds the images that are left; theirs go on with the next pass.",
            "Texts name the product as the data set does; the released test takes the first name it knows in "
            "its question ('pcb' for pcb1, 'capsule' for capsules).",
            "All numbers have 32 bits; the authors train and test with 16.",
            "The grid holds probabilities per patch, upsampled afterwards; the paper upsamples the logits. "
            "Training and image scores follow the paper.",
            "shots: references are drawn from the training set by class, each at most once, so that they "
            "can be contaminated and a tail class can have fewer; the paper draws them from clean images.",
            "The image is seen through the benchmark's view and resized to the encoder's side.",
            "epochs: fewer than 50, or a number of iterations, are a budget cut.",
        ),
    )
    needs: ClassVar[frozenset[Need]] = frozenset({"class_names", "class_ids_fit", "class_ids_score"})
    version: ClassVar[int] = 2

    backbone: str = "toy-vl"
    """Vision-language encoder; nearest to the paper's: openclip:ViT-H-14@laion2b_s32b_b79k."""
    shots: int = 0
    """Reference images per class (paper: 1, 2, 4), without training; 0 = the trained decoder."""
    patches: int = 2
    """Most foreign patches per blended image; each after the first comes at the flip of a coin."""
    least_change: float = 13.83
    """Grey levels of 255 from which a blended pixel counts as defective (VisA's label of 0.3: 13.83)."""
    learning_rate: float = 1e-3
    """AdamW learning rate."""
    weight_decay: float = 1e-3
    """AdamW weight decay."""
    batch_size: int = 8
    """Normal images per step, each with a blended twin; the authors' 16 hold as many without a mask."""
    clip: float | None = 1.0
    """Largest norm of all gradients together."""
    epochs: float = 50
    """Passes over the training images."""
    iterations: int | None = None
    """Instead of epochs."""

    def __post_init__(self) -> None:
        for name, least in (("shots", 0), ("patches", 1), ("batch_size", 1)):
            value = getattr(self, name)
            if value < least:
                raise BadParameter(f"anomalygpt's field '{name}' is {value}: expected {least} or more")

    @property
    def layers(self) -> tuple[str, ...]:
        """Feature maps that are read: the ends of four equal parts of the image tower."""
        return "block1/4", "block2/4", "block3/4", "block4/4"

    @repeatable()
    def fit(self, train: ImageSet, context: Context) -> None:
        if len(train) == 0:
            raise MethodsError("the training set is empty: expected at least one image")
        self._images = EncodedImages(self.backbone, context, self.layers)
        self._references: dict[str, list[torch.Tensor]] = {}
        if self.shots:
            self._remember(train, context)
        else:
            self._learn(train, context)

    @repeatable()
    def score(self, test: ImageSet, context: Context) -> Prediction:
        side = context.view.crop
        texts = {} if self.shots else {name: self._texts(name) for name in test.class_names}
        scores, grids = [], []
        for batch in self._images.batches(test, title="score test images"):
            names = [test.class_names[test.class_ids[index]] for index in batch.indices]
            if self.shots:
                maps = torch.cat(
                    [self._far_from_references(batch, row, name) for row, name in enumerate(names)]
                )
                grids.append(maps.cpu().numpy())
                scores.append(largest_of_smoothed(grids[-1], side, POST))
            else:
                pairs = torch.stack([texts[name] for name in names])
                with torch.no_grad():
                    logits = self._decoder(batch.maps, pairs)
                    grids.append(_probabilities(logits).cpu().numpy())
                    scores.append(_probabilities(logits, side).amax(dim=(1, 2)).cpu().numpy())
        return Prediction(np.concatenate(scores), np.concatenate(grids), POST)

    def _remember(self, train: ImageSet, context: Context) -> None:
        drawn, short = drawn_references(train.class_ids, self.shots, context.rng)
        for class_id, indices in drawn.items():
            maps = self._images.few(train, indices).maps
            self._references[train.class_names[class_id]] = [unit_vectors(m).flatten(0, 1) for m in maps]
        context.report("references", float(sum(map(len, drawn.values()))))
        context.report("classes_with_fewer_shots", float(short))

    def _far_from_references(self, batch: FeatureBatch, row: int, name: str) -> torch.Tensor:
        """(1, grid, grid): 1 - the mean over depths of the largest cosine to a patch of the references."""
        if name not in self._references:
            raise MethodsError(
                f"class '{name}' has no training image to refer to: expected one, or shots = 0"
            )
        near = [
            largest_cosine(unit_vectors(maps[row : row + 1]), references)
            for maps, references in zip(batch.maps, self._references[name], strict=True)
        ]
        return (1 - torch.stack(near).mean(dim=0)).view(1, *batch.maps[0].shape[2:])

    def _learn(self, images: ImageSet, context: Context) -> None:
        texts = torch.stack([self._texts(name) for name in images.class_names])
        first = self._images.few(images, [0]).maps
        with seeded(context):
            self._decoder = Decoder([maps.shape[1] for maps in first], self._images.encoder.dim)
        self._decoder.to(context.device)
        sampler = Sampler(len(images), self.batch_size, context.rng)
        contents = [images.content_digest(index) for index in range(len(images))]
        iterations = self.iterations
        if iterations is None:
            iterations = iterations_of(self.epochs, sampler)

        def loss(batch: Batch) -> torch.Tensor:
            indices = batch.indices.numpy()
            maps, masks = self._twins(images, indices, batch.rng, context)
            pairs = texts[images.class_ids[indices]].repeat(2, 1, 1)
            return decoder_loss(self._decoder(maps, pairs), masks.to(pairs.device))

        train(
            self._decoder,
            loss,
            sampler,
            # The authors' DeepSpeed decays weights apart from the gradient.
            torch.optim.AdamW(
                self._decoder.parameters(),
                self.learning_rate,
                betas=(0.9, 0.95),
                weight_decay=self.weight_decay,
            ),
            plan=self._plan(iterations),
            context=context,
            title="learn decoder",
            identity=json.dumps(
                [catalog.config(self), self._images.encoder.digest, str(context.view), contents]
            ),
        )

    def _plan(self, iterations: int) -> Plan:
        warm_up = max(LEAST_WARM_UP, int(WARM_UP * iterations))
        return Plan(iterations, schedule=warm_logarithm(iterations, warm_up=warm_up), clip=self.clip)

    def _twins(
        self, images: ImageSet, indices: np.ndarray, rng: np.random.Generator, context: Context
    ) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
        """Feature maps of the images and of their blended twins, (2B, C, h, w) each, and masks (2B, H, W)."""
        twins = []
        for index in indices:
            # Another image than itself, where there is one.
            other = (index + rng.integers(1, max(len(images), 2))) % len(images)
            own, foreign = (view_pixels(images[number], context.view) for number in (index, other))
            twins.append(
                with_foreign_patches(own, foreign, rng, patches=self.patches, least_change=self.least_change)
            )
        normal = self._images.few(images, indices).maps
        blended = self._images.of_pixels(np.stack([twin.pixels for twin in twins]))
        maps = tuple(torch.cat(pair) for pair in zip(normal, blended, strict=True))
        defects = torch.from_numpy(np.stack([twin.mask for twin in twins]))
        return maps, torch.cat([torch.zeros_like(defects), defects])

    def _texts(self, name: str) -> torch.Tensor:
        """(2, dim) of a product's name; each text has unit length before the mean, as ImageBind gives it."""
        written = name.replace("_", " ")
        return normal_and_abnormal(self._images.encoder.text, written, "anomalygpt", normalise_each=True)


class Decoder(nn.Module):
    """One linear layer per depth, from patches to the space of texts."""

    def __init__(self, widths: list[int], dim: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, dim) for width in widths)

    def forward(self, maps: tuple[torch.Tensor, ...], texts: torch.Tensor) -> list[torch.Tensor]:
        """Cosines to "normal" and "abnormal" at each depth, times 100: (B, 2, h, w).

        texts: (B, 2, dim), of unit length.
        """
        logits = []
        for layer, values in zip(self.layers, maps, strict=True):
            patches = functional.normalize(layer(values.permute(0, 2, 3, 1)), dim=-1)
            logits.append(LOGIT_SCALE * torch.einsum("bhwc,btc->bthw", patches, texts))
        return logits


def decoder_loss(logits: list[torch.Tensor], masks: torch.Tensor) -> torch.Tensor:
    """Focal and dice of the abnormal map, summed over the depths, at the masks' resolution (B, H, W)."""
    total = masks.new_zeros((), dtype=torch.float32)
    for part in logits:
        maps = _upsampled(part, masks.shape[-1]).softmax(dim=1)
        total = total + focal(maps, masks) + dice(maps[:, 1], masks)
    return total


def _probabilities(logits: list[torch.Tensor], side: int | None = None) -> torch.Tensor:
    """(B, h, w) of "abnormal", mean over the depths; per patch, or upsampled to `side` before the softmax."""
    maps = [(part if side is None else _upsampled(part, side)).softmax(dim=1)[:, 1] for part in logits]
    return torch.stack(maps).mean(dim=0)


def _upsampled(maps: torch.Tensor, side: int) -> torch.Tensor:
    return functional.interpolate(maps, size=(side, side), mode="bilinear", align_corners=True)
