"""Maps that are never in memory at once: same values and bounded memory."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from test_metrics_pixel import PIXEL, mapped, realistic

from ltbench.benchmark.maps import MapsOfGrids
from ltbench.benchmark.metrics import Answer, Truth, evaluate
from ltbench.benchmark.metrics.blocks.positives import rising_keys, stable_order
from ltbench.benchmark.metrics.blocks.regions import MasksOfRegions, label_regions
from ltbench.benchmark.metrics.blocks.streaming import ArrayStream, regroup
from ltbench.methods.base import MapPost

FLOATS = hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(width=32, allow_nan=False))


class OneBuffer:
    """A stream that hands out one buffer again and again, as a decoder would."""

    def __init__(self, array, planes):
        self.array, self.planes, self.shape, self.walks = array, planes, array.shape, 0

    def __iter__(self):
        self.walks += 1
        for chunk in ArrayStream(self.array, self.planes):
            yield chunk.copy() if len(chunk) < self.planes else self._fill(chunk)

    def _fill(self, chunk):
        self.buffer = getattr(self, "buffer", np.empty_like(chunk))
        self.buffer[:] = chunk
        return self.buffer


def values(maps, masks, memory_bytes=1 << 30):
    labels = np.concatenate([chunk.any(axis=(1, 2)) for chunk in regroup(masks, 8)])
    return [
        value.value
        for value in evaluate(Truth(labels, masks), Answer(maps=maps, memory_bytes=memory_bytes), PIXEL)
    ]


@pytest.mark.parametrize("decimals", [8, 1])
@pytest.mark.parametrize("planes", [1, 5, 12, 100])
def test_streamed_maps_give_the_same_bits(decimals, planes):
    maps, masks = realistic()
    maps = np.round(maps, decimals)
    stream = OneBuffer(maps, planes)
    assert values(stream, ArrayStream(masks, 3)) == values(maps, masks)
    assert stream.walks == 2


@settings(max_examples=25)
@given(mapped(), st.integers(1, 4), st.integers(1 << 8, 1 << 12))
def test_little_memory_changes_no_value(case, planes, memory_bytes):
    maps, masks = case
    got = values(ArrayStream(maps, planes), ArrayStream(masks, 1), memory_bytes)
    assert got == pytest.approx(values(maps, masks), abs=1e-14)


@pytest.mark.parametrize("decimals", [8, 1])
def test_anomalous_pixels_on_disk_change_no_value(decimals, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    maps, masks = realistic(images=20)
    maps = np.round(maps, decimals)
    stream = OneBuffer(maps, 3)
    got = values(stream, masks, memory_bytes=1 << 16)
    assert stream.walks > 2
    assert got == pytest.approx(values(maps, masks), abs=1e-13)
    assert got[0] == values(maps, masks)[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (
            lambda maps: ArrayStream(np.where(np.arange(len(maps))[:, None, None] == 7, np.nan, maps), 2),
            "image 7",
        ),
        (lambda maps: ArrayStream(maps[:, :9], 2), r"maps have shape \(12, 9, 64\), masks \(12, 64, 64\)"),
        (lambda maps: Lying(maps, maps[:-1]), "gave 11 images, it announced 12"),
        (lambda maps: Lying(maps, maps[:, :5]), r"a chunk has shape \(12, 5, 64\)"),
    ],
)
def test_a_bad_stream_is_a_hole_with_a_reason(stream, why):
    maps, masks = realistic()
    truth = Truth(masks.any(axis=(1, 2)), masks)
    value = evaluate(truth, Answer(maps=stream(maps)), ["pixel_ap"])[0]
    assert value.value is None
    assert re.search(why, value.why)


class Lying:
    def __init__(self, announced, given):
        self.shape, self.given = announced.shape, given

    def __iter__(self):
        yield self.given


@given(FLOATS)
def test_keys_rise_with_the_floats(scores):
    keys = rising_keys(scores)
    assert np.array_equal(np.less.outer(scores, scores), np.less.outer(keys, keys))


@given(FLOATS)
def test_the_packed_sort_is_the_stable_one(scores):
    assert np.array_equal(stable_order(scores), np.argsort(scores, kind="stable"))


def test_maps_made_on_demand_are_streamed_where_they_are_too_many_and_keep_their_bits():
    masks = realistic(images=40)[1]
    grids = np.random.default_rng(0).random((40, 7, 7), dtype=np.float32)
    maps = MapsOfGrids(grids, masks.shape[1], MapPost())
    regions = label_regions(masks)
    truth = Truth(masks.any(axis=(1, 2)), MasksOfRegions(regions, masks.shape), known_regions=regions)
    assert np.array_equal(np.concatenate([*truth.masks]), masks)
    assert np.array_equal(np.concatenate([*maps]), np.asarray(maps))
    whole = evaluate(truth, Answer(maps=maps), PIXEL)
    answer = Answer(maps=maps, memory_bytes=maps.shape[0] * maps.shape[1] ** 2 * 4 - 1)
    assert evaluate(truth, answer, PIXEL) == whole


MEASURE = """
import resource, sys
import numpy as np
from ltbench.benchmark.metrics import Answer, Truth, evaluate

class Generated:
    shape = (64, 1024, 1024)
    def __init__(self, masks): self.masks = masks
    def __iter__(self):
        rng = np.random.default_rng(0)
        noise = rng.random((1024, 1024), dtype=np.float32)
        for image in range(64):
            mask = np.zeros((1, 1024, 1024), bool)
            if image % 2: mask[0, 64:164, image : image + 100] = True
            yield mask if self.masks else np.roll(noise, 37 * image)[None] + np.float32(0.3) * mask

truth = Truth(np.arange(64) % 2 == 1, Generated(True))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
answer = Answer(maps=Generated(False), memory_bytes=int(sys.argv[1]))
value = evaluate(truth, answer, ["aupro"])[0]
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(value.value, (peak - before) * 1024)
"""


def test_a_declared_ceiling_is_kept():
    """64 maps of 1024² are 270 MB and their 320 000 anomalous pixels go to disk; the pass may take 64 MiB."""
    ceiling = 64 << 20
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(ceiling)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    value, taken = done.stdout.split()
    # What the stream itself makes for one image: noise, its shifted copy, the sum, the mask.
    streams_own = 4 * (1 << 20) * 4
    assert 0 < float(value) < 1
    assert int(taken) < ceiling + streams_own
