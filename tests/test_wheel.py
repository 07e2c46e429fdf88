"""The wheel: what it holds, and that it works beside other people's modules of the same names."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def pip(*words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *words],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel alone was installed."""
    wheels, target = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("installed")
    isolation = ["--no-build-isolation"] if find_spec("hatchling") else []
    pip("wheel", "--quiet", "--no-deps", *isolation, "--wheel-dir", str(wheels), ".")
    (wheel,) = wheels.glob("*.whl")
    pip("install", "--quiet", "--no-deps", "--target", str(target), str(wheel))
    return target


@pytest.mark.slow
def test_wheel_holds_one_package(installed: Path) -> None:
    names = {path.name.partition("-")[0] for path in installed.iterdir() if path.name != "bin"}
    assert names == {"ltbench"}
    assert (installed / "ltbench" / "py.typed").exists()


@pytest.mark.slow
def test_wheel_runs_beside_modules_with_our_folders_names(installed: Path, tmp_path: Path) -> None:
    for decoy in ("results.py", "methods/__init__.py", "benchmark.py", "splits.py", "reports/__init__.py"):
        (tmp_path / decoy).parent.mkdir(exist_ok=True)
        (tmp_path / decoy).write_text("raise RuntimeError('a module of the person was imported')\n")
    environment = os.environ | {"PYTHONPATH": str(installed), "LTBENCH_HOME": str(tmp_path / "home")}
    where = "import ltbench.results.store as store; print(store.__file__)"
    for words in (
        ["-c", where],
        ["-m", "ltbench", "run", "--method", "chance", "--split", "pareto", "--limit", "2"],
    ):
        done = subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        if words[0] == "-c":
            assert Path(done.stdout.strip()).is_relative_to(installed)
    assert list((tmp_path / "runs").rglob("cell.json"))
