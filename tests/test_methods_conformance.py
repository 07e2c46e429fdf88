"""What every method holds, found by the catalogue and run over a few small pictures."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_images import SIDE, Painter, context, image_set, judged_images, train_images
from threadpoolctl import threadpool_limits

from ltbench.benchmark.conformance import check_method
from ltbench.methods import catalog
from ltbench.methods.base import MapPost, Method, Prediction
from ltbench.methods.errors import MethodsError
from ltbench.splits.images import LabelledImage

# What makes any method quick; used where a method has such a field. Any "..._iterations" counts as one.
QUICK = {
    "backbone": "desc",
    "layers": ("desc",),
    "epochs": 1,
    "steps": 2,
    "iterations": 2,
    "windows": (2,),
    "size": 64,
}
# Nothing hands it over yet.
UNAVAILABLE = {"support_set"}

NAMES = catalog.names()
LEARNERS = [name for name in NAMES if name != "chance"]


def quick_fields(name: str) -> dict[str, Any]:
    known = {field.name: field.default for field in dataclasses.fields(catalog.load_class(name))}
    # What compares images with texts keeps its small encoder.
    if known.get("backbone") == "toy-vl":
        known.pop("backbone")
        known.pop("layers", None)
    return {
        field: QUICK.get(field, QUICK["iterations"])
        for field in known
        if field in QUICK or field.endswith("_iterations")
    }


def make(name: str) -> Method:
    method = catalog.create(name, **quick_fields(name))
    if method.needs & UNAVAILABLE:
        pytest.skip(f"needs {', '.join(sorted(method.needs & UNAVAILABLE))}")
    return method


def fit(name: str, train: list[LabelledImage], figures: dict[str, float] | None = None) -> Method:
    method = make(name)
    method.fit(image_set(train, method.needs), context(figures=figures, needs=method.needs))
    return method


def predict(method: Method, test: list[LabelledImage]) -> Prediction:
    return method.score(image_set(test, method.needs), context())


@cache
def answer(name: str) -> tuple[Method, Prediction]:
    """The method after one ordinary run; shared, since most facts are about it."""
    method = fit(name, train_images())
    return method, predict(method, judged_images())


def digest(prediction: Prediction) -> str:
    grids = b"" if prediction.grids is None else np.ascontiguousarray(prediction.grids).tobytes()
    return hashlib.sha256(np.ascontiguousarray(prediction.scores).tobytes() + grids).hexdigest()


@pytest.fixture(scope="module")
def digests_of_another_process() -> dict[str, str]:
    """One run of every method under another hash seed, in a process of its own."""
    code = (
        "import json, pytest, torch, test_methods_conformance as t\n"
        "out = {}\n"
        "for name in t.NAMES:\n"
        "    try: out[name] = t.digest(t.answer(name)[1])\n"
        "    except pytest.skip.Exception: pass\n"
        "    except Exception as error: out[name] = repr(error)\n"
        "print(json.dumps(out))"
    )
    root = Path(__file__).parents[1]
    path = os.pathsep.join([str(root), str(root / "tests")])
    environment = os.environ | {"PYTHONHASHSEED": "77", "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root, env=environment
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_of_the_method_check_holds(name: str) -> None:
    make(name)
    assert [check for check in check_method(name, **quick_fields(name)) if not check.ok] == []


@pytest.mark.parametrize("name", NAMES)
def test_scores_are_finite_float32_one_per_image(name: str) -> None:
    _, prediction = answer(name)
    assert prediction.scores.dtype == np.float32
    assert prediction.scores.shape == (16,)
    assert np.isfinite(prediction.scores).all()
    assert isinstance(prediction.post, MapPost)
    if prediction.grids is not None:
        assert prediction.grids.dtype == np.float32
        assert prediction.grids.ndim == 3
        assert len(prediction.grids) == 16
        assert max(prediction.grids.shape[1:]) <= SIDE
        assert np.isfinite(prediction.grids).all()


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_gives_the_same_scores_in_another_process(
    name: str, digests_of_another_process: dict[str, str]
) -> None:
    assert digests_of_another_process[name] == digest(answer(name)[1])


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_gives_the_same_scores_in_this_process(name: str) -> None:
    assert digest(predict(fit(name, train_images()), judged_images())) == digest(answer(name)[1])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("threads", [1, 2])
def test_the_number_of_threads_does_not_move_a_bit(name: str, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads, user_api="blas"):
            again = digest(predict(fit(name, train_images()), judged_images()))
        assert torch.get_num_threads() == threads, "a method gives back what it borrowed"
    finally:
        torch.set_num_threads(before)
    assert again == digest(answer(name)[1])


@pytest.mark.parametrize("name", NAMES)
def test_scoring_twice_gives_the_same_answer(name: str) -> None:
    method, prediction = answer(name)
    assert digest(predict(method, judged_images())) == digest(prediction)


@pytest.mark.parametrize("name", NAMES)
def test_lists_in_another_order_give_the_same_scores(name: str) -> None:
    """Scores follow the keys, whatever order the harness listed the images in."""
    method = fit(name, train_images()[::-1])
    assert digest(predict(method, judged_images()[::-1])) == digest(answer(name)[1])


@pytest.mark.parametrize("name", LEARNERS)
def test_scores_stand_in_the_order_of_the_keys(name: str) -> None:
    """An image scored alone has the score that it has among others."""
    method, prediction = answer(name)
    images = sorted(judged_images(), key=lambda image: image.key)
    for position in (0, 7, 15):
        alone = predict(method, [images[position]])
        assert alone.scores[0] == pytest.approx(prediction.scores[position], rel=1e-4)


@pytest.mark.parametrize("name", LEARNERS)
def test_labels_do_not_matter(name: str) -> None:
    """Same paths and pixels under other parts, defects, masks and (unless declared) categories."""
    needs = make(name).needs
    uses_classes = bool({"class_ids_fit", "class_ids_score", "class_names"} & needs)

    def relabelled(images: list[LabelledImage]) -> list[LabelledImage]:
        return [
            dataclasses.replace(
                image,
                part="train",
                defect="" if image.defect else "crack",
                mask="",
                category=image.category if uses_classes else "thing",
            )
            for image in images
        ]

    method = fit(name, relabelled(train_images(spots=2)))
    changed = predict(method, relabelled(judged_images()))
    assert digest(changed) == digest(predict(fit(name, train_images(spots=2)), judged_images()))


@pytest.mark.parametrize("name", LEARNERS)
def test_fitting_again_forgets_the_first_fit(name: str) -> None:
    method = fit(name, train_images({"checks": 5}))
    method.fit(image_set(train_images(), method.needs), context(needs=method.needs))
    assert digest(predict(method, judged_images())) == digest(answer(name)[1])


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("sizes", [{"stripes": 1}, {"stripes": 5}, {"stripes": 1, "checks": 1}])
def test_one_image_or_one_class_is_enough(name: str, sizes: dict[str, int]) -> None:
    method = fit(name, train_images(sizes))
    assert np.isfinite(predict(method, judged_images(2, tuple(sizes))).scores).all()


@pytest.mark.parametrize("name", LEARNERS)
def test_no_training_image_is_an_error_in_one_sentence(name: str) -> None:
    with pytest.raises(MethodsError, match="training set is empty"):
        fit(name, [])


@pytest.mark.parametrize("name", NAMES)
def test_fields_are_configuration_and_survive_recording(name: str) -> None:
    method, _ = answer(name)
    recorded = catalog.config(method)
    assert recorded == catalog.config(make(name)), "running must not change what is recorded"
    assert catalog.config(catalog.create(name, **json.loads(json.dumps(recorded)))) == recorded
    typed = {field: as_typed(value) for field, value in recorded.items()}
    assert catalog.config(catalog.create(name, **typed)) == recorded


def as_typed(value: object) -> object:
    """A field's value the way a person types it; the entries of a table are typed one by one."""
    if isinstance(value, dict):
        return {name: as_typed(part) for name, part in value.items()}
    if isinstance(value, list):
        return ",".join(str(part) for part in value)
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("name", NAMES)
def test_card_tells_a_reader_what_this_is(name: str) -> None:
    method_class = catalog.load_class(name)
    card = method_class.card
    assert card.title
    assert card.family
    assert card.summary.endswith(".")
    assert isinstance(method_class.version, int)
    assert isinstance(method_class.needs, frozenset)
    assert all(text.endswith(".") for text in card.deviations)
    if card.family != "baseline":
        assert card.paper
        assert card.url.startswith("https://")
        assert card.licence
        assert re.match(r"@\w+\{\w+,\n", card.bibtex)
        assert card.bibtex.count("{") == card.bibtex.count("}")


@pytest.mark.parametrize("name", NAMES)
def test_deviations_name_fields_that_exist(name: str) -> None:
    known = {field.name for field in dataclasses.fields(catalog.load_class(name))}
    for text in catalog.load_class(name).card.deviations:
        named = re.match(r"(\w+)(?: and (\w+))?(?: = [^,]+)?(?::|,| =)", text)
        if named and "_" in named.group(0):
            assert {word for word in named.groups() if word} <= known, text


@pytest.mark.parametrize("name", LEARNERS)
def test_damaged_features_name_the_image(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "backbone" not in quick_fields(name):
        pytest.skip("has no backbone")
    from ltbench.methods.features.backbones.desc import Descriptor

    healthy = Descriptor.__call__

    def damaged(self: Descriptor, pixels: Any) -> Any:
        bright = pixels.float().mean(dim=(1, 2, 3)) > 240
        features = {layer: values.clone() for layer, values in healthy(self, pixels).items()}
        for values in features.values():
            values[bright] = np.nan
        return features

    monkeypatch.setattr(Descriptor, "__call__", damaged)
    images = train_images()
    bad = sorted(images, key=lambda image: image.key)[3]
    source = Painter(lambda path, pixels: np.full_like(pixels, 255) if path == bad.path else pixels)
    method = make(name)
    with pytest.raises(MethodsError, match=rf"image 3 \('{bad.key}'\)"):
        method.fit(image_set(images, method.needs, source), context())
