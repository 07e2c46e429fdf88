"""Audits find products, defects, copies and outliers without labels, and decisions become a split."""

from __future__ import annotations

import csv
import errno
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from typer.testing import CliRunner

from ltbench.atomic_files import whole_folder
from ltbench.benchmark.audit.appearance import appearance_of, copies, unusual
from ltbench.benchmark.audit.decisions import dropped_paths
from ltbench.benchmark.audit.products import products_of
from ltbench.benchmark.audit.suspicion import probable_defects, suspicion_of
from ltbench.benchmark.cli import app
from ltbench.benchmark.errors import UsageError
from ltbench.methods.base import no_progress
from ltbench.splits.datasets import open_dataset


def around(directions: np.ndarray, sizes: list[int], rng: np.random.Generator) -> np.ndarray:
    """Embeddings near one direction per product."""
    return np.concatenate(
        [
            direction + rng.normal(0, 0.1, (size, len(direction)))
            for direction, size in zip(directions, sizes, strict=True)
        ]
    )


def test_products_of_very_unequal_size_are_told_apart() -> None:
    rng = np.random.default_rng(0)
    found = products_of(around(np.eye(8)[:4] * 3, [40, 9, 3, 1], rng))
    assert np.bincount(found).tolist() == [40, 9, 3, 1]
    assert (found[:40] == 0).all()


def test_images_that_are_all_alike_are_one_product() -> None:
    rng = np.random.default_rng(0)
    assert products_of(around(np.eye(8)[:1] * 3, [30], rng)).max() == 0
    assert products_of(np.ones((1, 4))).tolist() == [0]


def test_defects_are_counted_by_what_lies_above_the_median_and_not_below() -> None:
    rng = np.random.default_rng(0)
    good = rng.normal(1.0, 0.05, 200)
    assert probable_defects(np.concatenate([good, np.full(20, 2.0)])) == pytest.approx(20, abs=8)
    assert probable_defects(np.linspace(0, 1, 101)) <= 1
    assert probable_defects(np.arange(5.0)) is None


def test_images_unlike_the_others_are_suspicious_also_beyond_the_references(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(0, 0.1, (24, 3, 3, 4)).astype(np.float32)
    vectors[[5, 20], 1, 1] += 4
    monkeypatch.setattr("ltbench.benchmark.audit.suspicion.MOST_REFERENCES", 12)
    found = suspicion_of(vectors, rng, no_progress)
    assert set(np.argsort(-found.scores)[:2].tolist()) == {5, 20}
    assert all(found.grids[index].argmax() == 4 for index in (5, 20))


def pictures(count: int) -> list[np.ndarray]:
    """Pictures of one product, all different: smooth blotches under fine noise."""
    rng = np.random.default_rng(1)
    shown = []
    for _ in range(count):
        blotches = Image.fromarray(rng.integers(60, 190, (6, 6, 3), dtype=np.uint8))
        smooth = np.asarray(blotches.resize((96, 96), Image.Resampling.BICUBIC), np.float64)
        shown.append(np.clip(smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8))
    return shown


def test_size_colour_and_sharpness_are_noted_where_they_differ() -> None:
    shown = pictures(12)
    shown[1] = shown[1][:, :48]
    shown[2] = np.clip(shown[2].astype(int) + np.array([60, 0, 0]), 0, 255).astype(np.uint8)
    shown[3] = np.asarray(Image.fromarray(shown[3]).filter(ImageFilter.GaussianBlur(4)))
    notes = unusual([appearance_of(one) for one in shown])
    assert "size 48 x 96, usually 96 x 96" in notes[1]
    assert any(note.startswith("colour off by +") for note in notes[2])
    assert "blurred" in notes[3]
    assert [notes[index] for index in (0, *range(4, 12))] == [[]] * 9


def test_copies_are_found_when_saved_again_and_plain_pictures_are_not_copies() -> None:
    shown = pictures(6)
    shown[4] = shown[0]
    buffer = io.BytesIO()
    Image.fromarray(shown[1]).resize((80, 80)).save(buffer, "JPEG", quality=80)
    shown[5] = np.asarray(Image.open(buffer))
    plain = [np.full((96, 96, 3), level, np.uint8) for level in (100, 101)]
    assert copies([appearance_of(one) for one in [*shown, *plain]]) == ([[0, 4]], [[1, 5]])


@pytest.fixture(scope="module")
def pile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two generated products, unsorted, with defects and a copy."""
    source = open_dataset("synthetic:small+gear+wood", tmp_path_factory.mktemp("data"))
    folder = tmp_path_factory.mktemp("pile") / "parts"
    place = folder / "mixed"
    place.mkdir(parents=True)
    (folder / "dataset.toml").write_text('[classes.mixed]\ngood = ["mixed"]\n')
    kept = {("gear", ""): 12, ("wood", ""): 8, ("gear", "missing_tooth"): 2}
    for image in source.images():
        kind = (image.category, image.defect)
        if kept.get(kind, 0):
            kept[kind] -= 1
            name = f"{image.category}{image.defect}-{kept[kind]:02}.png"
            Image.fromarray(source.pixels(image)).save(place / name)
    (place / "copy.png").write_bytes((place / "gear-00.png").read_bytes())
    return folder


@pytest.fixture(scope="module")
def audited(pile: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("audit") / "audit"
    home = tmp_path_factory.mktemp("cache")
    result = CliRunner().invoke(app, ["audit", f"folder:{pile}", "--out", str(out), "--cache", str(home)])
    assert result.exit_code == 0, result.output
    return out


def test_a_pile_without_labels_gets_products_a_ranking_and_a_page(audited: Path) -> None:
    facts = json.loads((audited / "audit.json").read_text())
    rows = list(csv.DictReader((audited / "audit.csv").read_text().splitlines()))
    assert facts["images"] == len(rows) == 23
    shown = {row["product"]: set() for row in rows}
    for row in rows:
        shown[row["product"]].add(Path(row["path"]).name[:4])
    assert facts["found_products"] == 2
    assert sorted(shown.values(), key=len) == [{"wood"}, {"gear", "copy"}]
    first = [row["path"] for row in rows if row["place"] in ("1", "2") and "missing_tooth" in row["path"]]
    assert first, "no defect is among the first two of its product"
    assert sum("same pixels as" in row["notes"] for row in rows) == 1
    page = (audited / "index.html").read_text()
    assert all(product["product"] in page for product in facts["products"])
    assert len(list((audited / "pictures").glob("*-map.jpg"))) >= 12


def test_decisions_become_a_split_with_a_name(
    audited: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LTBENCH_HOME", str(tmp_path))
    text = (audited / "audit.csv").read_text().splitlines()
    work = tmp_path / "work"
    work.mkdir()
    (work / "audit.json").write_bytes((audited / "audit.json").read_bytes())
    dropped = [line + "drop" if "missing_tooth" in line else line for line in text]
    (work / "audit.csv").write_text("\n".join(dropped) + "\n")
    result = CliRunner().invoke(app, ["audit", "apply", str(work), "--name", "cleaned", "--json"])
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert len(answer["dropped"]) == 2
    assert len(answer["digest"]) == 64
    asked = json.loads((work / "audit.json").read_text())["asked"]
    shown = CliRunner().invoke(app, ["splits", "show", "cleaned", "--dataset", asked, "--json"])
    assert shown.exit_code == 0, shown.output
    assert answer["digest"] in shown.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,decision\na.png,maybe\n", "decision 'maybe' in line 2"),
        ("path,decision\na.png,\n", "drops no image"),
        ("path;score\na.png;1\n", "has no 'path' and 'decision'"),
    ],
)
def test_lists_that_say_nothing_clear_are_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "audit.csv").write_text(text)
    with pytest.raises(UsageError, match=said):
        dropped_paths(tmp_path)


def test_lists_from_spreadsheets_are_read(tmp_path: Path) -> None:
    (tmp_path / "audit.csv").write_text("path;decision\na.png;DROP\nb.png;keep\n", encoding="utf-8-sig")
    assert dropped_paths(tmp_path) == {"a.png"}


def test_an_existing_folder_is_left_as_it_is(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["audit", "synthetic", "--out", str(tmp_path)])
    assert isinstance(result.exception, UsageError)
    assert "is left as it is" in str(result.exception)


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    def write() -> None:
        with whole_folder(tmp_path / "audit") as folder:
            (folder / "audit.csv").write_text("path\n")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write()
    assert list(tmp_path.iterdir()) == []
