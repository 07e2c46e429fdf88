"""Encoders of open_clip and ALIGN, with small random configurations: against the libraries' own answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_images import context, image_set, judged_images, train_images

from ltbench.methods import catalog
from ltbench.methods.errors import BadParameter, WeightsMissing
from ltbench.methods.language import encoder as encoders
from ltbench.methods.language import prompts
from ltbench.methods.language.openclip_towers import batch_comes_first

open_clip = pytest.importorskip("open_clip")

TEXT = {"context_length": 20, "vocab_size": 49408, "width": 24, "heads": 3, "layers": 2}
TRANSFORMER = {"image_size": 32, "layers": 4, "width": 32, "head_width": 8, "patch_size": 8}
NETWORK = {"timm_model_name": "test_convnext", "timm_model_pretrained": False, "timm_pool": "",
           "timm_proj": "linear", "image_size": 64}  # fmt: skip


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Path]]:
    """Model and checkpoint of two small configurations with random weights."""
    folder = tmp_path_factory.mktemp("openclip")
    found = {}
    for name, vision in (("small-transformer", TRANSFORMER), ("small-network", NETWORK)):
        config = folder / f"{name}.json"
        config.write_text(json.dumps({"embed_dim": 16, "vision_cfg": vision, "text_cfg": TEXT}))
        open_clip.add_model_config(config)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = open_clip.create_model(name).eval()
        torch.save(model.state_dict(), folder / f"{name}.pt")
        found[name] = model, folder / f"{name}.pt"
    return found


def pixels(side: int) -> torch.Tensor:
    draws = torch.Generator().manual_seed(side)
    return torch.randint(0, 256, (3, 3, side, side), dtype=torch.uint8, generator=draws)


def as_the_library_sees(images: torch.Tensor) -> torch.Tensor:
    mean = torch.tensor(open_clip.OPENAI_DATASET_MEAN).view(1, 3, 1, 1)
    std = torch.tensor(open_clip.OPENAI_DATASET_STD).view(1, 3, 1, 1)
    return (images / 255 - mean) / std


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "layers", "side"),
    [
        ("small-transformer", ("block0", "block2"), 32),
        ("small-network", ("stages.0", "stages.2"), 64),
    ],
)
def test_maps_and_embeddings_are_those_of_open_clip(
    models: dict[str, tuple[Any, Path]], name: str, layers: tuple[str, ...], side: int
) -> None:
    model, file = models[name]
    encoder = encoders.load(f"openclip:{name}@{file}")
    answers = encoder.images(pixels(side), layers)
    expected = model.visual.forward_intermediates(as_the_library_sees(pixels(side)), indices=[0, 2])
    assert torch.allclose(answers["pooled"], expected["image_features"], atol=1e-4)
    for layer, maps in zip(layers, expected["image_intermediates"], strict=True):
        assert torch.allclose(answers[layer], maps, atol=1e-4)


@torch.no_grad()
def test_short_texts_have_the_embeddings_of_padded_ones(models: dict[str, tuple[Any, Path]]) -> None:
    model, file = models["small-transformer"]
    encoder = encoders.load(f"openclip:small-transformer@{file}")
    texts = ["a", "a photo of a broken object"]
    expected = model.encode_text(open_clip.get_tokenizer("small-transformer")(texts))
    assert torch.allclose(encoder.text(texts), expected, atol=1e-5)
    assert encoder.text.tokenize(["a"]).ids.shape == (1, 3)


def test_gradients_reach_the_slots_of_a_prompt_only(models: dict[str, tuple[Any, Path]]) -> None:
    encoder = encoders.load(f"openclip:small-transformer@{models['small-transformer'][1]}")
    prompt = prompts.slotted(encoder.text, ["a object object", "a broken object object"], "object")
    vectors = torch.zeros(2, 2, encoder.text.width, requires_grad=True)
    encoder.text.encode(prompt.filled(vectors), prompt.tokens).sum().backward()
    assert vectors.grad is not None
    assert (vectors.grad.abs().sum(dim=-1) > 0).all()


def test_windows_and_value_streams_exist_at_another_image_size(models: dict[str, tuple[Any, Path]]) -> None:
    encoder = encoders.load(f"openclip:small-transformer@{models['small-transformer'][1]}?image_size=48")
    assert encoder.transformer is not None
    assert encoder.transformer.grid == 6
    answers = encoder.images(pixels(48), ("windows6", "windows2", "vv1-3.projected"))
    assert torch.allclose(answers["windows6"][:, :, 0, 0], answers["pooled"], atol=1e-5)
    assert answers["vv1-3.projected"].shape == (3, 16, 6, 6)
    assert answers["windows2"].std(dim=(2, 3)).mean() > 1e-3


def test_positions_are_stretched_as_asked(models: dict[str, tuple[Any, Path]]) -> None:
    model, file = models["small-transformer"]
    encoder, usual = (
        encoders.load(f"openclip:small-transformer@{file}?image_size=48{more}")
        for more in ("&positions=bilinear", "")
    )
    assert encoder.digest != usual.digest
    assert encoder.transformer is not None
    assert encoder.transformer.grid == 6
    learned = model.visual.positional_embedding.detach()
    grid = learned[1:].view(4, 4, -1)
    found = encoder.transformer._visual.positional_embedding.detach()  # type: ignore[attr-defined]
    assert torch.equal(found[0], learned[0])
    # Row 1 of 6 lies at 0.5 of 4 rows, column 2 at 7/6: centres of pixels over centres of pixels.
    expected = (grid[0, 1] * 5 + grid[0, 2] + grid[1, 1] * 5 + grid[1, 2]) / 12
    assert torch.allclose(found[1 + 6 + 2], expected, atol=1e-5)
    assert not torch.allclose(
        encoder.images(pixels(48), ())["pooled"], usual.images(pixels(48), ())["pooled"]
    )
    with pytest.raises(BadParameter, match="expected bicubic or bilinear"):
        encoders.load(f"openclip:small-transformer@{file}?image_size=48&positions=nearest")


def test_the_order_of_batch_and_sequence_is_found_by_trying() -> None:
    class SequenceFirst(torch.nn.Module):
        def __init__(self, block: torch.nn.Module) -> None:
            super().__init__()
            self.block, self.ln_1 = block, block.ln_1

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return self.block(tokens.transpose(0, 1)).transpose(0, 1)

    with torch.random.fork_rng():
        torch.manual_seed(0)
        block = open_clip.transformer.ResidualAttentionBlock(16, 2).eval()
    assert batch_comes_first(block)
    assert not batch_comes_first(SequenceFirst(block))


def test_damaged_wrong_and_foreign_files_are_refused(
    models: dict[str, tuple[Any, Path]], tmp_path: Path
) -> None:
    file = models["small-transformer"][1]
    half = tmp_path / "half.pt"
    half.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(WeightsMissing, match="half-downloaded"):
        encoders.load(f"openclip:small-transformer@{half}")
    (tmp_path / "half.safetensors").write_bytes(b"\x00\x01\x02" * 100)
    with pytest.raises(WeightsMissing, match="half-downloaded"):
        encoders.load(f"openclip:small-transformer@{tmp_path / 'half.safetensors'}")
    with pytest.raises(WeightsMissing, match="expected 'abc"):
        encoders.load(f"openclip:small-transformer@{file}?sha256=abc")
    named = tmp_path / ("0" * 64)
    named.write_bytes(file.read_bytes())
    (tmp_path / "model.pt").symlink_to(named)
    with pytest.raises(WeightsMissing, match="expected '0000"):
        encoders.load(f"openclip:small-transformer@{tmp_path / 'model.pt'}")
    with pytest.raises(BadParameter, match="do not fit"):
        encoders.load(f"openclip:small-transformer@{models['small-network'][1]}")


def test_missing_weights_say_every_way_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    name = "openclip:convnext_base_w@laion2b_s13b_b82k"
    with pytest.raises(WeightsMissing) as missing:
        encoders.load(name, weights_root=tmp_path)
    for way in (f"ltbench weights fetch '{name}'", "LTBENCH_WEIGHTS", "huggingface.co/", "toy-vl"):
        assert way in str(missing.value)
    assert missing.value.exit_code == 4


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("openclip:nothing@x", "knows no model"),
        ("openclip:ViT-B-32", "names no weights"),
        ("openclip:ViT-B-32@unheard_of", "names no weights"),
        ("openclip:small-transformer@FILE?colour=red", "no option 'colour'"),
    ],
)
def test_bad_names_are_told(models: dict[str, tuple[Any, Path]], name: str, why: str) -> None:
    with pytest.raises(BadParameter, match=why):
        encoders.load(name.replace("FILE", str(models["small-transformer"][1])))


@pytest.fixture(scope="module")
def align(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A small random ALIGN and the folder with weights that holds it."""
    transformers = pytest.importorskip("transformers")
    transformers.utils.logging.disable_progress_bar()
    config = transformers.AlignConfig(
        text_config={"vocab_size": 9, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2},
        vision_config={"width_coefficient": 0.25, "depth_coefficient": 1.0, "hidden_dim": 80},
        projection_dim=80,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.AlignModel(config).eval()
    root = tmp_path_factory.mktemp("weights")
    folder = root / "kakaobrain" / "align-base"
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text(
        "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "broken", "object", "photo"])
    )
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    return model, root


@torch.no_grad()
def test_align_gives_the_blocks_of_its_network_and_reads_texts_at_the_first_token(
    align: tuple[Any, Path],
) -> None:
    model, root = align
    encoder = encoders.load("align:kakaobrain/align-base", weights_root=root)
    answers = encoder.images(pixels(64), ("3", "9"))
    passed = model.vision_model.embeddings(pixels(64) / 127.5 - 1)
    for number, block in enumerate(model.vision_model.encoder.blocks):
        passed = block(passed)
        if str(number) in answers:
            assert torch.allclose(answers[str(number)], passed, atol=1e-5)
    assert torch.allclose(answers["pooled"], model.vision_model(pixels(64) / 127.5 - 1)[1], atol=1e-5)
    prompt = prompts.slotted(encoder.text, ["a object", "a broken object"], "object")
    assert prompt.tokens.ids.tolist() == [[2, 5, 7, 3, 0], [2, 5, 6, 7, 3]]
    padded = model.text_model(prompt.tokens.ids[:1, :4])[0][:, 0]
    expected = model.text_projection(padded)
    assert torch.allclose(encoder.text(["a object", "a broken object"])[:1], expected, atol=1e-5)


def test_align_with_damaged_or_lacking_weights_is_refused(align: tuple[Any, Path], tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    source = align[1] / "kakaobrain" / "align-base"
    for file in source.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    content = safetensors.load_file(source / "model.safetensors")
    content.pop("text_projection.weight")
    safetensors.save_file(content, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BadParameter, match=r"lack text_projection\.weight"):
        encoders.load(f"align:{tmp_path}")
    (tmp_path / "model.safetensors").write_bytes(b"\x10" * 64)
    with pytest.raises(WeightsMissing, match="half-downloaded"):
        encoders.load(f"align:{tmp_path}")


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("winclip", {"shots": 1}),
        ("anomalyclip", {"iterations": 1}),
        ("anomalygpt", {"iterations": 1, "batch_size": 2}),
    ],
)
def test_methods_run_on_open_clip(
    models: dict[str, tuple[Any, Path]], name: str, fields: dict[str, Any]
) -> None:
    method = catalog.create(
        name, backbone=f"openclip:small-transformer@{models['small-transformer'][1]}", **fields
    )
    method.fit(image_set(train_images({"checks": 2}), method.needs), context(needs=method.needs))
    prediction = method.score(image_set(judged_images(1, ("checks",)), method.needs), context())
    assert prediction.grids is not None
    assert prediction.grids.shape == (2, 4, 4)
    assert np.isfinite(prediction.grids).all()
    assert prediction.grids.std() > 0
