"""Scores of training images by models that did not see them, and the thresholds that follow."""

from __future__ import annotations

import copy
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from ltbench.benchmark.evaluate import check_prediction
from ltbench.benchmark.maps import MapsOfGrids
from ltbench.benchmark.models.facts import Threshold
from ltbench.benchmark.resolve import Prepared
from ltbench.benchmark.visible_images import visible_images
from ltbench.methods.base import Context, Prediction, View
from ltbench.splits.images import LabelledImage

FALSE_ALARMS = (0.01, 0.05)


@dataclass
class HeldOut:
    """Scores and map statistics of training images that were held out of the fit."""

    scores: list[float] = field(default_factory=list)
    typical: list[float] = field(default_factory=list)
    """Median of each anomaly map."""
    largest: list[float] = field(default_factory=list)
    """Maximum of each anomaly map."""

    def add(self, prediction: Prediction, view: View) -> None:
        """Take in the prediction of one fold."""
        self.scores += np.asarray(prediction.scores, np.float32).tolist()
        if prediction.grids is not None:
            for maps in MapsOfGrids(prediction.grids, view.crop, prediction.post):
                self.typical += np.median(maps, axis=(1, 2)).tolist()
                self.largest += maps.max(axis=(1, 2)).tolist()

    @property
    def map_range(self) -> tuple[float, float] | None:
        """(typical, largest) value of the maps; None without maps."""
        if not self.largest:
            return None
        low, high = float(np.median(self.typical)), max(self.largest)
        return (low, high) if high > low else (low, low + 1.0)


def folds_of(images: Sequence[LabelledImage], folds: int) -> list[list[LabelledImage]]:
    """The images that each fit leaves out, category by category in turn.

    A category's only image is never left out. Folds without an image are dropped.
    """
    members: dict[str, list[LabelledImage]] = defaultdict(list)
    for image in images:
        members[image.category].append(image)
    several = [same for same in members.values() if len(same) > 1]
    parts = [[image for same in several for image in same[fold::folds]] for fold in range(folds)]
    return [part for part in parts if part]


def score_held_out(prepared: Prepared, context: Context, folds: int) -> HeldOut:
    """Fit the method once per fold without the fold's images, and score these."""
    held_out = HeldOut()
    for number, left_out in enumerate(folds_of(prepared.split.train, folds)):
        paths = {image.path for image in left_out}
        kept = [image for image in prepared.split.train if image.path not in paths]
        rng = prepared.cell.generator(f"{prepared.dataset.name}/fold{number}")
        inner = replace(context, rng=rng, report=lambda _name, _value: None)
        method = copy.deepcopy(prepared.method)
        method.fit(visible_images("fit", kept, prepared), inner)
        prediction = method.score(visible_images("score", left_out, prepared), inner)
        check_prediction(prediction, len(left_out))
        held_out.add(prediction, context.view)
    return held_out


def thresholds_of(scores: Sequence[float]) -> tuple[Threshold, ...]:
    """One threshold per rate of false alarms, from scores of normal images that were held out.

    The threshold is the ceil((n + 1)(1 - rate))-th smallest of n scores: an image like them exceeds it with
    a probability of at most `rate` (split conformal prediction, Vovk et al. 2005).
    """
    ordered: npt.NDArray[np.float64] = np.sort(np.asarray(scores, np.float64))
    found = []
    for rate in FALSE_ALARMS:
        # 100 * 0.95 is 95.00000000000001 in floating point and must not round up to 96.
        rank = math.ceil(round((len(ordered) + 1) * (1 - rate), 9))
        if rank <= len(ordered):
            found.append(Threshold(rate, float(ordered[rank - 1])))
        else:
            least = math.ceil(round(1 / rate, 9)) - 1
            why = f"{len(ordered)} images were held out: {rate:.0%} false alarms need at least {least}"
            found.append(Threshold(rate, None, why))
    return tuple(found)
