"""`ltbench data`: which data sets there are, where they are, whether they are whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ltbench.benchmark.commands import options
from ltbench.benchmark.commands.output import percent, print_json, print_table, print_text
from ltbench.benchmark.console import console, would
from ltbench.benchmark.errors import UsageError
from ltbench.home_folders import expanded
from ltbench.results.files import write_bytes
from ltbench.splits.errors import SplitsError, VerificationFailed

if TYPE_CHECKING:
    from ltbench.results.record import ViewLossRecord
    from ltbench.splits.datasets import Dataset

app = typer.Typer(help="Data sets: list, find, fetch, examine.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="Data set: mvtec, visa, dagm, realiad, folder:PATH ...")]


@app.command("ls")
def show_all(data: options.DataOption = None, as_json: options.JsonOption = False) -> None:
    """List data sets with licence, size, address, and whether they are on this machine."""
    from ltbench.splits import datasets

    rows = []
    for name in datasets.names():
        if name == "folder":
            rows.append(["folder:PATH", "Your own images (docs/own_images.md)", "yours", "", "", ""])
            continue
        found = _open(name, data)
        rows.append([name, found.title, found.licence, found.size, found.address, _state(found)])
    columns = ["dataset", "title", "licence", "size", "address", "here"]
    if as_json:
        print_json("data ls", {"datasets": [dict(zip(columns, row, strict=True)) for row in rows]})
        return
    print_table(columns, rows)


@app.command()
def path(name: NameArgument, data: options.DataOption = None) -> None:
    """Print the folder of a data set; exit code 4 if it is not here."""
    found = _open(name, data)
    found.require_pixels()
    print_text(str(getattr(found, "root", "")))


@app.command()
def digest(name: NameArgument, data: options.DataOption = None, as_json: options.JsonOption = False) -> None:
    """Print the hash that result rows record for this version of the data."""
    found = _open(name, data)
    value = found.data_digest()
    if as_json:
        print_json("data digest", {"dataset": found.name, "digest": value})
        return
    print_text(value)


@app.command()
def doctor(
    name: NameArgument,
    quick: Annotated[bool, typer.Option("--quick", help="Presence and sizes only; reads no pixels.")] = False,
    view: options.ViewOption = "",
    data: options.DataOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Compare a local copy with its inventory and print what to do; exit code 5 if it is unfit.

    What the view leaves out of the test images is said too, unless --quick is given.
    """
    from ltbench.benchmark.selection import parse_view
    from ltbench.benchmark.view_loss import view_losses
    from ltbench.splits.datasets.doctor import examine
    from ltbench.splits.datasets.files import FileDataset

    found = _open(name, data)
    if not isinstance(found, FileDataset):
        raise UsageError(f"'{name}' has no files to examine: it is generated")
    with _bar(f"examining {name}") as advance:
        report = examine(found, read_all=not quick, progress=advance)
    seen = parse_view(view, found.name)
    tested = [] if quick or report.has_unread else [i for i in found.images() if i.part == "test"]
    losses = list(view_losses(tested, found, seen))
    if as_json:
        view_facts = {"view": str(seen), "losses": [asdict(loss) for loss in losses]}
        print_json("data doctor", {**asdict(report), "view": view_facts})
    else:
        rows = [
            [row.category, row.found_train, row.expected_train, row.found_test, row.expected_test]
            for row in report.classes
        ]
        print_table(["class", "train here", "of", "test here", "of"], rows, title=report.root)
        _print_losses(losses, str(seen))
        for line in report.advice():
            print_text(line)
    if not report.ok:
        raise VerificationFailed(f"'{name}' is not fit for a run: {sum(report.counts().values())} findings")
    console.print(f"{name} is fit for a run" + ("" if report.pixels_read else " as far as file sizes tell"))


def _print_losses(losses: Sequence[ViewLossRecord], view: str) -> None:
    """Print what the view leaves out, class by class; one line where it leaves out nothing."""
    if not losses:
        return
    if not any(loss.area or loss.pixels or loss.hidden_regions for loss in losses):
        print_text(f"The view {view} shows all of the test images and every defect.")
        return
    rows = [
        [
            loss.category,
            percent(loss.area),
            percent(loss.pixels) if loss.defects else "–",
            f"{loss.hidden_regions} of {loss.regions}",
            f"{loss.hidden_defects} of {loss.defects}",
        ]
        for loss in losses
    ]
    columns = ["class", "area, %", "defects' pixels, %", "regions", "whole defects"]
    print_table(columns, rows, title=f"Left out by the view {view}")


@app.command("import")
def import_folder(
    source: Annotated[Path, typer.Argument(help="Folder of images in any layout, or a labelled CSV list.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for dataset.toml; default: that of the images.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a dataset.toml.")] = False,
    dry_run: options.DryRunOption = False,
) -> None:
    """Guess the layout of your own images and write it down as dataset.toml, which folder:PATH reads.

    Example: ltbench data import parts, then ltbench run --method patchcore --dataset folder:parts ...
    """
    from ltbench.splits.datasets import importing
    from ltbench.splits.datasets.described import FILE_NAME
    from ltbench.splits.datasets.folder import listed

    root, described = importing.describe(expanded(source).resolve())
    place = expanded(out).resolve() if out else root
    rows = [list(row) for row in importing.counts(listed(root, described))]
    print_table(["class", "train good", "test good", "defects", "with mask", "kinds"], rows, title=str(root))
    if place != root:
        described = replace(described, root=str(root))
    file = place / FILE_NAME
    if dry_run:
        would(f"write '{file}'")
        print_text(importing.toml(described))
        return
    if file.exists() and not force:
        raise UsageError(f"'{file}' exists: correct it, or replace it with --force")
    write_bytes(file, importing.toml(described).encode())
    console.print(f"wrote '{file}': correct what is wrong, then use folder:{place}", soft_wrap=True)


@app.command()
def fetch(
    name: NameArgument,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", "--accept-license", help="You have read and accept it.")
    ] = False,
    mirror: Annotated[
        list[str] | None, typer.Option("--mirror", help="Address of a folder with the archives; repeatable.")
    ] = None,
    data: options.DataOption = None,
    dry_run: options.DryRunOption = False,
) -> None:
    """Download a data set whose licence allows it; continues where a connection broke."""
    from ltbench.splits.datasets import fetch as fetching
    from ltbench.splits.datasets.licences import accept_licence as record

    if name == "synthetic":
        raise SplitsError("'synthetic' needs no download: its images are drawn when they are needed")
    facts = fetching.facts_of(name)
    console.print(f"{facts.title}: {facts.licence}, {facts.size}, {facts.address}", soft_wrap=True)
    if dry_run:
        found, root = _open(name, data), options.settings(data=data).data_root
        if _state(found) == "yes":
            would(f"do nothing: '{name}' is here")
        elif facts.archives:
            would(f"download {facts.size} into '{root}' once its licence is accepted")
        else:
            would(f"not get '{name}', which is handed out to persons only: {facts.address}")
        return
    if accept_licence:
        record(facts, options.settings().home)
    with _bar(f"fetching {name}", transfer=True) as advance:
        done = fetching.fetch(
            name,
            options.settings(data=data).data_root,
            options.settings().home,
            mirrors=mirror or (),
            progress=lambda _file, got, total: advance(got, total or 0),
        )
    for file, value, known in done.archives:
        console.print(f"{file}: sha256 {value} ({'confirmed' if known else 'nothing known to compare with'})")
    print_text(str(done.root))


def _open(name: str, data: Any) -> Dataset:
    from ltbench.splits.datasets import open_dataset

    return open_dataset(name, options.settings(data=data).data_root)


def _state(dataset: Dataset) -> str:
    try:
        dataset.require_pixels()
    except SplitsError:
        return "no"
    return "yes"


class _bar:  # noqa: N801  used as a function that is a context manager
    """Progress bar on stderr, updated with (done, total)."""

    def __init__(self, title: str, *, transfer: bool = False) -> None:
        from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        amount = DownloadColumn() if transfer else MofNCompleteColumn()
        self._progress = Progress(
            "{task.description}", BarColumn(), amount, "eta", TimeRemainingColumn(),
            console=console, disable=not console.is_terminal, transient=True,
        )  # fmt: skip
        self._task = self._progress.add_task(title, total=None)

    def __enter__(self) -> Callable[[int, int], None]:
        self._progress.start()
        return self._advance

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def _advance(self, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done, total=total or None)
