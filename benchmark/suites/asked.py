"""Leave in a results folder which suite was asked for."""

from __future__ import annotations

from collections.abc import Mapping

from ltbench.benchmark.suites import Suite, sources
from ltbench.results.asked import ask
from ltbench.results.places import Place, below


def store_facts(suite: Suite, results: Place, folders: Mapping[Place, str], dataset: str = "") -> None:
    """Write the facts of a suite, by which a report tells partial rows from whole ones.

    Args:
        suite: as it was asked for.
        results: the results folder.
        folders: folders of the suite's cells, each with the label that boards show, "" for none.
        dataset: its name in records, which for a folder is not what was typed; "" = the suite's.
    """
    ask(
        results,
        {
            **suite.facts(),
            "dataset": dataset or suite.dataset,
            "cells": sorted(below(folder, results) for folder in folders),
            "labels": {folder.name: label for folder, label in sorted(folders.items(), key=str) if label},
            "settings": sources.facts(suite),
        },
    )
