"""The Python interface, offered by the package `ltbench`: evaluate methods, build splits, read results."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltbench.benchmark.calls import chosen_method, progress_bars, settings_of, view_of
from ltbench.benchmark.cell import Cell
from ltbench.benchmark.device import require_device, settle
from ltbench.benchmark.errors import UsageError
from ltbench.benchmark.execute import execute
from ltbench.benchmark.feature_cache import open_cache
from ltbench.benchmark.kept_maps import KeptMaps
from ltbench.benchmark.metrics import select
from ltbench.benchmark.resolve import Resolver
from ltbench.benchmark.result_set import Results
from ltbench.benchmark.selection import parse_overlap, parse_seeds
from ltbench.methods.base import View
from ltbench.results.places import Place, place
from ltbench.results.store import Store
from ltbench.splits import datasets, recipes
from ltbench.splits.datasets import Dataset
from ltbench.splits.split import Split

if TYPE_CHECKING:
    from ltbench.reports.site import SiteReport


def evaluate(
    method: str | object,
    split: str = "pareto",
    dataset: str = "synthetic",
    seeds: int | Sequence[int] | str = 1,
    *,
    fields: Mapping[str, Any] | None = None,
    view: View | str | None = None,
    overlap: str = "paper",
    limit: int | None = None,
    metrics: str | Sequence[str] = (),
    results: str | Path | None = None,
    device: str | None = None,
) -> Results:
    """Fit, score and measure a method in this process; finished cells are read, not computed again.

    Args:
        method: name of a method ("patchcore"), "file.py:Class", or an object with fit(train, context) and
            score(test, context). The fields of a dataclass are its hyper-parameters and are recorded.
        split: recipe of the split, as `ltbench splits ls` lists them.
        dataset: name of the data set, or "folder:PATH".
        seeds: one seed, several, or a text such as "1-3".
        fields: hyper-parameters of a method that is given by its name.
        view: part of an image that is judged: "256/224" = shorter side to 256, centre crop of 224; None = all
            of one's own images (squeeze224/224), else 256/224.
        overlap: "paper" leaves injected defects in the test set, "none" takes them out.
        limit: images per category in training and test, for a smoke test; None = all.
        metrics: names of metrics, globs, "standard" or "all"; none = the standard ones.
        results: folder or URL that keeps the cells, the one of `ltbench run --results`; None = a temporary
            folder that lives as long as the returned object.
        device: "cpu" or "cuda"; None = as LTBENCH_DEVICE or ltbench.toml says, else "cpu".

    Returns:
        One cell per seed.

    Raises:
        UsageError, BadParameter, UnknownName: an argument has a value that cannot be.
        DataMissing, WeightsMissing: images or weights are not on this machine.
        BrokenPrediction: the method does not return one score per image.
        Exception: whatever the method raises.

    Example:
        ltbench.evaluate("padim", split="pareto", seeds="1-3", limit=8).leaderboard()
    """
    if limit is not None and limit < 1:
        raise UsageError(f"limit is '{limit}': expected 1 or more images per category, or None for all")
    settings = settings_of(results=results, device=device)
    temporary = _TemporaryFolder() if results is None else None
    if temporary is not None:
        settings = replace(settings, results=temporary.path)
    name, changed, own = chosen_method(method, fields)
    asked = Cell(
        dataset, split, 0, name, changed, parse_overlap(overlap), view_of(view, dataset), limit,
        metrics=select(metrics) if metrics else (),
    )  # fmt: skip
    cells = [replace(asked, seed=seed) for seed in _seeds(seeds)]
    require_device(settings.device)
    settle(settings.device)
    resolver, store, cache = Resolver(settings, own), Store(settings.results), open_cache(settings)
    keep: KeptMaps = "small" if temporary is None else "all"
    stored = []
    with progress_bars([cell.title for cell in cells]) as bars:
        for cell, progress in zip(cells, bars, strict=True):
            prepared = resolver.prepare(cell)
            prepared.require_same_images(store)
            stored.append(execute(prepared, settings, cache=cache, progress=progress, keep_maps=keep))
    return Results(stored, keep_alive=temporary)


def open_dataset(name: str) -> Dataset:
    """Open a data set by name ("synthetic", "mvtec", "folder:PATH"). Raises UnknownName and DataMissing."""
    return datasets.open_dataset(name, settings_of().data_root)


def build_split(split: str, dataset: str = "synthetic", seed: int = 1, *, overlap: str = "paper") -> Split:
    """Build the split that a recipe makes of a data set.

    Args:
        split: recipe, as `ltbench splits ls` lists them.
        dataset: name of the data set; a list of its images is enough, its pixels are not read.
        seed: seed of the draw.
        overlap: "paper" leaves injected defects in the test set, "none" takes them out.

    Returns:
        Training and test images with their labels.

    Raises:
        UnknownName: no recipe or data set has this name.

    Example:
        ltbench.build_split("pareto", dataset="mvtec", seed=2).groups
    """
    return recipes.build(split, open_dataset(dataset), seed, parse_overlap(overlap))


def load_results(results: str | Path = "runs") -> Results:
    """Read the finished cells below a results folder or URL. Raises UsageError if there is no such folder."""
    return Results(list(Store(_results_folder(results)).cells()))


def report(results: str | Path = "runs", out: str | Path = "site") -> SiteReport:
    """Build the static site of a results folder or URL in the folder `out`, as `ltbench report` does.

    Returns:
        Number of pages, bytes, and warnings about missing parts.
    """
    from ltbench.reports.site import build_site

    return build_site(_results_folder(results), Path(out))


def _results_folder(results: str | Path) -> Place:
    root = place(results)
    if not root.is_dir():
        raise UsageError(f"'{root}' is no folder: expected a results folder")
    return root


def _seeds(seeds: int | Sequence[int] | str) -> list[int]:
    if isinstance(seeds, str):
        return parse_seeds(seeds)
    return parse_seeds(",".join(map(str, [seeds] if isinstance(seeds, int) else seeds)))


class _TemporaryFolder:
    """A folder that is removed with this object, at the latest when Python ends."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="ltbench-"))
        self._removal = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
