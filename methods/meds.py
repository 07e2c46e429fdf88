"""MeDS: a host that first learns distances to sparse memories, then from images that look normal to it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from ltbench.methods import catalog
from ltbench.methods.base import Card, Context, Method, Need, Prediction
from ltbench.methods.blocks.bootstrap import Bootstrap
from ltbench.methods.blocks.progressive import Selection, robust_maximum
from ltbench.methods.errors import BadParameter, MethodsError
from ltbench.methods.features.backbone import DEFAULT_BACKBONE
from ltbench.methods.reconstruction.hosting import Host, TrainedHost, train_student
from ltbench.methods.reconstruction.memories import ClassMemories, ensemble_grids
from ltbench.methods.reconstruction.selective import SelectiveTraining, distillation_objective
from ltbench.methods.training.randomness import repeatable, seeded
from ltbench.splits.images import ImageSet

PRESETS: dict[str, dict[str, Any]] = {
    "ours": {"draws": 0, "replacement": True, "loss": "mse", "weight": 10.0, "rounding": "ceil",
             "median": "lower", "k": 1.0, "min_keep": 1},
    "paper": {"draws": 100, "replacement": False, "loss": "norm", "weight": 1.0, "rounding": "ceil",
              "median": "mean", "k": 1.0, "min_keep": 0},
    "official_code": {"draws": 100, "replacement": True, "loss": "mse", "weight": 10.0, "rounding": "floor",
                      "median": "lower", "k": 3.0, "min_keep": 0},
}  # fmt: skip
OFFICIAL_CODE_OF_HOST: dict[str, dict[str, Any]] = {"inpformer": {"loss": "l1", "k": 1.0}}
"""Settings of the authors' scripts for a host that differ from those for Dinomaly."""
HOST_FIELDS = {"dinomaly": {"mining": 0.5}}
"""Settings of a host that MeDS changes (appendix B.2)."""


@dataclass
class Meds:
    """Memory, distillation, progressive selection; scores are the host's."""

    card: ClassVar[Card] = Card(
        title="MeDS",
        family="reconstruction",
        summary="Scores every training patch by its mean distance to memories of a tenth of its class' "
        "images, teaches a host to give these scores, and goes on training it, with its own loss, on the "
        "images whose scores are low: more and more of them. No noise ratio is assumed.",
        paper="Safarov et al., ICML 2026",
        url="https://github.com/SirojbekSafarov/MeDS",
        bibtex="""@inproceedings{safarov2026meds,
  title     = {Memory-Distilled Selection for Noise-Robust Anomaly Detection},
  author    = {Safarov, Sirojbek and Park, Jaewoo and Jung, Yoon Gyo and Peng, Kuan-Chuan and
               Kim, Wonchul and Bang, Seongdeok and Camps, Octavia},
  booktitle = {International Conference on Machine Learning (ICML)},
  year      = {2026}
}""",
        licence="MIT",
        deviations=(
            "preset: 'ours' is the authors' code with the paper's k = 1 and ceiling; 'paper' and "
            "'official_code' set what the text and the code say where they differ. The code is that for "
            "Dinomaly; with host = 'inpformer' it is that of the scripts for INP-Former: loss = 'l1', k = 1.",
            "metric: distances to a memory are of the kind of the host's scores in all presets, as in the "
            "authors' code (cosine for Dinomaly and INP-Former); the text's D is Euclidean "
            "(metric = 'euclidean').",
            "A memory holds all patches of random images, as in the authors' code; the text draws patches.",
            "draws = 0 takes the exact mean over all memories instead of 100 drawn ones.",
            "min_keep = 1 trains on at least one image of every class; under the authors' rule classes of "
            "one or two images are never selected.",
            "Memories of a transformer host are made of its last, normed layer, as in the authors' code; "
            "those of other hosts of the targets of the host. Cosines are not rounded to five decimals.",
            "Scores of memories (stop_after='memory') are the host's mean of the top 1 % of the map; the "
            "authors' evaluation of memories takes 10 % (host_fields: top_percent=10), and where they vary "
            "the share of images in a memory (ratio) it varies this share of pixels instead.",
            "The final scores of the trained host rank images for label correction; the authors do not say "
            "at which moment theirs are taken.",
        ),
    )
    needs: ClassVar[frozenset[Need]] = frozenset({"class_ids_fit"})
    version: ClassVar[int] = 2

    unsaved: ClassVar = ("_memory", "_training")
    """Attributes for training and ranking only, which a stored model leaves out."""

    host: str = "dinomaly"
    """Method that is trained: dinomaly, inpformer, hvq, uniad, rd, or any other that offers `host`."""
    host_fields: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the host that differ from its defaults; on the command line --set host.width=256."""
    backbone: str = DEFAULT_BACKBONE
    """Frozen features of the host."""
    preset: Literal["ours", "paper", "official_code"] = "ours"
    """Source of values for the fields below that are none."""
    ratio: float = 0.1
    """Share of a class' images in a memory, rounded up."""
    draws: int | None = None
    """Memories per class; 0 = the exact mean over all possible ones."""
    replacement: bool | None = None
    """Draw a memory's images with replacement."""
    exclude_self: bool = False
    """Keep an image out of the memories that judge it."""
    per_view: bool = False
    """Draw from every camera's images, and give each camera a threshold of its own (Real-IAD)."""
    metric: Literal["host", "cosine", "euclidean"] = "host"
    """Distance to a memory; host = that of the host's own score; the paper's text has euclidean, the authors'
    code cosine for Dinomaly and INP-Former."""
    loss: Literal["mse", "l1", "norm"] | None = None
    """Loss of the distillation: mean square, mean amount, or length per image of the error (equation 9)."""
    weight: float | None = None
    """Factor on the distillation's loss."""
    top_percent: float = 1.0
    """n of equation 13: share of an image's patches whose mean decides about it."""
    rounding: Literal["ceil", "floor"] | None = None
    """Rounding of the number of these patches."""
    median: Literal["lower", "mean"] | None = None
    """Median of an even number of images: the lower middle value, or the mean of both."""
    k: float | None = None
    """k of equation 12: median absolute deviations above the median up to which images are kept at last."""
    min_keep: int | None = None
    """Images of every class that are trained on in any case."""
    init: Literal["distilled", "random"] = "distilled"
    """Weights with which the training on selected images begins."""
    criterion: Literal["distilled", "memory"] = "distilled"
    """Scores that the first selections follow: the distilled host's, or those of the memories."""
    stop_after: Literal["memory", "distillation", "selection"] = "selection"
    """Last phase; an ablation scores with the memories or the host that this phase leaves."""
    iterations: int | None = None
    """Steps of the training on selected images; none = the host's."""
    distill_iterations: int | None = None
    """Steps of the distillation; none = as many."""

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise BadParameter(f"preset is '{self.preset}': expected one of {', '.join(PRESETS)}")
        preset = PRESETS[self.preset]
        if self.preset == "official_code":
            preset = preset | OFFICIAL_CODE_OF_HOST.get(self.host, {})
        for name, value in preset.items():
            if getattr(self, name) is None:
                setattr(self, name, value)
        inner = self._inner()
        # All of the host's fields, so that a record says what was trained.
        kept = {name: value for name, value in catalog.config(inner).items() if name not in ("backbone",)}
        self.host_fields = kept
        self.needs = self.needs | inner.needs
        if self.stop_after == "memory":
            self.needs |= {"class_ids_score"}
        if self.per_view:
            self.needs |= {"camera_ids_fit"}
        # A change of the host's code changes this method's numbers too.
        self.version = type(self).version + inner.version - 1

    @repeatable()
    def fit(self, train: ImageSet, context: Context) -> None:
        self._host: Host = self._inner().host(train, context)
        if train.class_ids is None or (self.per_view and train.camera_ids is None):
            raise MethodsError(
                "class ids (and cameras, with per_view) of the training images are missing: the method "
                "declares them"
            )
        memories = ClassMemories(
            self._host,
            train.class_ids,
            Bootstrap(self.ratio, self.draws, self.replacement, self.exclude_self),
            self._host.memory_metric if self.metric == "host" else self.metric,
            seed=int(context.rng.integers(2**31)),
            cameras=train.camera_ids if self.per_view else None,
        )
        self._memory = memories.scores(context)
        self._trained: TrainedHost | None = None
        if self.stop_after == "memory":
            self._ensembles = memories.ensembles(context)
        else:
            self._train(train, context)

    @repeatable()
    def score(self, test: ImageSet, context: Context) -> Prediction:
        if self._trained is not None:
            return self._trained.predict(test)
        batches = self._host.scored_vectors(test, title="score test images")
        judge = self._host.predict_memory or self._host.predict
        return judge(ensemble_grids(self._ensembles, batches, test.class_ids))

    @repeatable()
    def rank(self, train: ImageSet, context: Context) -> npt.NDArray[np.float32]:
        """Robust maximum of each training image's scores, after the last phase."""
        grids = self._memory if self._trained is None else self._trained.training_grids()
        return self._maximum(grids)

    def _train(self, train: ImageSet, context: Context) -> None:
        host = self._host
        steps = host.iterations if self.iterations is None else self.iterations
        with seeded(context):
            student = host.build().to(context.device)
            self._trained = TrainedHost(host, student)
            if self.init == "distilled" or self.criterion == "distilled" or self.stop_after == "distillation":
                objective = distillation_objective(student, self._memory, self.loss, self.weight)
                count = steps if self.distill_iterations is None else self.distill_iterations
                train_student(host, student, objective, context, title="distill", iterations=count)
                distilled = self._trained.training_grids()
                # A student that is everywhere above its memory has only been pulled down everywhere.
                context.report("student_above_memory_share", float((distilled > self._memory).mean()))
            if self.stop_after == "distillation":
                return
            grids = self._memory if self.criterion == "memory" else distilled
            if self.init == "random":
                self._trained = TrainedHost(host, host.build().to(context.device))
            self._training = SelectiveTraining(
                self._trained, Selection(self.k, self.median, self.min_keep), self._groups(train),
                self._maximum(grids),
                iterations=steps, percent=self.top_percent, rounding=self.rounding,
            )  # fmt: skip
            self._training.run(host, context, title="select", identity=repr(dataclasses.asdict(self)))
        for moment, share in zip(("first", "last"), self._training.shares.tolist(), strict=True):
            if not math.isnan(share):
                context.report(f"{moment}_selected_share", share)

    def _groups(self, train: ImageSet) -> npt.NDArray[np.int64]:
        """Group of each image, (N,): images of a class, or of a class and camera, share a threshold."""
        if not self.per_view:
            return train.class_ids
        return train.class_ids * (train.camera_ids.max() + 1) + train.camera_ids

    def _maximum(self, grids: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return robust_maximum(grids, self.top_percent, self.rounding).astype(np.float32)

    def _inner(self) -> Method:
        """The host with its fields. Raises UnknownName, BadParameter."""
        if not callable(getattr(catalog.load_class(self.host), "host", None)):
            raise BadParameter(
                f"method '{self.host}' cannot be trained by MeDS: expected one that offers 'host'"
            )
        fields = {**HOST_FIELDS.get(self.host, {}), **self.host_fields}
        return catalog.create(self.host, **{**fields, "backbone": self.backbone})
