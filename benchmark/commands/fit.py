"""`ltbench fit`: a model that stays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ltbench.benchmark.commands import options
from ltbench.benchmark.commands.output import print_json, print_table

if TYPE_CHECKING:
    from ltbench.benchmark.models.model import Model


def fit(
    method: Annotated[str, typer.Option("--method", "-m", help="Name of a method, or FILE.py:CLASS.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder for the model.")],
    dataset: options.DatasetOption = "synthetic",
    split: Annotated[
        str, typer.Option("--split", "-s", help="Whose training images: 'clean' = all good ones.")
    ] = "clean",
    seed: Annotated[int, typer.Option("--seed", help="Seed of split and method.")] = 1,
    set_fields: Annotated[
        list[str] | None, typer.Option("--set", help="Hyper-parameter FIELD=VALUE; repeatable.")
    ] = None,
    view: options.ViewOption = "",
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Images per category, for a smoke test.")
    ] = None,
    folds: Annotated[
        int,
        typer.Option(
            "--folds", help="Further fits, each without its part of the images, for the thresholds; 0 = none."
        ),
    ] = 5,
    data: options.DataOption = None,
    cache: options.CacheOption = None,
    weights: options.WeightsOption = None,
    device: options.DeviceOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Fit a method on all training images and keep it as a folder, for `ltbench predict`.

    Example: ltbench fit --method tailedcore --dataset folder:parts --out model
    """
    from ltbench.benchmark.cell import Cell
    from ltbench.benchmark.models.fitting import fit_cell
    from ltbench.benchmark.selection import parse_fields, parse_view

    settings = options.settings(data=data, cache=cache, weights=weights, device=device)
    fields = parse_fields(set_fields or [])
    cell = Cell(dataset, split, seed, method, fields, view=parse_view(view, dataset), limit=limit)
    show(fit_cell(cell, settings, folds=folds, out=out), out, as_json)


def show(model: Model, folder: Path, as_json: bool) -> None:
    """Print the new model's training data and thresholds."""
    facts = model.facts
    if as_json:
        print_json("fit", {"folder": str(folder), "digest": model.digest, "model": facts.to_json()})
        return
    trained = facts.trained_on
    images, categories = sum(trained.categories.values()), len(trained.categories)
    rows = [
        ["model", str(folder)],
        ["digest", model.digest[:12]],
        ["trained on", f"{images} images of {categories} categories, {trained.dataset} {trained.split}"],
        ["held out", f"{facts.held_out} images in {facts.folds} fits"],
    ]
    for entry in facts.thresholds:
        shown = f"no threshold: {entry.why}" if entry.value is None else f"score above {entry.value:.6g}"
        rows.append([f"{entry.false_alarms:.0%} false alarms", shown])
    print_table(["", ""], rows)
