"""Models that stay: thresholds from held-out images, folders that are whole or refused, verdicts."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import ltbench
from ltbench.benchmark.conformance import check_method
from ltbench.benchmark.errors import BenchmarkError, BrokenModel, UsageError
from ltbench.benchmark.models import folder as model_folder
from ltbench.benchmark.models.facts import FORMAT
from ltbench.methods.errors import NotStorable
from ltbench.methods.features.backbones import desc
from ltbench.methods.patchcore import PatchCore

ROOT = Path(__file__).parents[1]
SMALL: dict[str, Any] = {"dataset": "synthetic:bolt+button", "view": "32/32"}


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTBENCH_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ltbench.Model:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LTBENCH_HOME", str(tmp_path_factory.mktemp("home")))
        return ltbench.fit(PatchCore(backbone="desc"), limit=12, folds=3, **SMALL)


@pytest.fixture
def saved(model: ltbench.Model, tmp_path: Path) -> Path:
    model.save(tmp_path / "model")
    return tmp_path / "model"


def pictures(count: int, category: str = "bolt", *, defect: bool = False) -> list[np.ndarray]:
    dataset = ltbench.open_dataset("synthetic")
    tested = [image for image in dataset.images() if image.part == "test" and image.category == category]
    return [dataset.pixels(image) for image in tested if image.is_defective == defect][:count]


def test_a_model_scores_like_a_run_of_the_same_split_and_seed(model: ltbench.Model) -> None:
    method = PatchCore(backbone="desc")
    results = ltbench.evaluate(method, split="clean", limit=12, **SMALL)
    dataset = ltbench.open_dataset("synthetic:bolt+button")
    split = ltbench.build_split("clean", "synthetic:bolt+button")
    stored = results.scores[1].set_index("key").score
    tested = [image for image in split.test if image.key in stored.index][:20]
    verdicts = model.predict([dataset.pixels(image) for image in tested])
    assert [verdict.score for verdict in verdicts] == [stored[image.key] for image in tested]


def test_verdicts_follow_score_and_threshold(model: ltbench.Model) -> None:
    assert model.facts.held_out == 24
    assert model.facts.thresholds[0].value is None
    limit = model.facts.thresholds[1].value
    assert limit is not None
    verdicts = model.predict(
        [*pictures(20), np.random.default_rng(0).integers(0, 256, (99, 99, 3), np.uint8)]
    )
    assert {verdict.threshold for verdict in verdicts} == {limit}
    assert [v.verdict for v in verdicts] == ["anomalous" if v.score > limit else "normal" for v in verdicts]  # type: ignore[operator]
    assert {verdict.verdict for verdict in verdicts} == {"normal", "anomalous"}
    assert {verdict.verdict for verdict in model.predict(pictures(2), false_alarms=0.01)} == {""}


def test_maps_have_the_size_of_the_view(model: ltbench.Model) -> None:
    (verdict,) = model.predict(pictures(1)[0], maps=True)
    assert verdict.map is not None
    assert verdict.map.shape == (32, 32)
    assert model.predict(pictures(1)[0])[0].map is None


def test_a_loaded_model_scores_to_the_bit_and_keeps_its_facts(model: ltbench.Model, saved: Path) -> None:
    loaded = ltbench.load_model(saved)
    shown = pictures(18, defect=True)
    assert loaded.predict(shown) == model.predict(shown)
    assert loaded.facts == replace(model.facts, fields=loaded.facts.fields, card=loaded.facts.card)
    assert loaded.digest == model.digest != ""
    assert loaded.facts.trained_on.categories == {"bolt": 12, "button": 12}
    assert not [path for path in saved.iterdir() if path.suffix not in (".json", ".safetensors")]


def test_a_folder_that_exists_is_left_as_it_is(model: ltbench.Model, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(UsageError, match=r"'.*taken' exists and is left as it is"):
        model.save(tmp_path / "taken")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_interrupted_save_leaves_nothing(
    error: BaseException, model: ltbench.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> None:
        raise error

    monkeypatch.setattr(model_folder, "_flush", fail)
    with pytest.raises((BenchmarkError, KeyboardInterrupt)) as caught:
        model.save(tmp_path / "out" / "model")
    assert list((tmp_path / "out").iterdir()) == []
    if isinstance(error, OSError):
        assert "No space left on device" in str(caught.value)


def test_a_full_disk_is_one_sentence(model: ltbench.Model, mounted: Callable[[int], Path]) -> None:
    disk = mounted(1)
    (disk / "filler").write_bytes(b"x" * (1 << 20))
    with pytest.raises(BenchmarkError, match=r"No space left on device.*free space"):
        model.save(disk / "model")
    assert [path.name for path in disk.iterdir()] == ["filler"]


def test_a_killed_save_leaves_no_model(saved: Path, tmp_path: Path) -> None:
    code = (
        "import os, sys, ltbench\nfrom pathlib import Path\n"
        "from ltbench.benchmark.models import folder\n"
        "model = ltbench.load_model(sys.argv[1])\n"
        "Path.rename = lambda *_: os.kill(os.getpid(), 9)\n"
        "model.save(sys.argv[2])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(saved), str(tmp_path / "new")], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "new").exists()
    ltbench.load_model(saved).save(tmp_path / "new")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def turn_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", [model_folder.TREE_FILE, model_folder.TENSORS_FILE, model_folder.FACTS_FILE])
@pytest.mark.parametrize("damage", [truncate, turn_a_bit, Path.unlink])
def test_damage_is_refused(name: str, damage: Callable[[Path], None], saved: Path) -> None:
    damage(saved / name)
    # Without its facts a folder is no model at all.
    expected = UsageError if (name, damage) == (model_folder.FACTS_FILE, Path.unlink) else BrokenModel
    with pytest.raises(expected, match=rf"{name}"):
        ltbench.load_model(saved)


def test_another_format_is_refused(saved: Path) -> None:
    path = saved / model_folder.FACTS_FILE
    path.write_text(path.read_text().replace(f'"format": {FORMAT}', '"format": 99'))
    with pytest.raises(BrokenModel, match=f"has format '99': this version of ltbench reads {FORMAT}"):
        ltbench.load_model(saved)


def test_another_version_of_the_method_is_refused(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PatchCore, "version", 99)
    with pytest.raises(BrokenModel, match=r"other code of 'patchcore' \(version \d+, here 99\)"):
        ltbench.load_model(saved)


def test_a_model_that_scores_otherwise_than_when_it_was_saved_is_refused(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy = desc.Descriptor.__call__
    monkeypatch.setattr(
        desc.Descriptor, "__call__", lambda self, x: {k: v * 1.1 for k, v in healthy(self, x).items()}
    )
    with pytest.raises(BrokenModel, match=r"scores generated images as .* here, and as .* where"):
        ltbench.load_model(saved)


def test_a_model_of_a_processor_is_not_put_on_a_gpu(saved: Path) -> None:
    with pytest.raises(UsageError, match=r"device is 'cuda': .* was fitted on a processor"):
        ltbench.load_model(saved, device="cuda")


@dataclass
class InAScript:
    """Learns a mean."""

    def fit(self, train: Any, context: Any) -> None:
        self.mean = float(np.mean([image.mean() for image in train]))

    def score(self, test: Any, context: Any) -> ltbench.Prediction:
        return ltbench.Prediction(np.array([abs(image.mean() - self.mean) for image in test], np.float32))


@dataclass
class HoldsAFunction(InAScript):
    """Learns something that no file can keep."""

    def fit(self, train: Any, context: Any) -> None:
        super().fit(train, context)
        self.learned = {"why": lambda: 3}


def test_a_class_in_a_file_is_kept_until_its_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Path(__file__).read_text()
    start, end = source.index("@dataclass\nclass InAScript"), source.index("@dataclass\nclass HoldsAFunction")
    head = "from dataclasses import dataclass\nfrom typing import Any\nimport ltbench\nimport numpy as np\n"
    file = tmp_path / "means.py"
    file.write_text(head + source[start:end])
    monkeypatch.chdir(tmp_path)
    model = ltbench.fit("means.py:InAScript", limit=3, folds=0, **SMALL)
    model.save("kept")
    monkeypatch.chdir(ROOT)
    assert ltbench.load_model(tmp_path / "kept").predict(pictures(2)) == model.predict(pictures(2))
    file.write_text(file.read_text() + "# edited\n")
    with pytest.raises(BrokenModel, match="other code of"):
        ltbench.load_model(tmp_path / "kept")


def test_what_cannot_be_kept_is_said_before_the_other_fits(tmp_path: Path) -> None:
    model = ltbench.fit(HoldsAFunction(), limit=3, folds=2, **SMALL)
    assert model.predict(pictures(1))[0].score is not None
    with pytest.raises(NotStorable, match=r"'self.learned\['why'\]' is the unnamed 'HoldsAFunction"):
        ltbench.fit(HoldsAFunction(), limit=3, folds=2, out=tmp_path / "model", **SMALL)
    assert not (tmp_path / "model").exists()


def test_the_check_of_a_method_says_whether_it_can_be_kept() -> None:
    kept, lost = (check_method(f"{__file__}:{name}")[-1] for name in ("InAScript", "HoldsAFunction"))
    assert (kept.ok, kept.detail) == (True, "")
    assert lost.ok, "a method that cannot be kept can be measured all the same"
    assert "'self.learned['why']' is the unnamed" in lost.detail


def test_a_method_that_is_told_products_asks_for_the_category(tmp_path: Path) -> None:
    fields = {"backbone": "desc", "iterations": 2}
    model = ltbench.fit("hvq", fields=fields, limit=2, folds=0, out=tmp_path / "hvq", **SMALL)
    with pytest.raises(UsageError, match="give the category, one of bolt, button"):
        model.predict(pictures(1))
    with pytest.raises(UsageError, match="category is 'nut': the model was trained on bolt, button"):
        model.predict(pictures(1), category="nut")
    first, other = (model.predict(pictures(1), category=name)[0].score for name in ("bolt", "button"))
    assert first != other
    assert ltbench.load_model(tmp_path / "hvq").predict(pictures(1), category="button")[0].score == other


def test_new_files_are_read_like_the_training_files(model: ltbench.Model, tmp_path: Path) -> None:
    """A camera's turned picture is turned where the data set's pictures were."""
    (picture,) = pictures(1)
    turned = Image.fromarray(np.ascontiguousarray(np.rot90(picture)))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    upright = replace(model, facts=replace(model.facts, reading={**model.facts.reading, "upright": True}))
    path = tmp_path / "turned.png"
    assert upright.predict(path)[0].score == model.predict(picture)[0].score != model.predict(path)[0].score


def test_one_fold_is_a_mistake() -> None:
    with pytest.raises(UsageError, match="folds is '1': expected 0"):
        ltbench.fit("chance", folds=1, limit=2, **SMALL)


def test_facts_are_strict_json(saved: Path) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    for name in (model_folder.FACTS_FILE, model_folder.TREE_FILE):
        json.loads((saved / name).read_text(), parse_constant=refuse)
    modes = {path.stat().st_mode & 0o777 for path in saved.iterdir()}
    assert len(modes) == 1, "who can read the facts can read the tensors"


def test_a_model_that_was_fitted_under_a_bar_scores_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    for module in ("calls", "console"):
        terminal = Console(file=screen, force_terminal=True, width=200)
        monkeypatch.setattr(f"ltbench.benchmark.{module}.console", terminal)
    model = ltbench.fit("padim", fields={"backbone": "desc"}, limit=3, folds=2, **SMALL)
    assert "fit Gaussians" in screen.getvalue()
    assert model.predict(pictures(1))[0].score is not None
