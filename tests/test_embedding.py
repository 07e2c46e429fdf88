"""Patch embeddings against the unfold-resize-pool definition, written out bin by bin."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from ltbench.methods.blocks.embedding import (
    closed_form_embedding,
    coarsen,
    concat_embedding,
    embed,
    padim_embedding,
    patchcore_embedding,
    unfold_embedding,
)
from ltbench.methods.errors import BadParameter


def bins(values: np.ndarray, count: int) -> np.ndarray:
    """Adaptive average pooling of the last axis by its definition."""
    length = values.shape[-1]
    edges = [(i * length // count, math.ceil((i + 1) * length / count)) for i in range(count)]
    return np.stack([values[..., low:high].mean(-1) for low, high in edges], axis=-1)


def reference(maps: list[torch.Tensor], dim: int) -> np.ndarray:
    """Unfold, then resize every unfolded scalar, then pool, pool again: the authors' order of steps."""
    size = maps[0].shape[2:]
    layers = []
    for features in maps:
        batch, channels, height, width = features.shape
        padded = functional.pad(features, (1, 1, 1, 1))
        blocks = torch.stack(
            [padded[:, :, r : r + height, c : c + width] for r in range(3) for c in range(3)], dim=2
        )
        flat = blocks.reshape(batch, channels * 9, height, width)
        flat = functional.interpolate(flat, size=size, mode="bilinear", align_corners=False)
        layers.append(bins(flat.permute(0, 2, 3, 1).numpy(), dim))
    return bins(np.concatenate(layers, axis=-1), dim)


def features(*shapes: tuple[int, int, int], dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, *shape, generator=generator, dtype=dtype) for shape in shapes]


WIDE_RESNET = [(512, 8, 8), (1024, 4, 4)]


@pytest.mark.parametrize(
    "shapes",
    [
        WIDE_RESNET,
        [(512, 7, 9), (1024, 4, 5)],
        [(256, 8, 8), (512, 4, 4), (1024, 2, 2)],
        [(40, 6, 6)],
        [(2048, 4, 4)],
    ],
    ids=["wide-resnet50", "odd grid", "three layers", "one narrow layer", "one wide layer"],
)
def test_unfold_path_is_the_definition(shapes: list[tuple[int, int, int]]) -> None:
    maps = features(*shapes)
    np.testing.assert_allclose(
        unfold_embedding(maps, dim=1024).numpy(), reference(maps, 1024), atol=1e-12, rtol=0
    )


@pytest.mark.parametrize("shapes", [WIDE_RESNET, [(512, 7, 9), (1024, 4, 5)], [(6, 5, 5), (12, 3, 3)]])
def test_closed_form_is_the_unfold_path(shapes: list[tuple[int, int, int]]) -> None:
    maps = features(*shapes)
    dim = shapes[1][0]
    closed = closed_form_embedding(*maps)
    torch.testing.assert_close(closed, unfold_embedding(maps, dim=dim), atol=1e-12, rtol=0)
    assert closed.is_contiguous()


def test_closed_form_is_taken_for_wide_resnet_and_single_precision_agrees() -> None:
    maps = features(*WIDE_RESNET, dtype=torch.float32)
    expected = reference([layer.double() for layer in maps], 1024)
    found = patchcore_embedding(maps).numpy()
    assert np.array_equal(found, closed_form_embedding(*maps).numpy())
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_other_channel_counts_take_the_unfold_path() -> None:
    maps = features((128, 8, 8), (256, 4, 4))
    np.testing.assert_allclose(patchcore_embedding(maps).numpy(), reference(maps, 1024), atol=1e-12)


def test_embedding_leaves_its_input_alone() -> None:
    maps = features(*WIDE_RESNET)
    before = [layer.clone() for layer in maps]
    embed(maps, kind="patchcore")
    embed(maps, kind="padim")
    concat_embedding(maps)
    assert all(torch.equal(*pair) for pair in zip(before, maps, strict=True))


def test_concatenation_keeps_channels_in_layer_order_and_constants_constant() -> None:
    maps = [torch.full((1, 3, 8, 8), 2.0), torch.full((1, 5, 4, 4), -1.0)]
    vectors = concat_embedding(maps)
    assert vectors.shape == (1, 8, 8, 8)
    assert torch.equal(vectors[..., :3], torch.full((1, 8, 8, 3), 2.0))
    assert torch.equal(vectors[..., 3:], torch.full((1, 8, 8, 5), -1.0))


def test_concatenation_averages_the_neighbourhood_of_each_position() -> None:
    (layer,) = features((4, 6, 6))
    vectors = concat_embedding([layer])
    torch.testing.assert_close(vectors[:, 2, 3], layer[:, :, 1:4, 2:5].mean((2, 3)))
    torch.testing.assert_close(vectors[:, 0, 0], layer[:, :, :2, :2].mean((2, 3)))


def test_padim_repeats_the_cells_of_coarser_layers_and_averages_nothing() -> None:
    maps = features((3, 8, 8), (5, 4, 4), (2, 2, 2))
    vectors = embed(maps, kind="padim")
    assert torch.equal(vectors, padim_embedding(maps))
    assert vectors.is_contiguous()
    for row, column in ((0, 0), (3, 6), (7, 5)):
        parts = [
            layer[:, :, row // step, column // step] for layer, step in zip(maps, (1, 2, 4), strict=True)
        ]
        assert torch.equal(vectors[:, row, column], torch.cat(parts, dim=1))


def test_coarser_grid_is_the_mean_of_the_cells() -> None:
    vectors = features((8, 8, 5))[0]
    pooled = coarsen(vectors, 4)
    torch.testing.assert_close(pooled[:, 1, 2], vectors[:, 2:4, 4:6].mean((1, 2)))
    assert coarsen(vectors, None) is vectors
    assert coarsen(vectors, 8) is vectors
    assert embed(features(*WIDE_RESNET), kind="patchcore", grid=4).shape == (2, 4, 4, 1024)


def test_impossible_requests_name_the_value() -> None:
    with pytest.raises(BadParameter, match="'patchwork'"):
        embed(features((4, 4, 4)), kind="patchwork")
    with pytest.raises(BadParameter, match="grid is 0"):
        embed(features((4, 4, 4)), kind="padim", grid=0)


@pytest.mark.parametrize("sides", [(38, 19), (37, 19), (10, 5), (13, 7)])
def test_grids_that_do_not_divide_each_other_are_joined(sides: tuple[int, int]) -> None:
    """Odd views give them: 300 pixels at strides 8 and 16 are 38 and 19 cells."""
    maps = [torch.rand(1, 3, side, side) for side in sides]
    for embedding in (padim_embedding, concat_embedding):
        assert embedding(maps).shape[1:3] == (sides[0], sides[0])
