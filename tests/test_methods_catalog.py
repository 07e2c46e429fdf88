"""Methods by name: the folder is the registry, fields are typed as a person types them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ltbench.benchmark.threads import tune_malloc
from ltbench.methods import catalog
from ltbench.methods.errors import BadParameter
from ltbench.registry import UnknownName

ROOT = Path(__file__).parents[1]


def test_every_module_of_the_folder_is_a_method_or_serves_them() -> None:
    modules = {path.stem for path in (ROOT / "methods").glob("*.py")}
    assert set(catalog.names()) == modules - {"__init__", "base", "catalog", "errors"}
    assert {"chance", "patchcore", "softpatch", "tailedcore", "padim"} <= set(catalog.names())
    assert catalog.names() == sorted(catalog.names())


def test_names_are_listed_without_importing_a_method_or_torch() -> None:
    code = (
        "import sys; from ltbench.methods import catalog; catalog.names(); "
        "print([m for m in sys.modules if m == 'torch' or m == 'ltbench.methods.patchcore'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("field", "typed", "value"),
    [
        ("coreset_ratio", "0.25", 0.25),
        ("coreset_ratio", 1, 1.0),
        ("grid", "14", 14),
        ("grid", "none", None),
        ("grid", None, None),
        ("layers", "layer2,layer3", ("layer2", "layer3")),
        ("layers", "", ()),
        ("layers", ["layer2"], ("layer2",)),
        ("coreset_start", "random1", "random1"),
        ("backbone", "desc", "desc"),
    ],
)
def test_texts_become_the_types_of_the_fields(field: str, typed: object, value: object) -> None:
    found = getattr(catalog.create("patchcore", **{field: typed}), field)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(("typed", "value"), [("false", False), ("1", True), (True, True)])
def test_truth_values_are_read_from_words(typed: object, value: bool) -> None:
    assert catalog.create("softpatch", soft_weights=typed).soft_weights is value


@pytest.mark.parametrize(
    ("field", "typed", "told"),
    [
        ("coreset_ratio", "much", "expected a number"),
        ("grid", "0.5", "expected"),
        ("grid", True, "expected"),
        ("coreset_start", "middle", "expected one of mean10, random1"),
        ("coreset_rato", "0.1", "did you mean 'coreset_ratio'"),
    ],
)
def test_a_bad_field_is_told_with_its_value_and_what_was_expected(
    field: str, typed: object, told: str
) -> None:
    with pytest.raises(BadParameter, match=told) as caught:
        catalog.create("patchcore", **{field: typed})
    assert field in str(caught.value)
    assert caught.value.exit_code == 2


def test_an_unknown_method_is_told_with_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="unknown method 'pachcore': did you mean 'patchcore'") as caught:
        catalog.load_class("pachcore")
    assert caught.value.exit_code == 2
    assert caught.value.exit_code == 2


def test_configuration_is_every_field_and_nothing_that_was_learnt() -> None:
    method = catalog.create("patchcore", coreset_ratio="0.5")
    method._bank = object()  # what fit leaves behind
    recorded = catalog.config(method)
    assert recorded["coreset_ratio"] == 0.5
    assert recorded["layers"] == []
    assert "_bank" not in recorded


def test_allocation_is_left_alone_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTBENCH_NO_MALLOPT", "1")
    assert not tune_malloc()


def test_allocation_keeps_its_pages_in_a_tuned_process() -> None:
    """Minor page faults of allocating 64 MB forty times, with and without tuning."""
    code = """
import resource, sys
import numpy as np
from ltbench.benchmark.threads import tune_malloc
tuned = tune_malloc()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(16_000_000, np.float32)
before = faults()
for _ in range(40):
    np.ones(16_000_000, np.float32)
print(int(tuned), faults() - before)
"""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    runs = []
    for more in ({}, {"LTBENCH_NO_MALLOPT": "1"}):
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True, text=True, check=True, cwd=ROOT, env=environment | more,
        )  # fmt: skip
        runs.append([int(word) for word in done.stdout.split()])
    (tuned, few), (_, many) = runs
    if not tuned:
        pytest.skip("the C library is not glibc")
    assert few < many / 4
