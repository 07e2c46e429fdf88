"""Published tables of the papers as data, their look-up for comparison, and a lint of the tables."""

from ltbench.results.published.lookup import column, published
from ltbench.results.published.papers import PAPERS, Paper
from ltbench.results.published.printed import PublishedCell, Table, cells, load, table, tables
from ltbench.results.published.variants import printed_as

__all__ = [
    "PAPERS",
    "Paper",
    "PublishedCell",
    "Table",
    "cells",
    "column",
    "load",
    "printed_as",
    "published",
    "table",
    "tables",
]
