"""Keeps NumPy's sort off a processor's slow instruction, in processes that import NumPy afterwards."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from importlib import metadata
from pathlib import Path

SWITCH = "NPY_DISABLE_CPU_FEATURES"


def avoid_slow_sort(environ: MutableMapping[str, str] = os.environ) -> bool:
    """Let NumPy sort with AVX2 where its AVX-512 sort is slow; true if `environ` was changed.

    Called at the start of a command and before cells' processes start, which inherit it.

    On AMD's Zen 4 the AVX-512 sort is six times slower than the AVX2 one, because storing compressed lanes
    to memory is microcoded there (github.com/numpy/x86-simd-sort/issues/6); OpenJDK makes the same exception.
    The pixel metrics are one sort. Nothing happens if the user has set NumPy's switches, or if NumPy does not
    come from PyPI: a build for this very processor cannot do without AVX-512 and would refuse to start.
    """
    if SWITCH in environ or "NPY_ENABLE_CPU_FEATURES" in environ:
        return False
    if not sorts_slowly(_processor()) or not _is_public_wheel():
        return False
    environ[SWITCH] = "X86_V4" if _numpy_version() >= (2, 4) else "AVX512_SKX"
    return True


def sorts_slowly(cpuinfo: str) -> bool:
    """Whether `cpuinfo`, as Linux writes it, describes a Zen 4: AMD, family 25, AVX-512 (Zen 3 has none)."""
    facts = dict(line.split(":", 1) for line in cpuinfo.partition("\n\n")[0].splitlines() if ":" in line)
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    known = facts.get("vendor_id"), facts.get("cpu family")
    return known == ("AuthenticAMD", "25") and "avx512f" in facts.get("flags", "").split()


def _processor() -> str:
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""


def _is_public_wheel() -> bool:
    try:
        return "manylinux" in (metadata.distribution("numpy").read_text("WHEEL") or "")
    except metadata.PackageNotFoundError:
        return False


def _numpy_version() -> tuple[int, int]:
    major, minor = metadata.version("numpy").split(".")[:2]
    return int(major), int(minor)
