"""`ltbench cache`: the shared store of features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ltbench.benchmark.commands import options
from ltbench.benchmark.commands.output import print_json, print_table
from ltbench.benchmark.console import console, would

if TYPE_CHECKING:
    from ltbench.methods.features.cache import FeatureCache
    from ltbench.results.places import Place

app = typer.Typer(help="Look at and empty the feature cache.", no_args_is_help=True)


@app.command("ls")
def show(cache: options.CacheOption = None, as_json: options.JsonOption = False) -> None:
    """List what is cached: backbone, view, layers, images, size."""
    store, root = _open(cache)
    entries = list(store.entries())
    if as_json:
        print_json("cache ls", {"root": str(root), "entries": [vars(entry) for entry in entries]})
        return
    rows = [
        [
            *(str(entry.spec.get(name, "?")) for name in ("backbone", "view")),
            ",".join(entry.spec.get("layers", ())),
            entry.records,
            round(entry.bytes / 1e6, 1),
        ]
        for entry in entries
    ]
    print_table(["backbone", "view", "layers", "records", "MB"], rows, title=str(root))


@app.command()
def clear(
    cache: options.CacheOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: options.DryRunOption = False,
) -> None:
    """Delete all cached features; they are made again when needed."""
    store, root = _open(cache)
    if dry_run:
        entries = list(store.entries())
        records, size = sum(one.records for one in entries), sum(one.bytes for one in entries)
        would(f"delete {records} records ({size / 1e6:.1f} MB) in '{root}'")
        return
    if not yes:
        typer.confirm(f"Delete all features in '{root}'?", abort=True, err=True)
    freed = store.clear()
    console.print(f"freed {freed / 1e6:.1f} MB")


def _open(cache: str | None) -> tuple[FeatureCache, Place]:
    from ltbench.benchmark.feature_cache import open_cache

    settings = options.settings(cache=cache)
    return open_cache(settings), settings.cache_root
