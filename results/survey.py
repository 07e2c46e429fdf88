"""Progress of a results folder: requested, finished, failed and running cells, and the remaining time."""

from __future__ import annotations

import json
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ltbench.results.asked import AskedCell, suites
from ltbench.results.errors import ResultsError
from ltbench.results.places import Place, below, matches, modified
from ltbench.results.record import Record
from ltbench.results.status import Status
from ltbench.results.store import LOG_FILE, RECORD, STARTED, StoredCell, read_record, read_started

JOURNAL = "log.jsonl"
SILENT_SECONDS = 60.0
"""Seconds without a change of its journal after which a started cell counts as dead."""
WINDOW = 20
"""Number of last finished cells that determine the rate."""
TAIL_LINES = 6


@dataclass(frozen=True)
class Finished:
    """Summary of the record of a finished cell."""

    name: str
    """Folder below the results folder."""
    dataset: str
    split: str
    seed: int
    method: str
    status: Status
    error: str
    ended: float
    """End in seconds since the epoch; 0 = unknown."""
    seconds: float | None
    """Seconds from start to end; None if unknown or if the clock was set back."""
    images: int
    """Number of training and test images."""


@dataclass(frozen=True)
class Running:
    """Cell that was started and has no record yet."""

    name: str
    """Folder below the results folder."""
    dataset: str
    split: str
    method: str
    stage: str
    """Current step, such as "fit 31/90"; "" before the first step."""
    silent: float
    """Seconds since the last change of its journal."""

    @property
    def alive(self) -> bool:
        """Whether the journal has changed within `SILENT_SECONDS`."""
        return self.silent < SILENT_SECONDS


@dataclass(frozen=True)
class Survey:
    """State of a results folder at one time."""

    finished: Sequence[Finished]
    running: Sequence[Running]
    asked: Mapping[str, Sequence[AskedCell]]
    """Requested cells of each suite, by the suite's name and data set."""
    at: float

    @property
    def wanted(self) -> dict[str, AskedCell]:
        """Cells requested by suites, by folder."""
        return {cell.folder: cell for cells in self.asked.values() for cell in cells}

    @property
    def failed(self) -> list[Finished]:
        """Finished cells that failed."""
        return [cell for cell in self.finished if cell.status is not Status.OK]

    @property
    def missing(self) -> int:
        """Number of requested cells without a result, including running ones."""
        known = {cell.name for cell in self.finished}
        return len(self.wanted.keys() - known)

    @property
    def waiting(self) -> int:
        """Number of requested cells without a result that are not running."""
        known = {cell.name for cell in self.finished} | {cell.name for cell in self.running if cell.alive}
        return len(self.wanted.keys() - known)

    def counts(self) -> dict[tuple[str, str, str], Counter[str]]:
        """Count cells by data set, split and method, then by status, including "missing" and "running"."""
        table: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
        for cell in self.finished:
            table[cell.dataset, cell.split, cell.method][str(cell.status)] += 1
        known = {cell.name for cell in self.finished}
        running = {cell.name: cell for cell in self.running if cell.alive}
        for name in (self.wanted.keys() | running.keys()) - known:
            entry = running.get(name) or self.wanted[name]
            state = "running" if name in running else "missing"
            table[entry.dataset, entry.split, entry.method][state] += 1
        return dict(sorted(table.items()))

    def cells_per_hour(self) -> float | None:
        """Rate of the last `WINDOW` cells; None if nothing is running or fewer than two have finished."""
        ends = sorted(cell.ended for cell in self.finished if 0 < cell.ended <= self.at)[-WINDOW:]
        if not any(cell.alive for cell in self.running) or len(ends) < 2:
            return None
        return 3600 * (len(ends) - 1) / max(1.0, self.at - ends[0])

    def seconds_left(self) -> float | None:
        """Estimate the time until all requested cells are done, with as many running at a time as now.

        Each cell is expected to take the median time of its method's finished cells, or of all cells if there
        is none. None without a finished cell.
        """
        names = {cell.name for cell in self.finished}
        left = [wanted.method for name, wanted in self.wanted.items() if name not in names]
        known: dict[str, list[float]] = defaultdict(list)
        for cell in self.finished:
            if cell.seconds is not None and cell.status is Status.OK:
                known[cell.method].append(cell.seconds)
        every = [seconds for values in known.values() for seconds in values]
        if not left or not every:
            return 0.0 if not left else None
        work = 0.0
        for method in left:
            work += statistics.median(known.get(method) or every)
        return work / max(1, sum(cell.alive for cell in self.running))


@dataclass
class Surveyor:
    """Repeated surveys of a results folder, which read each record only once."""

    root: Place
    clock: Callable[[], float] = time.time
    journals: Place | None = None
    """Folder of the running cells' journals, if not the results folder itself."""
    _read: dict[str, tuple[float, Finished]] = field(default_factory=dict, repr=False)

    def look(self) -> Survey:
        """Survey the folder now; damaged records are ignored, as in a run."""
        finished = []
        for path in matches(self.root, f"*/*/*/*/{RECORD}"):
            name = below(path.parent, self.root)
            try:
                changed = modified(path)
                if name not in self._read or self._read[name][0] != changed:
                    self._read[name] = (changed, _finished(name, _record(path)))
            except (ResultsError, FileNotFoundError):
                continue
            finished.append(self._read[name][1])
        return Survey(finished, self._running(), self._asked(), self.clock())

    def _running(self) -> list[Running]:
        """Cells that were started and have no record yet."""
        cells = []
        for path in matches(self.root, f"*/*/*/*/{STARTED}"):
            name = below(path.parent, self.root)
            journal = (self.journals or self.root) / name / JOURNAL
            try:
                silent = self.clock() - max(modified(journal) if journal.exists() else 0.0, modified(path))
                stage, same = _stage(journal), read_started(path.parent)
            except (FileNotFoundError, ResultsError):  # finished meanwhile
                continue
            # Absolute, since after the clock was set back a dead cell must not count as running for ever.
            cells.append(Running(name, same.dataset, same.split, same.method, stage, abs(silent)))
        return cells

    def _asked(self) -> dict[str, Sequence[AskedCell]]:
        """Read the requested cells of all suites."""
        return {f"{suite.name} on {suite.dataset}": suite.cells for suite in suites(self.root)}


def log_tail(root: Place, cell: Finished, lines: int = TAIL_LINES) -> str:
    """Read the last lines of a cell's output; "" if there is none."""
    try:
        text = (root / cell.name / LOG_FILE).read_bytes().decode(errors="replace")
    except (FileNotFoundError, OSError):
        return ""
    return "\n".join(line for line in text.splitlines()[-lines:] if line.strip())


def _record(path: Place) -> Record:
    """Read and check the record of a cell."""
    return StoredCell(path.parent, read_record(path)).record


def _finished(name: str, record: Record) -> Finished:
    """Summarise a record."""
    same, timing = record.identity, record.timing
    start, end = _seconds(timing.started_at), _seconds(timing.finished_at)
    return Finished(
        name=name,
        dataset=same.dataset,
        split=same.split,
        seed=same.seed,
        method=same.method,
        status=record.status,
        error=record.error,
        ended=end,
        seconds=end - start if start and end >= start else None,
        images=sum(row.n_train + row.n_test for row in record.split.categories),
    )


def _seconds(text: str | None) -> float:
    """Convert a time in ISO 8601 to seconds since the epoch; 0 if missing or invalid."""
    try:
        return datetime.fromisoformat(text or "").timestamp()
    except ValueError:
        return 0.0


def _stage(journal: Place) -> str:
    """Read the current step from the last event of a journal; "" if there is none."""
    try:
        last = journal.read_bytes().decode(errors="replace").splitlines()[-1]
        event = json.loads(last)
    except (OSError, IndexError, ValueError):
        return ""
    if event.get("event") != "step":
        return ""
    total = f"/{event['total']}" if event.get("total") else ""
    return f"{event.get('stage', '')} {event.get('done', 0)}{total}"
