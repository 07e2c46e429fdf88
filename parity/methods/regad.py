"""RegAD beside the code that its authors released."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import nn

from ltbench.methods import regad
from ltbench.methods.blocks.score_maps import anomaly_maps
from ltbench.methods.layers import trunk
from ltbench.methods.layers.registration import RegisteredPyramid, Siamese
from ltbench.methods.regad import RegAD, cosine_by_pass
from ltbench.methods.synthesis.support import copies
from parity import inputs
from parity.case import Arrays, Case
from parity.official import Clone, Repository
from parity.pixel_methods import arrays, context, image_set, loss_alone, on_cpu, recorded, scaled

REPOSITORY = Repository("RegAD", "https://github.com/MediaBrain-SJTU/RegAD", "5e2c1f8", "MIT")
SIDE = 48
"""Images whose maps have 12, 6 and 3 pixels."""
CHANNELS, SHOTS, EPOCHS, RATE = 256, 2, 4, 1e-3
SGD = torch.optim.SGD


def _pyramid(encoder: trunk.Trunk | None = None, side: int = SIDE) -> RegisteredPyramid:
    encoder = encoder or trunk.load("resnet18", None)
    # The authors' network sees values from 0 to 1.
    encoder.mean.zero_(), encoder.std.fill_(1)
    found = RegisteredPyramid(inputs.fill(encoder, "trunk"), side)  # type: ignore[arg-type]
    for stage, place in enumerate(found.place):
        inputs.fill(place, f"place {stage}")
        with torch.no_grad():
            # Turns and scales that a training might find, and that have an inverse.
            place.tell[-1].weight.mul_(0.1)
            place.tell[-1].bias.copy_(torch.tensor([0.3 - 0.2 * stage, 1.1, 0.9]))
    return found


def _siamese(*_: Any) -> Siamese:
    return inputs.fill(Siamese(CHANNELS), "siamese")  # type: ignore[return-value]


@contextmanager
def _filled() -> Iterator[None]:
    """Let RegAD begin with given weights of a ResNet-18."""
    with (
        mock.patch.object(regad, "RegisteredPyramid", _pyramid),
        mock.patch.object(regad, "Siamese", _siamese),
    ):
        yield


def _load(clone: Clone, module: str) -> ModuleType:
    return clone.load(module, stubs=("kornia", "IPython", "IPython.display"))


def _official_networks(clone: Clone) -> list[nn.Module]:
    # The authors' file of the network loads nothing from the net where no weights are asked for.
    network = _load(clone, "models.stn").stn_net(SimpleNamespace(stn_mode="rotation_scale"), pretrained=False)
    ours = _pyramid()
    for stage, place in enumerate(ours.place, 1):
        # Their number of inputs is that of images with 224 pixels.
        getattr(network, f"stn{stage}").fc[0] = nn.Linear(place.tell[0].in_features, 1024)
    inputs.hand_over(ours, network, _official_name)
    heads, module = _siamese(), _load(clone, "models.siamese")
    encoder, predictor = module.Encoder(), module.Predictor()
    # Its third norm is not used.
    inputs.hand_over(heads.encode, encoder, _head_name, ignore="bn3")
    inputs.hand_over(heads.predict, predictor, _head_name)
    return [network, encoder, predictor]


def _official_name(name: str) -> str:
    owner, part, first, *rest = name.split(".")
    if owner == "place":
        return f"stn{int(part) + 1}.{'conv' if first == 'see' else 'fc'}.{'.'.join(rest)}"
    if part == "stem":
        return f"{('conv1', 'bn1')[int(first)]}.{rest[-1]}"
    return "" if first == "3" else f"layer{int(first) + 1}.{'.'.join(rest)}"


def _head_name(name: str) -> str:
    layer, rest = name.split(".")
    return f"{('conv', 'bn')[int(layer) % 3]}{int(layer) // 3 + 1}.{rest}"


def _images(name: str = "regad") -> Any:
    return image_set(inputs.images(name, 2, SIDE))


# ---- network


def registration() -> Arrays:
    pyramid, images = _pyramid().eval(), scaled(_images())
    return arrays(coarsest=pyramid(images)[0][-1], embedding=pyramid.embed(images)[:, ::4])


def official_registration(clone: Clone) -> Arrays:
    network = _official_networks(clone)[0].eval()
    concatenated = _load(clone, "utils.funcs").embedding_concat
    with on_cpu(), mock.patch.object(torch, "device", return_value="cpu"):
        coarsest, embedding = network(scaled(_images())), network.stn1_output
        for maps in (network.stn2_output, network.stn3_output):
            embedding = concatenated(embedding, maps, use_cuda=True)
    return arrays(coarsest=coarsest, embedding=embedding[:, ::4])


# ---- training


def loss_and_gradients() -> Arrays:
    with _filled(), loss_alone() as found:
        RegAD(encoder="resnet18", size=None, shots=SHOTS, batch_size=2).fit(_images(), context(SIDE))
    pyramid, head = found["model"]["pyramid"], found["model"]["head"]
    place = pyramid.place[0].tell[-1].bias.grad
    return arrays(
        loss=found["loss"], first=pyramid.trunk.stem[0].weight.grad, place=place,
        encode=head.encode[0].weight.grad, predict=head.predict[-1].weight.grad,
    )  # fmt: skip


def training() -> Arrays:
    with _filled(), recorded(SGD) as steps:
        RegAD(
            encoder="resnet18", size=None, shots=SHOTS, batch_size=2, epochs=EPOCHS, learning_rate=RATE
        ).fit(_images(), context(SIDE))
    return _kept(steps["loss"], steps["rate"])


def _kept(losses: list[float], rates: list[float]) -> Arrays:
    """All rates and the first losses: weights of no trained network soon magnify the last bits of a sum."""
    return {"loss": np.array(losses[:2], np.float32), "rate": np.array(rates, np.float32)}


def _batch() -> list[Any]:
    """Both images, each beside the other one twice, as the authors' data set gives them."""
    images = scaled(_images())
    return [(images[None], images.flip(0)[None, :, None].repeat(1, 1, SHOTS, 1, 1, 1), None)]


def _train(clone: Clone, models: list[nn.Module], optimizers: list[Any], epoch: int, rate: float) -> None:
    module = _load(clone, "train")
    options = SimpleNamespace(epochs=EPOCHS)
    with on_cpu(), mock.patch.object(module, "tqdm", iter), mock.patch.object(module, "print_log"):
        module.adjust_learning_rate(optimizers, [rate] * 3, epoch, options)
        module.train(models, epoch, _batch(), optimizers, None)


def official_loss_and_gradients(clone: Clone) -> Arrays:
    models = _official_networks(clone)
    still = [SimpleNamespace(zero_grad=bool, step=bool, param_groups=[]) for _ in models]
    with recorded(SGD) as steps:
        _train(clone, models, still, 1, RATE)
    network, encoder, predictor = models
    return arrays(
        loss=steps["loss"][0], first=network.conv1.weight.grad, place=network.stn1.fc[-1].bias.grad,
        encode=encoder.conv1.weight.grad, predict=predictor.conv2.weight.grad,
    )  # fmt: skip


def official_training(clone: Clone) -> Arrays:
    models = _official_networks(clone)
    optimizers = [SGD(model.parameters(), lr=RATE, momentum=0.9) for model in models]
    with recorded(SGD) as steps:
        for epoch in range(1, EPOCHS + 1):
            _train(clone, models, optimizers, epoch, RATE)
    # Three optimizers step for one of ours.
    return _kept(steps["loss"], steps["rate"][::3])


def rates() -> Arrays:
    method, schedule = RegAD(), cosine_by_pass(50, 3)
    return {"rate": np.array([method.learning_rate * schedule(step) for step in range(150)], np.float32)}


def official_rates(clone: Clone) -> Arrays:
    groups = [SGD([nn.Parameter(torch.zeros(1))], lr=1.0) for _ in range(3)]
    found = []
    for epoch in range(1, 51):
        # Defaults of the authors' command line.
        _load(clone, "train").adjust_learning_rate(groups, [1e-4] * 3, epoch, SimpleNamespace(epochs=50))
        found += [groups[0].param_groups[0]["lr"]] * 3
    return {"rate": np.array(found, np.float32)}


# ---- supports and scores


def support_copies() -> Arrays:
    return arrays(copies=copies(scaled(_images())[0]))


class _SeenError(Exception):
    """Ends the authors' test once the supports are made."""


def official_support_copies(clone: Clone) -> Arrays:
    seen: list[torch.Tensor] = []

    def see(images: torch.Tensor) -> None:
        seen.append(images)
        raise _SeenError

    models = [SimpleNamespace(eval=bool), SimpleNamespace(eval=bool), SimpleNamespace(eval=bool)]
    network: Any = type("Network", (), {"eval": lambda _: None, "__call__": lambda _, images: see(images)})()
    try:
        _test(clone, [network, *models[1:]], scaled(_images())[:1])
    except _SeenError:
        return arrays(copies=seen[0])
    raise AssertionError("the authors' test asked for no features")


def _test(clone: Clone, models: list[Any], supports: torch.Tensor) -> Any:
    module, functions = _load(clone, "test"), _load(clone, "utils.funcs")
    geometry = SimpleNamespace(
        hflip=lambda images: images.flip(3),
        rotate=lambda images, angle, **_: torch.rot90(images, round(float(angle) / 90), (2, 3)),
    )
    grey = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    # What kornia does here: a mirror, quarter turns to the left, and grey levels.
    kornia = SimpleNamespace(
        geometry=SimpleNamespace(transform=geometry),
        color=SimpleNamespace(rgb_to_grayscale=lambda images: (images * grey).sum(dim=1, keepdim=True)),
    )
    device, zero = torch.device("cpu"), torch.zeros(1)
    loader = [(image[None], None, zero, zero) for image in scaled(_images("judged"))]
    concatenated = functions.embedding_concat
    with (
        on_cpu(),
        redirect_stderr(StringIO()),
        mock.patch.object(module, "device", device),
        mock.patch.object(torch, "randperm", torch.arange),
        mock.patch.object(
            module, "embedding_concat", lambda first, second, _: concatenated(first, second, False)
        ),
        mock.patch.dict(module.rot_img.__globals__, {"K": kornia}),
        torch.no_grad(),
    ):
        return module.test(None, models, 0, [supports], loader)


def scores() -> Arrays:
    method = RegAD(encoder="resnet18", size=None, shots=SHOTS, grid=None, standardise=False, iterations=0)
    with _filled():
        method.fit(_images(), context(SIDE))
    found = method.score(_images("judged"), context(SIDE))
    assert found.grids is not None
    maps = anomaly_maps(found.grids, SIDE, found.post.sigma, found.post.upsample)
    return {"map": maps, "image score": found.scores}


def official_scores(clone: Clone) -> Arrays:
    maps, *_ = _test(clone, _official_networks(clone), scaled(_images()))
    # As the authors do, but for the bounds of the whole test set.
    return {"map": maps, "image score": maps.reshape(len(maps), -1).max(axis=1)}


def _case(stage: str, ours: Any, official: Any, **fields: Any) -> Case:
    return Case("regad", stage, REPOSITORY, ours, official, **fields)


CASES = (
    _case("registration", registration, official_registration, rounding=2e-4),
    # Normalisation over two images lets rounding grow on its way back to the first layers.
    _case(
        "loss and gradients",
        loss_and_gradients,
        official_loss_and_gradients,
        tolerance=1e-4,
        rounding={"loss": 0.01, "first": 0.3, "place": 0.4, "encode": 0.2, "predict": 5e-3},
    ),
    _case("training steps", training, official_training, tolerance=1e-3, rounding={"loss": 0.15}),
    _case("learning rates", rates, official_rates),
    _case("support copies", support_copies, official_support_copies),
    # Covariances are inverted in float32 there.
    _case("map and image score", scores, official_scores, tolerance=1e-4),
)
