"""Folders of a person's own images with what goes wrong in factories: names, links, depths, typos."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from split_trees import draw, mvtec_style_class

from ltbench.registry import UnknownName
from ltbench.splits.datasets import open_dataset
from ltbench.splits.datasets.doctor import examine
from ltbench.splits.datasets.files import read_pixels
from ltbench.splits.errors import SplitsError
from ltbench.splits.interop.read import import_split
from ltbench.splits.interop.text import write_whole
from ltbench.splits.interop.write import export_split
from ltbench.splits.recipes import build, names
from ltbench.splits.verify import verify


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    mvtec_style_class(tmp_path / "parts", "bolt")
    return tmp_path / "parts"


def images(parts: Path) -> tuple[object, ...]:
    return open_dataset(f"folder:{parts}", parts.parent).images()


@pytest.mark.parametrize("name", ["Good", "OK", "normal"])
def test_good_images_in_a_folder_of_another_name_are_no_defects(parts: Path, name: str) -> None:
    draw(parts / "bolt" / "test" / name / "9.png")
    with pytest.raises(SplitsError, match=rf"test/{name}'.*test/good"):
        images(parts)


def test_a_product_is_not_lost_to_a_capital_letter(parts: Path) -> None:
    mvtec_style_class(parts, "nut")
    (parts / "nut" / "train" / "good").rename(parts / "nut" / "train" / "Good")
    with pytest.raises(SplitsError, match="class 'nut' has 'Good' where 'good' is expected"):
        images(parts)


def test_a_link_to_nothing_is_named(parts: Path) -> None:
    (parts / "bolt" / "train" / "good" / "gone.png").symlink_to(parts / "nowhere.png")
    with pytest.raises(SplitsError, match=r"gone\.png' is a link to nothing"):
        images(parts)


def test_a_link_to_itself_is_named(parts: Path) -> None:
    (parts / "bolt" / "train" / "good" / "self.png").symlink_to("self.png")
    with pytest.raises(SplitsError, match=r"self\.png"):
        images(parts)


@pytest.mark.parametrize("name", [b"\xfcber.png", b"a\tb.png", b"a\nb.png"])
def test_a_name_that_no_list_can_hold_is_refused(parts: Path, name: bytes) -> None:
    whole = draw(parts / "bolt" / "train" / "good" / "9.png")
    try:
        whole.rename(whole.parent / os.fsdecode(name))
    except OSError:
        pytest.skip("this file system takes no such name")
    with pytest.raises(SplitsError, match="cannot stand in a list"):
        images(parts)


def test_spaces_and_letters_of_any_script_are_names(parts: Path) -> None:
    draw(parts / "bolt" / "train" / "good" / "M8 schräg 螺栓.png")
    assert any("螺栓" in image.path for image in images(parts))


def test_twelve_bits_in_sixteen_are_told_by_the_doctor(parts: Path) -> None:
    deep = np.full((16, 16), 2384, np.uint16)
    Image.fromarray(deep).save(parts / "bolt" / "train" / "good" / "000.png")
    report = examine(open_dataset(f"folder:{parts}", parts.parent))
    (finding,) = [one for one in report.findings if one.kind == "dark 16 bits"]
    assert (finding.path, finding.detail) == ("bolt/train/good/000.png", "its largest value is 2384")
    assert report.ok
    Image.fromarray(deep * 27).save(parts / "bolt" / "train" / "good" / "000.png")
    assert "dark 16 bits" not in examine(open_dataset(f"folder:{parts}", parts.parent)).counts()


def test_floating_point_pixels_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 0.5, np.float32)).save(tmp_path / "x.tiff")
    with pytest.raises(SplitsError, match="floating point"):
        read_pixels(tmp_path / "x.tiff")


def test_a_class_whose_name_begins_with_a_hash_survives_a_list_of_paths(parts: Path, tmp_path: Path) -> None:
    mvtec_style_class(parts, "#3 housing")
    dataset = open_dataset(f"folder:{parts}", parts.parent)
    split = build("clean", dataset, 1)
    export_split(split, dataset, "paths", tmp_path / "out")
    again, _ = import_split(tmp_path / "out", dataset)
    assert again.digest == split.digest


def test_an_export_that_cannot_be_written_is_one_sentence(parts: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    dataset = open_dataset(f"folder:{parts}", parts.parent)
    with pytest.raises(SplitsError, match=r"cannot write .*choose a folder"):
        export_split(build("clean", dataset, 1), dataset, "manifest", tmp_path / "file" / "below")


def test_a_list_that_could_not_take_its_place_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "list.txt").mkdir()
    with pytest.raises(SplitsError, match=r"list\.txt"):
        write_whole(tmp_path / "list.txt", b"a")
    assert [path.name for path in tmp_path.iterdir()] == ["list.txt"]


def test_good_images_that_are_trained_on_and_tested_are_told(parts: Path, tmp_path: Path) -> None:
    dataset = open_dataset(f"folder:{parts}", parts.parent)
    path = build("clean", dataset, 1).train[0].path
    for part in ("train", "test"):
        (tmp_path / f"{part}.txt").write_text(f"{path}\n")
    split, _ = import_split(tmp_path / "train.txt", dataset, test=tmp_path / "test.txt")
    assert any("1 good images are trained on and tested" in note for note in split.notes)


def test_noise_on_top_keeps_the_tested_images_of_an_imported_list(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ltbench.splits.interop.registry import register

    monkeypatch.setenv("LTBENCH_HOME", str(tmp_path / "home"))
    mvtec_style_class(parts, "nut", train=10, good=4, bad=4)
    dataset = open_dataset(f"folder:{parts}", parts.parent)
    whole = build("clean", dataset, 1)
    tested = [image.path for image in whole.test if image.category == "nut"]
    (tmp_path / "train.txt").write_text("\n".join(image.path for image in whole.train))
    (tmp_path / "test.txt").write_text("\n".join(tested))
    base, _ = import_split(tmp_path / "train.txt", dataset, name="mine", seed=1, test=tmp_path / "test.txt")
    register(base, "mine", dataset, tmp_path / "home")
    noisy = build("mine+noise20", dataset, 1)
    assert len(noisy.injected) > 0
    assert sorted(image.path for image in noisy.test) == sorted(tested)


def test_noise_for_heads_needs_heads(parts: Path) -> None:
    with pytest.raises(SplitsError, match="'clean' has none"):
        build("clean+noise10heads", open_dataset(f"folder:{parts}", parts.parent), 1)


def test_verifying_an_unknown_data_set_does_not_pass() -> None:
    with pytest.raises(UnknownName, match="bogus"):
        verify("bogus")


def test_globs_reach_only_recipes_that_a_data_set_can_have() -> None:
    assert "fuiad_nr10" in names()
    assert "fuiad_nr10" in names("realiad:pcb")
    assert "fuiad_nr10" not in names("mvtec")


def test_what_only_follows_a_papers_rule_is_called_so(parts: Path) -> None:
    mvtec_style_class(parts, "nut", train=40)
    dataset = open_dataset(f"folder:{parts}", parts.parent)
    assert build("ltad_exp20", dataset, 1).source.startswith("rule of LTAD")
    assert build("pareto", dataset, 1).source.startswith("rule of TailedCore")
