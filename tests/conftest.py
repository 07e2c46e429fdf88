"""Settings of all tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from remote_roots import s3_environment

pytest_plugins = ["browsing"]

# The time of an example says nothing on a shared machine.
settings.register_profile("ltbench", deadline=None)
settings.load_profile("ltbench")


@pytest.fixture(scope="module")
def s3_variables() -> Iterator[dict[str, str]]:
    """A running S3 server, and the environment by which this process finds it."""
    with s3_environment() as found, pytest.MonkeyPatch.context() as patch:
        for name, value in found.items():
            patch.setenv(name, value)
        yield found


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts a file system of so many MB of its own; skips where only root may."""
    folder = tmp_path / "disk"

    def mount(megabytes: int) -> Path:
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("only root may mount a file system")
        return folder

    yield mount
    if folder.is_mount():
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
