"""The authors' side of hosts on tokens: a place for their encoder, their loop and their evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import nn

from ltbench.methods.training.sampling import Sampler
from parity import inputs, tokens
from parity.case import Arrays
from parity.official import Clone

DRAWN = ("cv2", "skimage", "matplotlib", "matplotlib.pyplot", "pandas", "kornia", "adeval", "tqdm")
"""Libraries that the authors' tools import and that nothing here needs."""


class Blocks(nn.Module):
    """Stand-in for the authors' encoder: returns the given tokens of the images whose numbers it gets."""

    num_register_tokens = tokens.PREFIX - 1

    def __init__(self) -> None:
        super().__init__()
        self._shown = torch.empty(0)
        self.blocks: Sequence[Callable[[torch.Tensor], torch.Tensor]] = [
            partial(self._tokens, block) for block in range(12)
        ]

    def prepare_tokens(self, numbers: torch.Tensor) -> torch.Tensor:
        self._shown = numbers
        return tokens.tokens()[0][numbers]

    def _tokens(self, block: int, _before: torch.Tensor) -> torch.Tensor:
        return tokens.tokens()[max(block - tokens.LAYERS[0], 0)][self._shown]


def losses(
    model: nn.Module, loss_at: Callable[[int], torch.Tensor], count: int, watched: Sequence[str]
) -> Arrays:
    """Losses of an official model, as `losses`; `loss_at` computes the loss of all images at moment n."""
    model.train()
    answers: dict[str, Any] = {}
    for number in range(count):
        model.zero_grad()
        with tokens.replayed_dropout():
            loss = loss_at(number)
        loss.backward()
        answers[f"loss {number}"] = loss.detach().numpy()
        for name in map(tokens.renamed, watched):
            answers[f"{name} {number}"] = model.get_parameter(name).grad.numpy()
    return answers


def training(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: Any,
    loss_at: Callable[[torch.Tensor, int], torch.Tensor],
    steps: int,
) -> None:
    """The loop of the authors' scripts, over the batches of four images that our sampler draws."""
    sampler = Sampler(tokens.IMAGES, 4, np.random.default_rng(tokens.SEED), drop_last=True)
    model.train()
    with tokens.replayed_dropout():
        for step in range(steps):
            loss = loss_at(sampler.next(), step)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), max_norm=0.1)
            optimizer.step()
            scheduler.step()
    model.eval()


def optimizer(clone: Clone, parameters: Any, rate: float) -> Any:
    """The optimizer as the authors' scripts make it."""
    made: Any = clone.load("optimizers", stubs=("tabulate", "colorama")).StableAdamW
    groups = [{"params": parameters}]
    return made(groups, lr=rate, betas=(0.9, 0.999), weight_decay=1e-4, amsgrad=True, eps=1e-10)


def scheduler(clone: Clone, optimizer: Any, rate: float, steps: int, warm_up: int) -> Any:
    """The schedule as the authors' scripts make it."""
    made: Any = clone.load("utils", stubs=DRAWN).WarmCosineScheduler
    return made(optimizer, base_value=rate, final_value=rate / 10, total_iters=steps, warmup_iters=warm_up)


def rates(clone: Clone, rate: float) -> Arrays:
    weight = nn.Parameter(torch.zeros(1))
    made = scheduler(clone, optimizer(clone, [weight], rate), rate, 10_000, 100)
    return {"rates": made.schedule}


def steps(clone: Clone, rate: float) -> Arrays:
    layer = nn.Linear(6, 5, bias=False)
    inputs.fill(layer, "steps")
    tokens.walk(layer.weight, optimizer(clone, layer.parameters(), rate))
    return {"weight": layer.weight.detach().numpy()}


def maps(utils: ModuleType, **options: Any) -> Arrays:
    """Inputs of the metrics in the authors' evaluation: maps and image scores of given reconstructions."""
    given = tokens.pairs()
    shown = len(given["targets"][0])
    seen: dict[str, Any] = {}

    def keep_both(maps: Any, scores: Any, *_labels: Any) -> list[float]:
        seen.update(map=maps, score=scores)
        return [0.0] * 7

    def keep_scores(_labels: Any, scores: Any) -> float:
        # The same metrics are computed of all pixels.
        if len(scores) == shown:
            seen["score"] = scores
        return 0.0

    replaced: dict[str, Any] = {"compute_pro": lambda _masks, maps: seen.update(map=maps)}
    if hasattr(utils, "ader_evaluator"):
        replaced = {"ader_evaluator": keep_both}
    if hasattr(utils, "tqdm"):
        replaced["tqdm"] = lambda loader, **_options: loader
    for metric in ("roc_auc_score", "average_precision_score", "f1_score_max"):
        replaced[metric] = keep_scores

    def model(_images: torch.Tensor) -> tuple[list[torch.Tensor], ...]:
        return list(given["targets"]), list(given["outputs"])

    model.eval = lambda: None  # type: ignore[attr-defined]
    batch = (
        torch.zeros(shown, 3, 392, 392),
        torch.zeros(shown, 1, 392, 392),
        torch.zeros(shown),
        [""] * shown,
    )
    with mock.patch.multiple(utils, **replaced), mock.patch("torch.cuda.Event"):
        utils.evaluation_batch(model, [batch], "cpu", max_ratio=0.01, resize_mask=256, **options)
    return {name: np.asarray(value) for name, value in seen.items()}


def hand_over(student: nn.Module, official: nn.Module) -> None:
    """Give an official model the weights of our student."""
    has_prototypes = hasattr(official, "prototype_token")
    if has_prototypes:
        # Theirs have no axis for the batch.
        official.prototype_token = nn.Parameter(torch.zeros(1, 6, tokens.WIDTH))
    inputs.hand_over(student, official, official_name)
    if has_prototypes:
        official.prototype_token = nn.Parameter(official.prototype_token[0].detach().clone())


def official_name(name: str) -> str:
    """Name of one of our parameters in the authors' module."""
    return tokens.renamed(name).replace("prototypes", "prototype_token")
