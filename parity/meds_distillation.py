"""One step of the distillation by the scripts of MeDS' authors, over Dinomaly or INP-Former."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import nn

from ltbench.methods.reconstruction.hosting import Student
from parity import inputs, official_tokens, tokens
from parity.case import Arrays
from parity.meds_scripts import Folder, running, script
from parity.official import Clone

WATCHED = {
    "dinomaly": ("bottleneck.1.weight", "blocks.0.attention.qkv.weight", "blocks.7.mlp.4.bias"),
    "inpformer": ("bottleneck.1.weight", "extractor.attention.kv.weight", "blocks.7.attention.q.weight"),
}
"""Weights of ours whose gradients are compared."""
PERCEPTRONS, BLOCKS = ("bMlp", "Mlp"), ("VitBlock", "Aggregation_Block", "Prototype_Block")
MODELS = ("ViTill", "INP_Former")


def wanted_scores() -> torch.Tensor:
    """Memory scores (images, side, side)."""
    return inputs.tensor("memory", tokens.IMAGES, tokens.SIDE, tokens.SIDE, scale=0.1).abs()


def official_step(clone: Clone, host: str, student: Student) -> Arrays:
    """Loss and gradients of the first step from our student's weights, with the loss of `run_step_2.sh`."""
    step = script(clone, "step_2_distillation", below=host)
    shell = (clone.root / host / "scripts" / "run_step_2.sh").read_text()
    kind = shell.split("loss_function='")[1].split("'")[0]
    kept: dict[str, Any] = {}
    answers: dict[str, Any] = {}

    def stepping(*_given: Any, **_options: Any) -> Any:
        def take() -> None:
            for name in map(tokens.renamed, WATCHED[host]):
                answers[name] = kept["model"].get_parameter(name).grad.clone().numpy()

        return SimpleNamespace(zero_grad=kept["model"].zero_grad, step=take)

    def backward(loss: torch.Tensor) -> None:
        answers["loss"] = loss.detach().numpy()
        torch.autograd.backward(loss)

    replaced: dict[str, Any] = {
        "vit_encoder": SimpleNamespace(load=lambda _name: None), "CustomImageFolder": lambda **_: Folder(0),
        "MVTecDataset": lambda **_: None, "get_data_transforms": lambda *_sides: (None,) * 3,
        "trunc_normal_": lambda *_given, **_options: None, "StableAdamW": stepping,
        "WarmCosineScheduler": mock.MagicMock(), "evaluation_batch": lambda *_given, **_options: [0.0] * 7,
    }  # fmt: skip
    if host == "inpformer":
        replaced["get_data_transforms"] = lambda *_sides: (None,) * 2
    with (
        running(step, "", Loader, **replaced, **narrow(step, student, kept)),
        mock.patch("torch.nn.init.constant_"),
        mock.patch("torch.nn.utils.clip_grad_norm"),
        mock.patch("torch.Tensor.backward", backward),
        tokens.replayed_dropout(),
    ):
        step.args.INP_num = 6
        step.train(["part"], "", "", total_iters=1, batch_size=tokens.IMAGES, loss_function=kind)
    return answers


class Loader:
    """Stand-in for torch's loader: all images in one batch, with their memory scores."""

    def __init__(self, *_given: Any, **_options: Any) -> None: ...

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Any]:
        yield torch.arange(tokens.IMAGES), wanted_scores().flatten(1), None


def narrow(step: ModuleType, student: Student, kept: dict[str, Any]) -> dict[str, Any]:
    """The parts that the script builds its model of, on the cases' tokens; the model is put into `kept`."""
    width = tokens.WIDTH

    def perceptron(made: Any) -> Any:
        return lambda *_sizes, drop: made(width, width * 4, width, drop=drop)

    def block(made: Any) -> Any:
        return lambda **options: made(**{**options, "dim": width, "num_heads": tokens.HEADS})

    def model(made: Any) -> Any:
        def build(**parts: Any) -> nn.Module:
            found: nn.Module = made(**{**parts, "encoder": official_tokens.Blocks()})
            official_tokens.hand_over(student, found)
            kept["model"] = found
            return found

        return build

    kinds = {
        **dict.fromkeys(PERCEPTRONS, perceptron),
        **dict.fromkeys(BLOCKS, block),
        **dict.fromkeys(MODELS, model),
    }
    return {name: kind(getattr(step, name)) for name, kind in kinds.items() if hasattr(step, name)}
