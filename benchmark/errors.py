"""Errors of commands, of cells and of stored models, each with its exit code."""

from __future__ import annotations


class BenchmarkError(Exception):
    """The harness cannot carry out a request. The message is one sentence for the user."""

    exit_code = 1


class UsageError(BenchmarkError):
    """An option, suite or setting has an invalid value."""

    exit_code = 2


class CellsFailed(BenchmarkError):
    """The run is over and some cells failed; their rows hold the reasons."""

    exit_code = 3


class CellsImpossible(BenchmarkError):
    """The run is over, and some cells could not start: weights or data are not on this machine."""

    exit_code = 4


class BrokenPrediction(BenchmarkError):
    """A method returned something else than one score (and grid) per image."""


class BrokenModel(BenchmarkError):
    """A folder of a model is damaged, or of another version of its format or method."""

    exit_code = 5


class ImagesFailed(BenchmarkError):
    """Some images could not be scored; the others were."""

    exit_code = 3
