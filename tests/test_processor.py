"""The processor whose AVX-512 sort is slow is recognised, and nothing else is touched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np  # noqa: F401 - imported, so that it is running
import pytest

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


def test_a_running_numpy_and_a_persons_own_switch_are_left_alone():
    assert "numpy" in sys.modules
    assert avoid_slow_sort(environ := {}) is False
    assert environ == {}


@pytest.mark.parametrize("own", [None, "AVX512_ICL"])
def test_numpy_starts_with_what_was_chosen(own):
    code = "import benchmark, os, numpy; print(os.environ.get('" + SWITCH + "', ''), numpy.sort([2, 1]))"
    environ = {name: value for name, value in os.environ.items() if name != SWITCH} | (
        {SWITCH: own} if own else {}
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=environ,
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() in ({f"{own} [1 2]"} if own else {"[1 2]", "X86_V4 [1 2]", "AVX512_SKX [1 2]"})
