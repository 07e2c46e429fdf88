"""Shared layers against plain loops, torch's own modules and torchvision's residual block."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from ltbench.methods.layers.attention import (
    CosineCrossAttention,
    LinearAttention,
    SoftmaxCrossAttention,
    fitting_heads,
)
from ltbench.methods.layers.blocks import (
    LinearAttentionBlock,
    Mlp,
    PrototypeDecoderBlock,
    PrototypeExtractor,
    narrow_init,
)
from ltbench.methods.layers.residual import Bottleneck, MirroredDecoder, OneClassBottleneck
from ltbench.methods.layers.transformer import DecoderLayer, EncoderLayer, LearnedPosition, neighbour_mask


@pytest.fixture(autouse=True)
def _fixed_weights() -> None:
    torch.manual_seed(0)


def heads_of(tokens: torch.Tensor, heads: int) -> torch.Tensor:
    batch, count, width = tokens.shape
    return tokens.view(batch, count, heads, width // heads).permute(0, 2, 1, 3)


def test_linear_attention_is_its_definition_token_by_token() -> None:
    layer, tokens = LinearAttention(12, 3, eps=0.0), torch.randn(2, 5, 12)
    query, key, value = (heads_of(part, 3) for part in layer.qkv(tokens).chunk(3, dim=-1))
    out = torch.zeros(2, 3, 5, 4)
    for b, h, i in np.ndindex(2, 3, 5):
        weights = torch.stack(
            [(functional.elu(query[b, h, i]) + 1) @ (functional.elu(key[b, h, j]) + 1) for j in range(5)]
        )
        out[b, h, i] = (weights / weights.sum()) @ value[b, h]
    expected = layer.proj(out.permute(0, 2, 1, 3).reshape(2, 5, 12))
    torch.testing.assert_close(layer(tokens), expected)


def test_linear_attention_survives_keys_that_no_query_meets() -> None:
    layer = LinearAttention(8, 2)
    with torch.no_grad():
        layer.qkv.bias.fill_(-200.0)
    assert layer(torch.zeros(1, 3, 8)).isfinite().all()


def test_prototypes_look_at_tokens_as_torch_attention_does() -> None:
    ours, theirs = SoftmaxCrossAttention(12, 3), nn.MultiheadAttention(12, 3, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.q.weight, ours.kv.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.q.bias, ours.kv.bias]))
        theirs.out_proj.weight.copy_(ours.proj.weight)
        theirs.out_proj.bias.copy_(ours.proj.bias)
    queries, source = torch.randn(2, 4, 12), torch.randn(2, 7, 12)
    torch.testing.assert_close(ours(queries, source), theirs(queries, source, source)[0])


def test_tokens_are_rebuilt_by_rectified_cosines_without_softmax() -> None:
    layer = CosineCrossAttention(12, 3)
    with torch.no_grad():
        layer.gain.copy_(torch.tensor([0.5, 1.0, 2.0]).view(3, 1, 1))
    queries, source = torch.randn(2, 4, 12), torch.randn(2, 6, 12)
    query = heads_of(layer.q(queries), 3)
    key, value = (heads_of(part, 3) for part in layer.kv(source).chunk(2, dim=-1))
    out = torch.zeros(2, 3, 4, 4)
    for b, h, i in np.ndindex(2, 3, 4):
        for j in range(6):
            cosine = functional.cosine_similarity(query[b, h, i], key[b, h, j], dim=0)
            out[b, h, i] += (layer.gain[h, 0, 0] * cosine).clamp_min(0) * value[b, h, j]
    expected = layer.proj(out.permute(0, 2, 1, 3).reshape(2, 4, 12))
    torch.testing.assert_close(layer(queries, source), expected)


def test_decoder_of_prototypes_has_no_residual_around_attention() -> None:
    block = PrototypeDecoderBlock(8, 2)
    with torch.no_grad():
        block.attention.proj.weight.zero_()
        block.attention.proj.bias.zero_()
    tokens = torch.randn(1, 3, 8)
    expected = block.mlp(block.norm2(torch.zeros(1, 3, 8)))
    torch.testing.assert_close(block(tokens, torch.randn(1, 2, 8)), expected)


@pytest.mark.parametrize(("width", "wanted", "heads"), [(768, 12, 12), (225, 12, 9), (33, 8, 3), (7, 9, 7)])
def test_heads_divide_the_width(width: int, wanted: int, heads: int) -> None:
    assert fitting_heads(width, wanted) == heads


def test_narrow_start_is_cut_at_three_deviations() -> None:
    block = LinearAttentionBlock(64, 4).apply(narrow_init)
    for module in block.modules():
        if isinstance(module, nn.Linear):
            assert module.weight.abs().max() <= 0.03
            assert module.weight.std().item() == pytest.approx(0.01, rel=0.1)
            assert not module.bias.any()


def test_dropout_of_a_bottleneck_works_in_training_only() -> None:
    bottleneck, tokens = Mlp(16, 64, dropout=0.5), torch.randn(2, 9, 16)
    assert not torch.equal(bottleneck(tokens), bottleneck(tokens))
    bottleneck.eval()
    assert torch.equal(bottleneck(tokens), bottleneck(tokens))


def test_post_norm_layers_are_those_of_torch() -> None:
    ours, theirs = EncoderLayer(16, 4, 32, 0.0), nn.TransformerEncoderLayer(16, 4, 32, 0.0, batch_first=True)
    theirs.self_attn.load_state_dict(ours.attend.attention.state_dict())
    theirs.linear1.load_state_dict(ours.feed[0].state_dict())
    theirs.linear2.load_state_dict(ours.feed[3].state_dict())
    tokens, mask = torch.randn(2, 9, 16), neighbour_mask(3, 3) & ~torch.eye(9, dtype=torch.bool)
    torch.testing.assert_close(ours(tokens, torch.zeros(9, 16), mask), theirs(tokens, mask))

    ours, theirs = DecoderLayer(16, 4, 32, 0.0), nn.TransformerDecoderLayer(16, 4, 32, 0.0, batch_first=True)
    theirs.self_attn.load_state_dict(ours.attend.attention.state_dict())
    theirs.multihead_attn.load_state_dict(ours.recall.attention.state_dict())
    theirs.linear1.load_state_dict(ours.feed[0].state_dict())
    theirs.linear2.load_state_dict(ours.feed[3].state_dict())
    memory = torch.randn(2, 9, 16)
    torch.testing.assert_close(ours(tokens, memory, torch.zeros(9, 16)), theirs(tokens, memory))


def test_position_reaches_queries_and_keys_but_not_values() -> None:
    layer = EncoderLayer(8, 2, 16, 0.0)
    with torch.no_grad():
        layer.attend.attention.in_proj_weight[:16].zero_()
    tokens = torch.randn(1, 4, 8)
    torch.testing.assert_close(layer(tokens, torch.randn(4, 8)), layer(tokens, torch.zeros(4, 8)))


def test_position_tells_every_cell_apart() -> None:
    position = LearnedPosition(5, 12)()
    assert position.shape == (25, 12)
    assert len(position.unique(dim=0)) == 25
    assert position.min() >= 0
    assert position.max() < 1


def test_neighbours_are_hidden() -> None:
    mask = neighbour_mask(14, 7)
    hidden = mask.sum(dim=1).view(14, 14)
    assert hidden[7, 7] == 49
    assert hidden[0, 0] == hidden[13, 0] == 16
    rows, columns = torch.arange(196) // 14, torch.arange(196) % 14
    for query in (0, 45, 100, 195):
        near = ((rows - rows[query]).abs() <= 3) & ((columns - columns[query]).abs() <= 3)
        assert torch.equal(mask[query], near)


def test_residual_block_is_that_of_torchvision() -> None:
    theirs_module = pytest.importorskip("torchvision.models.resnet")
    down = nn.Sequential(nn.Conv2d(8, 16, 1, 2, bias=False), nn.BatchNorm2d(16))
    theirs = theirs_module.Bottleneck(8, 4, 2, down, base_width=128)
    ours = Bottleneck(8, 16, 8, 2)
    pairs = [
        (ours.reduce, (theirs.conv1, theirs.bn1)),
        (ours.middle, (theirs.conv2, theirs.bn2)),
        (ours.expand, (theirs.conv3, theirs.bn3)),
        (ours.shortcut, down),
    ]
    for mine, other in pairs:
        for a, b in zip(mine, other, strict=True):
            a.load_state_dict(b.state_dict())
    maps = torch.randn(2, 8, 10, 10)
    torch.testing.assert_close(ours(maps), theirs(maps))


def test_reverse_distillation_has_the_shapes_and_size_of_the_paper() -> None:
    channels = (256, 512, 1024)
    with torch.device("meta"):
        bottleneck, decoder = OneClassBottleneck(channels, 3), MirroredDecoder(channels, (3, 4, 6))
        maps = [torch.zeros(2, width, side, side) for width, side in zip(channels, (64, 32, 16), strict=True)]
        embedding = bottleneck(maps)
        assert embedding.shape == (2, 2048, 8, 8)
        assert [output.shape for output in decoder(embedding)] == [given.shape for given in maps]
    parameters = sum(p.numel() for module in (bottleneck, decoder) for p in module.parameters())
    assert parameters == pytest.approx(84e6, rel=0.01)


def test_prototype_extractor_gives_each_image_its_own_prototypes() -> None:
    extractor = PrototypeExtractor(8, 2)
    prototypes = torch.randn(1, 3, 8).expand(2, -1, -1)
    found = extractor(prototypes, torch.randn(2, 5, 8))
    assert found.shape == (2, 3, 8)
    assert not torch.allclose(found[0], found[1])
