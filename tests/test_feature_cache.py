"""The store of features: what is put comes back, damage and full disks do not stop a run."""

from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltbench.methods.features import records
from ltbench.methods.features.cache import FeatureCache, FeatureSpec
from ltbench.methods.features.records import Features, decode, encode

SPEC = FeatureSpec(
    backbone="desc",
    backbone_digest="d" * 64,
    layers=("one", "two"),
    view="resize256-crop224/1",
    engine="torch 2 cpu",
)


def features(seed: int, side: int = 7) -> Features:
    rng = np.random.default_rng(seed)
    return {
        "one": rng.normal(size=(5, side, side)).astype(np.float16),
        "two": rng.normal(size=(3, 2, 2)).astype(np.float16),
        "pooled": rng.normal(size=4).astype(np.float16),
    }


def key(number: int) -> str:
    return f"{number:064x}"[::-1]


def equal(left: Features | None, right: Features) -> bool:
    return left is not None and {name: values.tobytes() for name, values in left.items()} == {
        name: values.tobytes() for name, values in right.items()
    }


def record_files(root: Path) -> list[Path]:
    return sorted(root.glob("*/??/*.npy"))


def test_what_is_put_comes_back_bit_for_bit(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, 10**9)
    for number in range(20):
        cache.put(SPEC, key(number), features(number))
    for number in range(20):
        assert equal(cache.get(SPEC, key(number)), features(number))
    assert cache.get(SPEC, key(20)) is None
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.rebuilt, stats.evicted) == (20, 1, 0, 0)
    assert (
        stats.bytes_read == stats.bytes_written == sum(path.stat().st_size for path in record_files(tmp_path))
    )


def test_special_numbers_survive(tmp_path: Path) -> None:
    odd = np.array([np.nan, np.inf, -np.inf, -0.0, 6e-8, 65504], np.float16)
    FeatureCache(tmp_path, 10**9).put(SPEC, key(1), {"one": odd})
    assert equal(FeatureCache(tmp_path, 10**9).get(SPEC, key(1)), {"one": odd})


def test_a_record_is_readable_by_numpy_alone(tmp_path: Path) -> None:
    FeatureCache(tmp_path, 10**9).put(SPEC, key(3), features(3))
    record = np.load(record_files(tmp_path)[0])
    assert record.dtype.names == ("one", "two", "pooled")
    np.testing.assert_array_equal(record["one"], features(3)["one"])


def test_features_can_be_written_to_in_place(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, 10**9)
    cache.put(SPEC, key(1), features(1))
    found = cache.get(SPEC, key(1))
    assert found is not None
    found["one"] += 1
    assert equal(cache.get(SPEC, key(1)), features(1))


@pytest.mark.parametrize(
    "other",
    [
        {"backbone_digest": "e" * 64},
        {"layers": ("two", "one")},
        {"view": "resize256-crop256/1"},
        {"view": "resize256-crop224/2"},
        {"engine": "torch 2 cuda"},
    ],
)
def test_whatever_determines_features_separates_them(tmp_path: Path, other: dict[str, object]) -> None:
    cache = FeatureCache(tmp_path, 10**9)
    cache.put(SPEC, key(1), features(1))
    changed = replace(SPEC, **other)
    assert cache.get(changed, key(1)) is None
    assert cache.get(replace(SPEC, backbone="another spelling"), key(1)) is not None


@given(st.integers(0, 10**6), st.integers(0, 7))
def test_no_flipped_bit_is_read_as_a_feature(place: int, bit: int) -> None:
    content = bytearray(encode(features(1)))
    content[place % len(content)] ^= 1 << bit
    assert decode(np.frombuffer(content, np.uint8)) is None


@given(st.integers(0, 10**6))
def test_no_part_of_a_record_is_read_as_one(length: int) -> None:
    whole = encode(features(1))
    for other in (whole[: length % len(whole)], whole + whole[: 1 + length % len(whole)]):
        assert decode(np.frombuffer(other, np.uint8)) is None


def test_a_damaged_record_is_reported_and_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = FeatureCache(tmp_path, 10**9)
    cache.put(SPEC, key(1), features(1))
    (path,) = record_files(tmp_path)
    path.write_bytes(path.read_bytes()[:-50])
    with caplog.at_level(logging.WARNING):
        assert cache.get(SPEC, key(1)) is None
    assert f"'{path}' are damaged and will be computed again" in caplog.text
    assert not path.exists()
    assert (cache.stats().rebuilt, cache.stats().misses) == (1, 1)
    cache.put(SPEC, key(1), features(1))
    assert equal(cache.get(SPEC, key(1)), features(1))


def test_the_records_used_longest_ago_go_first(tmp_path: Path) -> None:
    size = len(encode(features(0)))
    cache = FeatureCache(tmp_path, 10 * size)
    for number in range(10):
        cache.put(SPEC, key(number), features(number))
        (path,) = tmp_path.glob(f"*/*/{key(number)}.npy")
        os.utime(path, (time.time() - 10_000 + number,) * 2)
    assert cache.get(SPEC, key(0)) is not None  # now the youngest
    cache.put(SPEC, key(10), features(10))
    left = {number for number in range(11) if cache.get(SPEC, key(number)) is not None}
    assert left == {0, 10, *range(3, 10)}
    assert cache.stats().evicted == 2
    assert sum(path.stat().st_size for path in record_files(tmp_path)) <= 10 * size


def test_the_bound_holds_over_several_specs_and_long_runs(tmp_path: Path) -> None:
    size = len(encode(features(0)))
    cache = FeatureCache(tmp_path, 30 * size)
    other = replace(SPEC, view="other")
    for number in range(150):
        cache.put(SPEC if number % 2 else other, key(number), features(number))
        assert sum(path.stat().st_size for path in record_files(tmp_path)) <= 31 * size
    assert cache.get(other, key(148)) is not None


def test_a_record_larger_than_the_bound_is_not_kept(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, 100)
    cache.put(SPEC, key(1), features(1))
    assert record_files(tmp_path) == []


def test_a_full_disk_is_said_once_and_the_run_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = FeatureCache(tmp_path, 10**9)
    cache.put(SPEC, key(1), features(1))
    written = tmp_path / "written"

    def full(self: Path, target: Path) -> Path:
        written.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    with caplog.at_level(logging.WARNING):
        for number in range(2, 5):
            cache.put(SPEC, key(number), features(number))
    assert written.exists()
    assert len(caplog.records) == 1
    assert "No space left on device" in caplog.text
    assert equal(cache.get(SPEC, key(1)), features(1))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_cache_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    FeatureCache(tmp_path, 10**9).put(SPEC, key(1), features(1))
    folders = [path for path in tmp_path.rglob("*") if path.is_dir()]
    for folder in [tmp_path, *folders]:
        folder.chmod(0o500)
    cache = FeatureCache(tmp_path, 10**9)
    cache.put(SPEC, key(2), features(2))
    assert equal(cache.get(SPEC, key(1)), features(1))
    for folder in [tmp_path, *folders]:
        folder.chmod(0o700)
    assert len(caplog.records) == 1


def test_a_root_that_cannot_be_made_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    cache = FeatureCache(tmp_path / "file" / "cache", 10**9)
    cache.put(SPEC, key(1), features(1))
    assert cache.get(SPEC, key(1)) is None
    assert list(cache.entries()) == []
    assert cache.clear() == 0
    assert len(caplog.records) == 1


def test_entries_say_what_is_stored(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, 10**9)
    for number in range(3):
        cache.put(SPEC, key(number), features(number))
    (entry,) = cache.entries()
    assert entry.name == SPEC.name
    assert entry.records == 3
    assert entry.bytes == sum(path.stat().st_size for path in record_files(tmp_path))
    assert entry.spec["backbone"] == "desc"
    assert entry.spec["layers"] == ["one", "two"]
    assert abs(entry.last_used - time.time()) < 60


def test_clear_removes_records_and_nothing_else(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, 10**9)
    other = replace(SPEC, view="other")
    cache.put(SPEC, key(1), features(1))
    cache.put(other, key(1), features(1))
    stranger = tmp_path / "photos" / "ab" / "mine.npy"
    stranger.parent.mkdir(parents=True)
    stranger.write_text("keep")
    assert cache.clear(SPEC.name) == len(encode(features(1)))
    assert [entry.name for entry in cache.entries()] == [other.name]
    cache.clear()
    assert stranger.exists()
    assert [path for path in tmp_path.iterdir() if path.name != "photos"] == []
    cache.put(SPEC, key(1), features(1))
    assert next(iter(cache.entries())).spec["backbone"] == "desc"


def test_what_killed_writers_left_is_swept_up(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, 10**9)
    cache.put(SPEC, key(1), features(1))
    folder = record_files(tmp_path)[0].parent
    old, new = folder / ".old.tmp", folder / ".new.tmp"
    old.write_text("half")
    new.write_text("half")
    os.utime(old, (0, 0))
    assert next(iter(cache.entries())).records == 1
    assert not old.exists()
    assert new.exists()


def write_and_read(root: str, number: int, failures: multiprocessing.Queue[str]) -> None:
    cache = FeatureCache(Path(root), 40 * len(encode(features(0))))
    for round_ in range(60):
        wanted = (round_ * 7 + number) % 60
        cache.put(SPEC, key(wanted), features(wanted))
        for other in range(0, 60, 5):
            found = cache.get(SPEC, key(other))
            if found is not None and not equal(found, features(other)):
                failures.put(f"record {other} is wrong")
    if cache.stats().rebuilt:
        failures.put("a reader saw a damaged record")


def test_many_processes_write_and_evict_at_once(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    failures = spawn.Queue()
    workers = [
        spawn.Process(target=write_and_read, args=(str(tmp_path), number, failures)) for number in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert failures.empty()
    assert not list(tmp_path.rglob("*.tmp"))
    for path in record_files(tmp_path):
        assert decode(*records.read(path)[:2]) is not None


def test_the_cache_needs_no_torch() -> None:
    code = "import sys, methods.features.cache; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
