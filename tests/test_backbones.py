"""The backbones that ship: the descriptor against its definition, the network against its training form."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from ltbench.methods.errors import BadParameter, WeightsMissing
from ltbench.methods.features import backbone
from ltbench.methods.features.backbones import desc, tiny
from ltbench.methods.features.backbones.tiny_training import corruptions, export, pictures
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


@pytest.mark.parametrize("name", ["desc", "tiny"])
def test_features_do_not_depend_on_the_batch(name: str) -> None:
    pixels, loaded = random_pixels(5), backbone.load(name)
    together = loaded(pixels)
    for place in range(5):
        for key, values in loaded(pixels[place : place + 1]).items():
            torch.testing.assert_close(values[0], together[key][place], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("side", [56, 64, 96])
def test_default_layers_lie_on_one_grid(side: int) -> None:
    for name, channels in (("desc", (33,)), ("tiny", (33, 192))):
        loaded = backbone.load(name)
        answers = loaded(random_pixels(2, side))
        assert [tuple(answers[layer].shape) for layer in loaded.layers] == [
            (2, width, side // 8, side // 8) for width in channels
        ]
        assert answers["pooled"].shape[0] == 2
        assert all(torch.isfinite(values).all() for values in answers.values())


def test_tiny_offers_its_stages_as_a_pyramid() -> None:
    layers = ("stride4", "stride8", "stride16")
    answers = backbone.load("tiny", layers=layers)(random_pixels(1))
    assert [tuple(answers[layer].shape[1:]) for layer in layers] == [(32, 16, 16), (64, 8, 8), (96, 4, 4)]
    assert set(answers) == {*layers, "pooled"}


def test_backbones_that_ship_import_neither_timm_nor_torchvision() -> None:
    code = (
        "import sys, torch\nfrom methods.features import backbone\n"
        "for name in ('desc', 'tiny'): backbone.load(name)(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))\n"
        "sys.exit(bool({'timm', 'torchvision'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_shipped_weights_are_small_and_recorded() -> None:
    content = tiny.WEIGHTS.read_bytes()
    assert len(content) < 1_000_000
    assert hashlib.sha256(content).hexdigest() == tiny.SHA256


def test_damaged_or_missing_weights_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "tiny.safetensors"
    with pytest.raises(WeightsMissing, match=r"the weights of 'tiny' are not at '.*': install ltbench again"):
        tiny.from_file(file, tiny.SHA256, "cpu", tiny.DEFAULT_LAYERS)
    content = bytearray(tiny.WEIGHTS.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(WeightsMissing, match=r"have sha256 '.*', expected '.*': install ltbench again"):
        tiny.from_file(file, tiny.SHA256, "cpu", tiny.DEFAULT_LAYERS)


@pytest.mark.parametrize(
    ("name", "layers", "sentence"),
    [
        ("tiny", ("layer9",), r"backbone 'tiny' has no layer 'layer9': expected some of desc, cnn, stride4"),
        ("desc", ("cnn",), r"backbone 'desc' has no layer 'cnn'"),
        ("tiny:large", None, r"backbone 'tiny' takes no options, got 'large'"),
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


def test_folding_the_normalisation_changes_nothing_but_rounding() -> None:
    torch.manual_seed(0)
    trained = tiny.Network(export.normalised_unit)
    trained.train()
    images = torch.rand(4, 3, 64, 64)
    for _ in range(3):
        trained(images)
    trained.eval()
    with torch.inference_mode():
        for there, here in zip(trained(images), export.folded(trained)(images), strict=True):
            torch.testing.assert_close(here, there, rtol=0, atol=0.02 * float(there.std()))


def test_statistics_are_those_of_all_positions() -> None:
    network = export.folded(tiny.Network(export.normalised_unit))
    made = pictures.pictures(23, 64, seed=5)
    found = export.statistics(network, made, side=64)
    with torch.inference_mode():
        images = desc.equalised(torch.from_numpy(made))
        maps = torch.cat([desc.describe(images), tiny.joint(network(images))], dim=1)
    torch.testing.assert_close(found["mean"], maps.mean(dim=(0, 2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found["std"], maps.std(dim=(0, 2, 3), correction=0), rtol=1e-3, atol=1e-4)


def test_a_training_picture_is_a_function_of_its_number() -> None:
    many = pictures.pictures(12, 48, seed=3)
    assert np.array_equal(many[:5], pictures.pictures(5, 48, seed=3))
    assert not np.array_equal(many[:5], pictures.pictures(5, 48, seed=4))
    assert len({picture.tobytes() for picture in many}) == 12


def test_pasted_defects_are_labelled_where_they_show() -> None:
    generator = torch.Generator().manual_seed(1)
    crops = torch.from_numpy(pictures.pictures(24, 64, seed=2)) / 255
    pasted, labels = corruptions.paste(crops, 8, generator)
    change = (pasted - crops).abs().amax(dim=1).view(24, 8, 8, 8, 8).amax(dim=(2, 4))[:, None]
    assert set(labels.unique().tolist()) == {-1.0, 0.0, 1.0}
    assert change[labels == 1].min() > corruptions.VISIBLE
    assert change[labels == 0].max() < corruptions.HIDDEN
    touched = (labels == 1).flatten(1).any(dim=1)
    assert 6 <= touched.sum() <= 22
