"""Networks that are trained further: known by name, the frozen network's maps, norms in training."""

from __future__ import annotations

import pytest
import torch

from ltbench.methods.errors import BadParameter
from ltbench.methods.features import backbone
from ltbench.methods.features.backbone import DEFAULT_BACKBONE
from ltbench.methods.layers import trunk

STRIDES = ("stride4", "stride8", "stride16", "stride32")


def test_a_pretrained_trunk_starts_as_the_frozen_network() -> None:
    pixels = torch.randint(0, 256, (2, 3, 96, 96), dtype=torch.uint8)
    model = trunk.load(DEFAULT_BACKBONE, None).eval()
    expected = backbone.load(DEFAULT_BACKBONE, layers=STRIDES)(pixels)
    found = model(pixels.float() / 255)
    assert model.widths == tuple(maps.shape[1] for maps in found) == (24, 40, 112, 320)
    for stride, maps in zip(STRIDES, found, strict=True):
        torch.testing.assert_close(maps, expected[stride], rtol=1e-4, atol=1e-4)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_the_name_says_what_images_are_brought_to() -> None:
    images = torch.rand(1, 3, 64, 64)
    plain = trunk.load(f"{DEFAULT_BACKBONE}?mean=0&std=1", None).eval()
    usual = trunk.load(DEFAULT_BACKBONE, None).eval()
    torch.testing.assert_close(plain((images - 0.5) / 0.5)[0], usual(images)[0])
    assert not torch.allclose(plain(images)[0], usual(images)[0], rtol=0.1)


def test_in_training_norms_are_those_of_the_batch() -> None:
    model = trunk.load(DEFAULT_BACKBONE, None).train()
    before = model.stem[1].running_mean.clone()
    alone, beside = (model(torch.cat([torch.zeros(1, 3, 64, 64), other]))[0][0] for other in others())
    assert not torch.allclose(alone, beside, rtol=0.1)
    assert not torch.equal(model.stem[1].running_mean, before)
    model.eval()
    alone, beside = (model(torch.cat([torch.zeros(1, 3, 64, 64), other]))[0][0] for other in others())
    torch.testing.assert_close(alone, beside)


def test_norms_can_keep_their_statistics() -> None:
    model = trunk.load(DEFAULT_BACKBONE, None, train_norms=False).train()
    before = model.stem[1].running_mean.clone()
    alone, beside = (model(torch.cat([torch.zeros(1, 3, 64, 64), other]))[0][0] for other in others())
    torch.testing.assert_close(alone, beside)
    assert torch.equal(model.stem[1].running_mean, before)
    with pytest.raises(BadParameter, match="train_norms is false"):
        trunk.load("resnet18", None, train_norms=False)


def others() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.zeros(1, 3, 64, 64), torch.rand(1, 3, 64, 64)


def test_a_resnet_without_weights_has_the_papers_size() -> None:
    model = trunk.load("resnet18", None)
    assert round(sum(parameter.numel() for parameter in model.parameters()) / 1e6, 1) == 11.2
    maps = model(torch.rand(1, 3, 64, 64))
    assert [layer.shape[1:] for layer in maps] == [(64, 16, 16), (128, 8, 8), (256, 4, 4), (512, 2, 2)]


def test_other_networks_are_refused_by_name() -> None:
    with pytest.raises(BadParameter, match="unknown encoder 'vgg'"):
        trunk.load("vgg", None)
    with pytest.raises(BadParameter, match="timm knows no model 'vggg'"):
        trunk.load("timm:vggg", None)
