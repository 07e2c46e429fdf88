"""`ltbench bench`: a whole table, from nothing to a site."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ltbench.benchmark.commands import options
from ltbench.benchmark.commands.cells import asked_retry, finish, plan_cells, run_cells
from ltbench.benchmark.console import console
from ltbench.benchmark.selection import parse_fields
from ltbench.results.places import Place, matches, modified


def bench(
    suite: Annotated[
        str, typer.Argument(help="Name of a suite (see 'ltbench plan --help') or path of a TOML file.")
    ] = "",
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", "-d", help="Run the suite on this data set; alone: that data set's suite."),
    ] = None,
    seed: Annotated[str | None, typer.Option("--seed", help="Only these seeds of the suite: 1-5,8.")] = None,
    set_fields: Annotated[
        list[str] | None,
        typer.Option("--set", help="FIELD=VALUE for every method that has the field; repeatable."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Images per category, for a smoke test.")
    ] = None,
    metrics: options.MetricsOption = "",
    out: options.SiteOption = None,
    report: Annotated[bool, typer.Option(help="Build the site afterwards.")] = True,
    results: options.ResultsOption = None,
    data: options.DataOption = None,
    cache: options.CacheOption = None,
    weights: options.WeightsOption = None,
    jobs: options.JobsOption = None,
    device: options.DeviceOption = None,
    timeout: options.TimeoutOption = None,
    memory_gb: options.MemoryOption = None,
    engine: options.EngineOption = "local",
    address: options.AddressOption = None,
    keep_maps: options.KeepMapsOption = "small",
    rank_training: options.RankOption = False,
    force: options.ForceOption = False,
    retry: options.RetryOption = "failed",
    only_missing: options.OnlyMissingOption = False,
    dry_run: options.DryRunOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Run a whole table and build its site; without arguments the demo on embedded data.

    Example: ltbench bench tailedcore-mvtec
    """
    from ltbench.benchmark.suites import asked_suite
    from ltbench.benchmark.suites.asked import store_facts

    settings = options.settings(
        results=results, data=data, cache=cache, weights=weights, jobs=jobs, device=device,
        timeout=timeout, memory_gb=memory_gb, site=out, ray_address=address,
    )  # fmt: skip
    table = asked_suite(suite, dataset, seed, parse_fields(set_fields or []), metrics)
    again = asked_retry(retry, only_missing, force)
    planned = plan_cells(table.cells(limit), settings)
    if dry_run:
        from ltbench.benchmark.commands.plan import show

        show(planned, settings, "bench", as_json, force=force, retry=again)
        return
    cells = {entry.prepared.asked(settings.results): entry.prepared.cell.label for entry in planned.cells}
    names = [entry.prepared.dataset.name for entry in planned.cells[:1]]
    store_facts(table, settings.results, cells, *names)
    outcome = run_cells(
        planned.cells,
        settings,
        engine=engine,
        keep_maps=keep_maps,
        rank_training=rank_training,
        force=force,
        retry=again,
    )
    if report and not (outcome.reused == len(planned.cells) and is_current(settings.results, settings.site)):
        _report(settings.results, settings.site)
    finish(outcome, planned, "bench", as_json)


def is_current(results: Place, site: Path) -> bool:
    """Whether the site is younger than every record and wish; `ltbench report` builds it in any case."""
    index = site / "index.html"
    if not index.exists():
        return False
    from ltbench.results import asked

    patterns = ("*/*/*/*/cell.json", "*/*/*/*/started.json", asked.PATTERN)
    records = [record for pattern in patterns for record in matches(results, pattern)]
    if any(modified(record) > index.stat().st_mtime for record in records):
        return False
    console.print(f"site: {index.resolve()} (up to date)", soft_wrap=True)
    return True


def _report(results: Place, site: Path) -> None:
    from ltbench.benchmark.commands.report import build

    build(results, site)
