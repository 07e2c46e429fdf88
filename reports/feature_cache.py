"""Use of the feature cache by a board's cells, as facts for the page of its runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ltbench.reports.writing import amount
from ltbench.results.places import Place, below
from ltbench.results.runs import runs, sum_of
from ltbench.results.store import StoredCell

_BYTES_OF_A_MEGABYTE = 1e6


def cache_facts(root: Place, cells: Sequence[StoredCell]) -> list[tuple[str, str]]:
    """(name, words) pairs over the cells and the passes of backbones before them; empty without a cache."""
    own = sum_of([counts for cell in cells if (counts := cell.record.cache)])
    before = sum_of(list(_passes(runs(root), {below(cell.folder, root) for cell in cells})))
    total = sum_of([own, before])
    reads = total.get("hits", 0) + total.get("misses", 0)
    return list(_facts(total, own, before, reads)) if reads else []


def _passes(calls: Iterable[Mapping[str, Any]], names: set[str]) -> Iterator[Mapping[str, Any]]:
    """Counts of the embedding of those calls that ran any of these cells."""
    for call in calls:
        if names & set(call.get("cells", ())):
            yield from (one["cache"] for one in call.get("embedded", ()))


def _facts(
    total: Mapping[str, int], own: Mapping[str, int], before: Mapping[str, int], reads: int
) -> Iterator[tuple[str, str]]:
    hits = total.get("hits", 0)
    yield "image reads", f"{_count(reads)}, {100 * hits / reads:.1f} % of them from the cache"
    forwards = f"{_count(total.get('misses', 0))}: {_count(before.get('misses', 0))} before the cells"
    yield "image forwards", f"{forwards}, {_count(own.get('misses', 0))} within them"
    yield "damaged entries rebuilt", _count(total.get("rebuilt", 0))
    yield "entries evicted", _count(total.get("evicted", 0))
    for name, key in (("read", "bytes_read"), ("written", "bytes_written")):
        yield name, f"{amount(total.get(key, 0) / _BYTES_OF_A_MEGABYTE)} MB"


def _count(number: int) -> str:
    return f"{number:,}".replace(",", "\u202f")
