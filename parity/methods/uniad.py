"""UniAD beside the code that its authors released."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import nn

from ltbench.methods.base import Prediction
from ltbench.methods.blocks.score_maps import maps_after
from ltbench.methods.features.tokens import on_grid
from ltbench.methods.layers.uniad import ReconstructionTransformer
from ltbench.methods.reconstruction.judging import max_of_pooled
from ltbench.methods.training import engine
from ltbench.methods.training.engine import Plan
from ltbench.methods.training.sampling import Sampler
from ltbench.methods.training.schedules import late_drop
from ltbench.methods.uniad import UniAD
from parity import inputs
from parity import uniad_family as family
from parity.case import Arrays, Case
from parity.official import Clone, Repository
from parity.pixel_methods import arrays, context, on_cpu

REPOSITORY = Repository("UniAD", "https://github.com/zhiyuanyou/UniAD", "a5b9d9d", "Apache-2.0")
SUITES = ("ltad-mvtec", "ltad-visa", "ltad-dagm", "ltad-ablations")
CHANNELS, SIDE = 24, 9
SMALL = {"width": 16, "hidden": 32, "depth": 2, "grid": SIDE}
BATCH, STEPS = 2, 3


def _method(**fields: Any) -> UniAD:
    """UniAD with the fields of LTAD's suite, but small."""
    return UniAD(**{**family.suite_fields("ltad-mvtec", "uniad"), **SMALL, **fields})


def _tokens(step: int = 0) -> torch.Tensor:
    return inputs.tensor(f"uniad {step}", BATCH, SIDE * SIDE, CHANNELS)


def _noise(step: int) -> torch.Tensor:
    return inputs.tensor(f"uniad noise {step}", BATCH, SIDE * SIDE, CHANNELS)


def _filled() -> ReconstructionTransformer:
    model = inputs.fill(_method(dropout=0.0)._network(CHANNELS), "uniad")
    assert isinstance(model, ReconstructionTransformer)
    return model


def _official_empty(clone: Clone, **fields: Any) -> nn.Module:
    width, hidden, depth = (SMALL[name] for name in ("width", "hidden", "depth"))
    net = family.configuration(clone)["net"][-1]["kwargs"]
    net |= {"hidden_dim": width, "dim_feedforward": hidden, "num_encoder_layers": depth,
            "num_decoder_layers": depth, "save_recon": None, **fields}  # fmt: skip
    for name in ("feature_jitter", "neighbor_mask"):
        net[name] = SimpleNamespace(**net[name])
    module = family.load(clone, "models.reconstructions.uniad")
    made: nn.Module = module.UniAD(inplanes=[CHANNELS], instrides=[16], feature_size=(SIDE, SIDE), **net)
    return made


def _official(clone: Clone) -> nn.Module:
    made = _official_empty(clone, dropout=0.0)
    inputs.hand_over(_filled(), made, _name)
    return made


def _name(name: str) -> str:
    part, _, rest = name.partition(".")
    if part in ("into", "back"):
        return f"{'input' if part == 'into' else 'output'}_proj.{rest}"
    return family.transformer_name(name, "transformer.").removeprefix(
        "transformer." if part == "position" else ""
    )


def _square(tokens: torch.Tensor) -> torch.Tensor:
    return tokens.transpose(1, 2).unflatten(2, (SIDE, SIDE))


# ---- features


def _features(*, padded: bool = True) -> Arrays:
    fields = family.suite_fields("ltad-mvtec", "uniad")
    return family.features(fields, partial(on_grid, grid=family.GRID), padded=padded)


def _official_features(clone: Clone) -> Arrays:
    # LTAD compares with B7.
    network = family.official_network(clone, family.nominal_size(clone, "efficientnet-b7"))
    channels = network.get_outplanes()
    neck = clone.load("models.necks.mfcn").MFCN(channels, [sum(channels)], [2, 4, 8, 16], [16])
    with torch.no_grad():
        aligned = neck(network({"image": family.normalised(clone)}))["feature_align"]
    return arrays(features=aligned.flatten(2).transpose(1, 2))


def _sizes() -> Arrays:
    sizes = [family.padding_size(family.suite_fields(suite, "uniad")) for suite in SUITES]
    return {"nominal size": np.array(sizes)}


def _official_sizes(clone: Clone) -> Arrays:
    return {"nominal size": np.array([family.nominal_size(clone, "efficientnet-b7")] * len(SUITES))}


# ---- network, loss, training


def _architecture() -> Arrays:
    model = _method()._network(CHANNELS)
    return {"number of weights": np.array(sum(weight.numel() for weight in model.parameters())),
            "dropout": np.array(family.dropouts(model))}  # fmt: skip


def _official_architecture(clone: Clone) -> Arrays:
    model = _official_empty(clone)
    return {"number of weights": np.array(sum(weight.numel() for weight in model.parameters())),
            "dropout": np.array(family.dropouts(model))}  # fmt: skip


def _forward() -> Arrays:
    with torch.no_grad():
        return arrays(rebuilt=_square(_filled().eval()(_tokens())))


def _official_forward(clone: Clone) -> Arrays:
    with torch.no_grad(), on_cpu():
        answer = _official(clone).eval()({"feature_align": _square(_tokens())})
    return arrays(rebuilt=answer["feature_rec"])


def _loss(model: ReconstructionTransformer, step: int) -> torch.Tensor:
    with mock.patch.object(torch, "randn_like", return_value=_noise(step)):
        student = _method()._student(model).train()
        return student.loss(student((_square(_tokens(step)),), None), 0.0)


def _official_loss(clone: Clone, model: nn.Module, step: int) -> torch.Tensor:
    with mock.patch.object(torch, "randn", return_value=_noise(step).transpose(0, 1)), on_cpu():
        answer = model({"feature_align": _square(_tokens(step))})
    found: torch.Tensor = clone.load("utils.criterion_helper").FeatureMSELoss(1.0)(answer)
    return found


def _gradients() -> Arrays:
    model = _filled().train()
    value = _loss(model, 0)
    value.backward()
    first = model.encoder[0]
    return arrays(loss=value, into=model.into.weight.grad, query=model.decoder[1].query.grad,
                  rows=model.position.rows.grad, feed=first.feed[0].weight.grad)  # fmt: skip


def _official_gradients(clone: Clone) -> Arrays:
    model = _official(clone).train()
    value = _official_loss(clone, model, 0)
    value.backward()
    weights = dict(model.named_parameters())
    return arrays(loss=value, into=weights["input_proj.weight"].grad,
                  query=weights["transformer.decoder.layers.1.learned_embed.weight"].grad,
                  rows=weights["pos_embed.row_embed.weight"].grad,
                  feed=weights["transformer.encoder.layers.0.linear1.weight"].grad)  # fmt: skip


def _training() -> Arrays:
    method, model, losses = _method(), _filled(), []

    def loss(batch: engine.Batch) -> torch.Tensor:
        value = _loss(model, batch.iteration)
        losses.append(float(value.detach()))
        return value

    shared = context(SIDE)
    sampler = Sampler(BATCH, BATCH, shared.rng)
    plan = Plan(STEPS, schedule=late_drop(1000), clip=method.clip)
    engine.train(model, loss, sampler, method._optimizer(model), plan=plan, context=shared, title="train")
    return {"losses": np.array(losses)} | arrays(into=model.into.weight, back=model.back.weight)


def _official_training(clone: Clone) -> Arrays:
    model = _official(clone).train()
    losses = family.official_steps(clone, model, partial(_official_loss, clone, model), STEPS)
    return {"losses": np.array(losses)} | arrays(into=model.input_proj.weight, back=model.output_proj.weight)


WIDE = {"width": 64, "hidden": 128}


def _first() -> Arrays:
    torch.manual_seed(0)
    model = _method(**WIDE)._network(CHANNELS)
    layer = model.encoder[0]
    attention = layer.attend.attention
    return family.first_weights(
        {"encoder": list(model.encoder), "decoder": list(model.decoder)},
        model.into.weight, layer.feed[0].weight, model.decoder[0].query, attention.in_proj_weight,
        attention.out_proj.weight, model.position.rows,
    )  # fmt: skip


def _official_first(clone: Clone) -> Arrays:
    torch.manual_seed(1)
    model = _official_empty(clone, hidden_dim=WIDE["width"], dim_feedforward=WIDE["hidden"])
    encoder, decoder = (list(part.layers) for part in (model.transformer.encoder, model.transformer.decoder))
    layer = encoder[0]
    attention = layer.self_attn
    return family.first_weights(
        {"encoder": encoder, "decoder": decoder},
        model.input_proj.weight, layer.linear1.weight, decoder[0].learned_embed.weight,
        attention.in_proj_weight, attention.out_proj.weight, model.pos_embed.row_embed.weight,
    )  # fmt: skip


def _rates() -> Arrays:
    method = _method()
    assert method.epochs is not None
    return family.rates(late_drop, method.learning_rate, method.epochs)


# ---- scores


def _grids() -> torch.Tensor:
    with torch.no_grad():
        return (_filled().eval()(_tokens()) - _tokens()).norm(dim=-1).unflatten(1, (SIDE, SIDE))


def _answer() -> Prediction:
    return max_of_pooled(_grids().numpy(), SIDE * 16, _method().pool)


def _map() -> Arrays:
    return {"map": maps_after(_grids().numpy(), SIDE * 16, _answer().post)}


def _official_map(clone: Clone) -> Arrays:
    with torch.no_grad(), on_cpu():
        answer = _official(clone).eval()({"feature_align": _square(_tokens())})
    return arrays(map=answer["pred"][:, 0])


def _scores() -> Arrays:
    return {"scores": _answer().scores}


def _official_scores(clone: Clone) -> Arrays:
    module = clone.load("utils.eval_helper", stubs=("tabulate",))
    metric = next(
        part for part in family.configuration(clone)["evaluator"]["metrics"]["auc"] if part["name"] == "max"
    )
    maps = _official_map(clone)["map"]
    with on_cpu():
        return {"scores": module.EvalImageMax.encode_pred(maps, **metric["kwargs"])}


def _case(stage: str, ours: Any, official: Any, tolerance: float = 1e-5, **fields: Any) -> Case:
    return Case("uniad", stage, REPOSITORY, ours, official, tolerance, **fields)


CASES = (
    _case(
        "features",
        _features,
        _official_features,
        setting="backbone='timm:...?padding_size=600'",
        default=partial(_features, padded=False),
    ),
    _case("padding", _sizes, _official_sizes, 0.0),
    _case("architecture", _architecture, _official_architecture, 0.0),
    _case("forward", _forward, _official_forward),
    _case("loss and gradients", _gradients, _official_gradients, 3e-5),
    _case("training steps", _training, _official_training, 1e-5),
    _case("first weights", _first, _official_first, family.SPREAD),
    _case("learning rate", _rates, family.official_rates, 1e-6),
    _case("map", _map, _official_map),
    _case("image score", _scores, _official_scores),
)
