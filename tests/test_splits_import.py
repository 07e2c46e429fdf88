"""`ltbench data import`: layouts that people have, understood, written down and read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from split_trees import draw, draw_mask, mvtec_style_class
from typer.testing import CliRunner

from ltbench.benchmark.cli import app
from ltbench.splits.datasets import open_dataset
from ltbench.splits.datasets.doctor import examine
from ltbench.splits.datasets.files import FileDataset
from ltbench.splits.datasets.importing import counts, describe, toml
from ltbench.splits.errors import SplitsError
from ltbench.splits.recipes import build


def imported(source: Path) -> FileDataset:
    root, description = describe(source)
    (root / "dataset.toml").write_text(toml(description), encoding="utf-8")
    dataset = open_dataset(f"folder:{root}", source.parent)
    assert isinstance(dataset, FileDataset)
    return dataset


def understood(source: Path) -> dict[str, tuple[int, int, int, int, str]]:
    """Class -> good images to train on, to test, defects, those with a mask, kinds."""
    return {name: tuple(row) for name, *row in counts(imported(source).images())}  # type: ignore[misc]


def images(folder: Path, count: int, first: int = 0) -> None:
    for number in range(count):
        draw(folder / f"{first + number:03d}.png", level=100 + first + number)


@pytest.mark.parametrize(
    "words", [("normal", "abnormal", "masks"), ("OK", "NG", "ground_truth"), ("good", "bad", "gt")]
)
def test_good_and_bad_side_by_side_with_masks_beside(tmp_path: Path, words: tuple[str, str, str]) -> None:
    good, bad, masks = words
    source = tmp_path / "my parts 螺栓"
    images(source / good, 10)
    images(source / bad, 3, 50)
    for number in range(50, 53):
        draw_mask(source / masks / f"{number:03d}.png")
    assert understood(source) == {source.name: (8, 2, 3, 3, bad)}
    assert examine(imported(source)).counts() == {}
    assert len(build("clean", imported(source), 1).test) == 5


def test_several_products_with_kinds_of_defects_in_folders(tmp_path: Path) -> None:
    for product in ("bolt", "good year"):
        images(tmp_path / "x" / product / "normal", 5)
        images(tmp_path / "x" / product / "test" / "normal", 2, 20)
        for kind in ("cut", "dent"):
            images(tmp_path / "x" / product / "test" / kind, 2, 30)
            draw_mask(tmp_path / "x" / product / "masks" / kind / "030_gt.png")
    expected = (5, 2, 4, 2, "cut, dent")
    assert understood(tmp_path / "x") == {"bolt": expected, "good year": expected}


def test_one_flat_folder_per_product_without_a_test_set(tmp_path: Path) -> None:
    images(tmp_path / "x" / "bolt", 10)
    images(tmp_path / "x" / "nut", 5, 50)
    assert understood(tmp_path / "x") == {"bolt": (8, 2, 0, 0, ""), "nut": (4, 1, 0, 0, "")}
    images(tmp_path / "flat", 10)
    assert understood(tmp_path / "flat") == {"flat": (8, 2, 0, 0, "")}
    found = examine(imported(tmp_path / "x"))
    assert found.counts() == {"no defect": 2}


def test_held_out_images_do_not_depend_on_other_images_of_the_folder(tmp_path: Path) -> None:
    images(tmp_path / "x" / "bolt", 10)
    images(tmp_path / "y" / "bolt", 10)
    images(tmp_path / "y" / "nut", 10)
    held = [
        {image.path for image in imported(tmp_path / name).images() if image.part == "test"}
        for name in ("x", "y")
    ]
    assert held[0] == {path for path in held[1] if path.startswith("bolt")}


def test_a_labelled_list(tmp_path: Path) -> None:
    images(tmp_path / "shots", 8)
    draw_mask(tmp_path / "marks" / "m7.png")
    rows = ["Image_Path,Label,Mask,Category,Split", *(f"shots/00{n}.png,OK,,bolt,train" for n in range(5))]
    rows += ["shots/005.png,good,,bolt,test", "shots/006.png,1,,bolt,test"]
    rows += ["shots/007.png,scratch,marks/m7.png,bolt,"]
    (tmp_path / "list.csv").write_text("\n".join(rows), encoding="utf-8-sig")
    assert understood(tmp_path / "list.csv") == {"bolt": (5, 1, 2, 1, "defect, scratch")}
    dataset = imported(tmp_path)
    masks = [dataset.mask(image) for image in dataset.images() if image.mask]
    assert [(mask[:8, :8] == 255).all() for mask in masks if mask is not None] == [True]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("nowhere.png,good", "line 2 .* names 'nowhere.png'"),
        ("000.png,cut,train", r"line 2 .* puts the defect '000\.png' into training"),
    ],
)
def test_a_wrong_line_of_a_list_is_named(tmp_path: Path, line: str, why: str) -> None:
    images(tmp_path, 1)
    (tmp_path / "list.csv").write_text(f"path,label,split\n{line}\n")
    with pytest.raises(SplitsError, match=why):
        describe(tmp_path / "list.csv")


def test_values_and_endings_of_masks_are_understood(tmp_path: Path) -> None:
    mvtec_style_class(tmp_path / "x", "bolt", suffix="_seg")
    mvtec_style_class(tmp_path / "x", "nut")
    for file in (tmp_path / "x").rglob("*_seg.png"):
        Image.fromarray(255 - np.asarray(Image.open(file))).save(file)
    for file in (tmp_path / "x").rglob("*_mask.png"):
        file.unlink()
    _, description = describe(tmp_path / "x")
    assert (description.mask_ending, description.inverted_masks) == ("_seg", True)
    assert understood(tmp_path / "x")["bolt"] == (3, 2, 2, 2, "scratch")
    dataset = imported(tmp_path / "x")
    masks = [dataset.mask(image) for image in dataset.images() if image.mask]
    assert [int(mask.sum()) for mask in masks if mask is not None] == [64 * 255] * 2


def test_a_class_without_train_good_is_understood(tmp_path: Path) -> None:
    mvtec_style_class(tmp_path / "x", "bolt")
    mvtec_style_class(tmp_path / "x", "nut")
    for file in (tmp_path / "x" / "nut" / "train" / "good").iterdir():
        file.rename(file.parents[1] / file.name)
    expected = (3, 2, 2, 2, "scratch")
    assert understood(tmp_path / "x") == {"bolt": expected, "nut": expected}


def test_where_nothing_tells_what_is_good_it_is_asked_for(tmp_path: Path) -> None:
    images(tmp_path / "x" / "bolt" / "monday", 3)
    images(tmp_path / "x" / "bolt" / "tuesday", 3)
    with pytest.raises(SplitsError, match=r"are good \(bolt/monday, bolt/tuesday\): expected a folder"):
        describe(tmp_path / "x")


def test_masks_among_images_are_not_taken_for_images(tmp_path: Path) -> None:
    images(tmp_path / "x" / "train", 3)
    draw_mask(tmp_path / "x" / "train" / "002_GT.png")
    with pytest.raises(SplitsError, match=r"side by side \('002\.png', '002_GT\.png'\)"):
        describe(tmp_path / "x")


def test_a_table_that_is_no_list_does_not_hide_the_folders(tmp_path: Path) -> None:
    images(tmp_path / "x" / "ok", 5)
    (tmp_path / "x" / "orders.csv").write_text("number,customer\n1,a\n")
    assert understood(tmp_path / "x") == {"x": (4, 1, 0, 0, "")}


@pytest.mark.parametrize("layout", ["mvtec_ad_2", "btad", "visa"])
def test_layouts_of_public_data_sets_are_understood(tmp_path: Path, layout: str) -> None:
    train, good, bad, masks = {
        "mvtec_ad_2": ("train/good", "test_public/good", "test_public/bad", "test_public/ground_truth/bad"),
        "btad": ("train/ok", "test/ok", "test/ko", "ground_truth/ko"),
        "visa": (
            "Data/Images/Normal",
            "Data/Images/Test/Normal",
            "Data/Images/Anomaly",
            "Data/Masks/Anomaly",
        ),
    }[layout]
    for number, (folder, count) in enumerate({train: 5, good: 2, bad: 2}.items()):
        images(tmp_path / "x" / "can" / folder, count, 10 * number)
    for name in ("020.png", "021.png"):
        draw_mask(
            tmp_path / "x" / "can" / masks / name.replace(".", "_mask." if layout == "mvtec_ad_2" else ".")
        )
    kind = bad.rpartition("/")[2]
    assert understood(tmp_path / "x") == {"can": (5, 2, 2, 2, kind)}


def test_the_command_writes_a_description_that_can_be_corrected(tmp_path: Path) -> None:
    source, out = tmp_path / "read only", tmp_path / "mine"
    images(source / "normal", 10)
    images(source / "abnormal", 2, 50)
    done = CliRunner().invoke(app, ["data", "import", str(source), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "train good" in done.output
    file = out / "dataset.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("gallery_allowed = false", "gallery_allowed = true").replace("yours", "CC0"))
    dataset = open_dataset(f"folder:{out}", tmp_path)
    assert (dataset.name, dataset.licence, dataset.gallery_allowed) == ("folder:mine", "CC0", True)
    assert len(dataset.images()) == 12
    assert dataset.pixels(dataset.images()[0]).shape == (16, 16, 3)
    again = CliRunner().invoke(app, ["data", "import", str(source), "--out", str(out)])
    assert "exists" in str(again.exception)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("titel = 'x'", "it has 'titel'"),
        ("white = 'x'", "'white' is 'x', expected a whole number"),
        ("white = true", "'white' is True, expected a whole number"),
        ("hold_out = 1.5", "'hold_out' from 0"),
        ("title = ", "cannot read"),
        ("[classes.a]\ngoods = []", "goods"),
    ],
)
def test_a_wrong_description_is_one_sentence(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "dataset.toml").write_text(text)
    with pytest.raises(SplitsError, match=why):
        open_dataset(f"folder:{tmp_path}", tmp_path)
