"""Reports are built where torch and the methods' libraries are not installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from generated_results import generate

ROOT = Path(__file__).parents[1]
FORBIDDEN = (
    "torch",
    "torchvision",
    "timm",
    "open_clip",
    "faiss",
    "sklearn",
    "safetensors",
    "transformers",
    "ray",
)
BLOCKER = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {FORBIDDEN!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from ltbench.benchmark.cli import main
sys.argv = ["ltbench", *sys.argv[1:]]
main()
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("results")
    return generate(root, boards=[("synthetic", "pareto")], seeds=(1, 2), gallery=1)


def test_report_results_and_published_work_without_torch(results: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    for words in (
        ["report", "--results", str(results), "--out", str(site)],
        ["results", "ls", "--results", str(results)],
        ["published", "lint"],
    ):
        ran = subprocess.run(
            [sys.executable, "-c", BLOCKER, *words], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
    assert (site / "synthetic--pareto.html").is_file()


def test_the_blocker_blocks() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", BLOCKER.replace("from ltbench.benchmark.cli import main", "import torch")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode != 0
    assert "No module named 'torch'" in ran.stderr


@pytest.mark.slow
def test_the_light_installation_has_no_torch_and_builds_the_site(results: Path, tmp_path: Path) -> None:
    home = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    program = home / "bin"
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    installed = subprocess.run(
        [program / "pip", "install", "--quiet", *constraints, f"{ROOT}[report]"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if installed.returncode:
        pytest.skip(f"pip cannot install here: {installed.stderr.strip().splitlines()[-1]}")
    listed = subprocess.run([program / "pip", "list"], capture_output=True, text=True, check=True).stdout
    assert "torch" not in listed
    out = tmp_path / "site"
    command = [program / "ltbench", "report", "--results", str(results), "--out", str(out)]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert (out / "index.html").is_file()
