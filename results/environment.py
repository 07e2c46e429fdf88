"""Environment of a result: machine, packages, commit."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "ltbench", "numpy", "scipy", "pandas", "pyarrow", "pillow", "scikit-learn",
    "torch", "torchvision", "timm", "open_clip_torch", "faiss-cpu", "transformers",
)  # fmt: skip


def package_versions() -> dict[str, str]:
    """Installed versions of the packages that can change results; missing packages are omitted."""
    return dict(_versions())


@lru_cache(maxsize=1)
def _versions() -> tuple[tuple[str, str], ...]:
    """Installed versions of `PACKAGES`, as pairs."""
    versions = []
    for name in PACKAGES:
        try:
            versions.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return tuple(versions)


@lru_cache(maxsize=1)
def git_state() -> tuple[str, bool | None]:
    """Commit of the checkout that this package runs from, and whether it is dirty; ("", None) otherwise."""
    here = Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(here), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
        return done.stdout.strip()

    try:
        # A checkout that merely contains the installed package, in a project's .venv, is not its source.
        if Path(git("rev-parse", "--show-toplevel")).resolve() != here.parent:
            return "", None
        return git("rev-parse", "HEAD"), git("status", "--porcelain", "--untracked-files=no") != ""
    except (OSError, subprocess.SubprocessError):
        return "", None


def environment() -> dict[str, Any]:
    """Describe this machine and installation for a result, as JSON values."""
    commit, dirty = git_state()
    return {
        "host": platform.node(),
        "system": platform.platform(),
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "memory_gib": _memory_gib(),
        "python": platform.python_version(),
        "packages": package_versions(),
        "git_commit": commit,
        "git_dirty": dirty,
    }


def _cpu_name() -> str:
    """Model name of the CPU."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_gib() -> float | None:
    """Physical memory in GiB; None if unknown."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError):
        return None
