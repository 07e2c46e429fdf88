"""Features behind a URL: fetched once, checked, staged here; damage and lost connections stop no run."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from remote_roots import in_memory, new_bucket
from test_feature_cache import SPEC, equal, features, key, record_files

from ltbench.methods.features.cache_remote import SharedFeatureCache
from ltbench.methods.features.records import encode
from ltbench.results.places import RemotePath, place


@pytest.fixture(params=["s3", "memory"])
def remote(request: pytest.FixtureRequest) -> RemotePath:
    found = (
        place(new_bucket(request.getfixturevalue("s3_variables"))) if request.param == "s3" else in_memory()
    )
    assert isinstance(found, RemotePath)
    return found


def opened(remote: RemotePath, staging: Path, max_bytes: int = 10**9) -> SharedFeatureCache:
    return SharedFeatureCache(staging, max_bytes, remote=remote)


def remote_records(remote: RemotePath) -> list[RemotePath]:
    return sorted(path for path, _, _ in remote.files() if path.name.endswith(".npy"))


def test_what_one_machine_stores_another_reads_bit_for_bit(remote: RemotePath, tmp_path: Path) -> None:
    here, there = opened(remote, tmp_path / "here"), opened(remote, tmp_path / "there")
    for number in range(4):
        here.put(SPEC, key(number), features(number))
    for number in range(4):
        assert equal(there.get(SPEC, key(number)), features(number))
    assert there.get(SPEC, key(9)) is None
    assert (there.stats().hits, there.stats().misses, there.stats().rebuilt) == (4, 1, 0)


def test_a_record_is_fetched_once(remote: RemotePath, tmp_path: Path) -> None:
    opened(remote, tmp_path / "here").put(SPEC, key(1), features(1))
    there = opened(remote, tmp_path / "there")
    there.get(SPEC, key(1))
    for path in remote_records(remote):
        path.unlink()
    assert equal(there.get(SPEC, key(1)), features(1))
    assert len(record_files(tmp_path / "there")) == 1


@pytest.mark.parametrize("cut", [1, 50, 10_000])
def test_a_damaged_remote_record_is_reported_and_replaced(
    remote: RemotePath, tmp_path: Path, caplog: pytest.LogCaptureFixture, cut: int
) -> None:
    opened(remote, tmp_path / "here").put(SPEC, key(1), features(1))
    (path,) = remote_records(remote)
    path.write_bytes(path.read_bytes()[:-cut])
    there = opened(remote, tmp_path / "there")
    with caplog.at_level(logging.WARNING):
        assert there.get(SPEC, key(1)) is None
    assert f"'{path}' are damaged and will be computed again" in caplog.text
    assert record_files(tmp_path / "there") == []
    assert (there.stats().rebuilt, there.stats().misses) == (1, 1)
    there.put(SPEC, key(1), features(1))
    assert equal(opened(remote, tmp_path / "third").get(SPEC, key(1)), features(1))


def test_a_damaged_staged_record_is_fetched_again(remote: RemotePath, tmp_path: Path) -> None:
    cache = opened(remote, tmp_path / "here")
    cache.put(SPEC, key(1), features(1))
    (path,) = record_files(tmp_path / "here")
    path.write_bytes(path.read_bytes()[:-50])
    assert equal(cache.get(SPEC, key(1)), features(1))
    assert equal(opened(remote, tmp_path / "here").get(SPEC, key(1)), features(1))


def test_staging_is_bounded_and_so_is_the_remote_side(remote: RemotePath, tmp_path: Path) -> None:
    size = len(encode(features(0)))
    cache = opened(remote, tmp_path / "here", 6 * size)
    for number in range(16):
        cache.put(SPEC, key(number), features(number))
        assert sum(path.stat().st_size for path in record_files(tmp_path / "here")) <= 7 * size
        assert len(remote_records(remote)) <= 7
    assert cache.stats().evicted > 0


def test_entries_and_clear_speak_of_the_remote_side(remote: RemotePath, tmp_path: Path) -> None:
    cache = opened(remote, tmp_path / "here")
    other = replace(SPEC, view="other")
    for number in range(3):
        cache.put(SPEC, key(number), features(number))
    cache.put(other, key(1), features(1))
    entries = {entry.name: entry for entry in opened(remote, tmp_path / "there").entries()}
    assert entries[SPEC.name].records == 3
    assert entries[SPEC.name].bytes == 3 * len(encode(features(1)))
    assert entries[other.name].spec["view"] == "other"
    assert cache.clear(SPEC.name) == 3 * len(encode(features(1)))
    assert [entry.name for entry in cache.entries()] == [other.name]
    assert cache.get(SPEC, key(1)) is None
    cache.clear()
    assert remote_records(remote) == []


def test_a_lost_connection_is_said_once_and_the_run_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = in_memory()
    assert isinstance(remote, RemotePath)
    cache = opened(remote, tmp_path / "here")

    def lost(self: RemotePath, *content: Any) -> bytes:
        raise OSError("the network is unreachable")

    monkeypatch.setattr(RemotePath, "read_bytes", lost)
    monkeypatch.setattr(RemotePath, "write_bytes", lost)
    with caplog.at_level(logging.WARNING):
        for number in range(3):
            assert cache.get(SPEC, key(number)) is None
            cache.put(SPEC, key(number), features(number))
            assert equal(cache.get(SPEC, key(number)), features(number))
    assert len(caplog.records) == 1
    assert "the network is unreachable" in caplog.text
