"""Models in the Python interface: fit, and load."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ltbench.benchmark.calls import chosen_method, settings_of, view_of
from ltbench.benchmark.cell import Cell
from ltbench.benchmark.models import model as models
from ltbench.benchmark.models.fitting import FOLDS, fit_cell
from ltbench.benchmark.models.model import Model
from ltbench.methods.base import View


def fit(
    method: str | object,
    dataset: str = "synthetic",
    split: str = "clean",
    seed: int = 1,
    *,
    fields: Mapping[str, Any] | None = None,
    view: View | str | None = None,
    limit: int | None = None,
    folds: int = FOLDS,
    out: str | Path | None = None,
    device: str | None = None,
) -> Model:
    """Fit a method that is to judge new images.

    Args:
        method: name of a method ("patchcore"), "file.py:Class", or an object with fit and score.
        dataset: name of the data set, or "folder:PATH".
        split: recipe whose training images are taken; "clean" = all good training images.
        seed: seed of the recipe and of the method's randomness.
        fields: hyper-parameters of a method that is given by its name.
        view: part of an image that is judged: "256/224" = shorter side to 256, centre crop of 224; None = all
            of one's own images (squeeze224/224), else 256/224.
        limit: images per category, for a smoke test; None = all.
        folds: further fits, each without its part of the images, whose scores give the thresholds; 0 = none.
        out: new folder for the model; None = it is kept in memory.
        device: "cpu" or "cuda"; None = as LTBENCH_DEVICE or ltbench.toml says, else "cpu".

    Returns:
        The fitted model.

    Raises:
        UsageError, BadParameter, UnknownName: an argument has a value that cannot be.
        DataMissing, WeightsMissing: images or weights are not on this machine.
        Exception: whatever the method raises.

    Example:
        ltbench.fit("padim", dataset="folder:parts", out="model").predict("new/")
    """
    settings = settings_of(device=device)
    name, changed, own = chosen_method(method, fields)
    cell = Cell(dataset, split, seed, name, changed, view=view_of(view, dataset), limit=limit)
    return fit_cell(cell, settings, folds=folds, out=None if out is None else Path(out), methods=own)


def load_model(folder: str | Path, *, device: str | None = None) -> Model:
    """Load a model from its folder; no code of the folder is run.

    Args:
        folder: folder that `ltbench fit` or `Model.save` wrote.
        device: "cpu" or "cuda"; None = as LTBENCH_DEVICE or ltbench.toml says, else "cpu".

    Returns:
        A model whose scores on the machine that saved it are equal to the bit.

    Raises:
        UsageError: there is no model, or it cannot run on this device.
        BrokenModel: a file is damaged, or format or method are of another version.
        WeightsMissing: the backbone's weights are not on this machine.
    """
    return models.load_model(Path(folder), settings_of(device=device))
