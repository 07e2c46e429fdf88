"""HVQ: features rebuilt from codes that each class learned, level by level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch

from methods.base import Card, Context, Need, Prediction
from methods.errors import BadParameter, MethodsError
from methods.features.transform import VIEWED
from methods.reconstruction.arrangements import resized_side_by_side
from methods.reconstruction.classes import NearestCentroid
from methods.reconstruction.hosting import Host, fit_host
from methods.reconstruction.hvq_student import HvqNetwork
from methods.reconstruction.judging import max_of_pooled
from methods.reconstruction.recipes import ranked_by_patches, seconds, steps_of
from methods.reconstruction.teacher import Teacher, TeacherSettings
from methods.training.schedules import drop
from splits.images import ImageSet


@dataclass
class Hvq:
    """Squared difference to the reconstruction plus commitments; image score = largest pooled pixel."""

    card: ClassVar[Card] = Card(
        title="HVQ",
        family="reconstruction",
        summary="A transformer rebuilds features of all products, but its decoder sees, at every level, "
        "only the nearest codes of the image's own class: what no code stands for cannot come back.",
        paper="Lu et al., NeurIPS 2023",
        url="https://github.com/RuiyingLu/HVQ-Trans",
        bibtex="""@inproceedings{lu2023hvq,
  title     = {Hierarchical Vector Quantized Transformer for Multi-class Unsupervised Anomaly Detection},
  author    = {Lu, Ruiying and Wu, YuJie and Tian, Long and Wang, Dongsheng and Chen, Bo and
               Liu, Xiyang and Hu, Ruimin},
  booktitle = {Advances in Neural Information Processing Systems (NeurIPS)},
  year      = {2023}
}""",
        licence="none",
        deviations=(
            "backbone: 'tiny' ships with the package; the paper's is EfficientNet-B4, here "
            "'timm:tf_efficientnet_b4.aa_in1k' with layers blocks.0, blocks.1, blocks.2, blocks.4 at size = "
            "224, always in evaluation mode (the authors' code trains its batch norms along).",
            "width, heads, hidden, depth, codes, dropout, iterations, batch_size and learning_rate: the "
            "defaults are a budget for a processor; the paper has 256, 8, 1024, 4, 512, 0.1, epochs = 1000, "
            "16 and 1e-4.",
            "revive_below: codes that hardly any token chooses start anew at a token of the batch; the "
            "authors leave them where they are (0).",
            "The last state is scored; the authors' code keeps the state that is best on the test set.",
            "Codes are updated once per batch with the decay of its images; the authors loop over images.",
            "transport = 80 adds the paper's transport score, which the authors' default script leaves out.",
            VIEWED,
        ),
    )
    needs: ClassVar[frozenset[Need]] = frozenset({"class_ids_fit", "class_ids_score"})
    version: ClassVar[int] = 1

    backbone: str = "tiny"
    """Frozen features; the paper's: EfficientNet-B4."""
    layers: tuple[str, ...] = ()
    """Layers of the backbone, side by side; none = its default."""
    size: int | None = None
    """Side in pixels of what the backbone sees (224 in the paper); none = the view's."""
    grid: int = 14
    """Side of the grid of tokens."""
    width: int = 64
    """Of the encoder; the decoder has twice as much."""
    heads: int = 4
    """Of every attention."""
    hidden: int = 256
    """Units of the feed-forward parts."""
    depth: int = 1
    """Encoder layers, decoder layers and levels of codes."""
    codes: int = 64
    """Of each class at each level."""
    revive_below: float = 0.5
    """Codes that fewer tokens per image choose (but at most half of an even use) move to tokens of the batch;
    0 = never, as in the paper."""
    dropout: float = 0.0
    """In attentions and feed-forward parts."""
    transport: float = 0.0
    """Weight of the cost of transporting tokens to their codes in the score; 80 in the paper."""
    label_source: Literal["oracle", "centroid"] = "oracle"
    """Class of a scored image: the true one, or that of the nearest mean feature of a training class."""
    iterations: int = 2400
    """Training steps, unless epochs are given."""
    epochs: float | None = None
    """Passes over the training images instead of iterations (paper: 1000)."""
    batch_size: int = 8
    """Images per step."""
    learning_rate: float = 2e-3
    """Of AdamW; a tenth of it for the last fifth of the training."""
    weight_decay: float = 1e-4
    """Decoupled."""
    clip: float = 0.1
    """Largest gradient norm."""
    pool: int = 16
    """Side of the mean filter, in pixels of the map, whose maximum is the image score."""
    max_minutes: float | None = None
    """Limit on the time of training; a result that met it is marked."""
    mixed_precision: bool = False
    """bfloat16 products on a GPU."""

    def __post_init__(self) -> None:
        if self.label_source not in ("oracle", "centroid"):
            raise BadParameter(f"label_source is '{self.label_source}': expected 'oracle' or 'centroid'")
        if self.label_source == "centroid":
            self.needs = frozenset({"class_ids_fit"})

    def host(self, train: ImageSet, context: Context) -> Host:
        """What there is to train, on this training set."""
        settings = TeacherSettings(
            self.backbone, self.layers, resized_side_by_side(self.grid), self.size, for_cosines=False
        )
        teacher = Teacher(settings, context)
        targets = teacher.learn(train, context.rng, title="embed training images")
        if train.class_ids is None:
            raise MethodsError("class ids of the training images are missing: the method declares them")
        ids = torch.from_numpy(train.class_ids)
        channels = targets[torch.tensor([0])][0].shape[1]
        network = {
            "width": self.width, "heads": self.heads, "hidden": self.hidden, "depth": self.depth,
            "codes": self.codes, "revive_below": self.revive_below, "dropout": self.dropout,
            "transport": self.transport,
        }  # fmt: skip
        return Host(
            teacher=teacher,
            targets=targets,
            images=train,
            class_ids=ids,
            build=lambda: HvqNetwork(channels, self.grid, int(ids.max()) + 1, **network),
            optimizer=lambda module: torch.optim.AdamW(
                module.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay
            ),
            schedule=drop,
            iterations=steps_of(self.iterations, self.epochs, len(train), self.batch_size),
            batch_size=self.batch_size,
            predict=lambda grids: max_of_pooled(grids, context.view.crop, self.pool),
            classify=NearestCentroid(targets, ids) if self.label_source == "centroid" else None,
            clip=self.clip,
            max_seconds=seconds(self.max_minutes),
            mixed_precision=self.mixed_precision,
            memory_metric="euclidean",
        )

    def fit(self, train: ImageSet, context: Context) -> None:
        self._trained = fit_host(self.host(train, context), context)

    def score(self, test: ImageSet, context: Context) -> Prediction:
        return self._trained.predict(test)

    def rank(self, train: ImageSet, context: Context) -> npt.NDArray[np.float32]:
        """Mean of the top per cent of each training image's patches."""
        return ranked_by_patches(self._trained)
