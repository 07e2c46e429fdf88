"""Features on disk, named by what they are made of, shared by every method, split and seed.

`<root>/<spec>/spec.json` describes what determines the features besides the image, and
`<root>/<spec>/ab/ab12....npy` holds those of one image: a structured array of one element that `numpy.load`
reads, one field per layer, followed by a checksum. Records appear whole or not at all, so that any number of
processes may read and write without locks.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ltbench.methods.features import records
from ltbench.methods.features.eviction import Bound
from ltbench.methods.features.records import FORMAT, Features, Record

_NAME_DIGITS = 16
_TOUCH_AFTER_SECONDS = 60

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FeatureSpec:
    """All that determines features besides the image."""

    backbone: str
    """Name of the backbone: "timm:resnet18"."""
    backbone_digest: str
    """Digest of the weights and of the version of the backbone's recipe."""
    layers: tuple[str, ...]
    view: str
    """Geometry and its recipe: "resize256-crop224/1"."""
    engine: str
    """Software that computes the features: "torch 2.9.1 cpu by 8"; engines agree up to rounding."""
    dtype: str = "float16"
    record_format: int = FORMAT

    @cached_property
    def name(self) -> str:
        """Folder of its records: 16 hex digits over everything but the backbone's spelling."""
        facts = {**asdict(self), "backbone": None}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:_NAME_DIGITS]


@dataclass
class CacheStats:
    """Counts of one process's accesses to the cache."""

    hits: int = 0
    misses: int = 0
    rebuilt: int = 0
    """Misses whose record was there, but damaged."""
    evicted: int = 0
    bytes_read: int = 0
    bytes_written: int = 0


@dataclass(frozen=True)
class CacheEntry:
    """Number, size and last use of the records of one spec."""

    name: str
    spec: Mapping[str, Any]
    """The sidecar's content; empty if it is unreadable."""
    records: int
    bytes: int
    last_used: float
    """Seconds since the epoch; 0 = never."""


@dataclass
class FeatureCache:
    """A size-bounded store of features; safe with many processes, and never a reason for a run to fail.

    When `root` grows over `max_bytes`, the records not used for longest go, of whatever spec. A folder that
    cannot be written to (read-only, full) is reported once through `logging`; the run goes on without it.
    """

    root: Path
    max_bytes: int
    _stats: CacheStats = field(default_factory=CacheStats, repr=False)
    _bound: Bound = field(init=False, repr=False)
    _described: set[str] = field(default_factory=set, repr=False)
    _writable: bool = field(default=True, repr=False)

    def __post_init__(self) -> None:
        self._bound = Bound(self.max_bytes, self._records, records.remove)

    def get(self, spec: FeatureSpec, key: str) -> Features | None:
        """The features stored under `key` (a content digest, and the pose of a copy), or None.

        A truncated or altered record is removed, reported through `logging` and answered with None.
        """
        path = self._record(spec, key)
        try:
            content, checksum, modified = records.read(path)
        except OSError:
            self._stats.misses += 1
            return None
        features = records.decode(content, checksum)
        if features is None:
            self._stats.misses += 1
            self._stats.rebuilt += 1
            _log.warning("cached features '%s' are damaged and will be computed again", path)
            records.remove(path)
            return None
        self._stats.hits += 1
        self._stats.bytes_read += len(content)
        if time.time() - modified > _TOUCH_AFTER_SECONDS:
            records.touch(path)
        return features

    def put(self, spec: FeatureSpec, key: str, features: Mapping[str, npt.NDArray[np.floating]]) -> None:
        """Store the features of one image under `key`; replaces what was there."""
        if self._writable:
            self._keep(spec, key, records.encode(features))

    def _keep(self, spec: FeatureSpec, key: str, content: bytes) -> None:
        if not self._writable:
            return
        if len(content) > self.max_bytes:
            return
        path = self._record(spec, key)
        try:
            if spec.name not in self._described:
                records.write(
                    self.root / spec.name / "spec.json", json.dumps(asdict(spec), indent=2).encode()
                )
                self._described.add(spec.name)
            records.write(path, content)
        except OSError as error:
            self._writable = False
            _log.warning(
                "features cannot be stored in '%s' (%s): the run goes on without storing them; "
                "free space there or choose another cache folder",
                self.root,
                error.strerror or error,
            )
            return
        self._stats.bytes_written += len(content)
        self._stats.evicted += self._bound.wrote(len(content))

    def stats(self) -> CacheStats:
        """Hits, misses and bytes of this process so far."""
        return self._stats

    def entries(self) -> Iterator[CacheEntry]:
        """Contents of the cache, one entry per spec, sorted by name."""
        for folder in sorted(records.folders(self.root, _NAME_DIGITS)):
            found = list(records.stored(folder))
            yield CacheEntry(
                name=folder.name,
                spec=records.sidecar(folder),
                records=len(found),
                bytes=sum(record.bytes for record in found),
                last_used=max((record.modified for record in found), default=0.0),
            )

    def clear(self, name: str | None = None) -> int:
        """Remove all records (of the spec called `name`, if given); returns the bytes that were freed."""
        freed = 0
        for folder in records.folders(self.root, _NAME_DIGITS):
            if name is not None and folder.name != name:
                continue
            for record in records.stored(folder):
                freed += record.bytes if records.remove(record.path) else 0
            records.remove(folder / "spec.json")
            for inner in records.folders(folder, 2):
                records.remove_folder(inner)
            records.remove_folder(folder)
        self._bound.forget()
        self._described.clear()
        return freed

    def _record(self, spec: FeatureSpec, key: str) -> Path:
        return self.root / spec.name / key[:2] / f"{key}.npy"

    def _records(self) -> Iterator[Record]:
        for folder in records.folders(self.root, _NAME_DIGITS):
            yield from records.stored(folder)
