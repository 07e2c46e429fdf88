"""MKD's teacher and student, ours and the authors', with equal weights and few channels."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from functools import cache
from typing import Any
from unittest import mock

import torch
from torch import nn

from ltbench.methods import catalog
from ltbench.methods.features.backbones.timm import TimmBackbone, depths
from ltbench.methods.layers.slim_student import SlimStudent
from ltbench.methods.mkd import VGG_LAYERS, Mkd, _pooled
from parity import inputs
from parity.official import Clone, Unavailable
from parity.pixel_methods import on_cpu
from parity.uniad_family import suite_fields

BATCH, SIDE = 2, 64
"""Pictures, and half of the paper's pixels."""
WIDTHS = (16, 24, 32, 32)
"""Channels of the four learned layers, for the paper's 128, 256, 512 and 512."""
TEACHER = [8, 8, "M", 8, WIDTHS[0], "M", 8, 8, WIDTHS[1], "M", 8, 8, WIDTHS[2], "M", 8, 8, WIDTHS[3], "M"]
"""VGG-16 with fewer channels."""


def method(**fields: Any) -> Mkd:
    """MKD with the fields of LTAD's suite on MVTec AD."""
    found = catalog.create("mkd", **{**suite_fields("ltad-mvtec", "mkd"), **fields})
    assert isinstance(found, Mkd)
    return found


def images(step: int = 0, side: int = SIDE) -> torch.Tensor:
    """float32 (2, 3, side, side) in [0, 1]."""
    pictures = torch.from_numpy(inputs.images(f"mkd {step}", BATCH, side))
    return pictures.permute(0, 3, 1, 2).contiguous().float() / 255


def answers(seen: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The teacher's learned maps of pictures (B, 3, s, s), with their gradients."""
    maps = _backbone().maps_of(seen)
    return _pooled([maps[layer] for layer in VGG_LAYERS])


def empty_student(side: int = SIDE) -> SlimStudent:
    """A student as it begins."""
    layers = [(width, side >> level) for level, width in enumerate(WIDTHS, start=2)]
    return SlimStudent(side, layers, rectified=True)


def student(side: int = SIDE) -> SlimStudent:
    """A student with the weights that both sides have."""
    found = inputs.fill(empty_student(side), "mkd")
    assert isinstance(found, SlimStudent)
    return found


@cache
def _network() -> nn.Module:
    from timm.models.vgg import VGG

    made = VGG(TEACHER, num_classes=2, mlp_ratio=0.01)
    inputs.fill(made.features, "mkd teacher")
    return made.eval().requires_grad_(False)


@cache
def _backbone() -> TimmBackbone:
    model = _network()
    mean, std = (torch.full((1, 3, 1, 1), value) for value in (0.0, 1.0))
    assert method().backbone.endswith("?mean=0&std=1")
    return TimmBackbone("mkd", "", model, depths(model, "vgg16", VGG_LAYERS), (mean, std))


# ---- the authors'


def official(clone: Clone) -> tuple[nn.Module, nn.Module]:
    """The authors' teacher and student with the same weights."""
    module = clone.load("models.network")
    teacher = module.Vgg16.__new__(module.Vgg16)
    nn.Module.__init__(teacher)
    teacher.features = nn.ModuleList(_network().features)
    ours, theirs = student(), official_student(clone)
    for kind, groups in ((nn.Conv2d, ours.stages), (nn.BatchNorm2d, ours.norms)):
        targets = [part for part in theirs.modules() if isinstance(part, kind)]
        sources = [part for group in groups for part in group]
        for target, source in zip(targets, sources, strict=True):
            target.load_state_dict(source.state_dict())
    return teacher.eval(), theirs


def official_student(clone: Clone) -> nn.Module:
    """The authors' smaller network as it begins, with our few channels for those of VGG-16."""
    module = clone.load("models.network")
    rename = {128: WIDTHS[0], 256: WIDTHS[1], 512: WIDTHS[2]}
    make = module.make_layers

    def narrow(widths: list[Any], *flags: Any, **fields: Any) -> nn.Module:
        found: nn.Module = make([rename.get(width, width) for width in widths], *flags, **fields)
        return found

    with mock.patch.multiple(module, make_layers=narrow, Vgg16=mock.Mock()), on_cpu(), quiet():
        _, made = module.get_networks({**configuration(clone), "experiment_name": ""})
    found: nn.Module = made
    return found


def configuration(clone: Clone) -> dict[str, Any]:
    """Settings of the authors' code, for MVTec AD from its comments."""
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise Unavailable("the authors' settings need the library 'yaml'") from error
    found: dict[str, Any] = yaml.safe_load((clone.root / "configs" / "config.yaml").read_text())
    return found | {"dataset_name": "mvtec", "normal_class": "capsule", "num_epochs": 601, "lamda": 0.5}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what the authors' code prints from the terminal."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
