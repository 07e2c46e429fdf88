"""The descriptor against its definition; names, layers and digests of backbones."""

from __future__ import annotations

import math
import re
import subprocess
import sys

import numpy as np
import numpy.typing as npt
import pytest
import torch

from ltbench.methods.errors import BadParameter
from ltbench.methods.features import backbone, packaged_weights
from ltbench.methods.features.backbones import timm as timm_backbones
from ltbench.registry import UnknownName


def random_pixels(count: int, side: int = 64, seed: int = 0, high: int = 256) -> torch.Tensor:
    coarse = np.random.default_rng(seed).integers(0, high, (count, 3, side // 4, side // 4))
    return torch.from_numpy(np.kron(coarse, np.ones((1, 1, 4, 4))).astype(np.uint8))


def orientations_by_definition(light: npt.NDArray[np.float64], grid: int) -> npt.NDArray[np.float64]:
    """Mean over cells of gradient magnitude in nine unsigned bins, pixel by pixel."""
    height, width = light.shape
    cell = height // grid
    found = np.zeros((9, grid, grid))
    for y in range(height):
        for x in range(width):
            across = (light[y, min(x + 1, width - 1)] - light[y, max(x - 1, 0)]) / 2
            down = (light[min(y + 1, height - 1), x] - light[max(y - 1, 0), x]) / 2
            position = (math.atan2(down, across) % math.pi) / math.pi * 9
            lower = math.floor(position)
            magnitude = math.hypot(across, down) / cell**2
            found[lower % 9, y // cell, x // cell] += (1 - position + lower) * magnitude
            found[(lower + 1) % 9, y // cell, x // cell] += (position - lower) * magnitude
    return found


def halved_by_definition(light: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    taps = np.array([1, 4, 6, 4, 1]) / 16
    padded = np.pad(light, 2, mode="edge")
    rows = range(0, light.shape[0], 2)
    return np.array([[taps @ padded[y : y + 5, x : x + 5] @ taps for x in rows] for y in rows])


def test_descriptor_is_what_its_definition_says() -> None:
    pixels = random_pixels(1, side=32)
    image = pixels[0].double().numpy() / 255
    image = np.minimum(image * 0.45 / image.mean(), 2)
    light = np.tensordot((0.299, 0.587, 0.114), image, 1)
    expected = []
    for _ in range(3):
        expected.append(np.sqrt(orientations_by_definition(light, 4)))
        light = halved_by_definition(light)
    padded = np.pad(np.concatenate(expected), ((0, 0), (1, 1), (1, 1)), mode="edge")
    smooth = np.array([[padded[:, y : y + 3, x : x + 3].mean((1, 2)) for x in range(4)] for y in range(4)])
    cells = image.reshape(3, 4, 8, 4, 8)
    maps = np.concatenate([smooth.transpose(2, 0, 1), cells.mean((2, 4)), cells.std((2, 4))])
    found = backbone.load("desc")(pixels)["desc"][0]
    torch.testing.assert_close(found.double(), torch.from_numpy(maps), rtol=1e-4, atol=1e-5)


def test_descriptor_does_not_see_the_exposure() -> None:
    dark = random_pixels(4, high=100)
    there, here = (backbone.load("desc")(pixels)["desc"] for pixels in (dark * 2, dark))
    torch.testing.assert_close(there, here, rtol=1e-5, atol=1e-6)


def test_descriptor_of_a_flat_image_has_no_gradients_and_no_spread() -> None:
    flat = torch.full((1, 3, 64, 64), 90, dtype=torch.uint8)
    maps = backbone.load("desc")(flat)["desc"]
    assert maps[:, :27].abs().max() == 0
    torch.testing.assert_close(maps[:, 27:30], torch.full((1, 3, 8, 8), 0.45))
    assert maps[:, 30:].max() < 1e-3


def test_stripes_fall_into_the_bin_of_their_direction() -> None:
    across = torch.arange(64).expand(64, 64)
    upright = ((across // 4 % 2) * 200).to(torch.uint8).expand(1, 3, 64, 64)
    finest = backbone.load("desc")(upright)["desc"][0, :9].mean(dim=(1, 2))
    assert finest.argmax() == 0
    lying = backbone.load("desc")(upright.transpose(2, 3))["desc"][0, :9].mean(dim=(1, 2))
    assert set(lying.topk(2).indices.tolist()) == {4, 5}  # 90 degrees lie between two bins


@pytest.mark.parametrize("name", ["desc", backbone.DEFAULT_BACKBONE])
def test_features_do_not_depend_on_the_batch(name: str) -> None:
    pixels, loaded = random_pixels(5), backbone.load(name)
    together = loaded(pixels)
    for place in range(5):
        for key, values in loaded(pixels[place : place + 1]).items():
            torch.testing.assert_close(values[0], together[key][place], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("side", [56, 64, 96])
@pytest.mark.parametrize(
    ("name", "maps"), [("desc", [(33, 8)]), (backbone.DEFAULT_BACKBONE, [(40, 8), (112, 16)])]
)
def test_default_layers_have_their_channels_and_strides(
    name: str, maps: list[tuple[int, int]], side: int
) -> None:
    loaded = backbone.load(name)
    answers = loaded(random_pixels(2, side))
    assert [tuple(answers[layer].shape) for layer in loaded.layers] == [
        (2, channels, math.ceil(side / stride), math.ceil(side / stride)) for channels, stride in maps
    ]
    assert answers["pooled"].shape[0] == 2
    assert all(torch.isfinite(values).all() for values in answers.values())


def without_timm(code: str) -> str:
    """Output of a process that runs this code and has imported neither timm nor torchvision in the end."""
    code += "\nimport sys\nassert not {'timm', 'torchvision'} & set(sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_the_descriptor_needs_neither_timm_nor_torchvision() -> None:
    without_timm(
        "import torch\nfrom ltbench.methods.features import backbone\n"
        "backbone.load('desc')(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))"
    )


def test_the_identity_of_the_default_backbone_needs_neither_its_network_nor_timm() -> None:
    name = backbone.DEFAULT_BACKBONE
    loaded = backbone.load(name)
    code = f"from ltbench.methods.features import backbone\nprint(backbone.identity({name!r}))"
    assert without_timm(code) == str(backbone.Identity(loaded.digest, loaded.layers))


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("desc", None),
        ("toy-vl", None),
        (backbone.DEFAULT_BACKBONE, ("stride4", "3")),
        (f"{backbone.DEFAULT_BACKBONE}.in1k?layers=blocks.1&mean=0.3,0.4,0.5&std=1", None),
    ],
)
def test_an_identity_is_that_of_the_loaded_backbone(name: str, layers: tuple[str, ...] | None) -> None:
    loaded = backbone.load(name, layers=layers)
    assert backbone.identity(name, layers=layers) == backbone.Identity(loaded.digest, loaded.layers)


@pytest.mark.parametrize("query", ["?layers=stride9", "?depth=3"])
def test_an_identity_is_refused_as_the_backbone_is(query: str) -> None:
    name = backbone.DEFAULT_BACKBONE + query
    with pytest.raises(BadParameter) as refused:
        backbone.load(name)
    with pytest.raises(BadParameter, match=re.escape(str(refused.value).partition(":")[0])):
        backbone.identity(name)


def test_default_layers_that_are_kept_are_the_maps_at_strides_8_and_16() -> None:
    timm = pytest.importorskip("timm")
    for architecture, layers in timm_backbones.DEFAULT_LAYERS.items():
        with torch.device("meta"):
            network = timm.create_model(architecture)
        strides = {entry["module"]: entry["reduction"] for entry in network.feature_info}
        assert [strides[layer] for layer in layers] == [8, 16]


@pytest.mark.parametrize("name", packaged_weights.PACKAGES)
def test_packaged_weights_are_configured_as_in_timm(name: str) -> None:
    package, known = packaged_weights.package_of(name), pytest.importorskip("timm").get_pretrained_cfg(name)
    assert package is packaged_weights.package_of(name.removesuffix(f".{known.tag}"))
    for field in ("tag", "url", "hf_hub_id", "mean", "std"):
        assert getattr(package, field) == getattr(known, field)


@pytest.mark.parametrize(
    ("name", "layers", "sentence"),
    [
        ("desc", ("cnn",), r"backbone 'desc' has no layer 'cnn': expected some of desc"),
        ("desc:x", None, r"backbone 'desc' takes no options, got 'x'"),
    ],
)
def test_a_wrong_name_is_answered_with_the_right_ones(
    name: str, layers: tuple[str, ...] | None, sentence: str
) -> None:
    with pytest.raises(BadParameter, match=sentence):
        backbone.load(name, layers=layers)


def test_an_unknown_backbone_is_answered_with_the_known_ones() -> None:
    with pytest.raises(
        UnknownName, match=r"unknown backbone 'resnet': .*a network of a library is 'timm:NAME'"
    ):
        backbone.load("resnet")
