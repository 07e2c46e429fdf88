"""Exact nearest neighbours against brute force in float64, for every backend and under hostile data."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ltbench.methods.blocks import neighbors, screening
from ltbench.methods.blocks.neighbors import ExactIndex, has_native_bfloat16, nearest
from ltbench.methods.blocks.on_device import neighbors as device_neighbors
from ltbench.methods.blocks.screening import Candidates
from ltbench.methods.errors import BadParameter, MethodsError

SCREENS = ["bfloat16", "float32"]
BACKENDS = [*SCREENS, "faiss"]


def brute(queries: np.ndarray, bank: np.ndarray) -> np.ndarray:
    return ((queries[:, None].astype(np.float64) - bank[None].astype(np.float64)) ** 2).sum(2)


def clusters(count: int, dim: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = 4 * rng.normal(size=(5, dim))
    return (centres[rng.integers(5, size=count)] + rng.normal(size=(count, dim)) + 7).astype(np.float32)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbors, "QUERIES", 32)
    monkeypatch.setattr(screening, "BANK", 48)
    monkeypatch.setattr(screening, "ROWS", 20)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dim", [1, 7, 64, 301])
def test_nearest_row_is_that_of_brute_force(backend: str, dim: int, small_blocks: None) -> None:
    data = clusters(400, dim)
    queries, bank = data[:150], data[150:]
    distance, index = nearest(queries, bank, backend=backend)
    truth = brute(queries, bank)
    assert np.array_equal(index, truth.argmin(1))
    np.testing.assert_allclose(distance, truth.min(1), rtol=1e-7)


@pytest.mark.parametrize("backend", SCREENS)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_ties_go_to_the_lowest_index(backend: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.integers(-3, 4, size=(300, 3)).astype(np.float32)
    _, index = nearest(points[:100], points[100:], backend=backend)
    assert np.array_equal(index, brute(points[:100], points[100:]).argmin(1))


@pytest.mark.parametrize("backend", SCREENS)
def test_near_duplicates_far_from_the_origin_are_told_apart(backend: str) -> None:
    """|x|² - 2 x·c + |c|² in float32 has no correct digit here."""
    rng = np.random.default_rng(0)
    bank = (1000 * rng.normal(size=(40, 16))).astype(np.float32).repeat(5, axis=0)
    bank += rng.normal(scale=1e-2, size=bank.shape).astype(np.float32)
    queries = bank + rng.normal(scale=1e-3, size=bank.shape).astype(np.float32)
    distance, index = nearest(queries, bank, backend=backend)
    truth = brute(queries, bank)
    assert np.array_equal(index, truth.argmin(1))
    np.testing.assert_allclose(distance, truth.min(1), rtol=1e-6)


@pytest.mark.parametrize("backend", SCREENS)
def test_one_huge_row_does_not_spoil_the_others(backend: str) -> None:
    data = clusters(300, 20)
    data[250] *= 1e6
    _, index = nearest(data[:100], data[100:], backend=backend)
    assert np.array_equal(index, brute(data[:100], data[100:]).argmin(1))


def test_queries_with_too_many_candidates_are_screened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tight groups far from their mean: bfloat16 tells nothing about the larger one."""
    rng = np.random.default_rng(0)
    group = rng.normal(size=32)
    bank = np.concatenate(
        [50 * group + rng.normal(scale=0.05, size=(450, 32)), -50 * group + np.zeros((1, 32))]
    )
    bank = bank.astype(np.float32)
    queries = np.concatenate([bank[:30] + 0.01, bank[-1:] + rng.normal(size=(30, 32))]).astype(np.float32)
    index = ExactIndex(bank, backend="bfloat16")
    screened: list[int] = []
    candidates = index._fine.candidates

    def counted(asked: np.ndarray, **limit: int) -> Candidates:
        screened.append(len(asked))
        return candidates(asked, **limit)

    monkeypatch.setattr(index._fine, "candidates", counted)
    _, found = index.search(queries)
    assert np.array_equal(found[:, 0], brute(queries, bank).argmin(1))
    assert screened == [30]


def test_all_backends_give_the_same_answer() -> None:
    data = clusters(1500, 100, seed=4)
    answers = [nearest(data[:300], data[300:], backend=backend) for backend in [*BACKENDS, "auto"]]
    for distance, index in answers[1:]:
        assert np.array_equal(distance, answers[0][0])
        assert np.array_equal(index, answers[0][1])


def test_several_neighbours_ascend_and_are_those_of_brute_force() -> None:
    data = clusters(300, 24)
    distance, index = ExactIndex(data[50:]).search(data[:50], k=6)
    truth = brute(data[:50], data[50:])
    assert np.array_equal(index, np.argsort(truth, axis=1)[:, :6])
    np.testing.assert_allclose(distance, np.sort(truth, axis=1)[:, :6], rtol=1e-6)


def test_more_neighbours_than_rows_are_as_many_as_there_are() -> None:
    data = clusters(10, 4)
    distance, index = ExactIndex(data[:3]).search(data, k=9)
    assert distance.shape == index.shape == (10, 3)
    assert nearest(data, data[:1])[1].tolist() == [0] * 10


def test_distance_of_a_row_to_itself_is_zero() -> None:
    data = clusters(200, 30)
    distance, index = nearest(data, data)
    assert not distance.any()
    assert np.array_equal(index, np.arange(200))


def test_bfloat16_is_taken_where_the_processor_multiplies_it() -> None:
    assert ExactIndex(clusters(4, 2)).backend == ("bfloat16" if has_native_bfloat16() else "float32")


@pytest.fixture
def on_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """The path of a GPU, taken with tensors of the processor, in small blocks."""
    monkeypatch.setattr(neighbors, "is_gpu", lambda _: True)
    for name, value in {"QUERIES": 32, "BANK": 48, "GROUP": 8, "PAIRS": 50}.items():
        monkeypatch.setattr(device_neighbors, name, value)


@pytest.mark.parametrize("dim", [1, 7, 64, 301])
def test_a_device_finds_the_row_of_brute_force(dim: int, on_device: None) -> None:
    data = clusters(400, dim)
    distance, index = nearest(data[:150], data[150:])
    truth = brute(data[:150], data[150:])
    assert np.array_equal(index, truth.argmin(1))
    np.testing.assert_allclose(distance, truth.min(1), rtol=1e-7)


@pytest.mark.parametrize("seed", range(8))
def test_a_device_breaks_ties_by_the_lowest_index(seed: int, on_device: None) -> None:
    points = np.random.default_rng(seed).integers(-3, 4, size=(300, 3)).astype(np.float32)
    _, index = nearest(points[:100], points[100:])
    assert np.array_equal(index, brute(points[:100], points[100:]).argmin(1))


def test_a_device_is_not_misled_by_a_huge_row_nor_by_near_duplicates(on_device: None) -> None:
    data = clusters(300, 20)
    data[250] *= 1e6
    assert np.array_equal(nearest(data[:100], data[100:])[1], brute(data[:100], data[100:]).argmin(1))
    rng = np.random.default_rng(0)
    bank = (1000 * rng.normal(size=(40, 16))).astype(np.float32).repeat(5, axis=0)
    bank += rng.normal(scale=1e-2, size=bank.shape).astype(np.float32)
    queries = bank + rng.normal(scale=1e-3, size=bank.shape).astype(np.float32)
    assert np.array_equal(nearest(queries, bank)[1], brute(queries, bank).argmin(1))


def test_a_device_searches_crowds_in_float64(on_device: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_neighbors, "CROWDED", 2)
    group = np.random.default_rng(0).normal(size=32)
    bank = 50 * group + np.random.default_rng(1).normal(scale=0.02, size=(450, 32))
    bank = np.concatenate([bank, -50 * group[None]]).astype(np.float32)
    queries = np.concatenate([bank[:30] + 0.01, bank[-1:] + 1]).astype(np.float32)
    distance, index = nearest(queries, bank)
    truth = brute(queries, bank)
    assert np.array_equal(index, truth.argmin(1))
    np.testing.assert_allclose(distance, truth.min(1), rtol=1e-7)


def test_a_device_refuses_what_is_not_a_number(on_device: None) -> None:
    queries = clusters(100, 6)
    queries[70, 2] = np.nan
    with pytest.raises(MethodsError, match="query 70 is not finite"):
        nearest(queries, clusters(50, 6))


def test_rounded_rows_are_what_a_tensor_core_reads() -> None:
    rows = torch.from_numpy(clusters(500, 9))
    rounded = device_neighbors._rounded(rows, torch.zeros(9))
    assert not (rounded.matrix.view(torch.int32) & 0x1FFF).any()
    assert ((rounded.matrix - rows).abs() <= rows.abs() * 2.0**-11).all()
    lost = (rounded.matrix.double() - rows.double()).norm(dim=1)
    assert (lost <= rounded.error).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator")
def test_accelerator_gives_the_same_answer() -> None:
    data = clusters(5000, 128)
    here, there = (nearest(data[:500], data[500:], device=device) for device in ("cpu", "cuda"))
    assert np.array_equal(here[1], there[1])
    assert np.array_equal(here[0], there[0])


def test_impossible_requests_name_the_value() -> None:
    with pytest.raises(MethodsError, match="memory bank is empty"):
        ExactIndex(np.empty((0, 3), np.float32))
    with pytest.raises(BadParameter, match="'annoy'"):
        ExactIndex(clusters(5, 3), backend="annoy")
    with pytest.raises(MethodsError, match=r"\(4,\) values, the memory bank \(3,\)"):
        ExactIndex(clusters(5, 3)).search(clusters(5, 4))
