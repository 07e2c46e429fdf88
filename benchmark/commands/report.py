"""`ltbench report`: the static site from results alone."""

from __future__ import annotations

from pathlib import Path

from ltbench.benchmark.commands import options
from ltbench.benchmark.commands.output import print_json
from ltbench.benchmark.console import console, warn, would
from ltbench.results.places import Place


def report(
    results: options.ResultsOption = None,
    out: options.SiteOption = None,
    dry_run: options.DryRunOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Build leaderboards (HTML, LaTeX, CSV) from the results folder; needs no images and no torch."""
    from ltbench.results.store import Store

    settings = options.settings(results=results, site=out)
    if dry_run:
        count = sum(1 for _ in Store(settings.results).cells())
        would(f"build a site of {count} cells of '{settings.results}' in '{settings.site}'")
        return
    built = build(settings.results, settings.site)
    if as_json:
        print_json("report", built)


def build(results: Place, site: Path) -> dict[str, object]:
    """Build the site, print its path, return its facts."""
    from ltbench.reports.site import build_site

    with console.status("building the site ..."):
        built = build_site(results, site)
    for sentence in built.warnings:
        warn(sentence)
    index = (site / "index.html").resolve()
    console.print(f"site: [link={index.as_uri()}]{index}[/link]", soft_wrap=True)
    return {"index": str(index), "pages": built.pages, "bytes": built.bytes, "warnings": list(built.warnings)}
