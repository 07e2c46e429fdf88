"""Options that several subcommands share, and how they become settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ltbench.benchmark.kept_maps import KeptMaps
from ltbench.benchmark.settings import Settings, leave_in_environment, load_settings

PLACES = "Places"
RUNNING = "Running"

ResultsOption = Annotated[
    str | None,
    typer.Option("--results", help="Results folder or URL [default: runs].", rich_help_panel=PLACES),
]
DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="Folder with one folder per data set.", rich_help_panel=PLACES),
]
CacheOption = Annotated[
    str | None, typer.Option("--cache", help="Folder or URL of cached features.", rich_help_panel=PLACES)
]
WeightsOption = Annotated[
    Path | None,
    typer.Option("--weights", help="Folder of pretrained weights.", rich_help_panel=PLACES),
]
SiteOption = Annotated[
    Path | None,
    typer.Option("--out", help="Folder of the site [default: site].", rich_help_panel=PLACES),
]
JobsOption = Annotated[
    int | None,
    typer.Option(
        "--jobs", "-j", help="Cells at a time [default: one per core, one on a GPU].", rich_help_panel=RUNNING
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option("--device", help="cpu, cuda, cuda:1 [default: cpu].", rich_help_panel=RUNNING),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option("--timeout", help="Seconds that one cell may take.", rich_help_panel=RUNNING),
]
MemoryOption = Annotated[
    float | None,
    typer.Option("--memory-gb", help="Memory that one cell may take.", rich_help_panel=RUNNING),
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Run finished cells again.", rich_help_panel=RUNNING)
]
RetryOption = Annotated[
    str,
    typer.Option(
        "--retry",
        help="Which failed cells are tried again: 'failed' (all), 'none', or some of error, killed, oom, "
        "timeout.",
        rich_help_panel=RUNNING,
    ),
]
OnlyMissingOption = Annotated[
    bool,
    typer.Option(
        "--only-missing", help="Only cells that have no row yet; failed ones stay.", rich_help_panel=RUNNING
    ),
]
EngineOption = Annotated[str, typer.Option("--engine", help="How cells are run.", rich_help_panel=RUNNING)]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address", help="Ray cluster of --engine ray [default: RAY_ADDRESS].", rich_help_panel=RUNNING
    ),
]
KeepMapsOption = Annotated[
    KeptMaps,
    typer.Option(
        "--keep-maps",
        help="Patch score grids kept for computing metrics again: of at most 64 x 64 patches, all, none.",
        rich_help_panel=RUNNING,
    ),
]
RankOption = Annotated[
    bool,
    typer.Option(
        "--rank-training", help="Also rank the training images by suspicion.", rich_help_panel=RUNNING
    ),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done; write nothing.", rich_help_panel=RUNNING)
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
MetricsOption = Annotated[
    str,
    typer.Option(
        "--metrics",
        help="Metrics: comma list, globs, 'standard', 'all' [default: standard]. Those that a finished cell "
        "lacks are computed from its stored maps.",
    ),
]
DatasetOption = Annotated[
    str,
    typer.Option("--dataset", "-d", help="Data set: synthetic, mvtec, visa, dagm, folder:PATH ..."),
]
ViewOption = Annotated[
    str,
    typer.Option(
        "--view",
        help="RESIZE/CROP: what is judged; squeezeRESIZE/CROP: both sides. Default 256/224; for one's own "
        "images squeeze224/224, all of them.",
    ),
]
OverlapOption = Annotated[
    str,
    typer.Option("--overlap", help="Injected defects stay in the test set ('paper') or leave it ('none')."),
]


def settings(**flags: object) -> Settings:
    """Settings from the flags of a command, the environment, ltbench.toml and the defaults."""
    found = load_settings(flags)
    leave_in_environment(found)
    return found
