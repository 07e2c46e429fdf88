"""Dinomaly, INP-Former and RD beside anomalib's modules: the same weights make the same maps."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from ltbench.methods.reconstruction.hosting import Student
from ltbench.methods.reconstruction.rd_student import RdNetwork
from ltbench.methods.reconstruction.token_students import DinomalyNetwork, InpNetwork

WIDTH, HEADS, BLOCKS, PREFIX, SIDE = 24, 3, 8, 5, 4


@pytest.fixture(autouse=True)
def _fixed_weights() -> None:
    torch.manual_seed(0)


def peer(module: str) -> Any:
    reason = "anomalib is not installed; perf/requirements.txt names the version"
    return pytest.importorskip(f"anomalib.models.image.{module}", reason=reason)


class Blocks(nn.Module):
    """In place of anomalib's encoder: given tokens (B, T, C) of eight blocks."""

    patch_size, num_register_tokens = 14, PREFIX - 1

    def __init__(self, tokens: list[torch.Tensor]) -> None:
        super().__init__()
        self.tokens = tokens

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return {f"blocks.{number + 2}": tokens for number, tokens in enumerate(self.tokens)}


def tokens_of_blocks() -> list[torch.Tensor]:
    return [torch.randn(2, PREFIX + SIDE * SIDE, WIDTH) for _ in range(BLOCKS)]


def groups_of(tokens: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """What our backbone reads as 'tokens.2-5' and 'tokens.6-9': (B, C, T)."""
    halves = tokens[:4], tokens[4:]
    shallow, deep = (torch.stack(half).mean(dim=0).transpose(1, 2) for half in halves)
    return shallow, deep


def shaken(module: nn.Module) -> nn.Module:
    """Weights far from their start; biases that a peer does not have stay zero."""
    for name, parameter in module.named_parameters():
        if parameter.ndim > 1 or "norm" in name or "gain" in name:
            parameter.data.add_(0.2 * torch.randn_like(parameter))
    return module.eval()


def renamed(state: Mapping[str, torch.Tensor], names: Mapping[str, str]) -> dict[str, torch.Tensor]:
    def translated(name: str) -> str:
        return reduce(lambda text, pair: text.replace(*pair), names.items(), name)

    return {translated(name): value for name, value in state.items()}


TOKEN_NAMES = {
    "blocks.": "decoder.", "attention.": "attn.", "gain": "learn_scale", "extractor.": "aggregation.0.",
    "prototypes": "prototype_token.0", "bottleneck.1.": "bottleneck.0.fc1.",
    "bottleneck.4.": "bottleneck.0.fc2.", "mlp.1.": "mlp.fc1.", "mlp.4.": "mlp.fc2.",
}  # fmt: skip


def shell(model: type[nn.Module], tokens: list[torch.Tensor], *, remove_class_token: bool) -> nn.Module:
    """anomalib's model without its encoder of 86 million weights and with no layer yet."""
    made = model.__new__(model)
    nn.Module.__init__(made)
    made.encoder, made.target_layers = Blocks(tokens), list(range(2, 10))
    made.fuse_layer_encoder = made.fuse_layer_decoder = [[0, 1, 2, 3], [4, 5, 6, 7]]
    made.remove_class_token, made.use_context_recentering = remove_class_token, False
    return made


def load(theirs: nn.Module, ours: Student) -> None:
    """Our weights into their layers; what they lack are biases, which are zero."""
    state = renamed(ours.state_dict(), TOKEN_NAMES)
    if "prototype_token.0" in state:
        state["prototype_token.0"] = state["prototype_token.0"][0]
    missing, left = theirs.load_state_dict(state, strict=False)
    assert not missing
    assert all(name.endswith("bias") and not state[name].any() for name in left)
    theirs.eval()


def full_size(grid: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(grid[:, None], (56, 56), mode="bilinear", align_corners=True)


def test_dinomaly_with_equal_weights_has_equal_maps() -> None:
    torch_model = peer("dinomaly.torch_model")
    layers = peer("dinomaly.components.layers")
    tokens = tokens_of_blocks()
    ours = shaken(DinomalyNetwork(WIDTH, 2, depth=BLOCKS, heads=HEADS))
    theirs = shell(torch_model.DinomalyModel, tokens, remove_class_token=False)
    hidden = 4 * WIDTH
    theirs.bottleneck = nn.ModuleList(
        [layers.DinomalyMLP(WIDTH, hidden, WIDTH, drop=0.2, apply_input_dropout=True)]
    )
    theirs.decoder = nn.ModuleList(
        torch_model.DecoderViTBlock(WIDTH, HEADS, norm_layer=_norm) for _ in range(BLOCKS)
    )
    load(theirs, ours)
    with torch.no_grad():
        rebuilt = ours(groups_of(tokens))
        sources, targets = theirs.get_encoder_decoder_outputs(torch.empty(2, 3, 56, 56))
        expected, _ = theirs.calculate_anomaly_maps(sources, targets, out_size=56)
    torch.testing.assert_close(full_size(ours.distance(rebuilt)), expected, atol=1e-5, rtol=1e-4)
    assert expected.std() > 0.01


def test_inp_former_with_equal_weights_has_equal_maps_and_coherence() -> None:
    torch_model = peer("inp_former.torch_model")
    layers, mlp = peer("inp_former.components.layers"), peer("dinomaly.components.layers")
    tokens = tokens_of_blocks()
    ours = shaken(InpNetwork(WIDTH, 2, depth=BLOCKS, heads=HEADS))
    # As their Lightning module asks for: prototypes look at patches only, as in the authors' code.
    theirs = shell(torch_model.InpFormerModel, [one.clone() for one in tokens], remove_class_token=True)
    theirs.prototype_token = nn.ParameterList([nn.Parameter(torch.empty(6, WIDTH))])
    theirs.bottleneck = nn.ModuleList([mlp.DinomalyMLP(WIDTH, 4 * WIDTH, WIDTH, bias=True)])
    block = {"dim": WIDTH, "num_heads": HEADS, "qkv_bias": True, "norm_layer": _norm}
    theirs.aggregation = nn.ModuleList([layers.AggregationBlock(**block)])
    theirs.decoder = nn.ModuleList(layers.PrototypeBlock(**block) for _ in range(BLOCKS))
    load(theirs, ours)
    with torch.no_grad():
        rebuilt = ours(groups_of(tokens))
        sources, targets, coherence = theirs.get_encoder_decoder_inploss(torch.empty(2, 3, 56, 56))
        expected, _ = theirs.calculate_anomaly_maps(sources, targets, out_size=56)
    torch.testing.assert_close(full_size(ours.distance(rebuilt)), expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(rebuilt.extra, coherence, atol=1e-5, rtol=1e-4)
    assert expected.std() > 0.01


def _norm(width: int) -> nn.LayerNorm:
    return nn.LayerNorm(width, eps=1e-8)


RESIDUAL_NAMES = {
    "reduce.0": "conv1", "reduce.1": "bn1", "middle.0": "conv2", "middle.1": "bn2", "expand.0": "conv3",
    "expand.1": "bn3",
}  # fmt: skip
BOTTLENECK_NAMES = {
    "from_fine.0.": "conv1.", "from_fine.1.": "bn1.", "from_fine.3.": "conv2.", "from_fine.4.": "bn2.",
    "from_middle.0.": "conv3.", "from_middle.1.": "bn3.", "embed": "bn_layer", "shortcut": "downsample",
} | RESIDUAL_NAMES  # fmt: skip
DECODER_NAMES = RESIDUAL_NAMES | {
    "stages.0": "layer1", "stages.1": "layer2", "stages.2": "layer3", "shortcut": "upsample"
}  # fmt: skip


@pytest.mark.slow
def test_reverse_distillation_with_equal_weights_has_equal_maps() -> None:
    components = peer("reverse_distillation.components")
    decoders = pytest.importorskip("anomalib.models.components.backbone", reason="anomalib is not installed")
    maps = tuple(torch.randn(1, channels, side, side) for channels, side in ((256, 16), (512, 8), (1024, 4)))
    # A ResNet-50: the published network is twice as wide inside its blocks.
    ours = RdNetwork((256, 512, 1024), width_ratio=0.25).eval()
    theirs = components.get_bottleneck_layer("resnet50"), decoders.get_decoder("resnet50")
    for mine, module, names in (
        (ours.bottleneck, theirs[0], BOTTLENECK_NAMES), (ours.decoder, theirs[1], DECODER_NAMES)
    ):  # fmt: skip
        missing, left = module.load_state_dict(renamed(mine.state_dict(), names), strict=False)
        # Their unused layer stands in the authors' code as well.
        assert not left
        assert {name.partition(".")[0] for name in missing} <= {"conv4", "bn4"}
        module.eval()
    with torch.no_grad():
        outputs = ours(maps).outputs
        expected = theirs[1](theirs[0](list(maps)))
    assert len(outputs) == len(expected) == 3
    for found, wanted in zip(outputs, expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-3)
