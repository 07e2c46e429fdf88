"""UniAD: its transformer against the paper's counts and its code's rules, its scores, its training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from interrupted_training import require_exact_resumption
from torch.nn import functional

from ltbench.benchmark.conformance import check_method, small_context, small_images
from ltbench.methods import catalog
from ltbench.methods.base import Context, MapPost, View
from ltbench.methods.blocks.image_scores import largest_of_pooled
from ltbench.methods.blocks.score_maps import anomaly_maps
from ltbench.methods.errors import BadParameter, MethodsError
from ltbench.methods.features.tokens import TokenReader, channel_scales, on_grid
from ltbench.methods.layers.transformer import neighbour_mask
from ltbench.methods.layers.uniad import QueryDecoderLayer, ReconstructionTransformer, feature_jitter

SMALL = {"width": 16, "heads": 2, "hidden": 16, "depth": 1, "iterations": 4, "grid": 8, "batch_size": 4}


@pytest.fixture(autouse=True)
def _fixed_draws() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize(("channels", "millions"), [(272, 7.7), (384, 7.8)])
def test_it_has_as_many_parameters_as_the_paper_says(channels: int, millions: float) -> None:
    model = ReconstructionTransformer(channels, 14)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert round(count / 1e6, 1) == millions
    attention, feed, norm = 4 * (256 * 256 + 256), 2 * 256 * 1024 + 1024 + 256, 2 * 256
    encoder, decoder = attention + feed + 2 * norm, 2 * attention + feed + 3 * norm + 196 * 256
    linears = 2 * channels * 256 + 256 + channels
    assert count == 4 * (encoder + decoder) + linears + norm + 14 * 256


def test_a_query_sees_nothing_of_its_neighbourhood() -> None:
    mask = neighbour_mask(14, 7)
    hidden = mask.sum(dim=1).view(14, 14)
    assert (int(hidden[7, 7]), int(hidden[0, 0]), int(hidden[0, 7])) == (49, 16, 28)
    model = ReconstructionTransformer(5, 9, width=8, heads=2, hidden=8, layers=1, dropout=0.0).eval()
    assert torch.equal(model.mask, neighbour_mask(9, 7))
    with pytest.raises(BadParameter, match="grid of more than 7"):
        ReconstructionTransformer(5, 7)
    ReconstructionTransformer(5, 3, width=8, heads=2, neighbours=0)


def test_a_decoder_layer_asks_the_encoder_with_its_own_query_and_then_the_layer_before() -> None:
    layer = QueryDecoderLayer(torch.randn(4, 8), heads=2, hidden=8, dropout=0.0).eval()
    memory, before, position = torch.randn(1, 4, 8), torch.randn(1, 4, 8), torch.randn(4, 8)
    query = layer.query[None]
    asked, _ = layer.attend.attention(query + position, memory + position, memory)
    first = layer.attend.norm(query + asked)
    again, _ = layer.recall.attention(first + position, before + position, before)
    second = layer.recall.norm(first + again)
    expected = layer.norm(second + layer.feed(second))
    torch.testing.assert_close(layer(before, memory, position), expected)


def test_layers_begin_alike_but_for_what_xavier_draws() -> None:
    model = ReconstructionTransformer(5, 9, width=8, heads=2, hidden=8, layers=2)
    alike = {
        name
        for layers in (model.encoder, model.decoder)
        for name, value in layers[0].named_parameters()
        if torch.equal(value, layers[1].get_parameter(name)) and value.std() > 0
    }
    assert alike == {"query", "attend.attention.in_proj_weight", "recall.attention.in_proj_weight"}


def test_jitter_is_as_long_as_the_token_allows() -> None:
    tokens = torch.cat([torch.ones(1, 3000, 16), 10 * torch.ones(1, 3000, 16)])
    noise = feature_jitter(tokens, 20.0) - tokens
    # 20 |p| / C with |p| = 4 and 40.
    assert torch.allclose(noise.std(dim=(1, 2)), torch.tensor([5.0, 50.0]), rtol=0.02)
    assert torch.equal(feature_jitter(tokens, 20.0, probability=0.0), tokens)


@pytest.mark.parametrize("window", [1, 2, 3, 16, 21, 500])
def test_image_scores_are_the_largest_mean_of_whole_windows(window: int) -> None:
    grids = np.random.default_rng(1).random((3, 5, 5), np.float32)
    post = MapPost(0.0, "bilinear_corners")
    maps = torch.from_numpy(anomaly_maps(grids, 60, 0.0, "bilinear_corners"))[:, None]
    expected = functional.avg_pool2d(maps, min(window, 60), stride=1).amax(dim=(1, 2, 3)).numpy()
    assert np.allclose(largest_of_pooled(grids, 60, post, window), expected, atol=1e-5)


def test_layers_come_to_one_grid_with_their_corners_aligned() -> None:
    maps = (torch.randn(2, 3, 28, 28), torch.randn(2, 4, 14, 14), torch.randn(2, 1, 7, 7))
    tokens = on_grid(maps, 14)
    assert tokens.shape == (2, 196, 8)
    square = tokens.transpose(1, 2).reshape(2, 8, 14, 14)
    for place in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        corner = torch.cat([layer[:, :, place[0], place[1]] for layer in maps], dim=1)
        torch.testing.assert_close(square[:, :, place[0], place[1]], corner)
    torch.testing.assert_close(square[:, 3:7], maps[1])


def test_channels_are_centred_and_layers_weigh_the_same() -> None:
    draws = torch.randn(40, 9, 6) * torch.tensor([1.0, 5.0, 100.0, 0.01, 2.0, 0.0]) + 3
    mean, scale = channel_scales(draws, (2, 4))
    scaled = (draws.double() - mean) * scale
    assert torch.allclose(scaled.mean(dim=(0, 1)), torch.zeros(6, dtype=torch.float64), atol=1e-3)
    variance = scaled.var(dim=(0, 1), correction=0)
    # Six channels in two layers: 6 / (2 * 2) and 6 / (2 * 4); the last one never moves.
    expected = torch.tensor([1.5, 1.5, 0.75, 0.75, 0.75, 0.0], dtype=torch.float64)
    assert torch.allclose(variance, expected, atol=1e-2)


def test_training_tokens_and_tested_ones_are_read_alike() -> None:
    context = Context(rng=np.random.default_rng(0), view=View(64, 64))
    images = small_images(5, "train")
    reader = TokenReader("desc", context, layers=(), grid=6, standardise=True)
    bank = reader.fit(images, title="")
    read = torch.cat([tokens.vectors for tokens in reader.batches(images, title="")])
    torch.testing.assert_close(bank.gather(torch.arange(5)).vectors, read)
    with pytest.raises(MethodsError, match="empty"):
        reader.fit(small_images(0, "train"), title="")


def test_it_keeps_the_contract() -> None:
    assert [check for check in check_method("uniad", **SMALL) if not check.ok] == []


def test_a_killed_training_ends_with_the_same_scores(tmp_path: Path) -> None:
    def scores(shared: Context) -> np.ndarray:
        method = catalog.create("uniad", **{**SMALL, "iterations": 6, "dropout": 0.1})
        method.fit(small_images(8, "train"), shared)
        return method.score(small_images(4, "test"), shared).scores

    require_exact_resumption(scores, small_context, tmp_path, done=3)


def test_more_training_rebuilds_normal_features_better() -> None:
    def loss(iterations: int) -> float:
        figures: dict[str, float] = {}
        context = small_context()
        context.report = figures.__setitem__
        catalog.create("uniad", **{**SMALL, "iterations": iterations}).fit(small_images(8, "train"), context)
        return figures["train_loss"]

    assert loss(60) < 0.9 * loss(1)
