"""Token groups of vision transformers against hooks on timm's own blocks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ltbench.methods.errors import BadParameter, WeightsMissing
from ltbench.methods.features import backbone, block_groups

timm = pytest.importorskip("timm")

# The paper's architecture, narrow and shallow.
ARCHITECTURE = "vit_base_patch14_reg4_dinov2"
OPTIONS = {"embed_dim": 24, "depth": 4, "num_heads": 2}


@pytest.fixture(scope="module")
def name(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    file: Path = tmp_path_factory.mktemp("weights") / "vit.safetensors"
    save_file(timm.create_model(ARCHITECTURE, **OPTIONS).state_dict(), file)
    return f"timm:{ARCHITECTURE}@{file}?" + "&".join(f"{key}={value}" for key, value in OPTIONS.items())


@pytest.fixture
def pixels() -> torch.Tensor:
    return torch.randint(0, 256, (2, 3, 56, 56), generator=torch.Generator().manual_seed(1)).byte()


def test_groups_are_means_of_block_outputs_with_all_prefix_tokens(name: str, pixels: torch.Tensor) -> None:
    loaded = backbone.load(name, layers=("tokens.0-1", "tokens.2", "norm"))
    seen: list[torch.Tensor] = []
    hooks = [
        block.register_forward_hook(lambda m, i, out: seen.append(out)) for block in loaded._model.blocks
    ]
    found = loaded(pixels)
    for hook in hooks:
        hook.remove()
    assert found["tokens.0-1"].shape == (2, 24, 5 + 16)
    torch.testing.assert_close(found["tokens.0-1"], ((seen[0] + seen[1]) / 2).transpose(1, 2))
    torch.testing.assert_close(found["tokens.2"], seen[2].transpose(1, 2))
    normed = loaded._model.norm(seen[3])[:, 5:].transpose(1, 2).unflatten(2, (4, 4))
    torch.testing.assert_close(found["norm"], normed)


def test_later_blocks_are_not_run_unless_the_last_is_asked_for(name: str, pixels: torch.Tensor) -> None:
    loaded = backbone.load(name, layers=("tokens.0", "tokens.1"))
    runs: list[int] = []
    for number, block in enumerate(loaded._model.blocks):
        block.register_forward_hook(lambda m, i, out, number=number: runs.append(number))
    loaded(pixels)
    assert runs == [0, 1]


def test_the_view_of_the_paper_has_789_tokens(name: str) -> None:
    found = backbone.load(name, layers=("tokens.0",))(torch.zeros(1, 3, 392, 392).byte())
    assert found["tokens.0"].shape == (1, 24, 789)
    assert block_groups.patches_only(found["tokens.0"]).shape == (1, 24, 28, 28)
    torch.testing.assert_close(
        block_groups.patches_only(found["tokens.0"]).flatten(2), found["tokens.0"][:, :, 5:]
    )


def test_positions_are_resampled_without_antialiasing_by_a_tenth_of_a_cell_more(name: str) -> None:
    """As DINO's code does; on the grid of the training they are left as they are."""
    loaded = backbone.load(name, layers=("tokens.0",))
    trained = loaded._model.pos_embed.clone()
    for side in (56, 70, 518):
        loaded(torch.zeros(1, 3, side, side).byte())
        cells = side // 14
        square = trained.unflatten(1, (37, 37)).permute(0, 3, 1, 2)
        factor = (cells + 0.1) / 37
        wanted = torch.nn.functional.interpolate(square, scale_factor=(factor, factor), mode="bicubic")
        expected = trained if cells == 37 else wanted.flatten(2).transpose(1, 2)
        torch.testing.assert_close(loaded._model.pos_embed, expected)


def test_digest_does_not_depend_on_the_layers(name: str) -> None:
    assert backbone.load(name, layers=("norm",)).digest == backbone.load(name).digest


@pytest.mark.parametrize("layer", ["tokens.2-9", "tokens.3-2"])
def test_blocks_that_are_not_there_are_refused(name: str, layer: str) -> None:
    with pytest.raises(BadParameter, match=f"no layer '{layer}'.*blocks 0 to 3"):
        backbone.load(name, layers=(layer,))


def test_a_convolutional_network_has_no_tokens(tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"
    save_file(timm.create_model("test_resnet").state_dict(), file)
    with pytest.raises(BadParameter, match="is no vision transformer"):
        backbone.load(f"timm:test_resnet@{file}", layers=("tokens.0-1",))


def test_weights_of_the_paper_are_asked_for_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsMissing, match="dinov2"):
        backbone.load(
            "timm:vit_base_patch14_reg4_dinov2.lvd142m", weights_root=tmp_path, layers=("tokens.2-5",)
        )
