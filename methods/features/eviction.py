"""The bound of a store of features: what was not used for longest goes first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ltbench.methods.features.records import Record

_KEEP_AFTER_EVICTION = 0.9
_RESCAN_AFTER_WRITING = 0.02


@dataclass
class Bound:
    """Keeps a store below `max_bytes`; looks at all of it only now and then."""

    max_bytes: int
    stored: Callable[[], Iterable[Record]]
    """All records, of whatever spec."""
    remove: Callable[[Any], object]
    """Takes the path of a record."""
    _known_bytes: int | None = field(default=None, repr=False)
    _unscanned_bytes: int = field(default=0, repr=False)

    def wrote(self, size: int) -> int:
        """Take note of a new record; returns how many old ones were removed for it."""
        self._unscanned_bytes += size
        known = self._known_bytes
        crowded = known is None or known + self._unscanned_bytes > self.max_bytes
        if not crowded and self._unscanned_bytes < _RESCAN_AFTER_WRITING * self.max_bytes:
            return 0
        found = list(self.stored())
        total = sum(record.bytes for record in found)
        evicted = 0
        if total > self.max_bytes:
            for record in sorted(found, key=lambda record: record.modified):
                if total <= _KEEP_AFTER_EVICTION * self.max_bytes:
                    break
                self.remove(record.path)
                total -= record.bytes
                evicted += 1
        self._known_bytes, self._unscanned_bytes = total, 0
        return evicted

    def forget(self) -> None:
        """The store was changed by other means."""
        self._known_bytes = None
