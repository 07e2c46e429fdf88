"""Class sizes and tails from embeddings alone: known shapes, a slow second implementation, odd sets."""

import math
from collections import Counter

import numpy as np
import pytest

from ltbench.methods.blocks.tails import (
    adaptive_threshold,
    capped_size,
    class_size,
    cosine_similarity,
    elbow,
    estimate_tail,
    group_sizes,
    tail_limit,
)


def classes(
    sizes: list[int], *, dim: int = 512, spread: float = 0.15, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings in separable clusters around random directions, shuffled, and each one's class size."""
    rng = np.random.default_rng(seed)
    label = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    centres = rng.normal(size=(len(sizes), dim))
    return centres[label] + spread * rng.normal(size=(len(label), dim)), np.array(sizes)[label]


def slow_class_sizes(S: np.ndarray, *, forward: bool, quantise: bool) -> list[int]:
    """The released steps with lists, one image at a time."""
    n = len(S)
    members = []
    for i in range(n):
        row = sorted(math.trunc(n * s) / n for s in S[i]) if quantise else sorted(S[i])
        half = math.cos(math.acos(row[0]) / 2)
        near = [value for value in row if value > half]
        threshold = near[len(near) - int(0.85 * len(near))] if int(0.85 * len(near)) else near[0]
        members.append({j for j in range(n) if S[i, j] >= threshold})
    sizes = []
    for j in range(n):
        voters = members[j] if forward else [i for i in range(n) if j in members[i]]
        votes = Counter(len(members[i]) for i in voters)
        most = max(votes.values())
        sizes.append(min(size for size, count in votes.items() if count == most))
    return sizes


@pytest.mark.parametrize("neighbours", ["reverse", "forward"])
@pytest.mark.parametrize("quantise", [True, False])
def test_class_sizes_follow_the_released_steps(neighbours: str, quantise: bool) -> None:
    embeddings, _ = classes([30, 18, 5, 3, 1], spread=0.5)
    S = cosine_similarity(embeddings)
    within = adaptive_threshold(S, 0.85, quantise=quantise)[:, None] <= S
    expected = slow_class_sizes(S, forward=neighbours == "forward", quantise=quantise)
    assert class_size(within, neighbours).tolist() == expected


@pytest.mark.parametrize(
    ("sizes", "tail_below", "recall", "false"),
    [
        ([100, 60, 4, 4, 3], 20, 1.0, 0.0),
        ([200, 180, 150, 120, 4, 4, 4, 4, 4, 4], 20, 0.9, 0.02),
        ([60, 60, 60, 1, 1, 1], 20, 1.0, 0.0),
    ],
)
def test_tails_of_separable_classes_are_found(
    sizes: list[int], tail_below: int, recall: float, false: float
) -> None:
    for seed in range(3):
        embeddings, truth = classes(sizes, seed=seed)
        tail = estimate_tail(embeddings).tail
        assert tail[truth < tail_below].mean() >= recall
        assert tail[truth >= tail_below].mean() <= false


def test_class_sizes_are_a_little_small_but_tell_large_from_small() -> None:
    embeddings, truth = classes([100, 60, 4, 4, 3])
    estimate = estimate_tail(embeddings)
    for size in (100, 60):
        assert 0.6 * size <= np.median(estimate.class_size[truth == size]) <= size
    assert estimate.class_size[truth < 20].max() <= 8
    assert estimate.groups[0] >= 60
    assert estimate.groups.sum() == len(truth)


def test_order_of_the_images_does_not_matter() -> None:
    embeddings, _ = classes([40, 20, 3, 2])
    order = np.random.default_rng(1).permutation(len(embeddings))
    assert np.array_equal(estimate_tail(embeddings[order]).tail, estimate_tail(embeddings).tail[order])


def test_length_of_an_embedding_does_not_matter() -> None:
    embeddings, _ = classes([40, 20, 3, 2])
    scaled = embeddings * np.random.default_rng(1).uniform(0.1, 10, size=(len(embeddings), 1))
    assert np.array_equal(estimate_tail(scaled).tail, estimate_tail(embeddings).tail)


def test_groups_are_cut_from_the_sorted_sizes() -> None:
    assert group_sizes(np.array([1, 3, 3, 3, 5, 5, 5, 5, 5])).tolist() == [5, 3, 1]
    # Two are left of a class that claims four: they join the last group.
    assert group_sizes(np.array([3, 3, 3, 4, 4])).tolist() == [5]
    # Nothing to join: a group of its own.
    assert group_sizes(np.array([7, 7])).tolist() == [2]
    # The mean of the first four is five, but only four are left.
    assert group_sizes(np.array([4, 5, 5, 6])).tolist() == [4]
    assert group_sizes(np.array([0, 0])).tolist() == [1, 1]


def test_elbow_is_the_point_farthest_from_the_chord() -> None:
    groups = np.array([100, 40, 12, 8, 5, 3])
    chord = np.array([5.0, -97.0]) / np.hypot(5, 97)
    offsets = np.stack([np.arange(6), groups - 100])
    distance = np.abs(chord[0] * offsets[1] - chord[1] * offsets[0])
    assert elbow(groups) == groups[distance.argmax()] == 12


def test_cap_holds_small_classes_to_a_share_of_all_images() -> None:
    groups = np.array([80, 10, 4, 3, 3])
    # 3, 3 and 4 fit into 15 of 100, with 10 they would be 20; the smallest class is always within the limit.
    assert capped_size(groups, 0.15) == 4
    assert capped_size(groups, 0.09) == 3
    assert capped_size(groups, 0.0) == 3
    assert capped_size(groups, 1.0) == 80
    assert tail_limit(groups, cap=None, least_imbalance=2) == 10
    assert tail_limit(groups, cap=0.15, least_imbalance=2) == 4


@pytest.mark.parametrize(
    "sizes", [[50], [40, 40, 40], [30, 25, 20]], ids=["one class", "equal", "nearly equal"]
)
def test_even_classes_have_no_tail(sizes: list[int]) -> None:
    embeddings, _ = classes(sizes)
    estimate = estimate_tail(embeddings)
    assert not estimate.tail.any()
    assert estimate.limit == 0


def test_imbalance_rule_is_a_parameter_and_without_it_there_always_is_a_tail() -> None:
    assert tail_limit(np.array([40]), cap=None, least_imbalance=2.0) == 0
    # As in the released code: one class, and equal ones, are tails as a whole, else the smallest.
    for groups, limit in (([40], 40), ([20, 20, 20], 20), ([30, 25, 20], 20)):
        assert tail_limit(np.array(groups), cap=0.15, least_imbalance=0.0) == limit
    assert tail_limit(np.array([30, 25, 20]), cap=None, least_imbalance=2.0) == 0
    assert tail_limit(np.array([30, 25, 20]), cap=None, least_imbalance=1.0) == 30


def test_one_image_none_and_copies_are_survived() -> None:
    assert estimate_tail(np.ones((1, 8))).tail.tolist() == [False]
    assert estimate_tail(np.empty((0, 8))).tail.tolist() == []
    assert not estimate_tail(np.ones((20, 8))).tail.any()
    assert estimate_tail(np.zeros((5, 8))).tail.shape == (5,)
