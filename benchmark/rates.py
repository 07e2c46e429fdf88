"""Durations of cells and backbones measured on this machine, from which plans forecast.

`<home>/rates/<machine>.jsonl` gets a line for every finished cell and every pass of a backbone over images.
Another processor, host name or number of cores makes it another machine.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ltbench.atomic_files import write_atomically
from ltbench.results.environment import environment
from ltbench.results.status import Status
from ltbench.results.store import StoredCell

KEPT_LINES = 4000
MOST_BYTES = 4 << 20


@dataclass(frozen=True)
class CellRun:
    """Cost of one finished cell."""

    method: str
    backbone: str
    config_digest: str
    device: str
    threads: int
    """0 = not recorded."""
    train_images: int
    test_images: int
    fit_seconds: float
    score_seconds: float
    evaluate_seconds: float
    wall_seconds: float
    """Total duration, including the start of the process."""
    peak_rss_mb: float | None
    peak_vram_mb: float | None
    stored_bytes: int
    """Size of the cell's folder; 0 = not on this machine."""


@dataclass(frozen=True)
class Embedding:
    """Cost of one backbone's pass over images that were not in the cache."""

    backbone: str
    weights_digest: str
    layers: Sequence[str]
    view: str
    device: str
    torch: str
    images: int
    seconds: float
    """Seconds added up over the processes that shared the work."""
    record_bytes: float
    """Size of a cache record on disk, in bytes per image."""


@dataclass(frozen=True)
class Rates:
    """All measurements of this machine."""

    cells: Sequence[CellRun] = ()
    embeddings: Sequence[Embedding] = ()


def load(home: Path) -> Rates:
    """Measurements noted on this machine; lines of other versions that lack a field are skipped."""
    cells, embeddings = list[CellRun](), list[Embedding]()
    for line in _lines(_file(home)):
        if line.get("kind") == "cell" and {one.name for one in fields(CellRun)} <= line.keys():
            cells.append(CellRun(**{one.name: line[one.name] for one in fields(CellRun)}))
        if line.get("kind") == "embedding" and {one.name for one in fields(Embedding)} <= line.keys():
            embeddings.append(Embedding(**{one.name: line[one.name] for one in fields(Embedding)}))
    return Rates(cells, embeddings)


def note(home: Path, measured: Sequence[CellRun | Embedding]) -> None:
    """Add measurements; a folder that cannot be written only leaves the next plan without them."""
    path = _file(home)
    lines = [
        json.dumps({"kind": "cell" if isinstance(one, CellRun) else "embedding", **asdict(one)}) + "\n"
        for one in measured
    ]
    if not lines:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # One write in append mode: several drivers may note at once.
        with path.open("ab", buffering=0) as file:
            file.write("".join(lines).encode())
        if path.stat().st_size > MOST_BYTES:
            kept = path.read_text(encoding="utf-8").splitlines(keepends=True)[-KEPT_LINES:]
            write_atomically(path, "".join(kept).encode())
    except OSError:
        return


def cell_run(cell: StoredCell, wall_seconds: float) -> CellRun | None:
    """Cost of a cell that has just finished, from its record; None for one that failed."""
    record = cell.record
    timing, same = record.timing, record.identity
    fit, score, evaluate = timing.fit_seconds, timing.score_seconds, timing.evaluate_seconds
    if cell.status is not Status.OK or fit is None or score is None or evaluate is None:
        return None
    return CellRun(
        method=same.method,
        backbone=record.method.backbone,
        config_digest=same.config_digest,
        device=timing.device or "cpu",
        threads=timing.threads or 0,
        train_images=sum(row.n_train for row in record.split.categories),
        test_images=sum(row.n_test for row in record.split.categories),
        fit_seconds=float(fit),
        score_seconds=float(score),
        evaluate_seconds=float(evaluate),
        wall_seconds=wall_seconds,
        peak_rss_mb=timing.peak_rss_mb,
        peak_vram_mb=timing.peak_vram_mb,
        stored_bytes=_bytes(cell),
    )


def _bytes(cell: StoredCell) -> int:
    if not isinstance(cell.folder, Path):
        return 0
    return sum(entry.stat().st_size for entry in cell.folder.iterdir() if entry.is_file())


def _file(home: Path) -> Path:
    facts = environment()
    text = f"{facts['host']}/{facts['cpu']}/{facts['cores']}/{platform.machine()}"
    return home / "rates" / f"{hashlib.sha256(text.encode()).hexdigest()[:12]}.jsonl"


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return
    for line in text.splitlines():
        try:
            found = json.loads(line)
        except ValueError:  # a line that a killed process left half
            continue
        if isinstance(found, dict):
            yield found
