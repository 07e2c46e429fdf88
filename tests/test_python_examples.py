"""The Python examples of the README, of docs/python.md and of docs/models.md run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTBENCH_HOME", str(tmp_path / "home"))


def ran(code: str, folder: Path, *options: str) -> str:
    """Output of a script in an empty folder, which has no `__main__` guard."""
    (folder / "example.py").write_text(code)
    command = [sys.executable, *options, "example.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S)


def test_examples_of_the_documentation_run(tmp_path: Path) -> None:
    out = ran("\n".join(python_blocks(ROOT / "docs" / "python.md")), tmp_path, "-W", "error")
    assert "one class only" in out
    assert (tmp_path / "site" / "index.html").exists()


def test_the_example_of_the_page_on_models_runs(tmp_path: Path) -> None:
    (block,) = python_blocks(ROOT / "docs" / "models.md")
    out = ran(block, tmp_path, "-W", "error")
    assert out.count("(224, 224)") == 3
    assert (tmp_path / "model" / "model.json").exists()


def test_the_example_of_the_readme_runs(tmp_path: Path) -> None:
    (block,) = [code for code in python_blocks(ROOT / "README.md") if "import ltbench" in code]
    # One image per class: what is shown is the same.
    assert "{'image_auroc': 0.75}" in ran(block.replace("seeds=[1, 2]", "seeds=[1], limit=1"), tmp_path)
