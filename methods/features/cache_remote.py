"""Features behind a URL, shared by machines: each is fetched once, checked, and staged on this machine."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ltbench.methods.features import records
from ltbench.methods.features.cache import CacheEntry, FeatureCache, FeatureSpec
from ltbench.methods.features.eviction import Bound
from ltbench.methods.features.records import Features, Record

_SIDECAR = "spec.json"

_log = logging.getLogger(__name__)


class RemoteFolder(Protocol):
    """A folder behind a URL, where a file is put whole or not at all."""

    def __truediv__(self, name: str) -> RemoteFolder: ...

    def read_bytes(self) -> bytes: ...

    def write_bytes(self, content: bytes) -> None: ...

    def unlink(self, *, missing_ok: bool = False) -> None: ...

    def files(self) -> Iterator[tuple[Any, int, float]]:
        """Path, bytes and time of change of every file below."""
        ...

    def relative_to(self, root: Any) -> PurePosixPath: ...


@dataclass
class SharedFeatureCache(FeatureCache):
    """A FeatureCache whose `root` is a bounded staging folder in front of `remote`.

    A record that is not staged is fetched, verified by its checksum and staged. A damaged one is removed on
    the other side, reported and made again. Both sides are bounded by `max_bytes`, the remote one by the age
    of its records. An unreachable or read-only remote is reported once; the run goes on without it.
    """

    remote: RemoteFolder = field(kw_only=True)
    _reachable: bool = field(default=True, repr=False)
    _announced: set[str] = field(default_factory=set, repr=False)
    _remote_bound: Bound = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._remote_bound = Bound(self.max_bytes, self._remote_records, self._remove_remote)

    def get(self, spec: FeatureSpec, key: str) -> Features | None:
        staged = super().get(spec, key)
        if staged is not None or not self._reachable:
            return staged
        place = self._place(spec, key)
        try:
            content = np.frombuffer(bytearray(place.read_bytes()), np.uint8)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._give_up(error)
            return None
        features = records.decode(content)
        if features is None:
            self._stats.rebuilt += 1
            _log.warning("cached features '%s' are damaged and will be computed again", place)
            self._remove_remote(place)
            return None
        self._stats.misses -= 1
        self._stats.hits += 1
        self._stats.bytes_read += len(content)
        self._keep(spec, key, content.tobytes())
        return features

    def put(self, spec: FeatureSpec, key: str, features: Mapping[str, npt.NDArray[np.floating]]) -> None:
        content = records.encode(features)
        self._keep(spec, key, content)
        if not self._reachable or len(content) > self.max_bytes:
            return
        try:
            if spec.name not in self._announced:
                words = json.dumps(asdict(spec), indent=2).encode()
                (self.remote / spec.name / _SIDECAR).write_bytes(words)
                self._announced.add(spec.name)
            self._place(spec, key).write_bytes(content)
            self._stats.evicted += self._remote_bound.wrote(len(content))
        except OSError as error:
            self._give_up(error)

    def entries(self) -> Iterator[CacheEntry]:
        """Contents of the remote cache, one entry per spec, sorted by name."""
        found: dict[str, list[Record]] = {}
        for record in self._remote_records():
            found.setdefault(record.path.relative_to(self.remote).parts[0], []).append(record)
        for name, stored in sorted(found.items()):
            yield CacheEntry(
                name=name,
                spec=self._sidecar(name),
                records=len(stored),
                bytes=sum(record.bytes for record in stored),
                last_used=max(record.modified for record in stored),
            )

    def clear(self, name: str | None = None) -> int:
        """Remove all records on both sides; returns the bytes that were freed behind the URL."""
        super().clear(name)
        freed = 0
        for entry in list(self.entries()):
            if name is None or entry.name == name:
                freed += entry.bytes
                for path, _, _ in (self.remote / entry.name).files():
                    self._remove_remote(path)
        self._remote_bound.forget()
        self._announced.clear()
        return freed

    def _place(self, spec: FeatureSpec, key: str) -> RemoteFolder:
        return self.remote / spec.name / key[:2] / f"{key}.npy"

    def _remote_records(self) -> Iterator[Record]:
        for path, size, modified in self.remote.files():
            if path.name.endswith(".npy"):
                yield Record(path, size, modified)

    def _sidecar(self, name: str) -> Mapping[str, Any]:
        try:
            content = json.loads((self.remote / name / _SIDECAR).read_bytes())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def _remove_remote(self, path: Any) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError:  # read-only: it is found damaged again, and computed again
            return

    def _give_up(self, error: OSError) -> None:
        self._reachable = False
        _log.warning(
            "features cannot be shared in '%s' (%s): the run goes on with those of this machine",
            self.remote,
            error,
        )
