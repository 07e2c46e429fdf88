"""Facts stored with a model: method, training images, thresholds, machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ltbench.benchmark.errors import UsageError

FORMAT = 1
"""Raised when folders of models, or the attributes of what methods learn, change their meaning."""


@dataclass(frozen=True)
class Threshold:
    """The score above which an image counts as anomalous."""

    false_alarms: float
    """Share of normal images like the training images that lie above it, at most."""
    value: float | None
    why: str = ""
    """Reason why there is no value."""


@dataclass(frozen=True)
class TrainedOn:
    """The training images of a model."""

    dataset: str
    data_digest: str
    split: str
    seed: int
    split_digest: str
    categories: Mapping[str, int]
    """Training images of each category; the order is that of class ids."""


@dataclass(frozen=True)
class ModelFacts:
    """Everything that is known about a model besides what its method has learned."""

    method: str
    """Name of the method on the command line: "patchcore", "FILE.py:CLASS"."""
    method_version: int
    source_digest: str
    """Digest of the source of a class from outside of this package."""
    fields: Mapping[str, Any]
    card: Mapping[str, Any]
    needs: tuple[str, ...]
    view: Mapping[str, Any]
    reading: Mapping[str, Any]
    """Decoding options with which the data set's files were read, and new files are read, too."""
    device: str
    """Kind of device on which the method was fitted: "cpu" or "cuda"."""
    weights_digest: str
    trained_on: TrainedOn
    folds: int
    """Fits whose held-out images gave the thresholds; 0 = none."""
    held_out: int
    """Images that were held out of one of these fits and scored."""
    thresholds: tuple[Threshold, ...]
    map_range: tuple[float, float] | None
    """Lowest and highest shade of heat maps: typical and largest value in maps of held-out images."""
    self_test: tuple[float, ...]
    """Scores of generated images, by which a loaded model is compared with the one that was saved."""
    figures: Mapping[str, float]
    """Numbers that the method reported during its fit, by name."""
    timing: Mapping[str, Any]
    environment: Mapping[str, Any]
    format: int = FORMAT

    def to_json(self) -> dict[str, Any]:
        """The facts as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ModelFacts:
        """The facts of a document. Raises TypeError, KeyError or ValueError for one that is none."""
        low_high = content["map_range"]
        return cls(
            **{
                **content,
                "trained_on": TrainedOn(**content["trained_on"]),
                "thresholds": tuple(Threshold(**entry) for entry in content["thresholds"]),
                "map_range": None if low_high is None else (float(low_high[0]), float(low_high[1])),
                "needs": tuple(content["needs"]),
                "self_test": tuple(content["self_test"]),
            }
        )

    def threshold(self, false_alarms: float | None = None) -> Threshold:
        """The threshold of a rate of false alarms; None = the lowest rate that has one, else the lowest.

        Raises UsageError for a rate that the model has no entry for.
        """
        if false_alarms is None:
            return next((entry for entry in self.thresholds if entry.value is not None), self.thresholds[0])
        for entry in self.thresholds:
            if entry.false_alarms == false_alarms:
                return entry
        known = " or ".join(f"{entry.false_alarms:g}" for entry in self.thresholds)
        raise UsageError(f"the rate of false alarms is '{false_alarms:g}': the model has {known}")
