"""Rows of a board: one per method and configuration, over the seeds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

from ltbench.results.cell_record import flat_fields
from ltbench.results.method_record import CardRecord, MethodRecord
from ltbench.results.published.variants import Name, printed_as
from ltbench.results.record import Identity, Record
from ltbench.results.status import Status
from ltbench.results.store import StoredCell, slug

BASELINE = "chance"
"""Random scores: what a number has to be read against."""

NO_LABELS: Mapping[str, str] = MappingProxyType({})

LONG_FIELD = 60
"""Characters of a field beyond which it is left out of a label, if it can be."""
Config = tuple[str, str]
"""(method, config digest)."""


@dataclass(frozen=True)
class Entry:
    """One method in one configuration: a row of a board."""

    method: str
    config_digest: str
    cells: Mapping[int, StoredCell]
    """Cells by seed, failed ones included."""
    asked: tuple[int, ...]
    """Seeds that the board's suites request; all seeds of the board if it has none of these."""
    started: tuple[int, ...] = ()
    """Seeds that were started and not finished."""
    variant: str = ""
    """Label from a suite, or the fields in which it differs from its method's other configurations."""

    @property
    def anchor(self) -> str:
        """Identifier within a page."""
        return f"{slug(self.method)}-{self.config_digest[:10]}"

    @property
    def record(self) -> Record:
        """Record of the first seed, for facts that do not depend on the seed."""
        return self.cells[min(self.cells)].record

    @property
    def facts(self) -> MethodRecord:
        """Record of the method: name, version, fields, needs, card, backbone and weights digest."""
        return self.record.method

    @property
    def card(self) -> CardRecord:
        return self.facts.card

    @cached_property
    def printed(self) -> Name:
        """Name of this configuration in the papers."""
        return printed_as(self.method, self.facts.fields)

    @property
    def title(self) -> str:
        return self.card.title or self.method

    @property
    def label(self) -> str:
        """Title and, if needed, the difference from the method's other configurations."""
        return f"{self.title} ({self.variant})" if self.variant else self.title

    @cached_property
    def finished(self) -> tuple[int, ...]:
        """Seeds that count: requested, and finished without error."""
        return tuple(
            seed for seed in self.asked if seed in self.cells and self.cells[seed].status is Status.OK
        )

    @property
    def failed(self) -> tuple[int, ...]:
        return tuple(seed for seed, cell in sorted(self.cells.items()) if cell.status is not Status.OK)

    @property
    def is_baseline(self) -> bool:
        return self.method == BASELINE

    @cached_property
    def is_ranked(self) -> bool:
        return len(self.finished) == len(self.asked) and not self.is_baseline

    @property
    def holes(self) -> dict[str, str]:
        """Reasons for missing seeds: one sentence per seed, with one word as its value."""
        told = {}
        for seed in sorted({*self.asked, *self.failed, *self.started} - set(self.finished)):
            cell = self.cells.get(seed)
            if cell is not None and cell.status is not Status.OK:
                error = cell.record.error
                told[f"seed {seed} ended with “{cell.status}”" + (f": {error}" if error else "")] = str(
                    cell.status
                )
            elif seed in self.started:
                told[f"seed {seed} was started and not finished"] = "unfinished"
            elif cell is None:
                told[f"seed {seed} has not been run"] = "not run"
        return told


def entries(
    cells: Sequence[StoredCell],
    asked_by_suites: frozenset[int],
    started: Sequence[Identity],
    labels: Mapping[str, str] = NO_LABELS,
) -> list[Entry]:
    """Entries of a board by title, the baseline last.

    labels: Row labels from suites by folder name; a row without one is labelled by its fields.
    """
    by_config: dict[Config, dict[int, StoredCell]] = defaultdict(dict)
    for stored in cells:
        same = stored.record.identity
        by_config[same.method, same.config_digest][same.seed] = stored
    there = frozenset(seed for config in by_config.values() for seed in config)
    # Where a suite's first cell has yet to come, what is there can be read all the same.
    asked = asked_by_suites if asked_by_suites & there else there
    variants = _variants({key: config[min(config)].record.method.fields for key, config in by_config.items()})
    open_seeds: dict[Config, list[int]] = defaultdict(list)
    for cell in started:
        open_seeds[cell.method, cell.config_digest].append(cell.seed)
    found = [
        Entry(
            method=method,
            config_digest=digest,
            cells=config,
            asked=tuple(sorted(asked)),
            started=tuple(open_seeds[method, digest]),
            variant=labels.get(f"{slug(method)}-{digest[:10]}", "") or variants[method, digest],
        )
        for (method, digest), config in by_config.items()
    ]
    return sorted(
        found, key=lambda entry: (entry.is_baseline, entry.title.casefold(), entry.variant, entry.anchor)
    )


def _variants(fields: Mapping[Config, Mapping[str, Any]]) -> dict[Config, str]:
    """Text that distinguishes configurations of one method: "coreset_ratio=0.01", or the digest's start."""
    found = dict.fromkeys(fields, "")
    for method in {method for method, _ in fields}:
        rivals = {key: settings for key, settings in fields.items() if key[0] == method}
        if len(rivals) == 1:
            continue
        texts = {key: ", ".join(parts) for key, parts in _differences(rivals).items()}
        repeated = Counter(texts.values())
        for key, text in texts.items():
            found[key] = text if text and repeated[text] == 1 else f"{text} #{key[1][:6]}".strip()
    return found


def _differences(rivals: Mapping[Config, Mapping[str, Any]]) -> dict[Config, list[str]]:
    """ "field=value" of the fields in which configurations differ; of lists, what not all of them hold.

    A field that would fill a line is left out if the others distinguish all rows. So are the fields of a host
    where the hosts differ: MeDS records every one of them, and the host's name says enough.
    """
    rivals = {key: flat_fields(settings) for key, settings in rivals.items()}
    names = sorted({name for settings in rivals.values() for name in settings})
    names = [
        name
        for name in names
        if "." not in name or len({rivals[key].get(name.partition(".")[0]) for key in rivals}) == 1
    ]
    columns = {}
    for name in names:
        values = {key: settings.get(name) for key, settings in rivals.items() if name in settings}
        if len({repr(settings.get(name)) for settings in rivals.values()}) > 1:
            columns[name] = {key: f"{name}={text}" for key, text in _own_parts(values).items()}
    for name in sorted(columns, key=lambda name: max(map(len, columns[name].values())), reverse=True):
        others = [column for other, column in columns.items() if other != name]
        told = {tuple(column.get(key, "") for column in others) for key in rivals}
        if max(map(len, columns[name].values())) > LONG_FIELD and len(told) == len(rivals):
            del columns[name]
    return {key: [column[key] for column in columns.values() if key in column] for key in rivals}


def _own_parts(values: Mapping[Config, Any]) -> dict[Config, str]:
    lists = [value for value in values.values() if isinstance(value, list)]
    if len(lists) < len(values):
        return {key: str(value) for key, value in values.items()}
    shared = set.intersection(*(set(map(str, value)) for value in lists))
    return {
        key: " ".join(part for part in map(str, value) if part not in shared) or "[]"
        for key, value in values.items()
    }
