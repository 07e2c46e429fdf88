"""HVQ beside the code that its authors released."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ltbench.benchmark import suites
from ltbench.methods.blocks.score_maps import maps_after
from ltbench.methods.hvq import Hvq
from ltbench.methods.reconstruction.arrangements import resized_side_by_side
from ltbench.methods.reconstruction.hvq_student import HvqNetwork
from ltbench.methods.reconstruction.judging import max_of_pooled
from ltbench.methods.training import engine
from ltbench.methods.training.engine import Plan
from ltbench.methods.training.sampling import Sampler
from ltbench.methods.training.schedules import late_drop
from parity import inputs
from parity import uniad_family as family
from parity.case import Arrays, Case
from parity.hvq_codes import codes, official_codes
from parity.official import Clone, Repository
from parity.pixel_methods import arrays, context

REPOSITORY = Repository("HVQ-Trans", "https://github.com/RuiyingLu/HVQ-Trans", "12fbfa9", "none")
SUITES = ("meds-mvtec", "meds-visa")
# The authors' network has these sizes fixed: grid, classes, and 512 codes.
SIDE, CLASSES = 14, 15
CHANNELS, WIDTH, BATCH, STEPS = 24, 16, 3, 3
IDS = torch.tensor([4, 0, 11])
MVTEC_IMAGES = 3629


def _method(**fields: Any) -> Hvq:
    """HVQ-Trans with the fields of MeDS' suite on MVTec AD, but narrow."""
    return Hvq(**{**family.suite_fields("meds-mvtec", "hvq"), "width": WIDTH, **fields})


def _maps(step: int = 0) -> torch.Tensor:
    return inputs.tensor(f"hvq {step}", BATCH, CHANNELS, SIDE, SIDE)


def _filled(**fields: Any) -> HvqNetwork:
    model = inputs.fill(_method(dropout=0.0, **fields)._network(CHANNELS, CLASSES), "hvq")
    assert isinstance(model, HvqNetwork)
    with torch.no_grad():
        for book in (model.top, *model.levels):
            # As after some training: counts are positive, codes lie where tokens do.
            book.counts.copy_(book.counts.abs() + 0.1)
            book.codes.copy_(5 * book.codes)
    return model


def _official_empty(clone: Clone, variant: str = "HVQ_TR_switch", width: int = WIDTH) -> nn.Module:
    module = family.load(clone, f"models.{variant}")
    module.efficientnet_b4 = lambda **_: nn.Identity()
    made: nn.Module = getattr(module, variant)(channel=CHANNELS, embed_dim=width)
    made.extract_feature = lambda inputs: inputs["features"]
    return made


def _official(clone: Clone, variant: str = "HVQ_TR_switch") -> nn.Module:
    made, ours = _official_empty(clone, variant), _filled()
    values: dict[str, torch.Tensor] = {}
    for name, value in ours.state_dict().items():
        part, *rest = name.split(".")
        if part == "embed":
            values[f"quantize_conv_t.{rest[0]}"] = value
        elif part == "back":
            values |= {f"output_proj_list.{i}.{rest[0]}": value[i] for i in range(CLASSES)}
        elif part in ("top", "levels"):
            level = 5 if part == "top" else int(rest[0]) + 1
            values |= _books(level, rest[-1], value)
        else:
            values[family.transformer_name(name)] = value
    missing, strange = made.load_state_dict(values, strict=False)
    assert not strange
    assert {name.partition(".")[0] for name in missing} == {"input_proj"}, "which they never use"
    return family.without_dropout(made)


def _books(level: int, kind: str, value: torch.Tensor) -> dict[str, torch.Tensor]:
    named = {"codes": "embed", "counts": "cluster_size", "sums": "embed_avg"}[kind]
    return {f"quantize_list_{level}.{i}.{named}": value[i].T for i in range(CLASSES)}


def _inputs(step: int = 0) -> dict[str, torch.Tensor]:
    return {"features": _maps(step), "image": _maps(step), "clslabel": IDS}


# ---- features


def _features(*, padded: bool = True) -> Arrays:
    fields = family.suite_fields("meds-mvtec", "hvq")
    return family.features(fields, lambda maps: resized_side_by_side(family.GRID)(maps)[0], padded=padded)


def _official_features(clone: Clone) -> Arrays:
    model = _official_empty(clone)
    model.enc = family.official_network(clone, family.nominal_size(clone, "efficientnet-b4"))
    with torch.no_grad():
        return arrays(features=type(model).extract_feature(model, {"image": family.normalised(clone)}))


def _sizes() -> Arrays:
    rows = [row for suite in SUITES for row in suites.load(suite).methods]
    mine = [row.fields for row in rows if row.name == "hvq" or row.fields.get("host") == "hvq"]
    return {"nominal size": np.array([family.padding_size(fields) for fields in mine])}


def _official_sizes(clone: Clone) -> Arrays:
    # Alone and under MeDS.
    return {"nominal size": np.array([family.nominal_size(clone, "efficientnet-b4")] * 2 * len(SUITES))}


# ---- network, loss, training


def _architecture() -> Arrays:
    model = _method()._network(CHANNELS, CLASSES)
    codes = [book.codes.numel() for book in (model.top, *model.levels)]
    return _sizes_of(model, sum(codes))


def _official_architecture(clone: Clone) -> Arrays:
    model = _official_empty(clone)
    codes = [value.numel() for name, value in model.named_buffers() if name.endswith("embed")]
    model.input_proj = nn.Identity()
    return _sizes_of(model, sum(codes))


def _sizes_of(model: nn.Module, codes: int) -> Arrays:
    weights = sum(weight.numel() for weight in model.parameters())
    return {"numbers": np.array([weights, codes]), "dropout": np.array(family.dropouts(model))}


def _forward() -> Arrays:
    model = _filled().eval()
    with torch.no_grad():
        rebuilt = model((_maps(),), IDS)
    return arrays(rebuilt=rebuilt.outputs[0], loss=model.loss(rebuilt, 0.0))


def _official_forward(clone: Clone) -> Arrays:
    with torch.no_grad():
        answer = _official(clone).eval()(_inputs())
    return arrays(rebuilt=answer["feature_rec"], loss=answer["loss"])


def _gradients() -> Arrays:
    model = _filled().train()
    value = model.loss(model((_maps(),), IDS), 0.0)
    value.backward()
    return arrays(loss=value, embed=model.embed.weight.grad, back=model.back.weight.grad[IDS],
                  feed=model.decoder[0].feed[0].weight.grad)  # fmt: skip


def _official_gradients(clone: Clone) -> Arrays:
    model = _official(clone).train()
    value = model(_inputs())["loss"]
    value.backward()
    back = torch.stack([model.output_proj_list[i].weight.grad for i in IDS.tolist()])
    return arrays(loss=value, embed=model.quantize_conv_t.weight.grad, back=back,
                  feed=model.decoder.layers[0].linear1.weight.grad)  # fmt: skip


def _training() -> Arrays:
    method, model, losses = _method(), _filled(), []

    def loss(batch: engine.Batch) -> torch.Tensor:
        value = model.loss(model((_maps(batch.iteration),), IDS), 0.0)
        losses.append(float(value.detach()))
        return value

    shared = context(SIDE)
    sampler = Sampler(BATCH, BATCH, shared.rng)
    plan = Plan(STEPS, schedule=late_drop(1000), clip=method.clip)
    engine.train(model, loss, sampler, method._optimizer(model), plan=plan, context=shared, title="train")
    return {"losses": np.array(losses)} | arrays(embed=model.embed.weight)


def _official_training(clone: Clone) -> Arrays:
    model = _official(clone).train()
    losses = family.official_steps(clone, model, lambda step: model(_inputs(step))["loss"], STEPS)
    return {"losses": np.array(losses)} | arrays(embed=model.quantize_conv_t.weight)


WIDE = 64


def _first() -> Arrays:
    torch.manual_seed(0)
    model = _method(width=WIDE)._network(CHANNELS, CLASSES)
    layer = model.encoder[0]
    attention = layer.attend.attention
    return family.first_weights(
        {"encoder": list(model.encoder), "decoder": list(model.decoder)},
        model.embed.weight, layer.feed[0].weight, layer.feed[0].bias, attention.in_proj_weight,
        attention.out_proj.weight, model.back.weight, model.position.rows, model.levels[0].codes,
    )  # fmt: skip


def _official_first(clone: Clone) -> Arrays:
    torch.manual_seed(1)
    model = _official_empty(clone, width=WIDE)
    layer, heads = model.encoder.layers[0], list(model.output_proj_list)
    attention, back = layer.self_attn, torch.stack([head.weight for head in heads])
    codes = torch.stack([book.embed for book in model.quantize_list_1])
    return family.first_weights(
        {"encoder": list(model.encoder.layers), "decoder": list(model.decoder.layers)},
        model.quantize_conv_t.weight, layer.linear1.weight, layer.linear1.bias, attention.in_proj_weight,
        attention.out_proj.weight, back, model.pos_embed.row_embed.weight, codes,
    )  # fmt: skip


def _rates() -> Arrays:
    method = _method()
    assert method.epochs is not None
    return family.rates(late_drop, method.learning_rate, method.epochs)


def _steps() -> Arrays:
    return {"steps": np.array([_method()._steps(MVTEC_IMAGES)])}


def _official_steps(clone: Clone) -> Arrays:
    """All steps of the published training, as its log counts them."""
    logs = (clone.root / "experiments" / "MVTec-AD" / "log").glob("*.log")
    counts = {int(found) for log in logs for found in re.findall(r"Iter: \[\d+/(\d+)\]", log.read_text())}
    return {"steps": np.array(sorted(counts))}


# ---- scores


def _grids(transport: float) -> torch.Tensor:
    model = _filled(transport=transport).eval()
    with torch.no_grad():
        return model.scored(model((_maps(),), IDS))


def _map(transport: float) -> Arrays:
    prediction = max_of_pooled(_grids(transport).numpy(), SIDE * 16, _method().pool)
    assert prediction.grids is not None
    return {"map": maps_after(prediction.grids, SIDE * 16, prediction.post), "scores": prediction.scores}


def _official_map(clone: Clone, variant: str) -> Arrays:
    with torch.no_grad():
        maps = _official(clone, variant).eval()(_inputs())["pred"]
    metrics = family.configuration(clone)["evaluator"]["metrics"]["auc"]
    window = next(part["kwargs"]["avgpool_size"] for part in metrics if part["name"] == "max")
    pooled = functional.avg_pool2d(maps, window, stride=1)
    return arrays(map=maps[:, 0], scores=pooled.flatten(1).amax(dim=1))


def _case(stage: str, ours: Any, official: Any, tolerance: float = 1e-5, **fields: Any) -> Case:
    return Case("hvq", stage, REPOSITORY, ours, official, tolerance, **fields)


CASES = (
    _case(
        "features", _features, _official_features,
        setting="backbone='timm:...?padding_size=380'", default=partial(_features, padded=False),
    ),
    _case("padding", _sizes, _official_sizes, 0.0),
    _case("architecture", _architecture, _official_architecture, 0.0),
    _case("forward", _forward, _official_forward),
    _case("loss and gradients", _gradients, _official_gradients, 3e-5),
    _case("training steps", _training, _official_training, 3e-5),
    _case("number of steps", _steps, _official_steps, 0.0),
    _case("first weights", _first, _official_first, family.SPREAD),
    _case("learning rate", _rates, family.official_rates, 1e-6),
    _case("codes", partial(codes, 60, (0, 1)), partial(official_codes, steps=60, ids=(0, 1))),
    _case(
        "codes, a class twice in a batch", partial(codes, 60, (0, 0)),
        partial(official_codes, steps=60, ids=(0, 0)), is_golden=False,
        declared="Codes are updated once per batch with the decay of its images.",
    ),
    _case("map and image score", partial(_map, 0.0), partial(_official_map, variant="HVQ_TR_switch")),
    _case(
        "map and image score with transport", partial(_map, 80.0),
        partial(_official_map, variant="HVQ_TR_switch_OT"),
        setting="transport=80", default=lambda: _map(_method().transport),
    ),
)  # fmt: skip
