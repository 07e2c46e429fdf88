"""`ltbench run`: methods on splits with seeds."""

from __future__ import annotations

from typing import Annotated

import typer

from ltbench.benchmark.commands import options
from ltbench.benchmark.commands.cells import asked_cells, asked_retry, finish, plan_cells, run_cells


def run(
    method: Annotated[str, typer.Option("--method", "-m", help="Methods: comma list, globs, FILE.py:CLASS.")],
    split: Annotated[str, typer.Option("--split", "-s", help="Splits: comma list, globs.")],
    dataset: options.DatasetOption = "synthetic",
    seed: Annotated[str, typer.Option("--seed", help="Seeds: 1-5,8.")] = "1",
    set_fields: Annotated[
        list[str] | None, typer.Option("--set", help="Hyper-parameter FIELD=VALUE; repeatable.")
    ] = None,
    overlap: options.OverlapOption = "paper",
    view: options.ViewOption = "",
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Images per category, for a smoke test.")
    ] = None,
    metrics: options.MetricsOption = "",
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
    """Run methods on splits; what is finished already is returned, not run again.

    Example: ltbench run --method tailedcore --split pareto
    """
    settings = options.settings(
        results=results, data=data, cache=cache, weights=weights, jobs=jobs, device=device,
        timeout=timeout, memory_gb=memory_gb, ray_address=address,
    )  # fmt: skip
    cells = asked_cells(
        method=method, split=split, dataset=dataset, seed=seed, set_fields=set_fields or [],
        overlap=overlap, view=view, limit=limit, metrics=metrics,
    )  # fmt: skip
    again = asked_retry(retry, only_missing, force)
    planned = plan_cells(cells, settings)
    if dry_run:
        from ltbench.benchmark.commands.plan import show

        show(planned, settings, "run", as_json, force=force, retry=again)
        return
    outcome = run_cells(
        planned.cells,
        settings,
        engine=engine,
        keep_maps=keep_maps,
        rank_training=rank_training,
        force=force,
        retry=again,
    )
    finish(outcome, planned, "run", as_json)
