"""LTAD as a whole: what each phase moves, its ablations, resumption, and the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from interrupted_training import require_exact_resumption

from ltbench.benchmark.conformance import check_method, small_context, small_images
from ltbench.methods import catalog
from ltbench.methods.base import Context, Prediction
from ltbench.methods.errors import BadParameter, MethodsError
from ltbench.methods.language import encoder as encoders
from ltbench.methods.ltad_parts import phases
from ltbench.methods.ltad_parts.scoring import Codes
from ltbench.splits.images import ImageSet

SMALL: dict[str, Any] = {
    "width": 16, "heads": 2, "hidden": 16, "depth": 1, "grid": 8, "decoder_width": 8, "batch_size": 4,
    "phase_1_iterations": 3, "iterations": 3,
}  # fmt: skip


def fitted(context: Context | None = None, **changes: Any) -> tuple[Any, dict[str, float]]:
    figures: dict[str, float] = {}
    context = context or small_context()
    context.report = figures.__setitem__
    method = catalog.create("ltad", **{**SMALL, **changes})
    method.fit(images(8, "train", method), context)
    return method, figures


def images(count: int, part: str, method: Any) -> ImageSet:
    return small_images(count, part, method.needs)


def scored(**changes: Any) -> Prediction:
    method, _ = fitted(**changes)
    return method.score(images(4, "test", method), small_context())


def test_it_keeps_the_contract() -> None:
    assert [check for check in check_method("ltad", **SMALL) if not check.ok] == []


def test_each_phase_moves_its_own_parameters_only(monkeypatch: pytest.MonkeyPatch) -> None:
    states: dict[str, dict[str, dict[str, torch.Tensor]]] = {}

    def watched(
        title: str, run: Any, parts: dict[str, torch.nn.Module], *arguments: Any, **named: Any
    ) -> None:
        before = {name: copied(part) for name, part in parts.items()}
        run(*arguments, **named)
        after = {name: copied(part) for name, part in parts.items()}
        states[title] = {
            name: {key: after[name][key] != before[name][key] for key in before[name]} for name in parts
        }

    def copied(part: torch.nn.Module) -> dict[str, torch.Tensor]:
        return {name: weight.detach().clone() for name, weight in part.named_parameters()}

    text = encoders.load("toy-vl")
    monkeypatch.setattr("ltbench.methods.ltad.encoders.load", lambda *_: text)
    one, two = phases.phase_one, phases.phase_two

    def first(synthesis: Any, names: Any, training: Any, **named: Any) -> None:
        parts = {"synthesis": synthesis, "names": names, "text": text.text}
        watched("phase 1", one, parts, synthesis, names, training, **named)

    def second(detection: Any, synthesis: Any, names: Any, training: Any, **named: Any) -> None:
        parts = {"synthesis": synthesis, "names": names, "text": text.text}
        parts |= {"reconstruction": detection.reconstruction, "semantic": detection.semantic}
        watched("phase 2", two, parts, detection, synthesis, names, training, **named)

    monkeypatch.setattr("ltbench.methods.ltad.phase_one", first)
    monkeypatch.setattr("ltbench.methods.ltad.phase_two", second)
    fitted()

    def moved(title: str, part: str) -> list[bool]:
        return [bool(changed.any()) for changed in states[title][part].values()]

    assert all(moved("phase 1", "synthesis") + moved("phase 1", "names"))
    assert not any(moved("phase 2", "synthesis") + moved("phase 2", "names"))
    assert all(moved("phase 2", "reconstruction") + moved("phase 2", "semantic"))
    assert not any(moved("phase 1", "text") + moved("phase 2", "text"))


@pytest.mark.parametrize("phase", ["phase 1", "phase 2"])
def test_a_killed_training_ends_with_the_same_scores(tmp_path: Path, phase: str) -> None:
    def scores(shared: Context) -> np.ndarray:
        method = catalog.create("ltad", **{**SMALL, "dropout": 0.1, "phase_1_iterations": 4, "iterations": 4})
        method.fit(images(8, "train", method), shared)
        return method.score(images(4, "test", method), shared).scores

    require_exact_resumption(scores, small_context, tmp_path, phase=phase)


@pytest.mark.parametrize(
    "changes",
    [
        {"augmentation": "autoencoder"},
        {"augmentation": "none"},
        {"sampling": "inverse"},
        {"names": "fixed"},
        {"names": "fixed", "names_init": "class_name"},
        {"names_init": "random"},
        {"name_length": 4},
        {"assignment": "shuffled"},
        {"text": "none"},
        {"pooling": "mean"},
        {"projection": "joint"},
        {"normal_prompts": ("a", "a good"), "abnormal_prompts": ("a broken", "a defective")},
        {"score_parts": "reconstruction"},
        {"score_parts": "semantic"},
        {"semantic_terms": "abnormal"},
        {"semantic_weight": 500.0},
        {"normalise_text": True},
        {"standardise": False},
    ],
    ids=str,
)
def test_every_ablation_runs_and_changes_the_scores(changes: dict[str, Any], usual: Prediction) -> None:
    found = scored(**changes)
    assert np.isfinite(found.scores).all()
    assert not np.array_equal(found.scores, usual.scores)


@pytest.fixture(scope="module")
def usual() -> Prediction:
    return scored()


def test_a_name_that_is_fixed_stays() -> None:
    learned, fixed = fitted()[0], fitted(names="fixed")[0]
    start = encoders.load("toy-vl").text
    word = start.embed(start.tokenize(["object"]).ids)[0, 1]
    assert torch.equal(fixed._scorer.names.vectors, word.expand(4, -1))
    assert not torch.equal(learned._scorer.names.vectors, word.expand(4, -1))


def test_what_it_is_told_follows_from_its_fields() -> None:
    def needs(**changes: Any) -> set[str]:
        return set(catalog.create("ltad", **changes).needs)

    assert needs() == {"class_ids_fit", "class_ids_score"}
    assert needs(class_at_test="inferred") == {"class_ids_fit"}
    assert needs(names_init="class_name") == {"class_ids_fit", "class_ids_score", "class_names"}


def test_inferred_classes_are_right_where_images_of_a_class_look_alike() -> None:
    draws = np.random.default_rng(0)
    centres = torch.from_numpy(draws.normal(0, 5, (3, 6))).float()
    ids = torch.tensor([0, 0, 0, 1, 1, 2])
    pooled = centres[ids] + torch.from_numpy(draws.normal(0, 0.1, (6, 6))).float()
    codes = Codes.learn(pooled, ids, standardise=True)
    assert torch.equal(codes.nearest(centres), torch.arange(3))
    # A class without an image is never inferred.
    sparse = Codes.learn(pooled[:3], torch.tensor([0, 0, 2]), standardise=False)
    assert 1 not in sparse.nearest(pooled)


def test_given_and_inferred_classes_score_alike_where_the_inference_is_right() -> None:
    given, inferred = scored(), scored(class_at_test="inferred")
    assert given.scores.shape == inferred.scores.shape
    with pytest.raises(BadParameter, match="halves of one"):
        scored(class_at_test="inferred", class_inference="text")
    by_text = scored(
        class_at_test="inferred", class_inference="text", backbone="toy-vl", layers=("block1", "block3")
    )
    assert np.isfinite(by_text.scores).all()


def test_scores_are_sums_of_their_parts_and_the_semantic_one_is_told_apart() -> None:
    method, figures = fitted()
    scorer = method._scorer
    vectors = torch.randn(2, 64, sum(scorer.reader.widths), generator=torch.Generator().manual_seed(0))
    parts = scorer.parts(vectors, torch.tensor([0, 1]))
    assert parts["semantic"].min() >= 0
    assert parts["semantic"].max() <= 1
    assert parts["reconstruction"].min() >= 0
    total = scorer.combined(parts)
    torch.testing.assert_close(
        total, parts["reconstruction"] + figures["semantic_weight"] * parts["semantic"]
    )
    names = {"semantic_score_of_training_patches", "semantic_score_of_jittered_patches", "phase_1_loss"}
    assert names <= figures.keys()
    method.score(images(4, "test", method), _reporting(figures))
    assert 0 < figures["semantic_share_of_test_scores"] < 1
    assert "semantic_weight" not in fitted(score_parts="reconstruction")[1]


def _reporting(figures: dict[str, float]) -> Context:
    context = small_context()
    context.report = figures.__setitem__
    return context


def test_the_weight_of_the_semantic_part_is_as_given_or_the_range_of_the_other() -> None:
    assert fitted(semantic_weight=400.0)[1]["semantic_weight"] == 400
    method, figures = fitted()
    bank = method._scorer.reader.fit(images(8, "train", method), title="")
    found = method._scorer.parts(bank.gather(torch.arange(8)).vectors, torch.zeros(8, dtype=torch.int64))
    expected = np.quantile(found["reconstruction"].numpy(), 0.99)
    assert figures["semantic_weight"] == pytest.approx(expected, rel=1e-4)


def test_a_class_that_was_never_seen_cannot_be_scored() -> None:
    method, _ = fitted()
    test = images(4, "test", method)
    test.class_ids = np.array([0, 1, 2, 0])
    with pytest.raises(MethodsError, match="class 2"):
        method.score(test, small_context())
