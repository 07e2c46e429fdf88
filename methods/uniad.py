"""UniAD: one transformer for all products rebuilds jittered features without looking at the neighbourhood."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import nn

from ltbench.methods.base import Card, Context, Need, Prediction
from ltbench.methods.features.backbone import DEFAULT_BACKBONE
from ltbench.methods.features.transform import VIEWED
from ltbench.methods.layers.uniad import ReconstructionTransformer
from ltbench.methods.reconstruction.arrangements import resized_side_by_side
from ltbench.methods.reconstruction.hosting import Host, fit_host
from ltbench.methods.reconstruction.judging import max_of_pooled
from ltbench.methods.reconstruction.recipes import seconds, steps_of
from ltbench.methods.reconstruction.teacher import Teacher, TeacherSettings
from ltbench.methods.reconstruction.uniad_student import UniadStudent
from ltbench.methods.training.randomness import repeatable
from ltbench.methods.training.schedules import late_drop
from ltbench.splits.images import ImageSet


@dataclass
class UniAD:
    """Score of a token: distance to its reconstruction; of an image: maximum of the pooled map."""

    card: ClassVar[Card] = Card(
        title="UniAD",
        family="reconstruction",
        summary="A transformer learns to rebuild frozen features of all products at once from jittered ones; "
        "its attention cannot see the neighbourhood of a token, so that it cannot copy. What it rebuilds "
        "badly is anomalous.",
        paper="You et al., NeurIPS 2022",
        url="https://github.com/zhiyuanyou/UniAD",
        bibtex="""@inproceedings{you2022uniad,
  title     = {A Unified Model for Multi-class Anomaly Detection},
  author    = {You, Zhiyuan and Cui, Lei and Shen, Yujun and Yang, Kai and Lu, Xin and
               Zheng, Yu and Le, Xinyi},
  booktitle = {Advances in Neural Information Processing Systems (NeurIPS)},
  year      = {2022}
}""",
        licence="Apache-2.0",
        deviations=(
            "The last state is scored; the authors' code keeps the state that is best on the test set, and "
            "turns an AUROC below one half around.",
            "iterations, batch_size, learning_rate, width, heads, hidden, depth, dropout, query_scale: "
            "defaults fit one core; the paper's are 1000 epochs, 64, 1e-4, 256, 8, 1024, 4, 0.1 and 1.",
            "backbone: the default is a smaller network; the paper's is "
            "'timm:tf_efficientnet_b4.aa_in1k?padding_size=380' with layers blocks.0, blocks.1, blocks.2, "
            "blocks.4, that of the comparison in LTAD 'timm:tf_efficientnet_b7.aa_in1k?padding_size=600': "
            "padded as the authors' port of EfficientNet, with weights close to it.",
            "standardise: channels differ in scale and are standardised; the paper does not.",
            VIEWED,
        ),
    )
    needs: ClassVar[frozenset[Need]] = frozenset()
    version: ClassVar[int] = 5

    backbone: str = DEFAULT_BACKBONE
    """Frozen features; the paper's: timm:tf_efficientnet_b4.aa_in1k?padding_size=380."""
    layers: tuple[str, ...] = ()
    """Layers of the backbone, side by side; none = its default."""
    grid: int = 14
    """Side of the grid of tokens."""
    standardise: bool = True
    """Channels with mean 0 and deviation 1 over the training set (paper: false)."""
    width: int = 64
    """Channels of the transformer (paper: 256)."""
    heads: int = 4
    """Heads of every attention (paper: 8)."""
    hidden: int = 256
    """Width inside the feed-forward parts (paper: 1024)."""
    depth: int = 1
    """Encoder layers, and as many decoder layers (paper: 4)."""
    neighbours: int = 7
    """Side of the square around a token that its attention cannot see; 0 = it sees everything."""
    dropout: float = 0.0
    """Dropout in attentions and feed-forward parts (paper: 0.1)."""
    query_scale: float = 0.02
    """Deviation of the learned queries at first (paper: 1): small ones learn in fewer steps."""
    jitter: float = 20.0
    """Scale of the noise on the features while training."""
    jitter_probability: float = 1.0
    """Share of the batches that are jittered."""
    iterations: int = 1600
    """Steps of training, unless epochs are given."""
    epochs: float | None = None
    """Passes over the training images instead of iterations (paper: 1000)."""
    batch_size: int = 8
    """Images per step (paper: 8 on each of 8 GPUs)."""
    learning_rate: float = 2e-3
    """AdamW learning rate; a tenth of it after 801 of 1000 parts of the training (paper: 1e-4)."""
    weight_decay: float = 1e-4
    """AdamW weight decay."""
    clip: float = 0.1
    """Largest norm of all gradients."""
    pool: int = 16
    """Side of the mean filter, in pixels of the map, whose maximum is the image score."""
    max_minutes: float | None = None
    """Limit on the time of training; a result that met it is marked."""
    mixed_precision: bool = False
    """bfloat16 products on a GPU."""

    @repeatable()
    def fit(self, train: ImageSet, context: Context) -> None:
        self._trained = fit_host(self.host(train, context), context)

    @repeatable()
    def score(self, test: ImageSet, context: Context) -> Prediction:
        return self._trained.predict(test)

    def host(self, train: ImageSet, context: Context) -> Host:
        """Teacher, network and settings, ready to be trained on this training set."""
        settings = TeacherSettings(
            self.backbone, self.layers, resized_side_by_side(self.grid),
            standardise=self.standardise, alike_layers=True, for_cosines=False,
        )  # fmt: skip
        teacher = Teacher(settings, context)
        targets = teacher.learn(train, context.rng, title="embed training images")
        channels = targets[torch.tensor([0])][0].shape[1]
        return Host(
            teacher=teacher,
            targets=targets,
            images=train,
            class_ids=None,
            build=lambda: self._student(self._network(channels)),
            optimizer=self._optimizer,
            schedule=late_drop,
            iterations=steps_of(self.iterations, self.epochs, len(train), self.batch_size, drop_last=False),
            batch_size=self.batch_size,
            drop_last=False,
            predict=partial(max_of_pooled, crop=context.view.crop, window=self.pool),
            clip=self.clip,
            max_seconds=seconds(self.max_minutes),
            mixed_precision=self.mixed_precision,
            memory_metric="euclidean",
        )

    def _network(self, channels: int) -> ReconstructionTransformer:
        return ReconstructionTransformer(
            channels,
            self.grid,
            width=self.width,
            heads=self.heads,
            hidden=self.hidden,
            layers=self.depth,
            neighbours=self.neighbours,
            dropout=self.dropout,
            query_scale=self.query_scale,
        )

    def _student(self, network: ReconstructionTransformer) -> UniadStudent:
        return UniadStudent(network, self.jitter, self.jitter_probability)

    def _optimizer(self, module: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.AdamW(module.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)
