"""The text of a new method: a working one, to be changed."""

from __future__ import annotations

_METHOD = '''"""{title}: say in one sentence what makes an image anomalous to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from ltbench.methods.base import Card, Context, Need, Prediction
from ltbench.methods.features.extract import Extractor
from ltbench.splits.images import ImageSet


@dataclass
class {title}:
    """Distance to the mean feature of each position; replace by your own."""

    card: ClassVar[Card] = Card(
        title="{title}",
        family="statistics",
        summary="Distance of each patch to the mean patch at its position.",
        paper="",
        deviations=(),
    )
    # What it must be told beyond pixels, e.g. frozenset({{"class_names"}}); stands on every result.
    needs: ClassVar[frozenset[Need]] = frozenset()
    # Raise by one whenever a change moves numbers.
    version: ClassVar[int] = 1

    # The fields are the hyper-parameters: exactly these are recorded.
    backbone: str = "timm:tf_efficientnet_lite0"
    """Frozen features: "timm:NAME", or "desc", which needs no weights."""

    def fit(self, train: ImageSet, context: Context) -> None:
        features = self._features(train, context, "fit")
        self._mean = features.mean(dim=0)

    def score(self, test: ImageSet, context: Context) -> Prediction:
        features = self._features(test, context, "score")
        grids = (features - self._mean).square().sum(dim=1)
        return Prediction(scores=grids.amax(dim=(1, 2)).numpy(), grids=grids.numpy())

    def _features(self, images: ImageSet, context: Context, title: str) -> torch.Tensor:
        """(N, C, h, w) of the backbone's first layer."""
        batches = Extractor(self.backbone, context).batches(images, title=title)
        return torch.cat([batch.maps[0].cpu() for batch in batches])
'''


def class_name(name: str) -> str:
    """Class of a method's module: "my_method" -> "MyMethod"."""
    return "".join(part.capitalize() for part in name.split("_"))


def method_source(name: str) -> str:
    """Source of the module `name` with one method."""
    return _METHOD.format(title=class_name(name))
