"""Parts shared by the cases of UniAD and HVQ: EfficientNet's features, transformer layers, learning rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

from ltbench.benchmark import suites
from ltbench.methods.features import backbone, timm_weights
from ltbench.methods.training.schedules import Schedule
from parity import inputs
from parity.case import Arrays
from parity.official import Clone, Unavailable

STUBS = ("einops", "lmdb", "distributed", "cv2")
STAND_IN = "tf_efficientnet_b0"
"""Small network of the family whose blocks and paddings are those of B4 and B7."""
SIDE, GRID = 112, 7
"""Pixels and tokens of the pictures that it sees: at stride 16."""
LAST_BLOCKS = (0, 2, 4, 10)
"""Last blocks of its stages 0, 1, 2 and 4, as the authors count them."""


def suite_fields(suite: str, method: str) -> dict[str, Any]:
    """Fields of a method's first row in a suite."""
    return next(dict(row.fields) for row in suites.load(suite).methods if row.name == method)


def padding_size(fields: Mapping[str, Any]) -> int:
    """Input size whose padding a row's backbone keeps; 0 = it follows the actual size."""
    request = timm_weights.parse(fields["backbone"].removeprefix("timm:"))
    return int(request.options.get("padding_size", 0))


def configuration(clone: Clone) -> dict[str, Any]:
    """The authors' settings for MVTec AD."""
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise Unavailable("the authors' settings need the library 'yaml'") from error
    file = clone.root / "experiments" / "MVTec-AD" / "config.yaml"
    found: dict[str, Any] = yaml.safe_load(file.read_text())
    return found


# ---- features


def pixels() -> torch.Tensor:
    """uint8 (2, 3, 112, 112)."""
    return torch.from_numpy(inputs.images("efficientnet", 2, SIDE)).permute(0, 3, 1, 2).contiguous()


def features(
    fields: Mapping[str, Any], arrange: Callable[[tuple[torch.Tensor, ...]], torch.Tensor], *, padded: bool
) -> Arrays:
    """Tokens of the pictures by the small network, loaded as a suite's backbone is, padded or not."""
    from safetensors.torch import save_file

    query = fields["backbone"].partition("?")[2] if padded else ""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "weights.safetensors"
        save_file(inputs.fill(_small(), "efficientnet").state_dict(), file)
        network = backbone.load(f"timm:{STAND_IN}@{file}?{query}", layers=tuple(fields["layers"]))
    answers = network(pixels())
    return {"features": arrange(tuple(answers[layer] for layer in network.layers)).numpy()}


def nominal_size(clone: Clone, network: str) -> int:
    """Input size for which the authors' port pads."""
    port = clone.load("models.backbones.efficientnet.model", stubs=STUBS)
    size: int = port.EfficientNet.get_image_size(network)
    return size


def official_network(clone: Clone, size: int) -> nn.Module:
    """The small network in the authors' port, padded for a size, with the same weights."""
    port = clone.load("models.backbones.efficientnet.model", stubs=STUBS)
    made = port.EfficientNet.from_name(
        "efficientnet-b0", outblocks=list(LAST_BLOCKS), outstrides=[2, 4, 8, 16], image_size=size
    )
    inputs.hand_over(inputs.fill(_small(), "efficientnet"), made, _port_name)
    return made.eval()


def normalised(clone: Clone) -> torch.Tensor:
    """The pictures as the authors' data loader gives them."""
    dataset = configuration(clone)["dataset"]
    mean, std = (torch.tensor(dataset[f"pixel_{part}"]).view(1, 3, 1, 1) for part in ("mean", "std"))
    return (pixels() / 255 - mean) / std


def _small() -> nn.Module:
    model: nn.Module = timm_weights.imported_timm().create_model(STAND_IN)
    return model


_PLAIN = {
    "conv_stem": "_conv_stem",
    "bn1": "_bn0",
    "conv_head": "_conv_head",
    "bn2": "_bn1",
    "classifier": "_fc",
}
_COMMON = {"conv_dw": "_depthwise_conv", "se.conv_reduce": "_se_reduce", "se.conv_expand": "_se_expand"}
_FIRST = _COMMON | {"bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
_LATER = _COMMON | {
    "conv_pw": "_expand_conv", "bn1": "_bn0", "bn2": "_bn1", "conv_pwl": "_project_conv", "bn3": "_bn2",
}  # fmt: skip
_STARTS = (0, 1, 3, 5, 8, 11, 15)
"""Number of the first block of each stage."""


def _port_name(name: str) -> str:
    part, _, leaf = name.rpartition(".")
    if not part.startswith("blocks."):
        return f"{_PLAIN[part]}.{leaf}"
    _, stage, block, *layer = part.split(".")
    names = _FIRST if stage == "0" else _LATER
    return f"_blocks.{_STARTS[int(stage)] + int(block)}.{names['.'.join(layer)]}.{leaf}"


# ---- transformer


def transformer_name(name: str, prefix: str = "") -> str:
    """The authors' name of a weight of our encoder, decoder, position or last norm."""
    part, *rest = name.split(".")
    if part == "position":
        return {"rows": "pos_embed.row_embed.weight", "columns": "pos_embed.col_embed.weight"}[rest[0]]
    if part == "norm":
        return f"{prefix}decoder.norm.{rest[0]}"
    layer, *leaf = rest
    if leaf == ["query"]:
        return f"{prefix}decoder.layers.{layer}.learned_embed.weight"
    kind, inner = leaf[0], ".".join(leaf[1:])
    step = {"attend": ("self_attn", "norm1"), "recall": ("multihead_attn", "norm2")}
    if kind in step:
        attention, norm = step[kind]
        inner = inner.replace("attention", attention, 1).replace("norm", norm, 1)
    elif kind == "feed":
        inner = {"0": "linear1", "3": "linear2"}[leaf[1]] + f".{leaf[2]}"
    else:
        inner = f"norm{2 if part == 'encoder' else 3}.{inner}"
    return f"{prefix}{part}.layers.{layer}.{inner}"


def rearrange(values: torch.Tensor, pattern: str, h: int = 1) -> torch.Tensor:
    """The few patterns of einops that the authors use."""
    before, after = pattern.split(" -> ")
    if before == "b c h w":
        return values.flatten(2).permute(2, 0, 1)
    if before.startswith("(h w)"):
        return values.unflatten(0, (h, -1)).permute(2, 3, 0, 1)
    letters = before.split()
    return values.permute([letters.index(letter) for letter in after.split()])


def load(clone: Clone, module: str) -> ModuleType:
    """A module of the clone with our `rearrange`."""
    found = clone.load(module, stubs=STUBS)
    found.rearrange = rearrange
    return found


def dropouts(model: nn.Module) -> list[float]:
    """Shares of all dropouts, those within attentions included, in ascending order."""
    kept = [part.p for part in model.modules() if isinstance(part, nn.Dropout)]
    return sorted(
        kept + [part.dropout for part in model.modules() if isinstance(part, nn.MultiheadAttention)]
    )


def without_dropout(model: nn.Module) -> nn.Module:
    """The same model, whose training draws nothing."""
    for part in model.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
        elif isinstance(part, nn.MultiheadAttention):
            part.dropout = 0.0
    return model


# ---- first weights and learning rate

SPREAD = 0.05
"""Tolerance of spreads: both sides draw weights of their own."""


def first_weights(layers: Mapping[str, Sequence[nn.Module]], *others: torch.Tensor) -> Arrays:
    """Weights of a stack's layers that begin alike or at zero, and spreads of some weights."""
    named = {kind: [dict(layer.named_parameters()) for layer in stack] for kind, stack in layers.items()}
    facts: dict[str, Any] = {}
    for kind, (first, second, *_) in named.items():
        facts[f"{kind}: number of weights alike"] = np.array(
            sum(int(torch.equal(value, second[name])) for name, value in first.items())
        )
        facts[f"{kind}: number of weights that are 0"] = np.array(
            sum(int(not value.any()) for value in first.values())
        )
    facts["spreads"] = np.array([float(value.detach().square().mean().sqrt()) for value in others])
    return facts


STEPS = 3
"""Steps of an epoch in the cases of the learning rate."""


def rates(schedule: Callable[[int], Schedule], learning_rate: float, epochs: float) -> Arrays:
    """Our learning rate in the first and the last step of every epoch."""
    factor = schedule(round(epochs) * STEPS)
    firsts = [learning_rate * factor(epoch * STEPS) for epoch in range(round(epochs))]
    lasts = [learning_rate * factor(epoch * STEPS + STEPS - 1) for epoch in range(round(epochs))]
    return {"learning rate": np.array([firsts, lasts])}


def official_rates(clone: Clone) -> Arrays:
    """The authors' learning rate in every epoch, their loop over epochs with nothing to train."""
    trainer = configuration(clone)["trainer"]
    weight = nn.Parameter(torch.zeros(1))
    optimizer = clone.load("utils.optimizer_helper").get_optimizer(
        [weight], SimpleNamespace(**trainer["optimizer"])
    )
    scheduler = clone.load("utils.lr_helper").get_scheduler(
        optimizer, SimpleNamespace(**trainer["lr_scheduler"])
    )
    found = []
    for epoch in range(trainer["max_epoch"]):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step(epoch)
    return {"learning rate": np.array([found, found])}


def official_steps(
    clone: Clone, model: nn.Module, losses: Callable[[int], torch.Tensor], steps: int
) -> list[float]:
    """Steps with the authors' optimizer and clipping; returns the losses."""
    trainer = configuration(clone)["trainer"]
    optimizer = clone.load("utils.optimizer_helper").get_optimizer(
        [weight for weight in model.parameters() if weight.requires_grad],
        SimpleNamespace(**trainer["optimizer"]),
    )
    found = []
    for step in range(steps):
        value = losses(step)
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), trainer["clip_max_norm"])
        optimizer.step()
        found.append(float(value))
    return found
