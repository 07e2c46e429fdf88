"""Dinomaly beside its authors' code."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn

from parity import official_tokens, tokens, transformer
from parity.case import Arrays, Case
from parity.inputs import hand_over
from parity.official import Clone, Repository

REPOSITORY = Repository("Dinomaly", "https://github.com/guojiajeremy/Dinomaly", "c5c76d0", "Apache-2.0")
MOMENTS = (0.05, 0.5)
"""Shares of 10 000 steps: 45 % and 90 % of the points are easy."""
STEPS = 40
WATCHED = ("bottleneck.1.weight", "blocks.0.attention.qkv.weight", "blocks.7.mlp.4.bias")


def method(**fields: Any) -> Any:
    return tokens.of_the_suite("dinomaly", **fields)


def official_model(clone: Clone) -> nn.Module:
    """Model as the script for MVTec AD builds it, on the cases' tokens."""
    layers = clone.load("models.vision_transformer")
    width = tokens.WIDTH
    bottleneck = nn.ModuleList([layers.bMlp(width, width * 4, width, drop=0.2)])
    decoder = nn.ModuleList(
        layers.Block(
            dim=width, num_heads=tokens.HEADS, mlp_ratio=4.0, qkv_bias=True,
            norm_layer=partial(nn.LayerNorm, eps=1e-8), attn=layers.LinearAttention2,
        )
        for _ in range(8)
    )  # fmt: skip
    model: nn.Module = clone.load("models.uad").ViTill(
        encoder=official_tokens.Blocks(), bottleneck=bottleneck, decoder=decoder, target_layers=tokens.LAYERS,
        mask_neighbor_size=0, fuse_layer_encoder=tokens.GROUPS, fuse_layer_decoder=tokens.GROUPS,
    )  # fmt: skip
    hand_over(tokens.filled(method()), model, tokens.renamed)
    return model


def utils(clone: Clone) -> Any:
    return clone.load("utils", stubs=official_tokens.DRAWN)


def official_distance(clone: Clone, model: nn.Module) -> Any:
    with torch.no_grad():
        encoded, decoded = model.eval()(torch.arange(tokens.IMAGES))
        return utils(clone).cal_anomaly_maps(encoded, decoded, tokens.SIDE)[0][:, 0].numpy()


def official_loss(clone: Clone, model: nn.Module, numbers: torch.Tensor, easy: float) -> torch.Tensor:
    encoded, decoded = model(numbers)
    loss: torch.Tensor = utils(clone).global_cosine_hm_percent(encoded, decoded, p=easy, factor=0.1)
    return loss


def official_forward(clone: Clone) -> Arrays:
    return {"distance": official_distance(clone, official_model(clone))}


def official_losses(clone: Clone) -> Arrays:
    model = official_model(clone)
    everything = torch.arange(tokens.IMAGES)
    easy = [min(0.9 * 10_000 * moment / 1000, 0.9) for moment in MOMENTS]
    return official_tokens.losses(
        model, lambda number: official_loss(clone, model, everything, easy[number]), len(MOMENTS), WATCHED
    )


def official_training(clone: Clone) -> Arrays:
    model = official_model(clone)
    optimizer = official_tokens.optimizer(clone, model.parameters(), 2e-3)
    scheduler = official_tokens.scheduler(clone, optimizer, 2e-3, STEPS, STEPS // 10)
    # 1 000 of 10 000 steps.
    ramp = STEPS // 10

    def loss_at(numbers: torch.Tensor, step: int) -> torch.Tensor:
        return official_loss(clone, model, numbers, min(0.9 * step / ramp, 0.9))

    official_tokens.training(model, optimizer, scheduler, loss_at, STEPS)
    return {"distance": official_distance(clone, model)}


def forward() -> Arrays:
    return {"distance": tokens.rebuilt(method())["distance"]}


CASES = (
    # Features are rounded to float16: one that lies between two numbers may go either way.
    Case("dinomaly", "features", REPOSITORY, transformer.groups, transformer.official_groups, rounding=2e-3),
    Case("dinomaly", "forward", REPOSITORY, forward, official_forward),
    Case(
        "dinomaly", "loss and gradients", REPOSITORY,
        lambda: tokens.losses(method(), MOMENTS, WATCHED), official_losses,
    ),
    Case(
        "dinomaly", "optimizer steps", REPOSITORY,
        lambda: tokens.stepped(method()), lambda clone: official_tokens.steps(clone, 2e-3),
    ),
    Case(
        "dinomaly", "schedule", REPOSITORY,
        lambda: tokens.rates(method()), lambda clone: official_tokens.rates(clone, 2e-3),
    ),
    # Forty steps, each on the rounding of the one before.
    Case(
        "dinomaly", "training steps", REPOSITORY,
        lambda: tokens.trained(method(batch_size=4), STEPS), official_training, tolerance=3e-5,
    ),
    Case(
        "dinomaly", "map and image score", REPOSITORY,
        lambda: tokens.mapped(method()), lambda clone: official_tokens.maps(utils(clone)),
    ),
)  # fmt: skip
