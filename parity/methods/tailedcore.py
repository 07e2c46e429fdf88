"""TailedCore beside its authors' code."""

from __future__ import annotations

from functools import cache, partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, DataLoader, Dataset

from ltbench.methods.base import View
from ltbench.methods.features.pixels import PixelReader, Row
from ltbench.methods.features.transform import Augmentation
from ltbench.methods.tailedcore import TailedCore
from parity import inputs, memory
from parity.case import Arrays, Case
from parity.memory import TAILEDCORE
from parity.official import Clone

AS_RELEASED: dict[str, Any] = {"least_imbalance": 0.0}
SETTING = "least_imbalance=0"
SETS = ((50, 40, 4, 3), (30, 25, 20), (60, 2), (20, 20, 20), (25, 16, 9, 4, 1, 1))
"""Images per class of the sets whose class sizes are estimated."""


# ---- class sizes and the tail


def _embeddings(sizes: tuple[int, ...]) -> npt.NDArray[np.float32]:
    name = f"embeddings of {sizes}"
    centres = inputs.draw(f"{name}: centres", len(sizes), 64)
    return np.repeat(centres, sizes, axis=0) + inputs.draw(name, sum(sizes), 64, scale=0.25)


def _our_tails(**fields: Any) -> Arrays:
    method = TailedCore(**fields)
    found = [method._estimate(_embeddings(sizes)) for sizes in SETS]
    return {
        "class sizes": np.concatenate([estimate.class_size for estimate in found]),
        "tail": np.concatenate([estimate.tail for estimate in found]),
    }


def _their_tails(clone: Clone) -> Arrays:
    # What the method makes of "ada_trim_min-mode", as all released configurations call it.
    sampler = memory.coreset_model(clone).AdaptiveTailSampler(th_type="trim_min", vote_type="mode")
    with memory.replayed():
        found = [sampler.run(torch.from_numpy(_embeddings(sizes)), return_class_sizes=True) for sizes in SETS]
    return {
        "class sizes": np.concatenate([sizes.numpy().astype(int) for _, _, sizes in found]),
        "tail": np.concatenate([np.isin(np.arange(len(sizes)), tail) for _, tail, sizes in found]),
    }


# ---- rotated copies


VIEW = View(80, 64)


def _our_copies(augment: str) -> Arrays:
    augmentation = Augmentation(augment)
    images, _ = memory.image_set(_picture()[None])
    reader = PixelReader(images, VIEW, augmentation, threaded=False)
    return {"copies": reader.read([Row(0, pose) for pose in augmentation.poses]).transpose(0, 3, 1, 2)}


def _picture() -> npt.NDArray[np.uint8]:
    return inputs.images("picture of a tail", 1, 120)[0, :, :104]


class _Pictures(Dataset[dict[str, torch.Tensor]]):
    def __init__(self, transform_img: Any) -> None:
        self.transform_img = transform_img

    def __len__(self) -> int:
        return 1

    def __getitem__(self, _index: int) -> dict[str, torch.Tensor]:
        return {"image": self.transform_img(Image.fromarray(_picture()))}


def _their_copies(augment: str, clone: Clone) -> Arrays:
    from torchvision import transforms

    model = memory.coreset_model(clone)
    copies: list[npt.NDArray[np.uint8]] = []

    class Embedder(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            copies.append((images * 255).round().to(torch.uint8).numpy())
            return torch.zeros(1, 1)

    transform = transforms.Compose(
        [
            transforms.Resize(VIEW.resize), transforms.CenterCrop(VIEW.crop), transforms.ToTensor(),
            transforms.Normalize((0.0,) * 3, (1.0,) * 3),
        ]
    )  # fmt: skip
    method = model.TailedCore.__new__(model.TailedCore)
    vars(method).update(
        vars(
            SimpleNamespace(
                feature_embedder=Embedder(), feature_map_shape=(1, 1), tail_data_augment_type=augment
            )
        )
    )
    with memory.replayed():
        method._get_tail_augmented_features(DataLoader(ConcatDataset([_Pictures(transform)])), np.array([0]))
    return {"copies": np.concatenate(copies)}


# ---- memory, image scores and maps


@cache
def _ours(**fields: Any) -> Arrays:
    return _sorted(memory.ours("tailedcore", **fields))


@cache
def _theirs(clone: Clone) -> Arrays:
    return _sorted(memory.port(clone, "TailedCore", tail_data_augment_type="rotflip"))


def _sorted(outcome: Arrays) -> Arrays:
    """Rows in one order, since one side puts the tail's rows first and the other the head's."""
    rows = outcome["memory"]
    return {**outcome, "memory": rows[np.argsort(rows.sum(axis=1))]}


def _our(array: str, **fields: Any) -> Arrays:
    return {array: _ours(**fields)[array]}


def _their(array: str, clone: Clone) -> Arrays:
    return {array: _theirs(clone)[array]}


CASES = (
    Case(
        "tailedcore", "class sizes and tail", TAILEDCORE, partial(_our_tails, **AS_RELEASED), _their_tails,
        tolerance=0, setting=SETTING, default=_our_tails,
    ),
    Case(
        "tailedcore", "quarter turns of the tail", TAILEDCORE, partial(_our_copies, TailedCore.augment),
        partial(_their_copies, "rotflip"), tolerance=0,
    ),
    Case(
        "tailedcore", "copies of the tail, 30 degrees", TAILEDCORE, partial(_our_copies, "rot30flip"),
        partial(_their_copies, "rot30flip"), tolerance=0, setting="augment='rot30flip'",
    ),
    Case(
        "tailedcore", "copies of the tail, 15 degrees", TAILEDCORE, partial(_our_copies, "rot15flip"),
        partial(_their_copies, "rot15flip"), tolerance=0,
        declared="In copies turned by odd multiples of 15 degrees, up to 1 % of the pixels are another of "
        "two equally near ones.", is_golden=False,
    ),
    *(
        Case(
            "tailedcore", stage, TAILEDCORE, partial(_our, array, **AS_RELEASED), partial(_their, array),
            # The default's memory has another number of rows.
            setting=SETTING, default=None if array == "memory" else partial(_our, array),
        )
        for stage, array in (("selection", "memory"), ("image score", "scores"), ("map", "maps"))
    ),
)  # fmt: skip
