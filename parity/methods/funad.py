"""FUN-AD beside the script that its authors train and judge with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch

from ltbench.benchmark import suites
from ltbench.methods import catalog, funad
from ltbench.methods.base import Context
from ltbench.methods.blocks.score_maps import anomaly_maps
from ltbench.methods.features import tokens
from ltbench.methods.features.extract import FeatureBatch
from ltbench.splits.images import ImageSet
from parity import funad_script as script
from parity import inputs
from parity.case import Arrays, Case
from parity.funad_script import BATCH, CHANNELS, EPOCHS, GRID, IMAGES, JUDGED, Training
from parity.official import Clone, Repository

REPOSITORY = Repository("FUNAD", "https://github.com/HY-Vision-Lab/FUNAD", "66e0230", "none")
SUITE = "meds-mvtec"


class _Extractor:
    """Stands for the frozen network: answers with drawn features."""

    def __init__(self, *_: Any) -> None:
        pass

    def batches(self, images: ImageSet, **_: Any) -> Iterator[FeatureBatch]:
        name = "train" if len(images) == IMAGES else "test"
        patches, embeddings = map(torch.from_numpy, script.features(name, len(images)))
        maps = patches.transpose(1, 2).unflatten(2, (GRID, GRID))
        yield FeatureBatch(tuple(range(len(images))), (maps,), embeddings)


def _method(**fields: Any) -> funad.FunAD:
    """The method as the papers' suites set it, for few images, with a new memory at every step."""
    asked = next(row.fields for row in suites.load(SUITE).methods if row.name == "funad")
    few = {"batch_size": BATCH, "epochs": EPOCHS, "refresh": 1}
    found = catalog.create("funad", **{**asked, **few, **fields})
    assert isinstance(found, funad.FunAD)
    return found


def _images(count: int) -> ImageSet:
    return inputs.image_set(np.zeros((count, 1, 1, 3), np.uint8))


def _noting(name: str, note: Callable[..., Any]) -> Any:
    """Let `note` read what a function that the method calls answered, and to which arguments."""
    original = getattr(funad, name)

    def noted(*arguments: Any) -> Any:
        answer = original(*arguments)
        note(answer, *arguments)
        return answer

    return mock.patch.object(funad, name, noted)


@cache
def _train() -> Training:
    found = Training()
    cross_entropies: list[float] = []
    disagreements: list[float] = []
    compute_loss = funad.FunAD._loss

    def labelled(loss: torch.Tensor, _logits: torch.Tensor, anomalous: torch.Tensor) -> None:
        cross_entropies.append(float(loss.detach()))
        found.labels.append(anomalous.numpy().copy())

    def total(method: funad.FunAD, bank: tokens.TokenBank, batch: Any) -> torch.Tensor:
        answer = compute_loss(method, bank, batch)
        found.losses.append((cross_entropies[-1], disagreements[-1], float(answer.detach())))
        return answer

    method, context = _method(), Context(script.rng())
    with ExitStack() as patches:
        for patch in (
            _noting("normal_looking", lambda images, *_: found.normal.append(images)),
            _noting("scaled", lambda distances, *_: found.distances.append(distances.numpy().copy())),
            _noting("mutual_pairs", lambda pairs, *_: found.partners.append(script.partners(*pairs))),
            _noting("balanced_cross_entropy", labelled),
            _noting("disagreement", lambda loss, *_: disagreements.append(float(loss.detach()))),
            mock.patch.object(funad.FunAD, "_loss", total),
            mock.patch.object(funad, "Classifier", script.filled),
            mock.patch.object(tokens, "Extractor", _Extractor),
            mock.patch.object(torch.optim, "RMSprop", script.optimizer(found.gradients, lambda: None)),
            mock.patch.object(torch, "randn_like", lambda like: script.noise().expand_as(like)),
        ):
            patches.enter_context(patch)
        method.fit(_images(IMAGES), context)
        answer = method.score(_images(JUDGED), context)
    assert answer.grids is not None
    found.parameters = list(method._model.parameters())
    found.scores = answer.scores
    found.maps = anomaly_maps(answer.grids, context.view.crop, answer.post.sigma, answer.post.upsample)
    return found


def _embedded(**fields: Any) -> Arrays:
    method = _method(**fields)
    with mock.patch.object(tokens, "Extractor", _Extractor):
        reader = tokens.TokenReader(
            method.backbone, Context(script.rng()),
            layers=method.layers, grid=method.grid, standardise=method.standardise,
        )  # fmt: skip
        bank = reader.fit(_images(IMAGES), title="")
    method._centre, method._scale = method._embedding_scales(bank)
    joined = method._joined(bank.gather(torch.arange(IMAGES))).numpy()
    return {"patch": joined[..., :CHANNELS], "image": joined[..., CHANNELS:]}


def _official_embedded(clone: Clone) -> Arrays:
    patches, embeddings = map(torch.from_numpy, script.features("train", IMAGES))
    answers = torch.cat([embeddings[:, None], patches], dim=1)
    network = SimpleNamespace(eval=lambda: None, get_intermediate_layers=lambda _images: [answers])
    joined = script.load(clone, "feature_extract").extract_feature(None, network).numpy()
    # The authors put the class token first.
    return {"patch": joined[..., CHANNELS:], "image": joined[..., :CHANNELS]}


def _case(
    stage: str,
    read: Callable[[Training], Arrays],
    official: Callable[[Clone], Training] = script.run,
    **fields: Any,
) -> Case:
    return Case(
        "funad", stage, REPOSITORY, lambda: read(_train()), lambda clone: read(official(clone)),
        setting="refresh=1 and the fields of the papers' suites", **fields,
    )  # fmt: skip


CASES = (
    Case(
        "funad", "input embedding", REPOSITORY, _embedded, _official_embedded,
        setting="standardise=False", default=lambda: _embedded(standardise=True),
    ),
    _case("images that look normal", Training.selection, tolerance=0),
    _case("distances", lambda done: {"distances": np.stack(done.distances)}),
    # Another processor rounds distances differently, and what is nearly equal may fall the other way.
    _case("pseudo labels", lambda done: {"anomalous": np.stack(done.labels)}, tolerance=1e-3),
    _case("mutual pairs", lambda done: {"partners": np.stack(done.partners)}, tolerance=1e-3),
    _case("losses and gradients", Training.steps),
    _case("training steps", Training.trained),
    _case("scores and map", lambda done: {"scores": done.scores, "maps": done.maps}),
    _case(
        "losses with noise on all patches", lambda done: {"losses": np.array(done.losses)},
        lambda clone: script.run(clone, shares_noise=True), is_golden=False,
        declared="Noise is added to the patches that the classifier learns, not to those that are smoothed, "
        "as the paper says; the released code adds it to both.",
    ),
)  # fmt: skip
