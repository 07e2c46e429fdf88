"""`ltbench fit` and `ltbench predict` as people use and misuse them."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ltbench
from ltbench.benchmark.cli import main

ROOT = Path(__file__).parents[1]
FIT = ("--method", "padim", "--set", "backbone=desc", "--view", "64/64", "--limit", "10", "--folds", "2")
# A shell's background job ignores Ctrl-C, and so do its children unless they say otherwise.
HEARS_CTRL_C = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from ltbench.benchmark.cli import main; main()"
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model and a few pictures."""
    folder = tmp_path_factory.mktemp("predict")
    done = ltbench_command(folder, "fit", *FIT, "--dataset", "synthetic:bolt+button", "--out", "model")
    assert done.returncode == 0, done.stderr
    assert "20 images of 2 categories, synthetic:bolt+button clean-limit10" in done.stdout
    (folder / "new").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LTBENCH_HOME", str(folder / "home"))
        dataset = ltbench.open_dataset("synthetic:bolt")
        for number, image in enumerate(dataset.images()[:18]):
            Image.fromarray(dataset.pixels(image)).save(folder / "new" / f"{number:02d}.png")
    return folder


def environment(place: Path) -> dict[str, str]:
    own = {"LTBENCH_HOME": str(place / "home"), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LTBENCH_")}
    return {**inherited, **own}


@dataclass(frozen=True)
class Done:
    """Outcome of a command."""

    returncode: int
    stdout: str
    stderr: str


def ltbench_command(place: Path, *words: str) -> Done:
    """Run a command in the folder `place`, in this process, which has torch imported."""
    out, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(errors):
        patch.chdir(place)
        patch.setenv("LTBENCH_HOME", str(place / "home"))
        patch.setattr(sys, "argv", ["ltbench", *words])
        with pytest.raises(SystemExit) as ended:
            main()
    return Done(int(ended.value.code or 0), out.getvalue(), errors.getvalue())


def test_rows_of_both_formats_say_the_same(place: Path) -> None:
    table = ltbench_command(place, "predict", "model", "new")
    lines = ltbench_command(place, "predict", "model", "new", "--format", "jsonl")
    assert (table.returncode, lines.returncode) == (0, 0), table.stderr + lines.stderr
    rows = list(csv.DictReader(table.stdout.splitlines()))
    objects = [json.loads(line) for line in lines.stdout.splitlines()]
    assert [row["image"] for row in rows] == [f"new/{number:02d}.png" for number in range(18)]
    for row, entry in zip(rows, objects, strict=True):
        assert {name: "" if value is None else str(value) for name, value in entry.items()} == row
        assert entry["verdict"] == ("anomalous" if entry["score"] > entry["threshold"] else "normal")
    verdicts = ltbench.load_model(place / "model").predict(place / "new")
    assert [verdict.score for verdict in verdicts] == [entry["score"] for entry in objects]


def test_a_broken_image_is_a_sentence_and_the_rest_is_scored(place: Path, tmp_path: Path) -> None:
    for name in ("00.png", "01.png"):
        (tmp_path / name).write_bytes((place / "new" / name).read_bytes())
    (tmp_path / "00b.png").write_bytes((place / "new" / "00.png").read_bytes()[:200])
    done = ltbench_command(place, "predict", "model", str(tmp_path), str(tmp_path / "absent.png"))
    assert done.returncode == 3
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert [bool(row["score"]) for row in rows] == [True, False, True, False]
    assert [bool(row["error"]) for row in rows] == [False, True, False, True]
    assert "00b.png' cannot be read" in done.stderr
    assert "absent.png' is missing" in done.stderr
    assert "not all images could be scored (2 were not)" in done.stderr
    alone = ltbench_command(place, "predict", "model", "new/00.png", "new/01.png")
    assert [row["score"] for row in rows if row["score"]] == [
        row["score"] for row in csv.DictReader(alone.stdout.splitlines())
    ]


def test_heat_maps_share_one_scale(place: Path, tmp_path: Path) -> None:
    done = ltbench_command(
        place, "predict", "model", "new/00.png", "new/01.png", "--maps", str(tmp_path / "heat")
    )
    assert done.returncode == 0, done.stderr
    files = [row["map"] for row in csv.DictReader(done.stdout.splitlines())]
    assert files == [str(tmp_path / "heat" / f"new-0{number}.png") for number in range(2)]
    painted = np.stack([np.asarray(Image.open(file)) for file in files])
    assert painted.shape == (2, 64, 64, 3)
    alone = ltbench_command(place, "predict", "model", "new/01.png", "--maps", str(tmp_path / "alone"))
    assert alone.returncode == 0
    # The scale is that of the model, whatever other images are shown.
    assert np.array_equal(np.asarray(Image.open(tmp_path / "alone" / "new-01.png")), painted[1])


def test_new_images_of_a_watched_folder_are_scored_until_ctrl_c(place: Path, tmp_path: Path) -> None:
    watched = tmp_path / "in"
    watched.mkdir()
    command = [sys.executable, "-c", HEARS_CTRL_C, "predict", str(place / "model"), "in", "--watch"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=environment(place),
    )
    try:
        assert process.stdout is not None
        for number in range(2):
            picture = (place / "new" / f"0{number}.png").read_bytes()
            (watched / f"{number}.png").write_bytes(picture)
            if number == 0:
                assert process.stdout.readline().startswith("image,score,")
            assert process.stdout.readline().startswith(f"in/{number}.png,")
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, rest, errors) == (0, "", "")


def test_speed_is_one_document(place: Path) -> None:
    done = ltbench_command(place, "predict", "model", "new", "--benchmark")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["one_image_ms"] > 0
    assert found["batch_of_16_ms"] > found["one_image_ms"]
    assert found["peak_rss_mb"] > 50


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["predict", "nowhere", "new"], 2, "'nowhere' is no model: expected a folder with 'model.json'"),
        (["predict", "model", "home"], 2, "no image given"),
        (
            ["predict", "model", "new", "--false-alarms", "0.2"],
            2,
            "alarms is '0.2': the model has 0.01 or 0.05",
        ),
        (["predict", "model", "new", "--category", "nut"], 2, "category is 'nut': the model was trained on"),
        (["predict", "model", "new/00.png", "--watch"], 2, "expected folders alone"),
        (["fit", "-m", "padim", "--out", "model"], 2, "'model' exists and is left as it is"),
        (["fit", "-m", "padm", "--out", "m"], 2, "did you mean 'padim'?"),
    ],
)
def test_mistakes_are_one_sentence(words: list[str], code: int, sentence: str, place: Path) -> None:
    done = ltbench_command(place, *words)
    assert done.returncode == code
    assert sentence in " ".join(done.stderr.split())
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_a_model_without_held_out_images_draws_no_maps(place: Path, tmp_path: Path) -> None:
    model = str(tmp_path / "model")
    fitted = ltbench_command(
        place, "fit", "-m", "chance", "--limit", "2", "--folds", "0", "--out", model, "--json"
    )
    assert fitted.returncode == 0, fitted.stderr
    facts = json.loads(fitted.stdout)["model"]
    assert facts["held_out"] == 0
    assert {entry["value"] for entry in facts["thresholds"]} == {None}
    done = ltbench_command(place, "predict", model, "new", "--maps", str(tmp_path / "heat"))
    assert done.returncode == 2
    assert "no scale for heat maps: fit it with --folds" in " ".join(done.stderr.split())
    row = ltbench_command(place, "predict", model, "new/00.png").stdout.splitlines()[1]
    assert row.startswith("new/00.png,0.")
    assert row.endswith(",,,,")
