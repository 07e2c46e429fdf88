"""Descriptions of methods: stored for quick answers, equal to the classes, never out of date."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from ltbench.benchmark import describe
from ltbench.methods import catalog
from ltbench.methods.errors import BadParameter


def test_stored_descriptions_are_current() -> None:
    assert describe.FILE.read_text(encoding="utf-8") == describe.document(), (
        "run python -m ltbench.benchmark.describe"
    )


def test_a_changed_method_is_described_from_its_class(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = describe._stored()
    changed = {**stored["padim"], "sha256": "0" * 64}
    monkeypatch.setattr(describe, "_stored", lambda: {**stored, "padim": changed})
    card = describe.described("padim")
    monkeypatch.setattr(describe, "described", lambda _: replace(card, needs=("anew",)))
    assert describe.describe("padim").needs == ("anew",)
    assert describe.describe("patchcore").needs == ()


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["methods", "ls"],
        ["methods", "show", "padim"],
        ["splits", "ls"],
        ["run", "--method", "padim", "--split", "pareto", "--set", "ridg=1"],
        ["run", "--method", "pdim", "--split", "pareto"],
    ],
)
def test_quick_answers_import_no_torch(words: list[str]) -> None:
    code = (
        "import sys; from ltbench.benchmark.cli import main\n"
        f"sys.argv = ['ltbench', *{words!r}]\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print('torch imported' if 'torch' in sys.modules else 'no torch')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "no torch"


def test_an_unknown_field_is_named_before_anything_is_read() -> None:
    with pytest.raises(BadParameter, match=r"padim has no field 'ridg': did you mean 'ridge'\?"):
        describe.require_fields("padim", ["ridge", "ridg"])
    for name in catalog.names():
        describe.require_fields(name, describe.describe(name).fields)
