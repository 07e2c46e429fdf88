"""What suites need of pretrained weights is listed, and what is missing is said with the ways out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from ltbench.benchmark import suites
from ltbench.benchmark.cli import main
from ltbench.benchmark.commands import weights as command
from ltbench.methods import catalog
from ltbench.methods.features import hub, weights
from ltbench.methods.features.published_weights import needs_download, published


@pytest.fixture(autouse=True)
def _without_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv(weights.ENVIRONMENT, raising=False)


Ended = Callable[..., tuple[int, str]]


def called(*words: str) -> Result:
    return CliRunner().invoke(command.app, list(words))


def named() -> set[str]:
    """Networks of all rows of all suites."""
    return {
        network
        for name in suites.names()
        for row in suites.load(name).methods
        for network in catalog.pretrained(catalog.create(row.name, **row.fields))
    }


def test_size_and_licence_of_all_that_suites_need_are_known() -> None:
    assert [name for name in named() if needs_download(name) and published(name) is None] == []
    assert {name for name in named() if not needs_download(name)} == {"toy-vl"}


@pytest.mark.parametrize(
    "name",
    [
        "timm:tf_efficientnet_b4.aa_in1k",
        "timm:wide_resnet50_2.tv_in1k",
        "timm:resnet18.tv_in1k",
        "timm:vgg16.tv_in1k",
        "timm:vit_base_patch8_224.dino",
    ],
)
def test_sizes_are_the_networks_and_licences_those_of_timm(name: str) -> None:
    timm = pytest.importorskip("timm")
    model = name.partition(":")[2]
    # DINO's file has no classifier.
    options = {"num_classes": 0} if model.endswith(".dino") else {}
    with torch.device("meta"):
        numbers = sum(tensor.numel() for tensor in timm.create_model(model, **options).state_dict().values())
    known = published(name)
    assert known is not None
    assert known.megabytes == round(4 * numbers / 1e6)
    assert known.licence.lower() == timm.get_pretrained_cfg(model).license


def test_the_list_tells_what_is_here_and_what_is_to_be_fetched(tmp_path: Path) -> None:
    answer = called("ls", "ltad-mvtec", "--weights", str(tmp_path), "--json")
    rows = {row["backbone"]: row for row in json.loads(answer.stdout)["weights"]}
    align = rows["align:kakaobrain/align-base"]
    assert (align["here"], align["MB"], align["suites"]) == ("no", 690, "ltad-mvtec")
    assert "Apache-2.0" in align["licence"]
    assert set(rows) == {"align:kakaobrain/align-base", "openclip:ViT-H-14@laion2b_s32b_b79k",
                         "timm:tf_efficientnet_b7.aa_in1k?padding_size=600", "timm:wide_resnet50_2.tv_in1k",
                         "timm:resnet18.tv_in1k?mean=0&std=1", "timm:vgg16.tv_in1k?mean=0&std=1"}  # fmt: skip
    own = {row["backbone"]: row for row in json.loads(called("ls", "demo-ltad", "--json").stdout)["weights"]}
    assert {name: (row["here"], row["licence"]) for name, row in own.items()} == {
        "timm:tf_efficientnet_lite0": ("yes", "Apache-2.0"),
        "toy-vl": ("yes", "part of ltbench"),
    }


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Ended:
    """Runs `ltbench` with these words: its exit code, and what it says in one line."""

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["ltbench", *words])
        with pytest.raises(SystemExit) as end:
            main()
        return int(str(end.value.code)), " ".join(capfd.readouterr().err.split())

    return run


@pytest.mark.parametrize(
    "name",
    ["timm:tf_efficientnet_b7.aa_in1k", "openclip:ViT-H-14@laion2b_s32b_b79k", "align:kakaobrain/align-base"],
)
def test_what_is_missing_ends_with_4_and_every_way_out(name: str, ended: Ended, tmp_path: Path) -> None:
    code, told = ended("weights", "fetch", name, "--weights", str(tmp_path))
    assert code == 4
    for way in (f"ltbench weights fetch '{name}'", "https://huggingface.co/", "put", "into"):
        assert way in told


def test_a_run_without_its_weights_ends_with_4(ended: Ended, tmp_path: Path) -> None:
    words = ["run", "--method", "ltad", "--set", "text_encoder=align:kakaobrain/align-base", "--split"]
    code, told = ended(*words, "ltad_exp20", "--results", str(tmp_path), "--weights", str(tmp_path))
    assert code == 4
    assert "ltbench weights fetch 'align:kakaobrain/align-base'" in told


def test_a_list_never_asks_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    asked: list[str] = []
    monkeypatch.setattr(hub, "_answers", asked.append)
    answer = called("ls", "ltad-mvtec", "--weights", str(tmp_path), "--json")
    assert {row["here"] for row in json.loads(answer.stdout)["weights"]} == {"no"}
    assert asked == []


def test_a_hub_out_of_reach_is_asked_once_and_without_a_word(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from huggingface_hub import constants

    monkeypatch.delenv("HF_HUB_OFFLINE")
    # Nobody listens on port 9 of this machine.
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.hf_hub_download", downloaded := Downloads())
    hub._answers.cache_clear()
    try:
        assert hub.file_of("somebody/something", ["model.safetensors"]) is None
        assert hub._answers("http://127.0.0.1:9") is False
        assert hub._answers.cache_info().misses == 1
    finally:
        hub._answers.cache_clear()
    assert downloaded.only_local == [True]
    assert capfd.readouterr().err == ""


class Downloads:
    """The hub's download with an empty cache: remembers whether the network was to be used."""

    def __init__(self) -> None:
        self.only_local: list[bool] = []

    def __call__(self, _repository: str, _name: str, *, local_files_only: bool) -> str:
        self.only_local.append(local_files_only)
        raise FileNotFoundError
