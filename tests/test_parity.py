"""ltbench beside the authors' code (where clones are at hand), and beside what that code answered."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ltbench.methods import catalog
from ltbench.results.parity import read_stages
from parity import golden, methods
from parity.case import Case, compare
from parity.official import Unavailable, open_clone
from parity.report import PAGE, document

CASES = [case for method in methods.names() for case in methods.cases(method)]
GOLDEN = [case for case in CASES if case.is_golden]
# LTAD's authors published no code: tests/test_ltad_equations.py states its equations again.
WITHOUT_PUBLIC_CODE = {"chance", "ltad"}


def name(case: Case) -> str:
    return f"{case.method}: {case.stage}"


@pytest.mark.official
# The authors' code calls what has been deprecated since.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES, ids=name)
def test_each_stage_equals_the_authors_code_or_declares_why_not(case: Case) -> None:
    try:
        outcome = compare(case, open_clone(case.repository))
    except Unavailable as error:
        pytest.skip(str(error))
    assert outcome.verdict != "differs", f"difference {outcome.difference:.2g}"


@pytest.mark.parametrize("case", GOLDEN, ids=name)
def test_each_stage_still_answers_as_the_authors_code_did(case: Case) -> None:
    kept = golden.read(case.method)[case.stage]
    assert kept["commit"] == case.repository.commit
    ours = case.ours()
    assert set(ours) == set(kept["arrays"])
    for array, expected in kept["arrays"].items():
        assert_near(golden.summary(np.asarray(ours[array])), expected, case, array)


def assert_near(ours: dict[str, Any], expected: dict[str, Any], case: Case, array: str) -> None:
    assert ours["shape"] == expected["shape"]
    if "crc32" in expected:
        if case.tolerance == 0:
            assert ours == expected
        else:
            same = np.mean(np.equal(ours["values"], expected["values"]))
            assert same >= 1 - case.tolerance * 4
        return
    slack = case.slack(array) * expected["largest"]
    assert ours["values"] == pytest.approx(expected["values"], abs=slack, rel=0)
    assert ours["rms"] == pytest.approx(expected["rms"], abs=slack, rel=0)


def test_every_method_with_public_code_has_cases() -> None:
    assert set(methods.names()) == set(catalog.names()) - WITHOUT_PUBLIC_CODE


@pytest.mark.parametrize("method", methods.names())
def test_every_method_has_golden_values(method: str) -> None:
    assert golden.read(method), f"python -m parity {method} --golden makes them"


def test_a_missing_clone_is_said_with_the_commands_that_make_it(monkeypatch: pytest.MonkeyPatch) -> None:
    repository = CASES[0].repository
    monkeypatch.delenv("LTBENCH_OFFICIAL", raising=False)
    with pytest.raises(Unavailable, match=f"LTBENCH_OFFICIAL.*git clone {repository.url}"):
        open_clone(repository)


def test_the_documented_comparison_is_the_stored_one() -> None:
    stages = read_stages()
    assert {stage.method for stage in stages} == set(methods.names())
    assert not [stage for stage in stages if stage.verdict == "differs"]
    assert PAGE.read_text(encoding="utf-8") == document(stages), "run make parity"


def test_the_stored_comparison_has_every_case() -> None:
    stored = [(stage.method, stage.stage, stage.commit) for stage in read_stages()]
    assert stored == [(case.method, case.stage, case.repository.commit) for case in CASES]
