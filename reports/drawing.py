"""Figures of a board: the facts of its tables handed to `ltbench.reports.figures`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ltbench.reports.boards import Metric
from ltbench.reports.cube import ALL
from ltbench.reports.figures import class_sizes as sizes
from ltbench.reports.figures import cost as costs
from ltbench.reports.figures import critical_difference as differences
from ltbench.reports.figures import score_by_size as by_size
from ltbench.reports.figures import standings as stands
from ltbench.reports.figures import tail_head_gap as gaps
from ltbench.reports.figures import theme
from ltbench.reports.leaderboard import Sheet
from ltbench.reports.numbers import Number
from ltbench.reports.scored import MOST_DISTRIBUTIONS, class_heat_map, score_figures
from ltbench.reports.tables import Table

MOST_METHODS = 5
"""In a figure where each has a colour: the best ranked ones."""
_COSTS = {"fit_seconds": "seconds to fit", "score_ms_per_image": "milliseconds per scored image"}


@dataclass(frozen=True)
class Figure:
    """An SVG, and where it belongs."""

    name: str
    """Unique on its page: "image_auroc-gap"."""
    metric: str
    """Title of its metric."""
    svg: str


FIGURE_STYLE = Markup(theme.STYLE)
"""Once per page instead of once per figure."""


def inline(svg: str) -> Markup:
    """A figure for a page that has FIGURE_STYLE; the drawing functions escape every text they are given."""
    return Markup(svg.replace(f"<style>{theme.STYLE}</style>", ""))


def board_figures(sheet: Sheet, *, with_categories: bool = True) -> Iterator[Figure]:
    """Figures of a board for its first image metric and first pixel metric; those without data are left out.

    `with_categories` adds the figures of single categories: heat maps, and how scores are spread.
    """
    metrics = {
        metric.name: (metric, table) for metric, table in zip(sheet.board.metrics, sheet.metrics, strict=True)
    }
    # The figures' axes are in percent.
    drawn = [metric for metric, _ in metrics.values() if metric.unit == "%"]
    if not drawn:
        return
    first = drawn[0].name
    localising = next((metric.name for metric in drawn if metric.needs == "maps"), None)
    plan = [(first, draw) for draw in (_standings, _gap, _score_by_size, _critical_difference, _cost)]
    plan += [(localising, draw) for draw in (_standings, _gap)] if localising not in (None, first) else []
    for name, draw in plan:
        metric, table = metrics[name]
        svg = draw(sheet, metric, table)
        if svg:
            yield Figure(f"{name}{draw.__name__}".replace("_", "-"), metric.title, svg)
    titles = dict.fromkeys(metrics[name][0].title for name, _ in plan)
    for at, one in enumerate(sheet.board.metrics):
        if one.title in titles and with_categories and (svg := class_heat_map(sheet, at)):
            yield Figure(f"{one.name}-classes".replace("_", "-"), one.title, svg)
    for name, svg in score_figures(sheet, spread=MOST_DISTRIBUTIONS if with_categories else 0):
        metric = next((one for one in drawn if one.curve == name), metrics[first][0])
        yield Figure(f"{metric.name}-{name}".replace("_", "-"), metric.title, svg)


def class_sizes(sheet: Sheet, seed: int) -> str:
    """Training images per category of one seed."""
    board = sheet.board
    classes = [
        sizes.ClassSize(row.category, row.group, row.n_train_good, row.n_train_defects)
        for row in board.counts(seed).values()
    ]
    injected = sum(one.defects for one in classes)
    total = sum(one.total for one in classes)
    subtitle = f"{board.dataset_title}, {board.split}, seed {seed}: {total:,} images, {injected:,} defective"
    return sizes.class_sizes(classes, title="Training images", subtitle=subtitle)


def _named(table: Table) -> list[tuple[str, dict[str, Number]]]:
    """(label, numbers by group) of the lines that have a number, in the order of the table."""
    found = []
    for line in table.lines:
        groups = [column.key.partition(".")[2] for column in table.columns]
        numbers = dict(zip(groups, line.numbers, strict=True))
        if numbers[ALL].mean is not None:
            found.append((line.entry.label, numbers))
    return found


def _subtitle(sheet: Sheet) -> str:
    count = len(sheet.board.asked)
    return f"{sheet.board.dataset_title}, {sheet.board.split}, {count} seed{'s' if count > 1 else ''}"


def _value(mean: float | None) -> float:
    return math.nan if mean is None else mean


def _standings(sheet: Sheet, metric: Metric, table: Table) -> str:
    rows = [(label, numbers[ALL]) for label, numbers in _named(table)]
    if len(rows) < 2:
        return ""
    return stands.standings_figure(
        rows, title=f"{metric.title}, all categories", subtitle=_subtitle(sheet), metric=metric.title
    )


def _gap(sheet: Sheet, metric: Metric, table: Table) -> str:
    names = sheet.board.group_names
    pair = next(
        ((low, high) for low, high in (("tail", "head"), ("low", "high")) if {low, high} <= {*names}), None
    )
    if pair is None:
        return ""
    rows = [
        gaps.Pair(label, _value(numbers[pair[0]].mean), _value(numbers[pair[1]].mean))
        for label, numbers in _named(table)
    ]
    return gaps.tail_head_gap(
        rows,
        title="Rare and frequent categories",
        subtitle=_subtitle(sheet),
        metric=metric.title,
        groups=pair,
    )


def _score_by_size(sheet: Sheet, metric: Metric, table: Table) -> str:
    cube, board = sheet.board.cube, sheet.board
    shown = [line.entry for line in table.lines if line.entry.is_ranked][:MOST_METHODS]
    at = cube.metrics.index(metric.name)
    points = []
    for entry in shown:
        config = cube.configs.index((entry.method, entry.config_digest))
        pooled: dict[tuple[str, int], list[tuple[int, float]]] = {}
        for position, seed in enumerate(cube.seeds):
            for name, row in board.counts(seed).items():
                score = float(cube.values[config, at, position, cube.categories.index(name)])
                if not math.isnan(score):
                    count = row.n_train
                    pooled.setdefault((name, count), []).append((seed, score))
        for (name, count), scores in pooled.items():
            mean = sum(score for _, score in scores) / len(scores)
            note = f"seed {', '.join(str(seed) for seed, _ in scores)}"
            points.append(by_size.SizedScore(entry.label, name, count, mean, note))
    if not points:
        return ""
    return by_size.score_by_size(
        points,
        title="Score against training images",
        subtitle=f"{_subtitle(sheet)}; seeds of equal size averaged",
        metric=metric.title,
        order=[entry.label for entry in shown],
    )


def _critical_difference(sheet: Sheet, metric: Metric, table: Table) -> str:
    test = next(column.test for column in table.columns if column.key == f"{metric.name}.{ALL}")
    rows = [
        differences.Ranked(label, one.average_rank)
        for label, numbers in _named(table)
        for one in [numbers[ALL].standing]
        if one is not None and math.isfinite(one.average_rank)
    ]
    if len(rows) < 3 or test is None or not math.isfinite(test.critical_difference):
        return ""
    return differences.critical_difference_diagram(
        rows,
        test.critical_difference,
        title="Average ranks over categories",
        subtitle=f"{metric.title}, {_subtitle(sheet)}; joined: not told apart by Nemenyi's test at 5 %",
    )


def _cost(sheet: Sheet, metric: Metric, table: Table) -> str:
    spent = _spent(sheet, next(iter(_COSTS)))
    rows = [
        costs.Costed(label, spent[label], _value(numbers[ALL].mean), _value(numbers[ALL].sd))
        for label, numbers in _named(table)
        if spent.get(label, 0.0) > 0
    ]
    if len(rows) < 2:
        return ""
    return costs.accuracy_by_cost(
        rows,
        title="Accuracy against cost",
        subtitle=_subtitle(sheet),
        cost=_COSTS["fit_seconds"],
        metric=metric.title,
        order=_order(table),
    )


def _spent(sheet: Sheet, key: str) -> dict[str, float]:
    keys = [column.key for column in sheet.cost.columns]
    if f"cost.{key}" not in keys:
        return {}
    at = keys.index(f"cost.{key}")
    return {line.entry.label: line.numbers[at].mean or 0.0 for line in sheet.cost.lines}


def _order(table: Table) -> Sequence[str]:
    return [line.entry.label for line in table.lines]
