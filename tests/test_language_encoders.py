"""Vision-language encoders: ways through a transformer, texts with slots, the toy pair."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from ltbench.methods.errors import BadParameter
from ltbench.methods.features import backbone
from ltbench.methods.language import encoder as encoders
from ltbench.methods.language import paths, prompts
from ltbench.methods.language.encoder import Encoder
from ltbench.methods.language.encoders import toy_vl
from ltbench.registry import UnknownName


@pytest.fixture(scope="module")
def toy() -> Encoder:
    return encoders.load("toy-vl")


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    draws = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8, generator=draws)


def test_a_window_over_everything_is_the_full_forward(toy: Encoder, pixels: torch.Tensor) -> None:
    answers = toy.images(pixels, ("windows14",))
    assert torch.allclose(answers["windows14"][:, :, 0, 0], answers["pooled"], atol=1e-5)


def test_windows_of_different_content_have_different_embeddings(toy: Encoder, pixels: torch.Tensor) -> None:
    windows = toy.images(pixels[:1], ("windows2",))["windows2"]
    assert windows.shape == (1, toy.dim, 13, 13)
    flat = windows[0].flatten(1).T
    distances = torch.cdist(flat, flat) + 1e6 * torch.eye(len(flat))
    assert distances.min() > 1e-2


@torch.no_grad()
def test_a_window_is_its_tokens_alone_beside_the_class_token(toy: Encoder, pixels: torch.Tensor) -> None:
    tower = toy.transformer
    assert tower is not None
    start = tower.embed(pixels[:1])
    row, column = 4, 9
    chosen = [0] + [1 + (row + i) * tower.grid + column + j for i in range(3) for j in range(3)]
    tokens = start[:, chosen]
    for index in range(tower.depth):
        tokens = tower.block(index, tokens)
    found = paths.window_embeddings(tower, start, 3)[0, :, row, column]
    assert torch.allclose(found, tower.project(tokens[:, 0])[0], atol=1e-5)


@torch.no_grad()
def test_the_value_stream_adds_attention_among_values_and_no_feed_forward(
    toy: Encoder, pixels: torch.Tensor
) -> None:
    tower = toy.transformer
    assert isinstance(tower, toy_vl.ToyImages)
    usual = tower.embed(pixels[:1])
    stream = None
    for index in range(tower.depth):
        if index == 2:
            stream = usual
        if stream is not None:
            block = tower.blocks[index]
            values = block.queries_keys_values(block.first_norm(usual)).chunk(3, dim=-1)[2]
            heads = []
            for part in values[0].split(toy_vl.WIDTH // toy_vl.HEADS, dim=1):
                weights = torch.softmax(part @ part.T / part.shape[1] ** 0.5, dim=-1)
                heads.append(weights @ part)
            stream = stream + block.out(torch.cat(heads, dim=1))[None]
        usual = tower.block(index, usual)
    assert stream is not None
    found = toy.images(pixels[:1], ("vv2-3",))["vv2-3"]
    assert torch.allclose(found, paths.as_map(stream[:, 1:]), atol=1e-4)


def test_attention_among_values_with_identical_tokens_returns_them() -> None:
    values = torch.randn(1, 1, 8, generator=torch.Generator().manual_seed(0)).expand(1, 5, 8)
    assert torch.allclose(paths.attention_among_values(values, 2), values, atol=1e-6)


def test_gradients_reach_token_embeddings_and_no_weight(toy: Encoder) -> None:
    tokens = toy.text.tokenize(["a broken object"])
    embeddings = toy.text.embed(tokens.ids).requires_grad_()
    toy.text.encode(embeddings, tokens).square().sum().backward()
    assert embeddings.grad is not None
    assert embeddings.grad.abs().sum() > 0
    assert isinstance(toy.text, torch.nn.Module)
    assert all(weight.grad is None for weight in toy.text.parameters())


def test_a_text_does_not_depend_on_its_neighbours_in_a_batch(toy: Encoder) -> None:
    texts = ["a", "a photo of a very small broken object"]
    together = toy.text(texts)
    alone = torch.cat([toy.text([text]) for text in texts])
    assert torch.allclose(together, alone, atol=1e-5)


def test_prompts_filled_with_their_own_words_are_the_texts(toy: Encoder) -> None:
    texts = ["a object object", "a broken object object"]
    prompt = prompts.slotted(toy.text, texts, "object")
    assert prompt.slots.tolist() == [[2, 3], [3, 4]]
    word = toy.text.embed(torch.tensor([[prompts.word_id(toy.text, "object")]]))[0, 0]
    filled = prompt.filled(word.expand(2, 2, -1))
    assert torch.allclose(toy.text.encode(filled, prompt.tokens), toy.text(texts), atol=1e-6)
    with pytest.raises(BadParameter, match="equally often"):
        prompts.slotted(toy.text, ["object", "object object"], "object")


def test_deep_tokens_replace_what_follows_the_first_position(toy: Encoder) -> None:
    tokens = toy.text.tokenize(["a b c d"])
    embeddings = toy.text.embed(tokens.ids)
    deep = torch.randn(2, toy.text.width, generator=torch.Generator().manual_seed(1), requires_grad=True)
    plain = toy.text.encode(embeddings, tokens)
    changed = toy.text.encode(embeddings, tokens, {1: deep})
    assert not torch.allclose(plain, changed, atol=1e-3)
    changed.sum().backward()
    assert deep.grad is not None
    # Whatever stood at positions 1 and 2 before that block is gone, if nothing has read it before.
    other = toy.text.embed(toy.text.tokenize(["x y c d"]).ids)
    assert torch.allclose(
        toy.text.encode(embeddings, tokens, {0: deep}), toy.text.encode(other, tokens, {0: deep}), atol=1e-5
    )


def test_an_ensemble_is_the_unit_mean_of_its_texts(toy: Encoder) -> None:
    texts = ["a good bolt", "a bolt", "a flawless bolt"]
    assert torch.allclose(
        prompts.ensemble(toy.text, texts), functional.normalize(toy.text(texts).mean(dim=0), dim=0), atol=1e-6
    )


@pytest.mark.parametrize(
    "layer", ["block4", "vv0-2", "vv3-2", "windows15", "windows2.projected", "stage1", ""]
)
def test_an_unknown_layer_is_named(toy: Encoder, pixels: torch.Tensor, layer: str) -> None:
    with pytest.raises(BadParameter, match=f"no layer '{layer}'"):
        toy.images(pixels, (layer,))


def test_the_image_half_is_a_backbone_of_the_same_name(toy: Encoder, pixels: torch.Tensor) -> None:
    found = backbone.load("toy-vl", layers=("block3.projected",))
    assert (found.name, found.digest) == (toy.name, toy.digest)
    answers = found(pixels)
    assert set(answers) == {"block3.projected", "pooled"}
    assert answers["block3.projected"].shape == (2, toy.dim, 14, 14)


def test_an_unknown_encoder_is_named() -> None:
    with pytest.raises(UnknownName, match="unknown vision-language encoder 'clip'"):
        encoders.load("clip")
    with pytest.raises(BadParameter, match="takes no options"):
        encoders.load("toy-vl:large")


def test_a_text_that_is_too_long_is_refused(toy: Encoder) -> None:
    with pytest.raises(BadParameter, match="at most 32"):
        toy.text.tokenize(["a", "word " * 40])
