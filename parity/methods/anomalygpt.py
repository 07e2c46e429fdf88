"""AnomalyGPT's decoder beside its authors' code, and its learning rate beside DeepSpeed, which runs it."""

from __future__ import annotations

import json
import math
import re
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ltbench.methods.anomalygpt import AnomalyGPT, decoder_loss
from ltbench.methods.blocks.blending import with_foreign_patches
from ltbench.methods.blocks.score_maps import maps_after
from ltbench.methods.language import states
from parity import decoder, inputs, towers
from parity.case import Arrays, Case
from parity.official import Clone, Repository

DEEPSPEED = Repository("DeepSpeed", "https://github.com/deepspeedai/DeepSpeed", "e0e8085", "Apache-2.0")
"""Release 0.9.2, which AnomalyGPT's requirements name."""
STEPS = 3


# ---- prompts and text features


def _letters(texts: list[str]) -> npt.NDArray[np.int64]:
    return np.array([[ord(letter) for letter in text.ljust(60)] for text in texts])


def _our_texts() -> Arrays:
    normal, abnormal, templates = states._LISTS["anomalygpt"]
    parts = {"normal": normal, "abnormal": abnormal}
    return {part: _letters(states.sentences("metal nut", kind, templates)) for part, kind in parts.items()}


def _their_texts(clone: Clone) -> Arrays:
    module = decoder.load(clone)
    return {
        part: _letters(
            [text.format(state.format("metal nut")) for state in kind for text in module.prompt_templates]
        )
        for part, kind in zip(("normal", "abnormal"), module.prompt_state, strict=True)
    }


def _our_text_features() -> Arrays:
    method = decoder.untrained()
    return {"texts": torch.stack([method._texts(name) for name in decoder.NAMES]).numpy()}


def _their_text_features(clone: Clone) -> Arrays:
    model = decoder.their_model(clone)
    found = model.module.encode_text_with_prompt_ensemble(model.visual_encoder, list(decoder.NAMES), "cpu")
    return {"texts": found.numpy()}


# ---- synthesis


def _twins() -> list[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], int]]:
    """Pairs of pictures and seeds: one patch or two, of even and of odd sides."""
    pairs = (inputs.images(f"twins/{seed}", 2, decoder.SIDE) for seed in range(3))
    return [(target, source, seed) for seed, (target, source) in enumerate(pairs)]


def _blocks(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Means of squares of 14 pixels: what of a picture is kept."""
    found: npt.NDArray[np.float32] = values.astype(np.float32).reshape(16, 14, 16, 14).mean(axis=(1, 3))
    return found


def _our_blends() -> Arrays:
    fields = AnomalyGPT()
    found: dict[str, npt.NDArray[Any]] = {}
    for target, source, seed in _twins():
        twin = with_foreign_patches(
            target,
            source,
            np.random.default_rng(seed),
            patches=fields.patches,
            least_change=fields.least_change,
        )
        found |= {f"grey {seed}": _blocks(twin.pixels[..., 0]), f"mask {seed}": _blocks(twin.mask)}
    return found


class _Replayed:
    """NumPy, whose random draws are those of our generator."""

    def __init__(self, seed: int) -> None:
        draws = np.random.default_rng(seed)
        self.random = SimpleNamespace(randint=draws.integers, gamma=draws.gamma, normal=draws.normal)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


def _their_blends(clone: Clone) -> Arrays:
    """Blends of the authors' code with the numbers of datasets/visa.py; masks start at 0.3 (openllama.py)."""
    module = clone.load("self_sup_tasks", below="code/datasets")
    found: dict[str, npt.NDArray[Any]] = {}
    for target, source, seed in _twins():
        with mock.patch.object(module, "np", _Replayed(seed)):
            pixels, label, _ = module.patch_ex(
                target, source, num_patches=2, mode=module.cv2.NORMAL_CLONE, same=False, shift=True,
                resize=True, width_bounds_pct=((0.03, 0.4), (0.03, 0.4)), min_object_pct=0,
                min_overlap_pct=0.25, gamma_params=(2, 0.05, 0.03), label_mode="logistic-intensity",
                skip_background=None, intensity_logistic_params=(1 / 12, 24), resize_bounds=(0.5, 2),
            )  # fmt: skip
        found |= {f"grey {seed}": _blocks(pixels[..., 0]), f"mask {seed}": _blocks(label[..., 0] > 0.3)}
    return found


# ---- decoder: maps, loss, training


def _our_scores() -> Arrays:
    found = decoder.untrained().score(decoder.pictures("judged"), towers.context(decoder.SIDE))
    return {"score": found.scores}


def _their_scores(clone: Clone) -> Arrays:
    return {"score": decoder.their_maps(clone).max(axis=(1, 2))}


def _our_maps(shots: int = 0) -> Arrays:
    method = decoder.fitted(shots=shots) if shots else decoder.untrained()
    found = method.score(decoder.pictures("judged"), towers.context(decoder.SIDE))
    assert found.grids is not None
    maps = maps_after(found.grids, decoder.SIDE, found.post)
    return {"map": maps, "score": found.scores} if shots else {"map": maps}


def _their_memory(clone: Clone) -> Arrays:
    maps = decoder.their_maps(clone, "references")
    return {"map": maps, "score": maps.max(axis=(1, 2))}


def _our_gradients() -> Arrays:
    method = decoder.untrained()
    layers = decoder.drawn_decoder([decoder.CHANNELS] * decoder.DEPTHS, decoder.TEXT)
    kinds = decoder.maps_of("normal"), decoder.maps_of("blended")
    maps = tuple(torch.cat(pair) for pair in zip(*kinds, strict=True))
    texts = torch.stack([method._texts(name) for name in decoder.NAMES]).repeat(2, 1, 1)
    masks = np.concatenate([np.zeros_like(decoder.masks()), decoder.masks()])
    loss = decoder_loss(layers(maps, texts), torch.from_numpy(masks))
    loss.backward()
    return _with_gradients(loss, layers.layers)


def _their_gradients(clone: Clone) -> Arrays:
    model = decoder.their_model(clone)
    loss = decoder.their_loss(model)
    loss.backward()
    return _with_gradients(loss, model.image_decoder.fc)


def _with_gradients(loss: torch.Tensor, layers: Any) -> Arrays:
    gradients = [layer.weight.grad for layer in layers]
    return {"loss": loss.detach().numpy()[None], "gradients": torch.stack(gradients).numpy()}


def _moved(layers: Any) -> Arrays:
    """Root mean square of what training changed, per row of weights: single ones turn with rounding."""
    before = decoder.drawn_decoder([decoder.CHANNELS] * decoder.DEPTHS, decoder.TEXT).layers
    moves = [(now.weight - then.weight).detach() for now, then in zip(layers, before, strict=True)]
    return {"moved": torch.stack([move.square().mean(dim=1).sqrt() for move in moves]).numpy()}


def _our_training() -> Arrays:
    return _moved(decoder.fitted(iterations=STEPS)._decoder.layers)


def _their_training(clone: Clone) -> Arrays:
    """Adam as DeepSpeed steps it, with decay apart from the gradient; the rate rises over ten steps."""
    config = _their_config(clone)
    model, asked = decoder.their_model(clone), config["optimizer"]["params"]
    optimizer = torch.optim.AdamW(model.image_decoder.parameters(), **asked)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = asked["lr"] * (math.log(step) / math.log(10) if step else 1.0)
        optimizer.zero_grad()
        decoder.their_loss(model).backward()
        nn.utils.clip_grad_norm_(model.image_decoder.parameters(), config["gradient_clipping"])
        optimizer.step()
    return _moved(model.image_decoder.fc)


def _their_config(clone: Clone) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((clone.root / "code/dsconfig/openllama_peft_stage_1.json").read_text())
    return found


def _our_constants() -> Arrays:
    """Constants with which our training is called."""
    with mock.patch("ltbench.methods.anomalygpt.train") as train:
        method = decoder.fitted()
    (_, _, sampler, optimizer), plan = train.call_args.args, train.call_args.kwargs["plan"]
    asked = optimizer.defaults
    numbers = [asked["lr"], *asked["betas"], asked["eps"], asked["weight_decay"], plan.clip]
    return {"optimizer": np.array(numbers), "length": np.array([method.epochs, float(sampler.batch_size)])}


def _their_constants(clone: Clone) -> Arrays:
    config = _their_config(clone)
    asked = config["optimizer"]["params"]
    epochs = re.search(r"epochs: (\d+)", (clone.root / "code/config/openllama_peft.yaml").read_text())
    assert epochs is not None
    numbers = [asked["lr"], *asked["betas"], asked["eps"], asked["weight_decay"], config["gradient_clipping"]]
    # Every second picture of a step is one of a conversation (train_mvtec.py).
    length = [float(epochs[1]), config["train_batch_size"] / 2]
    return {"optimizer": np.array(numbers), "length": np.array(length)}


# ---- learning rate


def _our_rates() -> Arrays:
    method = AnomalyGPT()
    found = {}
    for steps in (40, 300):
        schedule = method._plan(steps).schedule
        found[str(steps)] = np.array([method.learning_rate * schedule(step) for step in range(steps)])
    return found


def _their_rates(clone: Clone) -> Arrays:
    """Learning rates with the numbers of AnomalyGPT's model/agent.py; the optimiser steps first."""
    module = clone.load("lr_schedules", below="deepspeed/runtime", stubs=("deepspeed", "deepspeed.utils"))
    found = {}
    for steps in (40, 300):
        optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=0.001)
        schedule = module.WarmupDecayLR(
            optimizer, total_num_steps=steps, warmup_min_lr=0, warmup_max_lr=0.001,
            warmup_num_steps=max(10, int(steps * 0.1)),
        )  # fmt: skip
        rates = []
        for _ in range(steps):
            rates.append(optimizer.param_groups[0]["lr"])
            schedule.step()
        found[str(steps)] = np.array(rates)
    return found


_case = partial(Case, "anomalygpt")
CASES = (
    _case("prompts", decoder.REPOSITORY, _our_texts, _their_texts, tolerance=0),
    _case("text features", decoder.REPOSITORY, _our_text_features, _their_text_features),
    # Patches are resized in floats here and in integers there: two grey levels, and the mask's rim.
    _case("synthesis", decoder.REPOSITORY, _our_blends, _their_blends, tolerance=0.03),
    _case("image score", decoder.REPOSITORY, _our_scores, _their_scores),
    _case(
        "map", decoder.REPOSITORY, _our_maps, lambda clone: {"map": decoder.their_maps(clone)},
        declared="The grid holds probabilities per patch, upsampled afterwards; the paper upsamples the "
        "logits.",
        is_golden=False,
    ),
    _case("memory map", decoder.REPOSITORY, partial(_our_maps, shots=1), _their_memory),
    _case("loss and gradients", decoder.REPOSITORY, _our_gradients, _their_gradients),
    _case("optimizer", decoder.REPOSITORY, _our_constants, _their_constants, tolerance=1e-9),
    _case("training steps", decoder.REPOSITORY, _our_training, _their_training, tolerance=1e-4),
    _case("learning rate", DEEPSPEED, _our_rates, _their_rates),
)  # fmt: skip
