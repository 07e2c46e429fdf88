"""SoftPatch beside its authors' code, and beside the port in TailedCore's repository."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any
from unittest import mock

import numpy as np
import torch

from ltbench.methods import softpatch
from ltbench.methods.blocks.denoise import Denoised, denoise
from parity import memory
from parity.case import Arrays, Case
from parity.memory import CPU, LAYERS, SIDE, TAILEDCORE, WIDE
from parity.official import Clone, Repository

REPOSITORY = Repository(
    "AnomalyDetection-SoftPatch", "https://github.com/TencentYoutuResearch/AnomalyDetection-SoftPatch",
    "f8dc3e0", "Apache-2.0, says its README",
)  # fmt: skip
AS_RELEASED: dict[str, Any] = {"neighbours": 5, "coreset_of": "all", "coreset_start": "mean128"}


# ---- outlier factors and what is kept


@cache
def _our_filter(**fields: Any) -> Arrays:
    """Arguments and answers of the patch filter while a method is fitted."""
    found: list[Denoised] = []

    def recorded(*arguments: Any, **options: Any) -> Denoised:
        found.append(denoise(*arguments, **options))
        return found[-1]

    method = softpatch.SoftPatch(backbone=WIDE, **fields)
    with memory.pyramid_as_backbone(), mock.patch.object(softpatch, "denoise", recorded):
        method.fit(memory.train_set()[0], memory.context())
    return {"factors": found[0].factor, "kept": found[0].kept}


def _port_filter(clone: Clone) -> Arrays:
    module = memory.coreset_model(clone)
    features = torch.from_numpy(_vectors())
    with memory.replayed():
        # Built as the port's method builds it.
        _, kept, factors = module.LOFSampler(device=CPU).run(features, (4, 4), return_outlier_scores=True)
    return {"factors": factors.numpy(), "kept": np.isin(np.arange(len(features)), kept.numpy())}


def _vectors() -> Any:
    """Patch vectors of the training pictures, which both sides compute alike."""
    method = softpatch.SoftPatch(backbone=WIDE)
    with memory.pyramid_as_backbone():
        method.fit(memory.train_set()[0], memory.context())
        vectors = method._embedder.collect(memory.train_set()[0], title="").vectors
    return vectors.reshape(-1, vectors.shape[-1])


# ---- the authors' own code


@cache
def _theirs(clone: Clone) -> Arrays:
    module = clone.load("softpatch", below="src")
    method = module.SoftPatch(CPU)
    sampler = module.sampler.ApproximateGreedyCoresetSampler(0.1, CPU)
    # The values of the command line; "LOF_k" is how it spells what the method calls lof_k.
    method.load(
        memory.Pyramid(), CPU, (3, SIDE, SIDE), list(LAYERS), featuresampler=sampler,
        nn_method=module.common.FaissNN(False, 4), LOF_k=6, threshold=0.15, weight_method="lof",
    )  # fmt: skip
    # Among the kept rows, as ltbench draws; the authors draw among all.
    draws = memory.Draws(kept=np.flatnonzero(_our_filter(**AS_RELEASED)["kept"]))
    with memory.replayed(draws):
        method.fit([memory.scaled(memory.train_set()[1])])
        scores, maps = method.predict(memory.scaled(memory.test_set()[1]))
    kept = method.featuresampler.sampling_weight.numpy() == 1
    rows = method.anomaly_scorer.detection_features
    return {
        "factors": method.patch_weight.numpy(), "kept": kept,
        **memory.outcome(rows, np.stack(scores), np.stack(maps)),
    }  # fmt: skip


def _some(names: tuple[str, ...], whole: Callable[..., Arrays], *clones: Clone) -> Arrays:
    found = whole(*clones)
    return {name: found[name] for name in names}


def _port(clone: Clone) -> Arrays:
    return memory.port(clone, "SoftPatch")


_OURS = partial(memory.ours, "softpatch")
_FILTER = ("factors", "kept")
_REST = ("memory", "scores", "maps")

CASES = (
    Case("softpatch", "outlier factors and kept patches", TAILEDCORE, _our_filter, _port_filter),
    *(
        Case("softpatch", stage, TAILEDCORE, partial(_some, (array,), _OURS), partial(_some, (array,), _port))
        for stage, array in (("selection", "memory"), ("image score", "scores"), ("map", "maps"))
    ),
    Case(
        "softpatch", "outlier factors and kept patches of the authors' code", REPOSITORY,
        partial(_our_filter, **AS_RELEASED), partial(_some, _FILTER, _theirs),
        setting="neighbours=5", default=_our_filter,
    ),
    Case(
        "softpatch", "selection, scores and maps of the authors' code", REPOSITORY,
        partial(_OURS, **AS_RELEASED), partial(_some, _REST, _theirs),
        setting="neighbours=5, coreset_of='all', coreset_start='mean128'",
    ),
)  # fmt: skip
