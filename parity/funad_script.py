"""The script that trains and judges FUN-AD, run on a few drawn features with ltbench's random draws."""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FrameType, ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from ltbench.methods.funad import Classifier
from ltbench.methods.training.sampling import Sampler
from parity import inputs
from parity.case import Arrays
from parity.official import Anything, Clone

Floats = npt.NDArray[np.float32]

IMAGES, JUDGED, BATCH, EPOCHS = 5, 2, 2, 2
GRID, CHANNELS = 28, 8
PATCHES = GRID * GRID
COMMAND = (
    *("-b", str(BATCH), "--epoch", str(EPOCHS), "--k_number", "2", "--balancing", "--gaussian", "--kl"),
    *("--weight", "2.5", "--oto_loss", "mae", "--dataset", "mvtec", "-d", "bottle", "--noise", "10%"),
)
"""The call that the authors' README gives, for few images."""


@cache
def features(name: str, images: int) -> tuple[Floats, Floats]:
    """Patches (images, PATCHES, CHANNELS), some far from all others, and embeddings (images, CHANNELS)."""
    patches = inputs.draw("shared", PATCHES, CHANNELS) + inputs.draw(
        name, images, PATCHES, CHANNELS, scale=0.2
    )
    far = inputs.draw(f"{name} far", images, PATCHES, 1) > 2.2
    defects = inputs.draw(f"{name} defects", images, PATCHES, CHANNELS)
    defects *= 8 / np.linalg.norm(defects, axis=-1, keepdims=True)
    patches[1::2] += (far * defects)[1::2]
    embeddings = inputs.draw(f"{name} whole", images, CHANNELS, scale=0.3)
    # Training reads its patches in half precision.
    return patches.astype(np.float16).astype(np.float32), embeddings


def rng() -> np.random.Generator:
    """The generator of a training's draws, on both sides."""
    return np.random.default_rng(7)


def noise() -> torch.Tensor:
    """The noise of every patch that gets some, in deviations, (2 CHANNELS,)."""
    return inputs.tensor("noise", 2 * CHANNELS)


def filled(*arguments: Any) -> torch.nn.Module:
    """Our classifier with the first weights of both sides."""
    return inputs.fill(Classifier(*arguments), "funad")


@dataclass
class Training:
    """A training and what came of it, step by step."""

    normal: list[npt.NDArray[np.int64]] = field(default_factory=list)
    """Images that looked normal."""
    distances: list[Floats] = field(default_factory=list)
    """Scaled distances of the patches of the batch."""
    labels: list[npt.NDArray[np.bool_]] = field(default_factory=list)
    partners: list[npt.NDArray[np.int64]] = field(default_factory=list)
    """The partner of the first patch of each mutual pair; -1 elsewhere."""
    losses: list[tuple[float, ...]] = field(default_factory=list)
    """Cross entropy, disagreement, and what was minimised."""
    gradients: list[list[torch.Tensor]] = field(default_factory=list)
    parameters: list[torch.Tensor] = field(default_factory=list)
    scores: Floats = field(default_factory=lambda: np.empty(0, np.float32))
    maps: Floats = field(default_factory=lambda: np.empty(0, np.float32))

    def selection(self) -> Arrays:
        """Images that were taken as normal at each step, bool (steps, IMAGES)."""
        return {"chosen": np.array([np.isin(np.arange(IMAGES), images) for images in self.normal])}

    def steps(self) -> Arrays:
        """All losses, and the gradients of the first step."""
        return {"losses": np.array(self.losses)} | _named("gradient", self.gradients[0])

    def trained(self) -> Arrays:
        """The parameters after the last step."""
        return _named("trained", [parameter.detach() for parameter in self.parameters])


def _named(what: str, tensors: Sequence[torch.Tensor]) -> dict[str, npt.NDArray[Any]]:
    weights = zip(("adapt", "first", "second", "last"), tensors[::2], strict=True)
    found = {f"{what} of {layer}": tensor.numpy() for layer, tensor in weights}
    return {**found, f"{what} of biases": torch.cat(list(tensors[1::2])).numpy()}


def partners(first: Sequence[int], second: Sequence[int]) -> npt.NDArray[np.int64]:
    """Pairs of patches as `Training.partners` has them."""
    found = np.full(BATCH * PATCHES, -1)
    found[np.asarray(first)] = second
    return found


def optimizer(gradients: list[list[torch.Tensor]], look: Callable[[], None]) -> type[torch.optim.RMSprop]:
    """RMSprop that notes the gradients of each step and calls `look` before it."""

    class Noted(torch.optim.RMSprop):
        def step(self, *arguments: Any) -> None:  # type: ignore[override]
            gradients.append([p.grad.clone() for group in self.param_groups for p in group["params"]])
            look()
            super().step(*arguments)

    return Noted


def load(clone: Clone, module: str = "self_train_ad") -> ModuleType:
    """A module of the authors, without the libraries that draw, log and paste."""
    drawing = ("cv2", "imgaug", "imgaug.augmenters", "matplotlib", "matplotlib.pyplot", "skimage")
    return clone.load(module, stubs=("faiss", "wandb", *drawing))


@cache
def run(clone: Clone, *, shares_noise: bool = False) -> Training:
    """The authors' script on the CPU.

    shares_noise: noise reaches the patches that are smoothed too, as released.
    """
    module = load(clone)
    found = Training()
    draws = rng()
    # ltbench starts torch's generators first.
    draws.integers(2**63 - 1)
    sampler = Sampler(IMAGES, BATCH, draws, drop_last=True)
    networks: list[torch.nn.Module] = []
    judged: list[Any] = []

    def loader(images: Any, batch_size: int, *, shuffle: bool = False, **_: Any) -> Any:
        if shuffle:
            return _Shuffled(images, sampler, shares_noise)
        return torch.utils.data.DataLoader(images, batch_size=batch_size)

    def network(make: Callable[[int], torch.nn.Module]) -> Callable[[int], torch.nn.Module]:
        def small(len_feature: int) -> torch.nn.Module:
            del len_feature
            networks.append(make(2 * CHANNELS))
            _hand_over(networks[0])
            return networks[0]

        return small

    def auroc(_labels: Any, scores: Any) -> float:
        judged.append(scores)
        return 0.5

    was_watched = torch.is_anomaly_enabled()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as patches:
        _save_features(Path(folder))
        arguments = ["self_train_ad.py", *COMMAND, "--feature_path", folder, "--save_path", folder]
        for patch in (
            mock.patch.object(sys, "argv", arguments),
            mock.patch.object(module, "faiss", _search()),
            mock.patch.object(module, "cv2", SimpleNamespace(resize=_resize)),
            mock.patch.object(module, "pd", Anything()),
            mock.patch.object(module, "DataLoader", loader),
            mock.patch.object(module, "roc_auc_score", auroc),
            mock.patch.object(module, "model", SimpleNamespace(localnet=network(module.model.localnet))),
            mock.patch.object(np.random, "randint", _half_of(draws)),
            mock.patch.object(torch, "normal", lambda mean, std: mean + std * noise()),
            mock.patch.object(torch.optim, "RMSprop", optimizer(found.gradients, lambda: _look(found))),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            patches.enter_context(patch)
        module.main()
    torch.autograd.set_detect_anomaly(was_watched)
    found.parameters = list(networks[0].parameters())
    found.scores, found.maps = judged[-2], judged[-1].reshape(JUDGED, 224, 224)
    return found


class _OwnCopy(torch.Tensor):
    """A batch whose detached version is a copy: noise put on that does not reach the batch."""

    def detach(self) -> torch.Tensor:
        return super().detach().clone()


class _Shuffled:
    """The training batches in the order in which ltbench takes them."""

    def __init__(self, images: Sequence[Floats], sampler: Sampler, shares_noise: bool) -> None:
        self._images, self._sampler, self._shares_noise = images, sampler, shares_noise

    def __len__(self) -> int:
        return self._sampler.batches_per_pass()

    def __iter__(self) -> Iterator[torch.Tensor]:
        for _ in range(len(self)):
            batch = torch.stack([torch.from_numpy(self._images[image]) for image in self._sampler.next()])
            yield batch if self._shares_noise else batch.as_subclass(_OwnCopy)


def _half_of(draws: np.random.Generator) -> Callable[[int], int]:
    """Numbers below a count, the same half of them that ltbench draws."""
    queue: list[int] = []

    def draw(count: int) -> int:
        if not queue:
            queue.extend(draws.permutation(count)[: count // 2])
        return queue.pop(0)

    return draw


def _hand_over(official: torch.nn.Module) -> None:
    def name(key: str) -> str:
        return "" if key == "_rows" else key.replace("adapt.", "adaptor.").replace("judge.", "discriminator.")

    inputs.hand_over(filled(2 * CHANNELS, 2 * CHANNELS, (1024, 128), 1), official, name)


def _look(found: Training) -> None:
    """Read what the script's main function knows before it steps."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code.co_name != "main":
        frame = frame.f_back
    assert frame is not None
    seen = frame.f_locals
    found.normal.append(np.array(seen["idx"]))
    found.distances.append(seen["distance"].ravel().copy())
    found.labels.append(seen["local_label"].numpy().ravel() == 1)
    found.partners.append(partners(*seen["matched_id"]))
    found.losses.append(tuple(float(seen[loss]) for loss in ("_loss", "_l_loss", "_local_loss")))


def _search() -> SimpleNamespace:
    """The search library's part for GPUs, on the CPU."""
    import faiss

    rest = ("StandardGpuResources", "GpuIndexFlatConfig", "omp_set_num_threads")
    return SimpleNamespace(
        GpuIndexFlatL2=lambda _resources, dim, _config: faiss.IndexFlatL2(dim),
        **dict.fromkeys(rest, lambda *_: None),
    )


def _resize(picture: Floats, size: tuple[int, int]) -> Floats:
    # What the missing library does by default: bilinear between the centres of pixels.
    batch = torch.from_numpy(picture)[None, None]
    return functional.interpolate(batch, size, mode="bilinear", align_corners=False)[0, 0].numpy()


def _save_features(folder: Path) -> None:
    """The files that the script reads: features of training and test images, labels, masks."""
    for name, images, file in (("train", IMAGES, "bottle"), ("test", JUDGED, "bottle_test")):
        patches, embeddings = features(name, images)
        repeated = np.repeat(embeddings[:, None], PATCHES, axis=1)
        np.save(folder / f"{file}.npy", np.concatenate([patches, repeated], axis=-1))
    np.save(folder / "bottle_gt.npy", np.arange(JUDGED) % 2)
    np.save(folder / "bottle_mask.npy", np.zeros((JUDGED, 224, 224), np.float32))
