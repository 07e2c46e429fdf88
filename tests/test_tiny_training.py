"""The training of `tiny`: it learns both tasks, and the same recipe gives the same weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch

from ltbench.methods.features.backbones import tiny
from ltbench.methods.features.backbones.tiny_training import crops, pictures, training

SHORT = training.Recipe(
    pictures=6, picture_side=72, crop_side=32, batch_size=12, steps=40, learning_rate=5e-3, view_side=72
)


def test_the_same_recipe_gives_the_same_file() -> None:
    brief = training.Recipe(**{**SHORT.__dict__, "steps": 3})
    first, second = training.trained(brief), training.trained(brief)
    assert first == second
    assert first != training.trained(training.Recipe(**{**brief.__dict__, "seed": 1}))


def test_the_file_loads_as_the_backbone(tmp_path: Path) -> None:
    content = training.trained(training.Recipe(**{**SHORT.__dict__, "steps": 2}))
    file = tmp_path / "weights.safetensors"
    file.write_bytes(content)
    loaded = tiny.from_file(file, hashlib.sha256(content).hexdigest(), "cpu", tiny.DEFAULT_LAYERS)
    pixels = torch.from_numpy(pictures.pictures(6, 72, seed=SHORT.seed))
    answers = loaded(pixels)
    assert answers["cnn"].shape == (6, 192, 9, 9)
    # Standardised on these very pictures and divided by the root of the width: every block has unit length.
    for layer in tiny.DEFAULT_LAYERS:
        torch.testing.assert_close(
            answers[layer].square().sum(dim=1).mean(), torch.tensor(1.0), atol=0.02, rtol=0
        )


def test_both_tasks_are_learned() -> None:
    network, heads = training.initialised(SHORT)
    made = pictures.pictures(SHORT.pictures, SHORT.picture_side, SHORT.seed)
    losses = list(training.steps(network, heads, made, SHORT))
    assert len(losses) == SHORT.steps
    early, late = losses[:5], losses[-5:]
    assert np.mean([loss.picture for loss in late]) < 0.8 * np.mean([loss.picture for loss in early])
    assert np.mean([loss.defect for loss in late]) < 0.8 * np.mean([loss.defect for loss in early])
    assert np.mean([loss.recognised for loss in late]) > 0.4


def test_training_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    training.initialised(SHORT)
    assert torch.equal(torch.rand(3), expected)


def test_crops_show_their_picture() -> None:
    flat = torch.arange(0, 250, 50, dtype=torch.uint8).view(5, 1, 1, 1).expand(5, 3, 96, 96).contiguous()
    which = torch.tensor([3, 0, 4, 3])
    seen = crops.crops(flat, which, 32, torch.Generator().manual_seed(0))
    assert seen.shape == (4, 3, 32, 32)
    torch.testing.assert_close(seen.mean(dim=(1, 2, 3)), which * 50 / 255)


def test_another_camera_keeps_the_range() -> None:
    views = torch.rand(8, 3, 32, 32)
    seen = crops.photographed(views, torch.Generator().manual_seed(0))
    assert seen.min() >= 0
    assert seen.max() <= 1
    assert not torch.equal(seen, views)
