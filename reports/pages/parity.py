"""Parity with the authors' code: difference of each stage of a method from the published code."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from ltbench.reports.page import File, Page, Site
from ltbench.results.parity import FILE, read_stages


def build(site: Site) -> Iterable[File]:
    methods = [list(stages) for _, stages in groupby(read_stages(), key=lambda stage: stage.method)]
    yield File("data/parity.csv", FILE.read_bytes())
    yield site.page("parity.html", "parity", PAGE, methods=methods)


PAGE = Page("parity", "Authors' code", 5, build=build)
