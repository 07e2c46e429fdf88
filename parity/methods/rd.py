"""RD (reverse distillation) beside the code that its authors released."""

from __future__ import annotations

import contextlib
import io
import math
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import nn

from ltbench.methods.blocks.score_maps import maps_after
from ltbench.methods.features.backbones.timm import TimmBackbone, depths
from ltbench.methods.rd import PYRAMID, Rd
from ltbench.methods.reconstruction.arrangements import pyramid
from ltbench.methods.reconstruction.judging import MAP_SIDE, max_of_map
from ltbench.methods.training import engine
from ltbench.methods.training.engine import Plan
from ltbench.methods.training.sampling import Sampler
from ltbench.methods.training.schedules import constant
from parity import inputs
from parity import rd_networks as networks
from parity.case import Arrays, Case
from parity.official import Clone, Repository
from parity.pixel_methods import arrays, context
from parity.uniad_family import SPREAD

REPOSITORY = Repository("RD4AD", "https://github.com/hq-deng/RD4AD", "6554076", "MIT")
STEPS = 3
MVTEC_IMAGES = 3629


# ---- features


def _network() -> nn.Module:
    from timm.models.resnet import Bottleneck, ResNet

    return inputs.fill(ResNet(Bottleneck, (1, 1, 1, 1), base_width=8, num_classes=3), "rd teacher").eval()


def _features() -> Arrays:
    from timm import get_pretrained_cfg

    model, method = _network(), networks.method()
    config = get_pretrained_cfg(method.backbone.removeprefix("timm:"))
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (config.mean, config.std))
    teacher = TimmBackbone("rd", "", model, depths(model, "resnet", PYRAMID), (mean, std))
    answers = teacher(torch.from_numpy(inputs.images("rd", 2, 64)).permute(0, 3, 1, 2))
    maps = pyramid(method.grid)([answers[layer] for layer in PYRAMID])
    return arrays(**dict(zip(PYRAMID, maps, strict=True)))


def _official_features(clone: Clone) -> Arrays:
    from PIL import Image

    resnet = clone.load("resnet")
    made = resnet.ResNet(resnet.Bottleneck, [1, 1, 1, 1], num_classes=3, width_per_group=8).eval()
    made.load_state_dict(_network().state_dict(), strict=False)
    transform, _ = clone.load("dataset", stubs=networks.STUBS).get_data_transforms(64, 64)
    seen = torch.stack([transform(Image.fromarray(picture)) for picture in inputs.images("rd", 2, 64)])
    with torch.no_grad():
        return arrays(**dict(zip(PYRAMID, made(seen), strict=True)))


# ---- network, loss, training


def _forward() -> Arrays:
    with torch.no_grad():
        rebuilt = networks.filled().eval()(networks.maps())
    return arrays(**{f"scale {level}": maps for level, maps in enumerate(rebuilt.outputs)})


def _official_forward(clone: Clone) -> Arrays:
    bottleneck, decoder = networks.official(clone)
    with torch.no_grad():
        outputs = decoder.eval()(bottleneck.eval()(list(networks.maps())))
    return arrays(**{f"scale {level}": maps for level, maps in enumerate(outputs)})


def _double_maps(step: int = 0) -> tuple[torch.Tensor, ...]:
    """Maps in double precision: normalisation over a small batch lets rounding in single precision grow."""
    return tuple(maps.double() for maps in networks.maps(step))


def _gradients() -> Arrays:
    model = networks.filled().double().train()
    # The loss rounds to float32 otherwise.
    with mock.patch.object(torch.Tensor, "float", lambda values: values):
        value = model.loss(model(_double_maps()), 0.0)
        value.backward()
    fused, last = model.bottleneck.from_fine[0], model.decoder.stages[2][-1].expand[0]
    return arrays(loss=value, fused=fused.weight.grad, last=last.weight.grad)


def _official_gradients(clone: Clone) -> Arrays:
    bottleneck, decoder = (part.double().train() for part in networks.official(clone))
    value = clone.load("main", stubs=networks.STUBS).loss_fucntion(
        list(_double_maps()), decoder(bottleneck(list(_double_maps())))
    )
    value.backward()
    return arrays(loss=value, fused=bottleneck.conv1.weight.grad, last=decoder.layer3[-1].conv3.weight.grad)


def _training() -> Arrays:
    # In double precision, also within the loss: rounding would grow a thousandfold from step to step.
    method, model = networks.method(), networks.filled().double()

    def loss(batch: engine.Batch) -> torch.Tensor:
        return model.loss(model(_double_maps(batch.iteration)), 0.0)

    shared = context(networks.SIDE)
    sampler = Sampler(networks.BATCH, networks.BATCH, shared.rng)
    plan = Plan(STEPS, schedule=constant)
    optimizer = method._optimizer(model)
    with mock.patch.object(torch.Tensor, "float", lambda values: values):
        engine.train(model, loss, sampler, optimizer, plan=plan, context=shared, title="train")
    fused, last = model.bottleneck.from_fine[0], model.decoder.stages[2][-1].expand
    return arrays(fused=fused.weight, last=last[0].weight, mean=last[1].running_mean)


class _Loader:
    """Gives the number of each step in the first epoch, and nothing in the others."""

    def __init__(self) -> None:
        self.passes = 0

    def __iter__(self) -> Any:
        self.passes += 1
        yield from [(torch.tensor(step), None) for step in range(STEPS if self.passes == 1 else 0)]


def _official_run(clone: Clone) -> tuple[nn.Module, nn.Module, _Loader, dict[str, Any]]:
    """The authors' own training of one class: `train` in main.py."""
    main = clone.load("main", stubs=networks.STUBS)
    bottleneck, decoder = (part.double() for part in networks.official(clone))
    teacher = nn.Identity()
    teacher.forward = lambda step: list(_double_maps(int(step)))
    loader, given = _Loader(), []

    def loaders(_: Any, **fields: Any) -> Any:
        given.append(fields)
        return loader if len(given) == 1 else []

    with (
        mock.patch.multiple(
            main, ImageFolder=mock.Mock(), MVTecDataset=mock.Mock(), evaluation=lambda *_: (0.0, 0.0, 0.0),
            wide_resnet50_2=lambda **_: (teacher, bottleneck), de_wide_resnet50_2=lambda **_: decoder,
        ),
        mock.patch.object(torch.utils.data, "DataLoader", loaders),
        mock.patch.object(torch, "save"),
        contextlib.redirect_stdout(io.StringIO()),
        np.errstate(all="ignore"),
    ):  # fmt: skip
        main.train("product")
    return bottleneck, decoder, loader, given[0]


def _official_training(clone: Clone) -> Arrays:
    bottleneck, decoder, _, _ = _official_run(clone)
    last = decoder.layer3[-1]
    return arrays(fused=bottleneck.conv1.weight, last=last.conv3.weight, mean=last.bn3.running_mean)


def _steps() -> Arrays:
    return {"steps": np.array([networks.method()._steps(MVTEC_IMAGES)])}


def _official_steps(clone: Clone) -> Arrays:
    _, _, loader, fields = _official_run(clone)
    assert not fields.get("drop_last", False)
    return {"steps": np.array([loader.passes * math.ceil(MVTEC_IMAGES / fields["batch_size"])])}


def _first() -> Arrays:
    torch.manual_seed(0)
    model = networks.method()._network(networks.CHANNELS)
    return _spreads(model.bottleneck, model.decoder)


def _official_first(clone: Clone) -> Arrays:
    torch.manual_seed(1)
    bottleneck, decoder = networks.official_empty(clone)
    bottleneck.conv4, bottleneck.bn4 = nn.Identity(), nn.Identity()
    return _spreads(bottleneck, decoder)


def _spreads(*networks: nn.Module) -> Arrays:
    """Spread of every kernel, in the order of their sizes, which both sides have."""
    layers = [part for network in networks for part in network.modules()]
    kernels = [part.weight for part in layers if isinstance(part, nn.Conv2d | nn.ConvTranspose2d)]
    facts = sorted((*kernel.shape, float(kernel.detach().square().mean().sqrt())) for kernel in kernels)
    return {
        "shapes": np.array([fact[:4] for fact in facts]),
        "spreads": np.array([fact[4] for fact in facts]),
    }


# ---- scores


def _map(method: Rd) -> Arrays:
    model = networks.filled().eval()
    model.map_side = method.map_side
    with torch.no_grad():
        grids = model.scored(model(networks.maps())).numpy()
    prediction = max_of_map(grids, method.smoothing, MAP_SIDE)
    return {"map": maps_after(grids, MAP_SIDE, prediction.post), "scores": prediction.scores}


def _official_map(clone: Clone) -> Arrays:
    module = clone.load("test", stubs=networks.STUBS)
    bottleneck, decoder = networks.official(clone)
    with torch.no_grad():
        targets, outputs = networks.maps(), decoder.eval()(bottleneck.eval()(list(networks.maps())))
    found = []
    for image in range(networks.BATCH):
        pairs = [[maps[image : image + 1] for maps in side] for side in (targets, outputs)]
        added, _ = module.cal_anomaly_map(*pairs, MAP_SIDE, amap_mode="a")
        found.append(module.gaussian_filter(added, sigma=4))
    maps = np.stack(found)
    return {"map": maps, "scores": maps.max(axis=(1, 2))}


def _case(stage: str, ours: Any, official: Any, tolerance: float = 1e-5, **fields: Any) -> Case:
    return Case("rd", stage, REPOSITORY, ours, official, tolerance, **fields)


CASES = (
    _case("features", _features, _official_features),
    _case("forward", _forward, _official_forward),
    _case("loss and gradients", _gradients, _official_gradients),
    _case("training steps", _training, _official_training),
    _case("number of steps", _steps, _official_steps, 0.0),
    _case("first weights", _first, _official_first, SPREAD),
    _case(
        "map and image score",
        lambda: _map(networks.method()),
        _official_map,
        setting="map_side=256",
        default=lambda: _map(Rd()),
    ),
)
