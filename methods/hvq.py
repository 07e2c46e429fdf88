"""HVQ: features rebuilt from codes that each class learned, level by level."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ltbench.methods.base import Card, Context, Need, Prediction
from ltbench.methods.errors import BadParameter, MethodsError
from ltbench.methods.features.backbone import DEFAULT_BACKBONE
from ltbench.methods.features.transform import VIEWED
from ltbench.methods.reconstruction.arrangements import resized_side_by_side
from ltbench.methods.reconstruction.classes import NearestCentroid
from ltbench.methods.reconstruction.hosting import Host, fit_host
from ltbench.methods.reconstruction.hvq_student import HvqNetwork
from ltbench.methods.reconstruction.judging import max_of_pooled
from ltbench.methods.reconstruction.recipes import ranked_by_patches, seconds, steps_of
from ltbench.methods.reconstruction.teacher import Teacher, TeacherSettings
from ltbench.methods.training.randomness import repeatable
from ltbench.methods.training.schedules import late_drop
from ltbench.splits.images import ImageSet


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
            "backbone: the default is a smaller network; the paper's is EfficientNet-B4, here "
            "'timm:tf_efficientnet_b4.aa_in1k?padding_size=380' (padded as the authors' port, with weights "
            "close to it) with layers blocks.0, blocks.1, blocks.2, blocks.4 at size = 224, always in "
            "evaluation mode (the authors' training moves its batch norms along and leaves out blocks at "
            "random).",
            "width, heads, hidden, depth, codes, dropout, iterations, batch_size and learning_rate: the "
            "defaults are a budget for a processor; the paper has 256, 8, 1024, 4, 512, 0.1, epochs = 1000, "
            "32 (two processes of 16, by the steps in the authors' log) and 1e-4.",
            "standardise: channels differ in scale and are standardised; the paper does not.",
            "revive_below: codes that hardly any token chooses start anew at a token of the batch; the "
            "authors' (0) fly away at the first image of their class, since counts start at 0, and come back "
            "after more than a thousand images of it.",
            "The last state is scored; the authors' code keeps the state that is best on the test set, and "
            "turns an AUROC below one half around.",
            "Codes are updated once per batch with the decay of its images; the authors loop over images, so "
            "that an image meets codes that those before it in the batch have moved. Their two processes add "
            "up sums of tokens image by image, whatever the classes; here codes follow their class alone.",
            "transport = 80 adds the paper's transport score, which the authors' default script leaves out.",
            VIEWED,
        ),
    )
    needs: ClassVar[frozenset[Need]] = frozenset({"class_ids_fit", "class_ids_score"})
    version: ClassVar[int] = 3

    backbone: str = DEFAULT_BACKBONE
    """Frozen features; the paper's: timm:tf_efficientnet_b4.aa_in1k?padding_size=380."""
    layers: tuple[str, ...] = ()
    """Layers of the backbone, side by side; none = its default."""
    size: int | None = None
    """Side in pixels of what the backbone sees (224 in the paper); none = the view's."""
    grid: int = 14
    """Side of the grid of tokens."""
    standardise: bool = True
    """Channels with mean 0 and deviation 1 over the training set, layers of equal weight (paper: false)."""
    width: int = 64
    """Channels of the encoder; the decoder has twice as many (paper: 256)."""
    heads: int = 4
    """Heads of every attention (paper: 8)."""
    hidden: int = 256
    """Units of the feed-forward parts (paper: 1024)."""
    depth: int = 1
    """Encoder layers, decoder layers and levels of codes (paper: 4)."""
    codes: int = 64
    """Codes of each class at each level (paper: 512)."""
    revive_below: float = 0.5
    """Codes that fewer tokens per image choose (but at most half of an even use) move to tokens of the batch;
    0 = never, as in the paper."""
    dropout: float = 0.0
    """Dropout in attentions and feed-forward parts (paper: 0.1)."""
    transport: float = 0.0
    """Weight of the cost of transporting tokens to their codes in the score; 80 in the paper."""
    label_source: Literal["oracle", "centroid"] = "oracle"
    """Class of a scored image: the true one, or that of the nearest mean feature of a training class."""
    iterations: int = 800
    """Training steps, unless epochs are given."""
    epochs: float | None = None
    """Passes over the training images instead of iterations (paper: 1000)."""
    batch_size: int = 8
    """Images per step (paper: 16 in each of two processes)."""
    learning_rate: float = 2e-3
    """AdamW learning rate; a tenth of it after 801 of 1000 parts of the training (paper: 1e-4)."""
    weight_decay: float = 1e-4
    """AdamW weight decay."""
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
        """Teacher, network and settings, ready to be trained on this training set."""
        settings = TeacherSettings(
            self.backbone, self.layers, resized_side_by_side(self.grid), self.size,
            standardise=self.standardise, alike_layers=True, for_cosines=False,
        )  # fmt: skip
        teacher = Teacher(settings, context)
        targets = teacher.learn(train, context.rng, title="embed training images")
        if train.class_ids is None:
            raise MethodsError("class ids of the training images are missing: the method declares them")
        ids = torch.from_numpy(train.class_ids)
        channels = targets[torch.tensor([0])][0].shape[1]
        return Host(
            teacher=teacher,
            targets=targets,
            images=train,
            class_ids=ids,
            build=lambda: self._network(channels, int(ids.max()) + 1),
            optimizer=self._optimizer,
            schedule=late_drop,
            iterations=self._steps(len(train)),
            batch_size=self.batch_size,
            drop_last=False,
            predict=partial(max_of_pooled, crop=context.view.crop, window=self.pool),
            classify=NearestCentroid(targets, ids) if self.label_source == "centroid" else None,
            clip=self.clip,
            max_seconds=seconds(self.max_minutes),
            mixed_precision=self.mixed_precision,
            memory_metric="euclidean",
        )

    @repeatable()
    def fit(self, train: ImageSet, context: Context) -> None:
        self._trained = fit_host(self.host(train, context), context)

    @repeatable()
    def score(self, test: ImageSet, context: Context) -> Prediction:
        return self._trained.predict(test)

    @repeatable()
    def rank(self, train: ImageSet, context: Context) -> npt.NDArray[np.float32]:
        """Mean of the top per cent of each training image's patches."""
        return ranked_by_patches(self._trained)

    def _network(self, channels: int, classes: int) -> HvqNetwork:
        return HvqNetwork(
            channels,
            self.grid,
            classes,
            width=self.width,
            heads=self.heads,
            hidden=self.hidden,
            depth=self.depth,
            codes=self.codes,
            dropout=self.dropout,
            revive_below=self.revive_below,
            transport=self.transport,
        )

    def _optimizer(self, module: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.AdamW(module.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)

    def _steps(self, images: int) -> int:
        return steps_of(self.iterations, self.epochs, images, self.batch_size, drop_last=False)
