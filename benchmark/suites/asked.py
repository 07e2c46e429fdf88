"""Storage of a requested suite in the results folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from ltbench.benchmark.suites import Suite, sources
from ltbench.results.asked import AskedCell, ask
from ltbench.results.places import Place


def store_facts(suite: Suite, results: Place, cells: Mapping[AskedCell, str], dataset: str = "") -> None:
    """Write the facts of a suite, by which a report distinguishes incomplete rows from complete ones.

    Args:
        suite: the suite that was run, with the data set as the user typed it.
        results: the results folder.
        cells: the suite's cells, each with the label that boards show, "" for none.
        dataset: name of the data set in records, which for a folder is not its argument; "" = the suite's.
    """
    ask(
        results,
        {
            **suite.facts(),
            "dataset": dataset or suite.dataset,
            "cells": [asdict(cell) for cell in sorted(cells, key=lambda cell: cell.folder)],
            "labels": {cell.folder_name: label for cell, label in sorted(cells.items(), key=str) if label},
            "settings": sources.facts(suite),
        },
    )
