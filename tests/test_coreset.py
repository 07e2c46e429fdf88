"""Greedy k-centre against the plain farthest-point loop, row by row in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ltbench.methods.blocks import coreset, lazy_greedy
from ltbench.methods.blocks.coreset import coreset_size, kcenter
from ltbench.methods.blocks.on_device import coreset as device_coreset
from ltbench.methods.blocks.projection import project
from ltbench.methods.errors import BadParameter, MethodsError


def plain(rows: np.ndarray, m: int, start: str, rng: np.random.Generator) -> list[int]:
    """One full pass per selected row, as the published loops do."""
    rows = rows.astype(np.float64)
    if start.startswith("mean"):
        anchors = rng.choice(len(rows), size=min(int(start[4:]), len(rows)), replace=False)
        distance = np.mean([np.linalg.norm(rows - rows[a], axis=1) for a in anchors], axis=0) ** 2
        taken: list[int] = []
    else:
        taken = [int(rng.integers(len(rows)))]
        distance = ((rows - rows[taken[0]]) ** 2).sum(1)
        distance[taken] = -1
    while len(taken) < m:
        taken.append(int(distance.argmax()))
        distance = np.minimum(distance, ((rows - rows[taken[-1]]) ** 2).sum(1))
        distance[taken] = -1
    return taken


def mixture(count: int, dim: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = 3 * rng.normal(size=(6, dim))
    label = rng.choice(6, size=count, p=[0.5, 0.25, 0.1, 0.08, 0.05, 0.02])
    return (centres[label] + rng.standard_t(4, size=(count, dim)) + 20).astype(np.float32)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every branch of the lazy search is taken on a few hundred rows."""
    monkeypatch.setattr(lazy_greedy, "POOL", 64)
    monkeypatch.setattr(lazy_greedy, "ACTIVE", 12)
    monkeypatch.setattr(lazy_greedy, "BLOCK", 16)


@pytest.mark.parametrize("start", ["mean10", "mean128", "random1"])
@pytest.mark.parametrize(
    ("count", "dim", "m"), [(900, 24, 300), (600, 3, 200), (500, 1, 60), (700, 128, 699)]
)
def test_same_rows_in_the_same_order_as_the_plain_loop(
    count: int, dim: int, m: int, start: str, small_blocks: None
) -> None:
    rows = mixture(count, dim)
    found = kcenter(rows, m, rng=np.random.default_rng(3), start=start, projection=None)
    assert found.tolist() == plain(rows, m, start, np.random.default_rng(3))


@pytest.mark.parametrize("start", ["mean10", "random1"])
def test_same_rows_with_the_blocks_of_real_runs(start: str) -> None:
    rows = np.random.default_rng(0).normal(size=(20_000, 16)).astype(np.float32)
    found = kcenter(rows, 150, rng=np.random.default_rng(3), start=start, projection=None)
    assert found.tolist() == plain(rows, 150, start, np.random.default_rng(3))


@given(st.integers(0, 2**32 - 1), st.sampled_from(["mean10", "random1"]))
@settings(max_examples=40, deadline=None)
def test_ties_go_to_the_lowest_index(seed: int, start: str) -> None:
    """Points of a small grid: almost every distance is tied, and many rows are equal."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(-2, 3, size=(300, 3)).astype(np.float32)
    m = int(rng.integers(1, 301))
    blocks = {"POOL": 40, "ACTIVE": 8, "BLOCK": 8}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in blocks.items():
            patch.setattr(lazy_greedy, name, value)
        found = kcenter(rows, m, rng=np.random.default_rng(seed), start=start, projection=None)
    assert found.tolist() == plain(rows, m, start, np.random.default_rng(seed))


@pytest.mark.parametrize("start", ["mean10", "random1"])
def test_cancellation_does_not_change_the_choice(start: str, small_blocks: None) -> None:
    """Two tight groups far apart: products lose all digits of the small distances."""
    rng = np.random.default_rng(0)
    rows = rng.normal(scale=1e-3, size=(400, 8)).astype(np.float32)
    rows[:200] += 1000
    rows[200:] -= 3000
    found = kcenter(rows, 120, rng=np.random.default_rng(1), start=start, projection=None)
    assert found.tolist() == plain(rows, 120, start, np.random.default_rng(1))


def test_masked_rows_are_never_taken_and_do_not_matter() -> None:
    rows = mixture(400, 16)
    mask = np.random.default_rng(5).random(400) < 0.6
    found = kcenter(rows, 80, rng=np.random.default_rng(2), mask=mask, projection=None)
    kept = np.flatnonzero(mask)
    assert mask[found].all()
    assert found.tolist() == kept[plain(rows[mask], 80, "mean10", np.random.default_rng(2))].tolist()
    rows[~mask] = np.inf
    again = kcenter(rows, 80, rng=np.random.default_rng(2), mask=mask, projection=None)
    assert np.array_equal(found, again)


def test_no_row_is_taken_twice_even_when_all_are_equal() -> None:
    rows = np.zeros((50, 4), np.float32)
    assert sorted(kcenter(rows, 50, rng=np.random.default_rng(0))) == list(range(50))
    assert len(kcenter(rows, 80, rng=np.random.default_rng(0))) == 50
    assert len(kcenter(rows, 0, rng=np.random.default_rng(0))) == 0
    assert kcenter(rows[:1], 1, rng=np.random.default_rng(0), start="random1").tolist() == [0]


def test_projection_is_a_fresh_linear_layer_and_keeps_distances_in_proportion() -> None:
    rows = np.random.default_rng(0).normal(size=(200, 512)).astype(np.float32)
    low = project(rows, 128, np.random.default_rng(1))
    weights = project(np.eye(512, dtype=np.float32), 128, np.random.default_rng(1))
    assert low.shape == (200, 128)
    assert np.abs(weights).max() <= 1 / np.sqrt(512)
    assert weights.std() == pytest.approx(1 / np.sqrt(3 * 512), rel=0.02)
    ratio = np.linalg.norm(low[1:] - low[0], axis=1) / np.linalg.norm(rows[1:] - rows[0], axis=1)
    assert ratio.std() / ratio.mean() < 0.1
    assert project(rows, 512, np.random.default_rng(1)) is rows


def test_selection_covers_better_than_chance() -> None:
    rows = mixture(2000, 256)
    rng = np.random.default_rng(0)

    def radius(centres: np.ndarray) -> float:
        squared = [((rows - rows[c]) ** 2).sum(1) for c in centres]
        return float(np.min(squared, axis=0).max())

    chosen = kcenter(rows, 100, rng=rng)
    assert radius(chosen) < 0.75 * radius(rng.choice(2000, 100, replace=False))


def test_same_seed_same_rows_and_other_seed_other_rows() -> None:
    rows = mixture(500, 200)
    runs = [kcenter(rows, 40, rng=np.random.default_rng(seed)).tolist() for seed in (7, 7, 8)]
    assert runs[0] == runs[1] != runs[2]


def test_coreset_size_is_the_floor_but_never_empty() -> None:
    assert coreset_size(999, 0.1) == 99
    assert coreset_size(3, 0.1) == 1
    assert coreset_size(0, 0.1) == 0
    assert coreset_size(1000, 0.5, max_bank=300) == 300
    assert coreset_size(1000, 1.0) == 1000


def test_impossible_requests_name_the_value() -> None:
    rows = np.zeros((5, 2), np.float32)
    with pytest.raises(BadParameter, match=r"ratio is 1\.5"):
        coreset_size(10, 1.5)
    with pytest.raises(BadParameter, match="max_bank is 0"):
        coreset_size(10, 0.5, max_bank=0)
    with pytest.raises(BadParameter, match="'middle'"):
        kcenter(rows, 2, rng=np.random.default_rng(0), start="middle")
    rows[3, 1] = np.nan
    with pytest.raises(MethodsError, match="row 3 of 5"):
        kcenter(rows, 2, rng=np.random.default_rng(0))


@pytest.fixture
def on_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """The path of a GPU, taken with tensors of the processor, in blocks so small that every branch is."""
    monkeypatch.setattr(coreset, "is_gpu", lambda _: True)
    for name, value in {"POOL": 64, "STEPS": 5, "ROWS": 16, "CENTRES": 24, "PART": 100}.items():
        monkeypatch.setattr(device_coreset, name, value)


@pytest.mark.parametrize("start", ["mean10", "mean128", "random1"])
@pytest.mark.parametrize(
    ("count", "dim", "m"), [(900, 24, 300), (600, 3, 200), (500, 1, 60), (700, 128, 699), (60, 8, 60)]
)
def test_a_device_takes_the_rows_of_the_plain_loop(
    count: int, dim: int, m: int, start: str, on_device: None
) -> None:
    rows = mixture(count, dim)
    found = kcenter(rows, m, rng=np.random.default_rng(3), start=start, projection=None)
    assert found.tolist() == plain(rows, m, start, np.random.default_rng(3))


@pytest.mark.parametrize("seed", range(12))
def test_a_device_breaks_ties_by_the_lowest_index(seed: int, on_device: None) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.integers(-2, 3, size=(300, 3)).astype(np.float32)
    m = int(rng.integers(1, 301))
    found = kcenter(rows, m, rng=np.random.default_rng(seed), start="random1", projection=None)
    assert found.tolist() == plain(rows, m, "random1", np.random.default_rng(seed))


def test_a_device_masks_projects_and_refuses_as_a_processor_does(on_device: None) -> None:
    rows = mixture(400, 200)
    mask = np.random.default_rng(5).random(400) < 0.6
    found = kcenter(rows, 80, rng=np.random.default_rng(2), mask=mask)
    low = project(rows, 128, rng := np.random.default_rng(2))
    assert found.tolist() == np.flatnonzero(mask)[plain(low[mask], 80, "mean10", rng)].tolist()
    assert sorted(kcenter(np.zeros((50, 4), np.float32), 50, rng=rng)) == list(range(50))
    rows[7, 3] = np.nan
    with pytest.raises(MethodsError, match="row 7 of 400 is not finite"):
        kcenter(rows, 3, rng=rng)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator")
@pytest.mark.parametrize("start", ["mean10", "random1"])
def test_an_accelerator_takes_the_rows_of_the_plain_loop(start: str) -> None:
    rows = mixture(40_000, 16)
    found = kcenter(rows, 900, rng=np.random.default_rng(3), start=start, projection=None, device="cuda")
    assert found.tolist() == plain(rows, 900, start, np.random.default_rng(3))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator")
def test_an_accelerator_breaks_ties_by_the_lowest_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_coreset, "POOL", 500)
    rows = np.random.default_rng(0).integers(-4, 5, size=(4000, 4)).astype(np.float32)
    found = kcenter(rows, 3900, rng=np.random.default_rng(1), start="random1", projection=None, device="cuda")
    assert found.tolist() == plain(rows, 3900, "random1", np.random.default_rng(1))


def test_a_row_of_zeros_is_settled_though_it_leaves_no_room_for_rounding() -> None:
    """Neither it nor its copy has a length: the bar, the best value and their error are all 0."""
    rows = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    rows[:2] = 0
    greedy = lazy_greedy.LazyGreedy(rows)
    greedy.select(1, first=0)
    assert greedy.bound[1] == 0
    greedy._compute_distances(np.arange(6))
    np.testing.assert_allclose(greedy.distance, [-1, 0, *(rows[2:].astype(float) ** 2).sum(axis=1)])


@pytest.mark.parametrize("start", ["mean10", "random1"])
def test_rows_of_zeros_among_others_are_copies_of_each_other(start: str, small_blocks: None) -> None:
    """Without a length there is no rounding to leave room for."""
    rows = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    rows[::2] = 0
    for m in (5, 22, 40):
        found = kcenter(rows, m, rng=np.random.default_rng(2), start=start, projection=None)
        assert found.tolist() == plain(rows, m, start, np.random.default_rng(2))
