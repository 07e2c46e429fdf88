"""The workflow that the documentation offers: valid, and every command of it is one of ours."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer

from ltbench.benchmark.cli import app

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "leaderboard.yml"


@pytest.fixture(scope="module")
def workflow() -> dict[Any, Any]:
    return yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))


def steps(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_the_workflow_runs_on_pushes_and_pull_requests(workflow: dict[Any, Any]) -> None:
    # YAML 1.1 reads the key "on" as true.
    assert {"push", "pull_request"} == set(workflow[True])
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["jobs"]["compare"]["permissions"]["pull-requests"] == "write"
    assert workflow["jobs"]["compare"]["needs"] == "run"


def test_every_step_uses_an_action_or_runs_a_valid_script(workflow: dict[Any, Any]) -> None:
    for step in steps(workflow):
        assert ("uses" in step) != ("run" in step)
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])
        else:
            subprocess.run(["bash", "-n"], input=step["run"], text=True, check=True)


def test_site_and_results_are_uploaded_and_the_same_results_are_compared(workflow: dict[Any, Any]) -> None:
    paths = {s["with"]["name"]: s["with"]["path"] for s in steps(workflow) if "upload" in s.get("uses", "")}
    assert set(paths) == {"results", "site"}
    run = next(step["run"] for step in steps(workflow) if "ltbench bench" in step.get("run", ""))
    assert f"--results {paths['results']}" in run
    assert f"--out {paths['site']}" in run


def test_its_commands_and_options_exist(workflow: dict[Any, Any]) -> None:
    root = typer.main.get_command(app)
    scripts = "\n".join(step["run"] for step in steps(workflow) if "run" in step)
    found = re.findall(r"ltbench ((?:[a-z]+ )+)(.*)", scripts)
    assert {words.strip() for words, _ in found} >= {"bench", "results diff before after"}
    for words, rest in found:
        command: Any = root
        for word in words.split():
            inner = getattr(command, "commands", {}).get(word)
            if inner is None:
                break
            command = inner
        assert command is not root
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known
