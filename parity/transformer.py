"""The features of hosts on tokens: a narrow DINOv2 with registers, as timm has it and as the authors do."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import Any

import torch
from torch import nn

from ltbench.methods.features.block_groups import FINAL, TokenBackbone
from ltbench.methods.features.timm_weights import channels, imported_timm
from ltbench.methods.reconstruction.recipes import TOKEN_GROUPS
from parity import inputs
from parity.case import Arrays
from parity.official import Clone

ARCHITECTURE = "vit_base_patch14_reg4_dinov2.lvd142m"
SHAPE: dict[str, Any] = {"embed_dim": 16, "depth": 12, "num_heads": 2}
TRAINED, SEEN = 84, 70
"""Sides of the images, in pixels, that the positions belong to and that are looked at."""


@cache
def model() -> nn.Module:
    timm = imported_timm()
    made = timm.create_model(ARCHITECTURE, img_size=TRAINED, dynamic_img_size=True, **SHAPE)
    return inputs.fill(made, "transformer").eval()


def pictures() -> torch.Tensor:
    return torch.from_numpy(inputs.images("transformer", 2, SEEN)).permute(0, 3, 1, 2)


def groups() -> Arrays:
    """Both groups of blocks with all prefix tokens, and the last normed map, as (B, C, tokens)."""
    config = imported_timm().get_pretrained_cfg(ARCHITECTURE)
    normalisation = channels(config.mean, "mean"), channels(config.std, "std")
    found = {}
    for layers in (TOKEN_GROUPS, (FINAL,)):
        # A copy, whose positions may change.
        found |= TokenBackbone("narrow", "", deepcopy(model()), layers, normalisation)(pictures())
    return {name: found[name].flatten(2).numpy() for name in (*TOKEN_GROUPS, FINAL)}


def official_groups(clone: Clone) -> Arrays:
    """The same by the authors' encoder, whose groups their model means over blocks 2 to 5 and 6 to 9."""
    transformers = clone.load("dinov2.models.vision_transformer")
    encoder = transformers.DinoVisionTransformer(
        patch_size=14, img_size=TRAINED, block_chunks=0, init_values=1e-8, num_register_tokens=4,
        interpolate_antialias=False, interpolate_offset=0.1, mlp_ratio=4, **SHAPE,
    ).eval()  # fmt: skip
    give(encoder)
    statistics = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in statistics)
    images = (pictures().float() / 255 - mean) / std
    with torch.no_grad():
        seen = [encoder.prepare_tokens(images)]
        for block in encoder.blocks:
            seen.append(block(seen[-1]))
        means = [torch.stack(seen[first + 1 : first + 5]).mean(dim=0) for first in (2, 6)]
        last = encoder.norm(seen[-1])[:, 5:]
    answers = dict(zip((*TOKEN_GROUPS, FINAL), (*means, last), strict=True))
    return {name: tokens.transpose(1, 2).numpy() for name, tokens in answers.items()}


def give(encoder: nn.Module) -> None:
    """Our weights; timm has added the position of the class token to the token itself."""
    ours = model().state_dict()
    positions = ours.pop("pos_embed")
    renamed = {"reg_token": "register_tokens"}
    state = {renamed.get(name, name): value for name, value in ours.items()}
    state["pos_embed"] = torch.cat([torch.zeros_like(positions[:, :1]), positions], dim=1)
    missing, left = encoder.load_state_dict(state, strict=False)
    assert missing == ["mask_token"], missing
    assert not left, left
