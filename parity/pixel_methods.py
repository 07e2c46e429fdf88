"""Shared by the cases of DRAEM, CutPaste and RegAD: pictures, replayed random draws, noted steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ltbench.methods.base import Context, View
from ltbench.methods.training import engine
from ltbench.methods.training.engine import Batch
from ltbench.splits.images import ImageSet, LabelledImage
from parity.case import Arrays
from parity.memory import Pictures


def image_set(pixels: npt.NDArray[np.uint8]) -> ImageSet:
    """Pictures of one product as an image set, whose order is its own."""
    images = [LabelledImage(str(place), "part", "train") for place in range(len(pixels))]
    return ImageSet(images, Pictures(pixels), class_ids=np.zeros(len(pixels), np.int64))


def scaled(images: ImageSet) -> torch.Tensor:
    """float32 (N, 3, H, W) in [0, 1] of an image set, in its order."""
    return torch.from_numpy(np.stack(list(images))).permute(0, 3, 1, 2).contiguous().float() / 255


def context(side: int) -> Context:
    """Context of a fit whose view is the whole picture at so many pixels."""
    return Context(rng=np.random.default_rng(0), view=View(side, side))


class Shares:
    """Stand-in for a random generator: returns given shares of the requested range.

    Arrays of several dimensions are filled with numbers of their own, the same in every instance.
    """

    def __init__(self, *shares: float) -> None:
        self._shares = iter(shares)

    def random(self) -> float:
        return next(self._shares)

    def uniform(self, low: float, high: float, size: int | Sequence[int] | None = None) -> Any:
        if size is None:
            return low + (high - low) * self.random()
        if isinstance(size, int):
            return low + (high - low) * np.array([self.random() for _ in range(size)])
        return low + (high - low) * self.filled(*size)

    def filled(self, *size: int) -> npt.NDArray[np.float64]:
        return np.random.default_rng(0).random(size)

    def integers(self, low: int, high: int | None = None) -> int:
        low, high = (0, low) if high is None else (low, high)
        return low + int((high - low) * self.random())

    def choice(self, options: Sequence[Any]) -> Any:
        return options[self.integers(len(options))]

    def permutation(self, count: int) -> npt.NDArray[np.int64]:
        return np.arange(count)


@contextmanager
def on_cpu() -> Iterator[None]:
    """Let code that asks for a GPU run without one."""
    with ExitStack() as stack:
        for kind in (torch.Tensor, nn.Module):
            stack.enter_context(mock.patch.object(kind, "cuda", lambda value, *_: value))
        stack.enter_context(mock.patch.object(torch.Tensor, "get_device", return_value="cpu"))
        yield


@contextmanager
def loss_alone() -> Iterator[dict[str, Any]]:
    """Let trainings compute their first loss and its gradients, and take no step.

    Yields what is found: "loss", and "model" with its gradients.
    """
    found: dict[str, Any] = {}

    def train(model: nn.Module, loss: engine.Loss, sampler: Any, *_: Any, **fields: Any) -> None:
        model.train()
        value = loss(Batch(sampler.next(), 0, 1, fields["context"].rng))
        value.backward()
        found.update(loss=value, model=model.eval())

    with mock.patch.object(engine, "train", train):
        yield found


@contextmanager
def recorded(optimizer: type[torch.optim.Optimizer]) -> Iterator[dict[str, list[float]]]:
    """Note the "loss" and the learning "rate" of every step of trainings by this optimizer."""
    found: dict[str, list[float]] = {"loss": [], "rate": []}
    backward, step = torch.Tensor.backward, optimizer.step

    def noted_backward(value: torch.Tensor, *arguments: Any, **fields: Any) -> None:
        found["loss"].append(float(value.detach()))
        backward(value, *arguments, **fields)

    def noted_step(self: torch.optim.Optimizer, *arguments: Any, **fields: Any) -> Any:
        found["rate"].append(float(self.param_groups[0]["lr"]))
        return step(self, *arguments, **fields)

    with (
        mock.patch.object(torch.Tensor, "backward", noted_backward),
        mock.patch.object(optimizer, "step", noted_step),
    ):
        yield found


def arrays(**tensors: torch.Tensor | float) -> Arrays:
    """Tensors as arrays."""
    return {name: torch.as_tensor(value).detach().cpu().numpy() for name, value in tensors.items()}
