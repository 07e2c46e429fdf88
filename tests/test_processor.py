"""The processor whose AVX-512 sort is slow is recognised, and nothing else is touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from ltbench.benchmark import processor
from ltbench.benchmark.processor import SWITCH, avoid_slow_sort, sorts_slowly

ZEN4 = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nflags\t\t: fpu avx2 avx512f\n\n"


@pytest.mark.parametrize(
    ("cpuinfo", "slow"),
    [
        (ZEN4 + ZEN4, True),
        (ZEN4.replace(": 25", ": 26"), False),  # Zen 5
        (ZEN4.replace(" avx512f", ""), False),  # Zen 3
        (ZEN4.replace("AuthenticAMD", "GenuineIntel"), False),
        ("", False),
        ("Features\t: fp asimd\n", False),
    ],
)
def test_only_zen_4_sorts_slowly(cpuinfo, slow):
    assert sorts_slowly(cpuinfo) == slow


@pytest.mark.parametrize("name", [SWITCH, "NPY_ENABLE_CPU_FEATURES"])
def test_a_persons_own_switch_is_left_alone(monkeypatch, name):
    monkeypatch.setattr(processor, "sorts_slowly", lambda cpuinfo: True)
    monkeypatch.setattr(processor, "_is_public_wheel", lambda: True)
    assert avoid_slow_sort(environ := {name: "AVX2"}) is False
    assert environ == {name: "AVX2"}
    assert avoid_slow_sort(environ := {}) is True
    assert environ[SWITCH] in {"X86_V4", "AVX512_SKX"}


def test_an_import_changes_no_environment():
    code = (
        "import os; before = dict(os.environ); "
        "import ltbench, ltbench.benchmark.cli, ltbench.benchmark.processes; "
        "assert os.environ == before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("own", [None, "AVX512_ICL"])
def test_a_command_starts_numpy_with_what_was_chosen_and_says_so(own):
    environ = {name: value for name, value in os.environ.items() if name != SWITCH} | (
        {SWITCH: own} if own else {}
    )
    command = [sys.executable, "-W", "error", "-m", "ltbench", "env", "--json"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)["tuning"]
    expected = {f"{SWITCH}={own}"} if own else {"as installed", f"{SWITCH}=X86_V4", f"{SWITCH}=AVX512_SKX"}
    assert told["numpy"] in expected
    assert "LTBENCH_NO_MALLOPT" in told["memory"] or "give back" in told["memory"]
