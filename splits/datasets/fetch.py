"""Download of data sets whose licence allows it, and instructions for the others."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ltbench.registry import UnknownName
from ltbench.splits.datasets import DATASETS, public_facts
from ltbench.splits.datasets.download import Progress, download
from ltbench.splits.datasets.facts import Archive, Facts
from ltbench.splits.datasets.files import FileDataset
from ltbench.splits.datasets.licences import require_licence
from ltbench.splits.errors import DataMissing, SplitsError


@dataclass(frozen=True)
class Fetched:
    """Result of fetching a data set."""

    root: Path
    archives: tuple[tuple[str, str, bool], ...]
    """File, sha256 and whether it matched a known digest, per archive; empty if the data were present."""


def facts_of(name: str) -> Facts:
    """Facts of a data set that can be obtained. Raises UnknownName."""
    facts = public_facts()
    if name not in facts:
        raise UnknownName("data set to fetch", name, facts)
    return facts[name]


def fetch(
    name: str,
    data_root: Path,
    home: Path,
    *,
    mirrors: Sequence[str] = (),
    progress: Progress | None = None,
    attempts: int = 6,
    pause_seconds: float = 1.0,
    archives: Sequence[Archive] | None = None,
) -> Fetched:
    """Download a data set and unpack it to `data_root/<name>`, unless it is present.

    After a failure, another call continues.

    Args:
        name: Name of the data set.
        data_root: Folder of all data sets.
        home: Home folder of ltbench, with the accepted licences.
        mirrors: Base addresses that are tried first.
        progress: Function that is called with the progress.
        attempts: Consecutive attempts without progress per address.
        pause_seconds: Pause after the first attempt.
        archives: Files to download; None = those of the data set.

    Raises:
        DataMissing: If the licence is not accepted (see `licences.accept_licence`), or the data can only be
            obtained by hand.
        SplitsError: If a download fails, or there is no room for it.
        VerificationFailed: If a file has another digest.
    """
    facts = facts_of(name)
    dataset: FileDataset = DATASETS.load(name).open_dataset(data_root, "")
    if dataset.root is not None:
        return Fetched(dataset.root, ())
    if not facts.archives:
        raise DataMissing(
            f"'{name}' ({facts.title}; licence {facts.licence}; {facts.size}) is handed out to persons only: "
            f"go to {facts.address}, {facts.instructions} and unpack into '{dataset.advised}', so that "
            f"'{dataset.advised / facts.example}' exists"
        )
    require_licence(facts, home)
    wanted = facts.archives if archives is None else tuple(archives)
    if dataset.advised.is_dir() and any(dataset.advised.iterdir()):
        raise SplitsError(
            f"folder '{dataset.advised}' holds something else than '{name}': move it away, then fetch again"
        )
    _require_space(data_root, wanted, facts)
    store = data_root / f".{name}.download"
    done: list[tuple[str, str, bool]] = []
    files = []
    for archive in wanted:
        file, digest = download(
            archive, store, mirrors=mirrors, progress=progress, attempts=attempts, pause_seconds=pause_seconds
        )
        files.append(file)
        done.append((archive.name, digest, bool(archive.sha256)))
    _unpack_all(files, store / "unpacked", dataset.advised)
    shutil.rmtree(store)
    return Fetched(dataset.advised, tuple(done))


def _require_space(data_root: Path, archives: Sequence[Archive], facts: Facts) -> None:
    """Raise SplitsError unless there is room for both the archives and their contents."""
    needed = 2 * sum(archive.size or 0 for archive in archives)
    folder = next(path for path in (data_root, *data_root.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SplitsError(
            f"'{facts.name}' needs {needed / 1e9:.1f} GB in '{folder}', but {free / 1e9:.1f} GB are free: "
            "make room or choose another data folder"
        )


def _unpack_all(files: Sequence[Path], scratch: Path, root: Path) -> None:
    """Unpack to a scratch folder and move the result to the target, which is thus never incomplete."""
    shutil.rmtree(scratch, ignore_errors=True)
    for file in files:
        unpack(file, scratch / file.stem)
    whole = scratch / "whole"
    whole.mkdir()
    for file in files:
        _merge(scratch / file.stem, whole, file.stem)
    root.parent.mkdir(parents=True, exist_ok=True)
    whole.replace(root)


def _merge(unpacked: Path, whole: Path, name: str) -> None:
    """Move the classes of an archive, with or without an enclosing folder, to the common folder."""
    entries = [entry for entry in unpacked.iterdir() if not entry.name.startswith(".")]
    if (unpacked / "Train").is_dir() or (unpacked / "Data").is_dir():
        unpacked.replace(whole / name)
        return
    if len(entries) == 1 and entries[0].is_dir():
        inner = entries[0]
        if not any((inner / folder).is_dir() for folder in ("Train", "Data", "train")):
            entries = list(inner.iterdir())
    for entry in entries:
        entry.replace(whole / entry.name)


def unpack(file: Path, folder: Path) -> None:
    """Unpack a tar or zip archive. Raises SplitsError if it is damaged or has members outside `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                _refuse_outside(archive.namelist(), file)
                archive.extractall(folder)
            return
        with tarfile.open(file) as tar:
            members = [member for member in tar.getmembers() if member.isfile() or member.isdir()]
            _refuse_outside([member.name for member in members], file)
            # "data" (no devices, no absolute links) is the default of later Pythons
            tar.extraction_filter = getattr(tarfile, "data_filter", None)
            tar.extractall(folder, members=members)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise SplitsError(f"archive '{file}' is damaged ({error}): delete it and fetch it again") from error


def _refuse_outside(names: Sequence[str], file: Path) -> None:
    """Raise SplitsError if a member of an archive would be unpacked outside its folder."""
    bad = next((n for n in names if n.startswith(("/", "\\")) or ".." in PurePosixPath(n).parts), None)
    if bad is not None:
        raise SplitsError(f"archive '{file}' names '{bad}', a place outside of its folder: do not use it")
