"""A fitted method with its thresholds: verdicts on images, and a folder that keeps it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ltbench.benchmark.declared import source_digest, version_of
from ltbench.benchmark.device import require_device, settle
from ltbench.benchmark.errors import BrokenModel, UsageError
from ltbench.benchmark.evaluate import check_prediction
from ltbench.benchmark.maps import MapsOfGrids
from ltbench.benchmark.models import folder as model_folder
from ltbench.benchmark.models.facts import ModelFacts, Threshold
from ltbench.benchmark.models.images import Asked, AskedPixels, Image, in_parts, listed
from ltbench.benchmark.settings import Settings
from ltbench.benchmark.visible_images import image_set
from ltbench.methods import catalog
from ltbench.methods.base import Context, Method, Prediction, View
from ltbench.methods.errors import MethodsError, WeightsMissing
from ltbench.methods.state.fitted import restore, state_of
from ltbench.splits.datasets.decoding import Reading
from ltbench.splits.errors import SplitsError
from ltbench.splits.images import LabelledImage, Pixels

SELF_TEST_IMAGES = 2
SELF_TEST_TOLERANCE = 0.02
"""Relative difference of scores up to which another machine counts as computing the same."""

Map = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Verdict:
    """Score, threshold and verdict of a model for one image."""

    image: str
    """Path of the file, or number of the array."""
    score: float | None
    """Higher = more anomalous; None where the image could not be scored."""
    threshold: float | None
    verdict: str
    """"normal", "anomalous", or "" without score or threshold."""
    error: str = ""
    """Reason for a missing score; "" if there is one."""
    map: Map | None = field(default=None, repr=False, compare=False)
    """(crop, crop) anomaly map of the judged part of the image; None unless maps were requested."""
    pixels: Pixels | None = field(default=None, repr=False, compare=False)
    """Pixels of the image; None unless maps were requested."""


@dataclass
class Model:
    """Fitted method that scores images and can be saved and loaded.

    Example:
        model = ltbench.fit("patchcore", dataset="folder:parts")
        model.save("model")
        ltbench.load_model("model").predict("new.png")[0].verdict
    """

    method: Method
    facts: ModelFacts
    context: Context = field(repr=False)
    """The view, device and weights of the method."""
    digest: str = ""
    """Digest of everything in the model's folder; "" for one that is not saved."""

    def predict(
        self,
        images: Image | Sequence[Image],
        *,
        category: str | None = None,
        false_alarms: float | None = None,
        maps: bool = False,
    ) -> list[Verdict]:
        """Score images and compare the scores with a threshold.

        Args:
            images: paths of images or folders, or uint8 arrays (H, W, 3), RGB; one or several.
            category: product that all of them show, for a method that is told at scoring.
            false_alarms: 0.01 or 0.05, which threshold is taken; None = the lower rate that has one.
            maps: whether to return anomaly maps too.

        Returns:
            One verdict per image, in their order; an image that cannot be read has an `error` instead of a
            score.

        Raises:
            UsageError: there is no image, an unknown category, or no threshold of this rate.
        """
        return list(self.stream(listed(images), category=category, false_alarms=false_alarms, maps=maps))

    def stream(
        self,
        images: Sequence[Image],
        *,
        category: str | None = None,
        false_alarms: float | None = None,
        maps: bool = False,
    ) -> Iterator[Verdict]:
        """`predict`, with a few images in memory at a time."""
        threshold, shown = self.facts.threshold(false_alarms), self._category(category)
        parts = in_parts(images, Reading(**self.facts.reading))
        return (verdict for part in parts for verdict in self._verdicts(part, shown, threshold, maps))

    def save(self, folder: str | Path) -> None:
        """Write the model into a new folder, as a whole or not at all.

        Raises:
            UsageError: the folder exists, or the method's class is in no file.
            BenchmarkError: the folder cannot be written.
            NotStorable: the method has learned something that no file can keep.
        """
        path = Path(folder)
        model_folder.require_free(path)
        if self.facts.method not in catalog.names() and not catalog.is_file(self.facts.method):
            raise UsageError(
                f"the class '{self.facts.method}' belongs to a script or notebook, where no other process "
                "finds it: put it into a file of its own to save its models"
            )
        self.digest = model_folder.write_model(path, self.facts, state_of(self.method))

    def score(self, images: Sequence[Pixels], category: str) -> Prediction:
        """Raw scores and patch score grids of uint8 images (H, W, 3), in their order."""
        data = [LabelledImage(f"{number:06d}", category, "test") for number in range(len(images))]
        source = AskedPixels({datum.path: image for datum, image in zip(data, images, strict=True)})
        given = image_set("score", data, source, self.facts.needs, tuple(self.facts.trained_on.categories))
        prediction = self.method.score(given, self.context)
        check_prediction(prediction, len(images))
        # Methods see images in the order of their keys.
        order = np.argsort(np.argsort([datum.key for datum in data]))
        grids = None if prediction.grids is None else prediction.grids[order]
        return dataclasses.replace(prediction, scores=prediction.scores[order], grids=grids)

    def _category(self, category: str | None) -> str:
        known = [name for name, images in self.facts.trained_on.categories.items() if images]
        if category is None:
            if "class_ids_score" in self.facts.needs and len(known) > 1:
                raise UsageError(
                    f"'{self.facts.method}' is told which product an image shows: give the category, one of "
                    f"{', '.join(known)}"
                )
            return known[0]
        if category not in known:
            raise UsageError(f"category is '{category}': the model was trained on {', '.join(known)}")
        return category

    def _verdicts(
        self, part: Sequence[Asked], category: str, threshold: Threshold, maps: bool
    ) -> list[Verdict]:
        readable = [asked.pixels for asked in part if asked.pixels is not None]
        try:
            prediction = self.score(readable, category) if readable else None
        except (MethodsError, SplitsError) as error:
            if len(part) == 1:
                return [Verdict(part[0].name, None, threshold.value, "", f"'{part[0].name}': {error}")]
            # One by one, so that the others are scored.
            alone = [self._verdicts([asked], category, threshold, maps) for asked in part]
            return [verdict for verdicts in alone for verdict in verdicts]
        scores = iter(prediction.scores.tolist() if prediction is not None else ())
        drawn = iter(self._maps(prediction) if maps and prediction is not None else ())
        return [
            Verdict(asked.name, None, threshold.value, "", asked.error)
            if asked.pixels is None
            else _verdict(asked, next(scores), threshold.value, next(drawn, None))
            for asked in part
        ]

    def _maps(self, prediction: Prediction) -> Iterator[Map]:
        if prediction.grids is not None:
            for maps in MapsOfGrids(prediction.grids, self.context.view.crop, prediction.post):
                yield from maps

    def self_test(self) -> tuple[float, ...]:
        """Scores of two generated images."""
        draws = np.random.default_rng(0)
        side = self.context.view.resize
        ramp = np.linspace(40, 200, side)[:, None, None]
        pictures = [
            np.clip(ramp + draws.normal(0, 20, (side, side, 3)), 0, 255).astype(np.uint8)
            for _ in range(SELF_TEST_IMAGES)
        ]
        first = next(name for name, images in self.facts.trained_on.categories.items() if images)
        return tuple(self.score(pictures, first).scores.tolist())


def _verdict(asked: Asked, score: float, threshold: float | None, anomaly_map: Map | None) -> Verdict:
    verdict = ""
    if threshold is not None:
        verdict = "anomalous" if score > threshold else "normal"
    pixels = None if anomaly_map is None else asked.pixels
    return Verdict(asked.name, score, threshold, verdict, map=anomaly_map, pixels=pixels)


def load_model(folder: Path, settings: Settings) -> Model:
    """The model in a folder; see `ltbench.load_model`."""
    facts, digest = model_folder.read_facts(folder)
    if facts.device == "cpu" and settings.device != "cpu":
        raise UsageError(
            f"device is '{settings.device}': '{folder}' was fitted on a processor and scores there, expected "
            "'cpu'"
        )
    require_device(settings.device)
    settle(settings.device)
    method = catalog.create(facts.method, **facts.fields)
    if (version_of(method), source_digest(type(method))) != (facts.method_version, facts.source_digest):
        raise BrokenModel(
            f"'{folder}' was fitted by other code of '{facts.method}' (version {facts.method_version}, here "
            f"{version_of(method)}): fit the model again"
        )
    context = Context(
        rng=np.random.default_rng(0), view=View(**facts.view), device=settings.device,
        weights_root=settings.weights_root,
    )  # fmt: skip
    model = Model(method, facts, context, digest)
    try:
        restore(method, model_folder.read_state(folder), context)
        scores = model.self_test()
    except WeightsMissing:
        raise
    except Exception as error:
        raise BrokenModel(
            f"'{folder}' cannot be restored ({type(error).__name__}: {error}): fit the model again"
        ) from error
    if not np.allclose(scores, facts.self_test, rtol=SELF_TEST_TOLERANCE, atol=1e-6):
        raise BrokenModel(
            f"'{folder}' scores generated images as {_shown(scores)} here, and as {_shown(facts.self_test)} "
            "where it was saved: fit the model again with the packages of this machine"
        )
    return model


def _shown(scores: Sequence[float]) -> str:
    return " and ".join(f"{score:.4g}" for score in scores)
