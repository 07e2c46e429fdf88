"""INP-Former beside its authors' code."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn

from parity import official_tokens, tokens, transformer
from parity.case import Arrays, Case
from parity.official import Clone, Repository

REPOSITORY = Repository("INP-Former", "https://github.com/luow23/INP-Former", "17d2653", "MIT")
STEPS = 10
"""Twice as many drift apart: rectified cosines and third powers multiply what rounding leaves."""
WATCHED = (
    "prototypes",
    "extractor.attention.kv.weight",
    "bottleneck.1.weight",
    "blocks.0.attention.gain",
    "blocks.7.attention.q.weight",
)


def method(**fields: Any) -> Any:
    return tokens.of_the_suite("inpformer", **fields)


def official_model(clone: Clone) -> nn.Module:
    """Model as the multi-class script builds it, on the cases' tokens."""
    layers = clone.load("models.vision_transformer")
    width = tokens.WIDTH
    block = {
        "dim": width, "num_heads": tokens.HEADS, "mlp_ratio": 4.0, "qkv_bias": True,
        "norm_layer": partial(nn.LayerNorm, eps=1e-8),
    }  # fmt: skip
    model: nn.Module = clone.load("models.uad").INP_Former(
        encoder=official_tokens.Blocks(),
        bottleneck=nn.ModuleList([layers.Mlp(width, width * 4, width, drop=0.0)]),
        aggregation=nn.ModuleList([layers.Aggregation_Block(**block)]),
        decoder=nn.ModuleList(layers.Prototype_Block(**block) for _ in range(8)),
        target_layers=tokens.LAYERS,
        remove_class_token=True,
        fuse_layer_encoder=tokens.GROUPS,
        fuse_layer_decoder=tokens.GROUPS,
        prototype_token=[nn.Parameter(torch.zeros(1, 6, width))],
    )
    official_tokens.hand_over(tokens.filled(method()), model)
    return model


def utils(clone: Clone) -> Any:
    return clone.load("utils", stubs=official_tokens.DRAWN)


def official_answer(clone: Clone, model: nn.Module) -> dict[str, Any]:
    with torch.no_grad():
        encoded, decoded, coherence = model.eval()(torch.arange(tokens.IMAGES))
        distance = utils(clone).cal_anomaly_maps(encoded, decoded, tokens.SIDE)[0][:, 0]
    return {"distance": distance.numpy(), "extra": coherence.numpy()}


def official_loss(clone: Clone, model: nn.Module, numbers: torch.Tensor) -> torch.Tensor:
    encoded, decoded, coherence = model(numbers)
    loss: torch.Tensor = utils(clone).global_cosine_hm_adaptive(encoded, decoded, y=3) + 0.2 * coherence
    return loss


def official_losses(clone: Clone) -> Arrays:
    model = official_model(clone)
    everything = torch.arange(tokens.IMAGES)
    watched = [name for name in WATCHED if name != "prototypes"]
    answers = dict(
        official_tokens.losses(model, lambda _number: official_loss(clone, model, everything), 1, watched)
    )
    return answers | {"prototypes 0": model.prototype_token.grad[None].numpy()}


def official_training(clone: Clone) -> Arrays:
    model = official_model(clone)
    optimizer = official_tokens.optimizer(clone, model.parameters(), 1e-3)
    scheduler = official_tokens.scheduler(clone, optimizer, 1e-3, STEPS, STEPS // 10)
    official_tokens.training(
        model, optimizer, scheduler, lambda numbers, _step: official_loss(clone, model, numbers), STEPS
    )
    return {"distance": official_answer(clone, model)["distance"]}


CASES = (
    # Features are rounded to float16: one that lies between two numbers may go either way.
    Case("inpformer", "features", REPOSITORY, transformer.groups, transformer.official_groups, rounding=2e-3),
    Case(
        "inpformer", "forward and coherence", REPOSITORY,
        lambda: tokens.rebuilt(method()), lambda clone: official_answer(clone, official_model(clone)),
    ),
    # Gradients carry the third power of a distance over the mean distance.
    Case(
        "inpformer", "loss and gradients", REPOSITORY,
        lambda: tokens.losses(method(), (0.5,), WATCHED), official_losses, tolerance=3e-5,
    ),
    Case(
        "inpformer", "schedule", REPOSITORY,
        lambda: tokens.rates(method()), lambda clone: official_tokens.rates(clone, 1e-3),
    ),
    Case(
        "inpformer", "training steps", REPOSITORY,
        lambda: tokens.trained(method(batch_size=4), STEPS), official_training, tolerance=1e-4, rounding=0.03,
    ),
    Case(
        "inpformer", "map and image score", REPOSITORY,
        lambda: tokens.mapped(method()), lambda clone: official_tokens.maps(utils(clone)),
    ),
)  # fmt: skip
