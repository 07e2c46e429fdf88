"""MeDS as a whole: phases, presets, guards, cache, resumption, and what becomes of injected defects."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ltbench.benchmark.cell import Cell, config_digest
from ltbench.methods import catalog
from ltbench.methods.base import Context, View
from ltbench.methods.blocks.bootstrap import Bootstrap, memory_scores
from ltbench.methods.errors import BadParameter
from ltbench.methods.features.cache import FeatureCache
from ltbench.methods.meds import Meds
from ltbench.methods.reconstruction import memories as memories_module
from ltbench.methods.reconstruction.hosting import Rebuilt, fit_host
from ltbench.methods.reconstruction.selective import distillation_objective, score_difference
from ltbench.methods.training.engine import Batch
from ltbench.registry import UnknownName
from ltbench.splits.datasets.realiad import RealIadDataset
from ltbench.splits.errors import SplitsError
from ltbench.splits.images import LabelledImage
from tests.small_images import context, image_set, judged_images, train_images

QUICK = {"backbone": "desc", "iterations": 4}
SPOTTED = train_images({"stripes": 9, "checks": 5}, spots=3)


def fitted(images: list[LabelledImage] = SPOTTED, place: Context | None = None, **fields: Any) -> Meds:
    method = catalog.create("meds", **{**QUICK, **fields})
    method.fit(image_set(images, method.needs), place or context())
    return method


def scores(method: Meds) -> np.ndarray:
    return method.score(image_set(judged_images(), method.needs), context()).scores


def test_memory_scores_are_those_of_each_class_alone() -> None:
    method = fitted()
    train = image_set(SPOTTED, method.needs)
    for class_id in (0, 1):
        members = np.flatnonzero(train.class_ids == class_id)
        vectors = method._host.memory_vectors(torch.from_numpy(members), title="")
        rows = vectors.reshape(len(members), -1, vectors.shape[-1])
        alone = memory_scores(rows, Bootstrap(), np.random.default_rng(0))
        np.testing.assert_allclose(method._memory[members].reshape(alone.shape), alone, atol=1e-6)


def test_memory_scores_come_from_the_cache_the_second_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = replace(context(), cache=FeatureCache(tmp_path, 10**9))
    cold = fitted(place=place, draws=7)
    monkeypatch.setattr(memories_module, "memory_scores", None)
    warm = fitted(place=replace(context(), cache=FeatureCache(tmp_path, 10**9)), draws=7)
    assert np.array_equal(warm._memory, cold._memory)
    assert np.array_equal(scores(warm), scores(cold))
    with pytest.raises(TypeError):
        fitted(place=replace(context(), cache=FeatureCache(tmp_path, 10**9)), draws=7, ratio=0.5)


def test_a_run_reports_how_many_patches_of_the_student_stay_above_the_memory() -> None:
    figures: dict[str, float] = {}
    place = replace(context(), report=figures.__setitem__)
    method = fitted(place=place, stop_after="distillation", distill_iterations=60)
    above = method._trained.training_grids() > method._memory
    assert figures["student_above_memory_share"] == pytest.approx(above.mean())
    assert 0 < above.mean() < 1


def test_maps_of_memories_are_upsampled_as_the_authors_do() -> None:
    method = fitted(stop_after="memory")
    post = method.score(image_set(judged_images(), method.needs), context()).post
    assert (post.upsample, post.via, post.border) == ("bilinear", None, "zero")


@pytest.mark.parametrize(("host", "expected"), [("dinomaly", ("mse", 10, 3)), ("inpformer", ("l1", 10, 1))])
def test_the_official_code_is_that_of_the_scripts_for_its_host(
    host: str, expected: tuple[str, int, int]
) -> None:
    """run_step_2.sh and run_step_3_distilled.sh: loss_function and mad_factor; both losses are times 10."""
    method = catalog.create("meds", host=host, backbone="desc", preset="official_code")
    assert (method.loss, method.weight, method.k) == expected
    assert catalog.create("meds", host=host, backbone="desc", preset="official_code", k=2).k == 2


def test_students_learn_the_memory_scores() -> None:
    """After the distillation the score map is nearer to the memory than that of an untrained student."""
    untrained = fitted(stop_after="distillation", distill_iterations=0)
    trained = fitted(stop_after="distillation", distill_iterations=60)
    errors = [
        np.abs(method._trained.training_grids() - method._memory).mean() for method in (untrained, trained)
    ]
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize("kind", ["mse", "l1", "norm"])
def test_distillation_losses_by_numpy(kind: str) -> None:
    draws = np.random.default_rng(0)
    a, b = draws.random((3, 4, 4)), draws.random((3, 4, 4))
    expected = {
        "mse": ((a - b) ** 2).mean(),
        "l1": np.abs(a - b).mean(),
        "norm": np.sqrt(((a - b) ** 2).sum(axis=(1, 2))).mean(),
    }[kind]
    found = score_difference(torch.tensor(a), torch.tensor(b), kind)
    assert found.item() == pytest.approx(expected)
    same = torch.tensor(a, requires_grad=True)
    score_difference(same, torch.tensor(a), kind).backward()
    assert same.grad.isfinite().all()


@pytest.mark.parametrize(("needs_extra", "expected"), [(False, 10 * 0.25), (True, 10 * 0.25 + 7)])
def test_auxiliary_losses_are_left_away_unless_a_student_cannot_do_without(
    needs_extra: bool, expected: float
) -> None:
    class Flat(torch.nn.Module):
        def distance(self, rebuilt: Rebuilt) -> torch.Tensor:
            return rebuilt.outputs[0]

    student = Flat()
    student.needs_extra = needs_extra
    memory = np.stack([np.full((2, 2), value, np.float32) for value in (9.0, 1.0)])
    rebuilt = Rebuilt((), (torch.full((1, 2, 2), 1.5),), torch.tensor(7.0))
    batch = Batch(torch.tensor([1]), 0, 1, np.random.default_rng(0))
    objective = distillation_objective(student, memory, "mse", 10.0)
    assert objective(rebuilt, batch).item() == pytest.approx(expected)


def test_injected_defects_are_left_out_and_ranked_first() -> None:
    images = train_images({"stripes": 18, "checks": 6}, spots=5)
    method = fitted(images, iterations=40)
    ordered = sorted(images, key=lambda image: image.key)
    spotted = np.array([image.is_defective for image in ordered])
    stripes = np.array([image.category == "stripes" for image in ordered])
    suspicion = method.rank(image_set(images, method.needs), context())
    # One normal picture of stripes lies apart.
    assert suspicion[spotted].min() > np.sort(suspicion[stripes & ~spotted])[-2]
    ids = image_set(images, method.needs).class_ids
    initial = method._training.initial.numpy()
    assert not method._training._selection.select(initial, initial, ids, 0.0)[spotted].any()


@pytest.mark.parametrize(
    ("host", "deadlines"),
    # Within the distillation, at the start of the selection and within it.
    [("dinomaly", (2, 5, 7)), ("inpformer", (6,)), ("rd", (6,))],
)
def test_a_killed_training_goes_on_bit_for_bit(
    tmp_path: Path, host: str, deadlines: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ltbench.methods.training import engine

    undisturbed = fitted(host=host)
    whole = scores(undisturbed)
    monkeypatch.setattr(
        "ltbench.methods.reconstruction.hosting.Plan",
        lambda *args, **fields: engine.Plan(*args, **{**fields, "checkpoint_seconds": 0.0}),
    )
    steps = engine._Run.step

    class Killed(Exception):
        pass

    for deadline in deadlines:
        done = 0

        def dying(self: Any, deadline: int = deadline) -> None:
            nonlocal done
            if done == deadline:
                raise Killed
            done += 1
            steps(self)

        monkeypatch.setattr(engine._Run, "step", dying)
        place = replace(context(), work=tmp_path / f"{host}{deadline}")
        with pytest.raises(Killed):
            fitted(place=place, host=host)
        monkeypatch.setattr(engine._Run, "step", steps)
        resumed = fitted(place=replace(context(), work=place.work), host=host)
        assert np.array_equal(scores(resumed), whole), deadline
        torch.testing.assert_close(resumed._training.shares, undisturbed._training.shares, rtol=0, atol=0)


def test_tiny_classes_are_trained_on_unless_the_rule_is_the_authors() -> None:
    images = train_images({"stripes": 9, "checks": 2})
    ids = image_set(images, frozenset({"class_ids_fit"})).class_ids
    for fields, expected in (({}, 1), ({"min_keep": 0}, 0)):
        method = fitted(images, **fields)
        initial = method._training.initial.numpy()
        kept = method._training._selection.select(initial, initial, ids, 0.0)
        assert kept[ids == 0].sum() == expected


def test_a_set_of_tiny_classes_alone_is_trained_on_whole() -> None:
    figures: dict[str, float] = {}
    fitted(train_images({"stripes": 2, "checks": 1}), context(figures=figures), min_keep=0)
    assert figures["first_selected_share"] == 1.0


def test_presets_fill_what_is_not_given() -> None:
    paper, code = Meds(preset="paper"), Meds(preset="official_code", k=1)
    drawn = (paper.k, paper.loss, paper.rounding, paper.draws, paper.replacement)
    assert drawn == (1, "norm", "ceil", 100, False)
    assert (code.k, code.loss, code.weight, code.rounding, code.median) == (1, "mse", 10, "floor", "lower")
    assert (Meds().draws, Meds().k, Meds().min_keep) == (0, 1, 1)
    assert Meds().host_fields["mining"] == 0.5
    assert Meds(host_fields={"mining": 0.9}).host_fields["mining"] == 0.9


def test_needs_and_version_are_those_of_the_host_too() -> None:
    assert Meds().needs == {"class_ids_fit"}
    assert Meds(host="hvq").needs == {"class_ids_fit", "class_ids_score"}
    assert Meds(host="hvq", host_fields={"label_source": "centroid"}).needs == {"class_ids_fit"}
    assert Meds(stop_after="memory").needs == {"class_ids_fit", "class_ids_score"}
    assert "camera_ids_fit" in Meds(per_view=True).needs
    assert Meds().version == Meds.version + catalog.load_class("dinomaly").version - 1


@pytest.mark.parametrize("value", ["1,2,3", [1, 2, 3]])
def test_fields_of_the_host_may_be_lists(value: object) -> None:
    method = catalog.create("meds", host="rd", host_fields={"decoder_blocks": value})
    assert method._inner().decoder_blocks == (1, 2, 3)
    assert catalog.config(catalog.create("meds", **catalog.config(method))) == catalog.config(method)


def test_every_camera_has_memories_and_a_threshold_of_its_own() -> None:
    method = fitted(per_view=True)
    train = image_set(SPOTTED, method.needs)
    groups = method._groups(train)
    assert len(np.unique(groups)) == 4
    pairs = set(zip(groups.tolist(), train.class_ids.tolist(), train.camera_ids.tolist(), strict=True))
    assert len(pairs) == 4
    assert not np.array_equal(method._memory, fitted()._memory)


def test_cameras_of_real_iad_are_read_from_the_name_of_the_file_alone() -> None:
    def camera(path: str) -> int:
        image = LabelledImage(path, "audiojack", "train")
        return RealIadDataset.camera(RealIadDataset.__new__(RealIadDataset), image)

    assert camera("C1_disk/audiojack/OK/S0001/audiojack_0001_OK_C4_20231023.jpg") == 4
    with pytest.raises(SplitsError, match="which camera"):
        camera("C1_disk/audiojack/OK/S0001/audiojack_0001_OK.jpg")


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"host": "patchcore"}, BadParameter, "'patchcore' cannot be trained"),
        ({"host": "meds"}, BadParameter, "'meds' cannot be trained"),
        ({"host": "dinomali"}, UnknownName, "did you mean 'dinomaly'"),
        ({"host_fields": {"minning": 1}}, BadParameter, "dinomaly has no field 'minning': did you mean 'min"),
        ({"host_fields": {"mining": "much"}}, BadParameter, "field 'mining' is 'much': expected a number"),
        ({"preset": "theirs"}, BadParameter, "preset is 'theirs'"),
    ],
)
def test_nonsense_is_refused_before_anything_runs(fields: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        Meds(**fields)


def test_fields_of_a_host_are_a_table() -> None:
    with pytest.raises(BadParameter, match="'host_fields' is 'width=8': expected a table of fields"):
        catalog.create("meds", host_fields="width=8")


def test_a_table_of_a_method_without_a_host_is_refused() -> None:
    with pytest.raises(BadParameter, match=r"no field 'host_fields' \(set by host.NAME\): known are"):
        catalog.create("padim", host_fields={"width": "8"})


def test_a_table_has_the_digest_that_a_list_of_texts_had() -> None:
    """As stored by ltbench 0.1 for the same fields and backbone."""
    (file,) = Path(__file__).parent.glob("golden_results/**/meds-7975c7ca1d/cell.json")
    stored = json.loads(file.read_text())["method"]
    inner = {"width": "16", "depth": 1, "ratio": 1, "batch_size": 8, "iterations": 2}
    fields = {"host": "dinomaly", "draws": 2, "host_fields": inner, "backbone": stored["backbone"]}
    cell = Cell("synthetic", "meds_nr10_total", 1, "meds", fields, view=View(64, 56))
    method = catalog.create("meds", **cell.fields)
    config = {**catalog.config(method), "limit": 2}
    digest = config_digest(cell, method.version, config, stored["weights_digest"])
    assert digest == "7975c7ca1da4505fc437ddd215d4523c651ff939c53bf4e189c8ab722543a68b"


def test_a_host_trains_the_same_with_and_without_another_beside_it() -> None:
    """`host` has no side effect on the method: two of them from one method are two trainings."""
    method = catalog.create("dinomaly", **QUICK)
    train = image_set(SPOTTED)
    first, second = (fit_host(method.host(train, place), place) for place in (context(), context()))
    assert np.array_equal(first.training_grids(), second.training_grids())
