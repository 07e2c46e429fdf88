"""RD's bottleneck and decoder, ours and the authors', with equal weights."""

from __future__ import annotations

from functools import cache
from typing import Any
from unittest import mock

import torch
from torch import nn

from ltbench.methods import catalog
from ltbench.methods.rd import Rd
from ltbench.methods.reconstruction.rd_student import RdNetwork
from parity import inputs
from parity.official import Clone
from parity.uniad_family import suite_fields

STUBS = ("cv2", "skimage", "matplotlib", "matplotlib.pyplot", "matplotlib.ticker", "pandas")
CHANNELS, SIDE, BATCH = (64, 128, 256), 16, 4
"""A quarter of the paper's channels, on a quarter of its side."""


def method(**fields: Any) -> Rd:
    """RD with the fields of MeDS' suite on MVTec AD."""
    found = catalog.create("rd", **{**suite_fields("meds-mvtec", "rd"), **fields})
    assert isinstance(found, Rd)
    return found


@cache
def _weights() -> dict[str, torch.Tensor]:
    return inputs.fill(method()._network(CHANNELS), "rd").state_dict()


def filled() -> RdNetwork:
    """A network with the weights that both sides have."""
    model = method()._network(CHANNELS)
    model.load_state_dict(_weights())
    return model


def maps(step: int = 0) -> tuple[torch.Tensor, ...]:
    """Targets of three scales, never negative."""
    return tuple(
        inputs.tensor(f"rd {step} {level}", BATCH, width, SIDE >> level, SIDE >> level).relu()
        for level, width in enumerate(CHANNELS)
    )


def official_empty(clone: Clone) -> tuple[nn.Module, nn.Module]:
    """Bottleneck and decoder as the authors make them, with blocks that do not widen by four."""
    resnet, de_resnet = clone.load("resnet"), clone.load("de_resnet")
    with mock.patch.object(resnet, "_resnet"), mock.patch.object(resnet, "BN_layer") as asked:
        resnet.wide_resnet50_2()
    block, layers = asked.call_args.args
    thin = {"width_per_group": asked.call_args.kwargs["width_per_group"] // block.expansion}
    with mock.patch.object(block, "expansion", 1), mock.patch.object(de_resnet.Bottleneck, "expansion", 1):
        bottleneck = resnet.BN_layer(block, layers, **thin)
        with mock.patch.object(de_resnet, "_resnet") as asked:
            de_resnet.de_wide_resnet50_2()
        _, block, layers, *_ = asked.call_args.args
        return bottleneck, de_resnet.ResNet(block, layers, **thin)


def official(clone: Clone) -> tuple[nn.Module, nn.Module]:
    """The authors' bottleneck and decoder with the same weights."""
    bottleneck, decoder = official_empty(clone)
    # They are made, and never used.
    bottleneck.conv4, bottleneck.bn4 = nn.Identity(), nn.Identity()
    ours = filled()
    inputs.hand_over(ours.bottleneck, bottleneck, _bottleneck_name)
    inputs.hand_over(
        ours.decoder, decoder, lambda name: _block_name(name.partition(".")[2], "layer", "upsample")
    )
    return bottleneck, decoder


def _bottleneck_name(name: str) -> str:
    part, _, rest = name.partition(".")
    if part == "embed":
        return _block_name(f".{rest}", "bn_layer", "downsample").replace("bn_layer1", "bn_layer")
    first = 1 if part == "from_fine" else 3
    layer, _, leaf = rest.partition(".")
    number = first + int(layer) // 3
    return f"{'bn' if int(layer) % 3 else 'conv'}{number}.{leaf}"


def _block_name(name: str, stage: str, shortcut: str) -> str:
    number, block, part, layer, leaf = name.split(".")
    prefix = f"{stage}{int(number or 0) + 1}.{block}"
    if part == "shortcut":
        return f"{prefix}.{shortcut}.{layer}.{leaf}"
    place = {"reduce": 1, "middle": 2, "expand": 3}[part]
    return f"{prefix}.{'bn' if layer == '1' else 'conv'}{place}.{leaf}"
