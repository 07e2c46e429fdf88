"""Shared by the cases of the language-vision methods: a small CLIP, features without rounding, pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import torch

from ltbench.methods.base import Context, View
from ltbench.methods.features.extract import FeatureBatch
from ltbench.methods.language import encoder as encoders
from ltbench.methods.language.encoder import Encoder
from ltbench.splits.images import ImageSet, Pixels
from parity import inputs

Maps = tuple[torch.Tensor, ...]


@cache
def small_clip(side: int, *, width: int, depth: int, text_depth: int) -> tuple[Any, Path]:
    """A CLIP of open_clip with patches of 16 pixels and drawn weights, and its checkpoint.

    Heads are 64 numbers wide, as in OpenAI's models. Register it with open_clip under its own name.
    """
    import open_clip

    name = f"parity-{side}-{width}-{depth}-{text_depth}"
    folder = Path(mkdtemp(prefix=name))
    vision = {"image_size": side, "patch_size": 16, "width": width, "layers": depth, "head_width": 64}
    text = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": text_depth}
    config = {"embed_dim": 32, "quick_gelu": True, "vision_cfg": vision, "text_cfg": text}
    (folder / f"{name}.json").write_text(json.dumps(config), encoding="utf-8")
    open_clip.add_model_config(folder / f"{name}.json")
    model = inputs.fill(open_clip.create_model(name), "clip").eval().requires_grad_(requires_grad=False)
    torch.save(model.state_dict(), folder / f"{name}.pt")
    return model, folder / f"{name}.pt"


def encoder_of(checkpoint: Path, options: str = "") -> Encoder:
    """The checkpoint of `small_clip` as methods load it."""
    return encoders.load(f"openclip:{checkpoint.stem}@{checkpoint}?quick_gelu=true{options}")


class Features:
    """Stands for the images' features that a method reads: computed anew, not rounded to 16 bits."""

    def __init__(self, encoder: Any, of_pixels: Callable[[Pixels], tuple[Maps, torch.Tensor]]) -> None:
        self.encoder = encoder
        self._of_pixels = of_pixels

    def few(self, images: ImageSet, indices: Sequence[int]) -> FeatureBatch:
        """Features of some images in one batch."""
        chosen = tuple(int(index) for index in indices)
        return FeatureBatch(chosen, *self._of_pixels(np.stack([images[index] for index in chosen])))

    def batches(self, images: ImageSet, *, title: str) -> Iterator[FeatureBatch]:
        """Features of all images in one batch."""
        del title
        yield self.few(images, range(len(images)))

    def of_pixels(self, pixels: Pixels) -> Maps:
        """Maps of pictures (B, H, W, 3)."""
        return self._of_pixels(pixels)[0]


def features_of(encoder: Encoder, layers: Sequence[str]) -> Features:
    """The features of an encoder's layers."""

    def of_pixels(pixels: Pixels) -> tuple[Maps, torch.Tensor]:
        answers = encoder.images(torch.from_numpy(pixels).permute(0, 3, 1, 2), layers)
        return tuple(answers[layer].clone() for layer in layers), answers["pooled"].clone()

    return Features(encoder, of_pixels)


@contextmanager
def read_by(method: str, make: Callable[[tuple[str, ...]], Features]) -> Iterator[None]:
    """Let a method ("winclip") read these features, made for its layers."""
    with mock.patch(f"ltbench.methods.{method}.EncodedImages", lambda _name, _context, layers: make(layers)):
        yield


@contextmanager
def without_a_gpu() -> Iterator[None]:
    """Let authors' code that asks for a GPU run on the CPU, in 32 bits, and print nothing."""
    same = {name: lambda value, *_args, **_named: value for name in ("cuda", "half")}
    with mock.patch.multiple(torch.Tensor, **same), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        yield


def as_clip_sees(pixels: npt.NDArray[np.uint8]) -> torch.Tensor:
    """uint8 (B, H, W, 3) -> float32 (B, 3, H, W) less OpenAI's mean, over its deviation."""
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(1, 3, 1, 1)
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(1, 3, 1, 1)
    return (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - mean) / std


def context(side: int) -> Context:
    """Context of a fit on whole pictures of one size."""
    return Context(rng=np.random.default_rng(0), view=View(side, side))
