"""Stand-ins by which the scripts of MeDS' authors run on given features, without files and threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import torch

from parity import official_tokens
from parity.official import Clone

STUBS = (*official_tokens.DRAWN, "tabulate", "colorama", "ptflops", "models.vit_encoder")
COUNTS = (11, 4)
"""Training images of two classes."""


class Encoder:
    """Stand-in for the authors' transformer: returns the patches of the pictures whose numbers it gets."""

    num_register_tokens, blocks = 4, ()

    def __init__(self, patches: torch.Tensor) -> None:
        flat = patches.flatten(2).transpose(1, 2)
        self._tokens = torch.cat([flat[:, :5], flat], dim=1)

    def to(self, _device: str) -> Encoder:
        return self

    def eval(self) -> None: ...

    def prepare_tokens(self, numbers: torch.Tensor) -> torch.Tensor:
        return self._tokens[numbers]

    def norm(self, found: torch.Tensor) -> torch.Tensor:
        return found


class Folder:
    """Stand-in for a class' folder of images: their numbers and labels."""

    def __init__(self, item: int, labels: torch.Tensor | None = None) -> None:
        first = sum(COUNTS[:item])
        self.numbers = torch.arange(first, first + COUNTS[item])
        self.labels = torch.zeros(len(self.numbers)) if labels is None else labels
        self.root, self.transform, self.classes = "", None, str(item)
        self.samples = self.imgs = [(f"{number}.png", 0) for number in self.numbers.tolist()]
        self.targets = [0] * len(self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)


def script(clone: Clone, name: str, below: str = "dinomaly") -> ModuleType:
    return clone.load(name, below=below, stubs=STUBS)


@contextmanager
def running(module: ModuleType, folder: str, batches: Any, **replaced: Any) -> Iterator[None]:
    """Globals that a script sets when it is started, and stand-ins for files, threads and plots."""
    args = SimpleNamespace(data_path="", output_dir=folder)
    with (
        mock.patch.multiple(module, create=True, args=args, device="cpu", print_fn=print_nothing, **replaced),
        mock.patch("torch.utils.data.DataLoader", batches),
        mock.patch("threading.Thread"),
        mock.patch("torch.save"),
    ):
        yield


def print_nothing(*_words: Any) -> None: ...
