"""How fast cells and backbones were on this machine: what was measured, and nothing else.

`<home>/rates/<machine>.jsonl` gets a line for every finished cell, every pass of a backbone over
images and every calibration. A new processor, name or number of cores makes it another machine.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from ltbench.atomic_files import write_atomically
from ltbench.results.environment import environment
from ltbench.results.record import EnvironmentRecord
from ltbench.results.status import Status
from ltbench.results.store import StoredCell

KEPT_LINES = 4000
LEAST_IMAGES = 8
"""A pass over fewer images says more about the start than about the backbone."""
MOST_BYTES = 4 << 20


@dataclass(frozen=True)
class CellRun:
    """One finished cell: what it was, what it took."""

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
    wall_seconds: float | None
    """With the start of its process; None where only the record is left."""
    peak_rss_mb: float | None
    peak_vram_mb: float | None
    stored_bytes: int
    """Of the cell's folder; 0 = not recorded."""
    split: str
    started_at: str

    @property
    def key(self) -> tuple[str, str, str]:
        """The same for one run of one cell, wherever it is read from."""
        return self.config_digest, self.split, self.started_at


@dataclass(frozen=True)
class Embedding:
    """One pass of a backbone over images that were not in the cache."""

    backbone: str
    weights_digest: str
    layers: tuple[str, ...]
    view: str
    device: str
    torch: str
    threads: int
    images: int
    seconds: float
    """Of one process."""
    record_bytes: float
    """On disk, per image."""
    peak_rss_mb: float
    at: str = ""
    """ISO 8601, UTC."""


@dataclass(frozen=True)
class Rates:
    """All that is known of this machine."""

    cells: Sequence[CellRun] = ()
    embeddings: Sequence[Embedding] = field(default_factory=tuple)


def machine() -> str:
    """Names this machine: host, processor, cores."""
    facts = environment()
    text = f"{facts['host']}/{facts['cpu']}/{facts['cores']}/{platform.machine()}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def load(home: Path, stored: Iterable[StoredCell] = ()) -> Rates:
    """What was noted on this machine, and what the records of `stored` cells add that were run here."""
    cells: dict[tuple[str, str, str], CellRun] = {}
    embeddings: list[Embedding] = []
    here = environment()
    for cell in stored:
        run = cell_run(cell)
        if run is not None and _same_machine(cell.record.environment, here):
            cells[run.key] = run
    for line in _lines(_file(home)):
        kind = line.pop("kind", "")
        if kind == "cell" and (noted := _as(CellRun, line)):
            cells[noted.key] = noted
        if kind == "embedding" and (found := _as(Embedding, line)):
            embeddings.append(found)
    return Rates(tuple(cells.values()), tuple(embeddings))


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


def cell_run(cell: StoredCell, wall_seconds: float | None = None) -> CellRun | None:
    """What a finished cell's record says it took; None for one that failed or says nothing."""
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
        stored_bytes=_bytes(cell) if wall_seconds is not None else 0,
        split=f"{same.dataset}/{same.split}/{same.seed}",
        started_at=timing.started_at or "",
    )


def _bytes(cell: StoredCell) -> int:
    """Of the files that a record names, where they lie on this machine."""
    if not isinstance(cell.folder, Path):
        return 0
    try:
        return sum(entry.stat().st_size for entry in cell.folder.iterdir() if entry.is_file())
    except OSError:
        return 0


def _same_machine(one: EnvironmentRecord, other: Mapping[str, Any]) -> bool:
    return (one.host, one.cpu, one.cores) == (other["host"], other["cpu"], other["cores"])


def _file(home: Path) -> Path:
    return home / "rates" / f"{machine()}.jsonl"


def _lines(path: Path) -> Iterator[dict[str, Any]]:
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


Noted = TypeVar("Noted", CellRun, Embedding)


def _as(kind: type[Noted], line: Mapping[str, Any]) -> Noted | None:
    """The line as a measurement; None for one of another version."""
    names = {one.name for one in fields(kind)}
    known: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in line.items()
        if name in names
    }
    try:
        return kind(**known)
    except TypeError:
        return None
