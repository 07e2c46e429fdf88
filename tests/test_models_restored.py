"""Every method scores in a new process as it did when it was saved, from files that hold no code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from small_images import context, image_set, judged_images
from test_methods_conformance import NAMES, answer, digest, fit, make, predict, quick_fields, train_images
from torch import nn

from ltbench.benchmark.conformance import check_method
from ltbench.methods import catalog
from ltbench.methods.base import Method
from ltbench.methods.errors import MethodsError, NotStorable
from ltbench.methods.features.backbones.desc import Descriptor
from ltbench.methods.state.fitted import State, restore, state_of

OTHERWISE: dict[str, dict[str, Any]] = {
    "meds_memory": {"method": "meds", "stop_after": "memory", "host": "hvq"},
    "meds_drawn": {"method": "meds", "stop_after": "memory", "host": "rd", "draws": 3},
    "meds_uniad": {"method": "meds", "host": "uniad"},
    "hvq_centroid": {"method": "hvq", "label_source": "centroid"},
    "winclip_shots": {"method": "winclip", "shots": 2},
    "anomalygpt_shots": {"method": "anomalygpt", "shots": 1},
    "softpatch_hard": {"method": "softpatch", "soft_weights": False},
}
"""Configurations that learn something else than the default of their method."""


def fitted(case: str) -> Method:
    if case not in OTHERWISE:
        return answer(case)[0]
    method = again(case)
    method.fit(image_set(train_images(), method.needs), context(needs=method.needs))
    return method


def again(case: str) -> Method:
    """The method of a case with its fields, not fitted."""
    if case not in OTHERWISE:
        return make(case)
    fields = dict(OTHERWISE[case])
    name = fields.pop("method")
    return catalog.create(name, **{**quick_fields(name), **fields})


def write(case: str, folder: Path) -> str:
    """Save a fitted method; return the digest of its prediction."""
    method = fitted(case)
    state = state_of(method)
    (folder / f"{case}.json").write_text(json.dumps(state.tree, allow_nan=False))
    save_file(state.tensors, folder / f"{case}.safetensors")
    return digest(predict(method, judged_images()))


def read(case: str, folder: Path) -> str:
    """Restore a method; return the digest of its prediction."""
    state = State(
        json.loads((folder / f"{case}.json").read_text()), load_file(folder / f"{case}.safetensors")
    )
    method = again(case)
    restore(method, state, context(seed=9))
    return digest(predict(method, judged_images()))


@pytest.fixture(scope="module")
def digests(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], dict[str, str]]:
    """Digests of predictions by case: when saved, and restored in a process of its own."""
    folder = tmp_path_factory.mktemp("states")
    cases = [*NAMES, *OTHERWISE]
    saved = {case: write(case, folder) for case in cases}
    code = (
        "import json, pathlib, sys, test_models_restored as t\n"
        "found = {}\n"
        f"for case in {cases}:\n"
        "    try: found[case] = t.read(case, pathlib.Path(sys.argv[1]))\n"
        "    except Exception as error: found[case] = repr(error)\n"
        "print(json.dumps(found))"
    )
    root = Path(__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(root), str(root / "tests")])}
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        capture_output=True, text=True, check=True, cwd=root, env=environment,
    )  # fmt: skip
    return saved, json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("case", [*NAMES, *OTHERWISE])
def test_a_method_scores_in_another_process_as_before(
    case: str, digests: tuple[dict[str, str], dict[str, str]]
) -> None:
    saved, restored = digests
    assert restored[case] == saved[case]


@pytest.mark.parametrize("name", ["patchcore", "dinomaly"])
def test_scores_follow_the_state(name: str) -> None:
    """A method that was fitted on other images scores otherwise until it is restored."""
    other = fit(name, train_images({"checks": 5}))
    assert digest(predict(other, judged_images())) != digest(answer(name)[1])
    restore(other, state_of(answer(name)[0]), context())
    assert digest(predict(other, judged_images())) == digest(answer(name)[1])


def test_every_built_in_method_can_be_stored() -> None:
    checks = check_method("padim", **quick_fields("padim"))
    assert checks[-1].what == "what it has learned can be stored, and scores the same"
    assert checks[-1].ok


class Held(nn.Module):
    """A module with all kinds of attributes."""

    unsaved = ("scratch",)

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 2)
        self.tied = self.first
        self.register_buffer("kept", torch.arange(3), persistent=False)
        self.nothing = None
        self.scratch = object()
        self.itself = [self]


class Learner:
    """Learns nothing; holds what a test gives it."""

    def __init__(self, held: Any = None) -> None:
        self.held = held


def round_trip(value: Any) -> Any:
    state = state_of(Learner(value))  # type: ignore[arg-type]
    made = Learner()
    restore(made, State(json.loads(json.dumps(state.tree)), state.tensors), context())  # type: ignore[arg-type]
    return made.held


@pytest.mark.parametrize(
    "value",
    [
        None, True, 3, "text", 0.1, (1, (2, "a")), [], {1: "a", "b": (2,)}, {3, 1}, frozenset({"x"}),
        float("-inf"),
        np.float32(0.5), np.arange(6, dtype=np.int64).reshape(2, 3), np.asfortranarray(np.ones((3, 4))),
        np.zeros((0, 2), np.float16), torch.float16, torch.tensor(True),
        torch.arange(24.0).view(1, 2, 3, 4).contiguous(memory_format=torch.channels_last),
        torch.arange(6).view(2, 3).T, torch.ones(4)[::2],
    ],
)  # fmt: skip
def test_values_come_back_as_they_were(value: Any) -> None:
    found = round_trip(value)
    assert type(found) is type(value)
    if isinstance(value, torch.Tensor | np.ndarray):
        assert found.dtype == value.dtype
        assert np.array_equal(np.asarray(found), np.asarray(value))
    else:
        assert found == value
    if isinstance(value, torch.Tensor) and value.is_contiguous(memory_format=torch.channels_last):
        assert found.stride() == value.stride()


def test_shared_and_circular_objects_stay_so() -> None:
    found = round_trip(Held())
    assert found.first is found.tied
    assert found.itself[0] is found
    assert not hasattr(found, "scratch")
    assert [name for name, _ in found.named_parameters()] == ["first.weight", "first.bias"]
    assert found.state_dict().keys() == Held().state_dict().keys()
    assert found.training
    assert found.first.weight.requires_grad


@pytest.mark.parametrize("value", [lambda x: x, Path("x"), object(), {"deep": [iter(())]}, json.dumps])
def test_what_cannot_be_stored_is_named(value: Any) -> None:
    with pytest.raises(NotStorable, match=r"'self\.held.*expected"):
        round_trip(value)


@pytest.mark.parametrize(
    "name", ["os:system", "builtins:eval", "subprocess:Popen", "ltbench.methods.catalog:create"]
)
@pytest.mark.parametrize("tree", [{"function": ""}, {"number": 1, "class": "", "attributes": {}}])
def test_a_state_names_no_code_but_that_of_methods(name: str, tree: dict[str, Any]) -> None:
    tree = {key: name if part == "" else part for key, part in tree.items()}
    with pytest.raises((ValueError, TypeError), match=r"is not among what may be restored|is no type"):
        restore(Learner(), State({"attributes": {"held": tree}}, {}), context())  # type: ignore[arg-type]


def test_another_backbone_than_the_fitted_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    state = state_of(answer("padim")[0])
    monkeypatch.setattr(Descriptor, "digest", "0" * 64, raising=False)
    with pytest.raises(MethodsError, match="have digest '000000000000': expected"):
        restore(make("padim"), state, context())
