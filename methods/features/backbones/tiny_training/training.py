"""The two tasks that `tiny` learns at once: which picture is this, and where has a defect been pasted."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from ltbench.methods.features.backbones import desc, tiny
from ltbench.methods.features.backbones.tiny_training import corruptions, crops, export, pictures

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """Everything that determines the weights, but for rounding."""

    pictures: int = 600
    picture_side: int = 192
    crop_side: int = 64
    batch_size: int = 96
    steps: int = 1500
    learning_rate: float = 2.5e-3
    warm_up: float = 0.05
    """Share of the steps before the learning rate falls, as a cosine."""
    weight_decay: float = 0.05
    label_smoothing: float = 0.05
    seed: int = 0
    view_side: int = 224
    """Pictures are enlarged to it for the statistics of the features."""


@dataclass(frozen=True)
class Losses:
    """Of one step."""

    picture: float
    """Cross-entropy over the pictures, nats."""
    defect: float
    """Binary cross-entropy per cell, nats."""
    recognised: float
    """Share of the crops whose picture was named."""


class Heads(nn.Module):
    """The answers to both tasks; not part of what ships."""

    def __init__(self, pictures: int) -> None:
        super().__init__()
        width = sum(tiny.WIDTHS)
        self.picture = nn.Linear(width, pictures)
        self.defect = nn.Sequential(nn.Conv2d(width, 64, 1), nn.ReLU(), nn.Conv2d(64, 1, 1))

    def forward(self, taps: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of the pictures (B, N) and of a defect in each cell (B, 1, S / 8, S / 8)."""
        seen = tuple(functional.relu(tap) for tap in taps)
        pooled = torch.cat([maps.mean(dim=(2, 3)) for maps in seen], dim=1)
        return self.picture(pooled), self.defect(tiny.joint(seen))


def trained(recipe: Recipe) -> bytes:
    """Content of the weights file; about ten minutes on one core."""
    made = pictures.pictures(recipe.pictures, recipe.picture_side, recipe.seed)
    network, heads = initialised(recipe)
    for step, losses in enumerate(steps(network, heads, made, recipe), start=1):
        if step % 50 == 0:
            _log.info(
                "step %d of %d: picture %.3f (%.0f %% recognised), defect %.3f",
                step,
                recipe.steps,
                losses.picture,
                100 * losses.recognised,
                losses.defect,
            )
    plain = export.folded(network)
    return export.shipped(plain, export.statistics(plain, made, recipe.view_side))


def initialised(recipe: Recipe) -> tuple[tiny.Network, Heads]:
    """Network and heads before training: torch's default initialisation, from the recipe's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return tiny.Network(export.normalised_unit), Heads(recipe.pictures)


def steps(
    network: tiny.Network, heads: Heads, made: npt.NDArray[np.uint8], recipe: Recipe
) -> Iterator[Losses]:
    """Train network and heads in place on pictures uint8 (N, 3, P, P), one step per item."""
    generator = torch.Generator().manual_seed(recipe.seed)
    parameters = [*network.parameters(), *heads.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=recipe.steps, pct_start=recipe.warm_up
    )
    source = torch.from_numpy(made)
    network.train().to(memory_format=torch.channels_last)
    for _ in range(recipe.steps):
        which = torch.randint(len(made), (recipe.batch_size,), generator=generator)
        views = crops.photographed(crops.crops(source, which, recipe.crop_side, generator), generator)
        pasted, labels = corruptions.paste(views, tiny.STRIDES[1], generator)
        taps = network(desc.brightened(pasted).contiguous(memory_format=torch.channels_last))
        picture, defect = heads(taps)
        known = labels >= 0
        picture_loss = functional.cross_entropy(picture, which, label_smoothing=recipe.label_smoothing)
        defect_loss = functional.binary_cross_entropy_with_logits(defect[known], labels[known])
        optimiser.zero_grad(set_to_none=True)
        (picture_loss + defect_loss).backward()
        optimiser.step()
        schedule.step()
        recognised = float((picture.argmax(dim=1) == which).float().mean())
        yield Losses(float(picture_loss.detach()), float(defect_loss.detach()), recognised)
    network.eval()
