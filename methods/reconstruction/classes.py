"""Class of an image, inferred from its features."""

from __future__ import annotations

import torch

from ltbench.methods.reconstruction.arrangements import Maps
from ltbench.methods.reconstruction.teacher import Targets


class NearestCentroid:
    """Classifier by the nearest class mean of pooled features, by cosine similarity."""

    def __init__(self, targets: Targets, class_ids: torch.Tensor) -> None:
        vectors = torch.cat([_pooled(targets[part]) for part in torch.arange(len(targets)).split(64)])
        self._known = class_ids.unique()
        means = torch.stack([vectors[class_ids == known].mean(dim=0) for known in self._known])
        self._means = torch.nn.functional.normalize(means, dim=1)

    def __call__(self, maps: Maps) -> torch.Tensor:
        """Class ids (B,) of images from their target maps."""
        nearest = (_pooled(maps) @ self._means.T).argmax(dim=1)
        return self._known.to(maps[0].device)[nearest.to(maps[0].device)]


def _pooled(maps: Maps) -> torch.Tensor:
    """Mean feature vectors of all maps, concatenated and normalised, on the CPU."""
    means = torch.cat([features.flatten(2).mean(dim=2) for features in maps], dim=1)
    return torch.nn.functional.normalize(means.cpu(), dim=1)
