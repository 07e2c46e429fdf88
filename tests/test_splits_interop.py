"""Lists of other people: every format, every way they can be wrong, and what they turn out to be."""

from __future__ import annotations

import csv
import io
import json
import shutil
from functools import cache
from pathlib import Path

import pytest
from split_trees import listed, mvtec_style_class

from ltbench.registry import UnknownName
from ltbench.splits.datasets import Dataset, open_dataset
from ltbench.splits.errors import SplitsError, VerificationFailed
from ltbench.splits.interop.read import import_split
from ltbench.splits.interop.registry import load, register, registered_names
from ltbench.splits.interop.write import FORMATS, export_split
from ltbench.splits.recipes import build
from ltbench.splits.split import Split
from ltbench.splits.verify import without_images

SHARED = Path(__file__).parents[2] / "shared" / "splits"


@cache
def source(name: str = "mvtec") -> Dataset:
    return without_images(name)


@cache
def released() -> Split:
    return build("pareto", source(), 1)


def as_lines(split: Split) -> list[str]:
    return [image.path for image in split.train]


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_exported_comes_back_equal(tmp_path: Path, kind: str) -> None:
    files = export_split(released(), source(), kind, tmp_path / "out")
    place = files[0] if len(files) == 1 else files[0].parent
    split, compared = import_split(place, source())
    assert split.digest == released().digest
    assert compared.equal == ("mvtec/pareto/seed1",)
    assert compared.sentence() == "equal to 'mvtec/pareto/seed1'"
    assert split.groups == released().groups
    assert split.evidence == "imported"


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'tailedcore'"):
        export_split(released(), source(), "tailcore", tmp_path)


def _copied(path: str) -> str:
    category, _, defect, name = path.split("/")
    return path if defect == "good" else f"{category}/train/good/{defect}_{name}"


MANGLE = {
    "as is": lambda path: path,
    "absolute prefix": lambda path: f"/home/someone/data/mvtec_anomaly_detection/{path}",
    "windows": lambda path: "D:\\data\\mvtec\\" + path.replace("/", "\\"),
    "dot": lambda path: f"./{path}",
    "other suffix": lambda path: path.replace(".png", ".PNG"),
    "injected copies": _copied,
}


@pytest.mark.parametrize("spelling", MANGLE)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_spellings_of_other_machines_are_understood(
    tmp_path: Path, spelling: str, end: str, mark: bytes
) -> None:
    file = tmp_path / "train.txt"
    file.write_bytes(mark + end.join(map(MANGLE[spelling], as_lines(released()))).encode())
    split, compared = import_split(file, source())
    assert compared.equal == ("mvtec/pareto/seed1",)
    assert any("names no test images" in note for note in split.notes)


def test_utf_16_and_comments_and_quotes_are_understood(tmp_path: Path) -> None:
    text = "# kept images\n\n" + "\n".join(f'"{path}"' for path in as_lines(released()))
    (tmp_path / "list").write_bytes(text.encode("utf-16"))
    assert import_split(tmp_path / "list", source())[1].equal == ("mvtec/pareto/seed1",)


def test_uniad_json_lines_with_extra_fields_and_a_test_file(tmp_path: Path) -> None:
    for part in ("train", "test"):
        lines = [
            json.dumps({"filename": i.path, "label": 0, "label_name": "good", "clsname": i.category})
            for i in getattr(released(), part)
        ]
        (tmp_path / f"{part}.json").write_text("\n".join(lines), encoding="utf-8")
    split, compared = import_split(tmp_path / "train.json", source(), test=tmp_path / "test.json")
    assert compared.equal == ("mvtec/pareto/seed1",)
    assert split.notes == ()
    assert import_split(tmp_path, source())[1].equal == ("mvtec/pareto/seed1",)


def test_nested_json_with_parts_as_keys(tmp_path: Path) -> None:
    document: dict[str, dict[str, list[dict[str, str]]]] = {"train": {}, "test": {}}
    for part, classes in document.items():
        for image in getattr(released(), part):
            classes.setdefault(image.category, []).append({"img_path": image.path})
    (tmp_path / "meta.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    assert import_split(tmp_path / "meta.json", source())[1].equal == ("mvtec/pareto/seed1",)


def test_csv_with_and_without_header_and_with_other_separators(tmp_path: Path) -> None:
    rows = [[i.path, i.category] for i in released().train]
    for delimiter in ",;\t":
        for header in ([], [["image", "object"]], [["object", "path"]]):
            ordered = [row[::-1] if header == [["object", "path"]] else row for row in rows]
            text = io.StringIO()
            csv.writer(text, delimiter=delimiter).writerows([*header, *ordered])
            (tmp_path / "t").write_text(text.getvalue(), encoding="utf-8")
            assert import_split(tmp_path / "t", source())[1].equal == ("mvtec/pareto/seed1",)


def test_visa_lists_of_either_layout_are_the_same_split(tmp_path: Path) -> None:
    visa = source("visa")
    rows = ["object,split,label,image,mask"]
    for image in visa.images():
        name = image.path.rsplit("/", 1)[1]
        folder = "Anomaly" if image.is_defective else "Normal"
        rows.append(f"{image.category},{image.part},x,{image.category}/Data/Images/{folder}/{name},")
    (tmp_path / "1cls.csv").write_text("\n".join(rows), encoding="utf-8")
    split, compared = import_split(tmp_path / "1cls.csv", visa)
    assert "visa/clean/seed0" in compared.equal
    assert split.notes == ()


@pytest.mark.skipif(not SHARED.is_dir(), reason="the released files are not beside the checkout")
def test_released_files_are_recognised() -> None:
    manifest = SHARED / "tailedcore_manifests" / "visa-nlt" / "step_k4" / "seed03"
    assert import_split(manifest, source("visa"))[1].equal == ("visa/step_k4/seed3",)
    assert import_split(manifest / "prune_good.txt", source("visa"))[1].equal == ("visa/step_k4/seed3",)
    meds = SHARED / "meds_csv" / "VISA" / "train_visa_nr5_seed_20.csv"
    assert import_split(meds, source("visa"))[1].equal == ("visa/meds_nr05/seed20",)


def test_a_difference_is_counted_and_listed(tmp_path: Path) -> None:
    lines = as_lines(released())
    dropped = next(path for path in lines if path.startswith("grid/train"))
    lines[lines.index(dropped)] = "zipper/test/rough/000.png"
    (tmp_path / "t").write_text("\n".join(lines), encoding="utf-8")
    _, compared = import_split(tmp_path / "t", source())
    assert compared.equal == ()
    assert compared.nearest is not None
    assert compared.nearest.name == "mvtec/pareto/seed1"
    assert compared.nearest.listed() == [f"- train {dropped}", "+ train zipper/test/rough/000.png"]
    assert "differs from 'mvtec/pareto/seed1' by 2 files" in compared.sentence()


def test_a_list_with_a_configurations_counts_is_told_and_takes_its_groups(tmp_path: Path) -> None:
    other = build("ltad_exp100", source(), 77)
    (tmp_path / "t").write_text("\n".join(as_lines(other)), encoding="utf-8")
    split, compared = import_split(tmp_path / "t", source())
    assert compared.same_counts == ("mvtec/ltad_exp100/seed0", "mvtec/ltad_exp100/seed1")
    assert split.groups == other.groups
    assert "same counts per class as mvtec/ltad_exp100/seed0" in compared.sentence()


def test_repeated_paths_count_once_and_are_noted(tmp_path: Path) -> None:
    lines = [*as_lines(released()), "grid/train/good/000.png"]
    (tmp_path / "t").write_text("\n".join([*lines, lines[0]]), encoding="utf-8")
    split, _ = import_split(tmp_path / "t", source())
    assert any("paths stand twice and count once" in note for note in split.notes)


FAULTS = {
    "empty": (b" \n\n", "is empty"),
    "binary": (b"\x89PNG\r\n\x1a\n\x00\x01", "is no text"),
    "zero byte": (b"a/b\x00c", "is no text"),
    "json cut off": (
        b'{"filename": "bottle/train/good/000.png"}\n{"filename": "bott',
        r"not complete JSON \(line 2\)",
    ),
    "document cut off": (b'{\n "train": [\n  {"path": "bottle/tr', r"not complete JSON \(line 3\)"),
    "json without paths": (b'{"a": [1, 2]}', "JSON without image paths"),
    "line without path": (
        b'{"filename": "bottle/train/good/000.png"}\n{"x": 1}',
        "line 2 of .* names no image",
    ),
    "row cut off": (b"class,filename\nbottle,bottle/train/good/000.png\nbott", "row 3 of .* has 1 columns"),
    "unknown": (b"bottle/train/good/000.png\nbottle/train/good/999.png", "1 of 2 paths .*good/999.png"),
    "other part": (b"path,split\nbottle/train/good/000.png,val", "into part 'val'"),
    "test only": (b"path,split\nbottle/test/good/000.png,test", "lists no training image"),
    "bad manifest": (
        b'{"manifest":1}\ntrain\tbottle/train/good/000.png\nnonsense\n',
        "line 3 of .* is 'nonsense'",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_clear_sentence(tmp_path: Path, fault: str) -> None:
    content, sentence = FAULTS[fault]
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(SplitsError, match=sentence) as caught:
        import_split(tmp_path / "list.txt", source())
    assert str(tmp_path / "list.txt") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_half_a_tailedcore_manifest_good_injections_and_empty_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SplitsError, match="holds no list"):
        import_split(tmp_path, source())
    (tmp_path / "prune_good.txt").write_text("bottle/train/good/000.png", encoding="utf-8")
    with pytest.raises(SplitsError, match=r"lacks 'inject_defects\.txt'"):
        import_split(tmp_path, source())
    (tmp_path / "inject_defects.txt").write_text("bottle/train/good/001.png", encoding="utf-8")
    with pytest.raises(SplitsError, match=r"names 'bottle/train/good/001\.png', which is good"):
        import_split(tmp_path, source())
    with pytest.raises(SplitsError, match="cannot be read"):
        import_split(tmp_path / "absent.txt", source())


def test_a_tree_with_injected_copies_is_understood(tmp_path: Path) -> None:
    mvtec_style_class(tmp_path / "whole", "bolt", train=4)
    shutil.copytree(tmp_path / "whole", tmp_path / "noisy")
    good = tmp_path / "noisy" / "bolt" / "train" / "good"
    (good / "003.png").unlink()
    shutil.copy(tmp_path / "whole/bolt/test/scratch/001.png", good / "scratch_001.png")
    dataset = open_dataset("folder:whole", tmp_path)
    split, compared = import_split(tmp_path / "noisy", dataset)
    assert [image.path for image in split.injected] == ["bolt/test/scratch/001.png"]
    assert (len(split.train), len(split.test), split.overlap) == (4, 4, 1)
    assert compared.sentence() == "no paper's split of this data set is known to compare with"


def test_a_registered_list_is_built_like_any_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTBENCH_HOME", str(tmp_path / "home"))
    kept = register(released(), "my_tail", source(), tmp_path / "home")
    again = build("my_tail", source(), 1)
    assert again.digest == kept.digest == released().digest
    assert (again.id, again.groups, again.source) == (
        "mvtec/my_tail/seed1",
        released().groups,
        released().source,
    )
    assert build("my_tail", source(), 1, "none").overlap == 0
    assert registered_names("mvtec", tmp_path / "home") == ["my_tail"]
    assert registered_names("visa", tmp_path / "home") == []
    with pytest.raises(SplitsError, match="has no seed 2: expected one of 1"):
        build("my_tail", source(), 2)
    with pytest.raises(SplitsError, match="already holds another list"):
        register(build("clean", source(), 1), "my_tail", source(), tmp_path / "home")
    file = next((tmp_path / "home").rglob("seed1.txt"))
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("train\tgrid/train/good/0", "test\tgrid/train/good/0", 1), encoding="utf-8")
    with pytest.raises(VerificationFailed, match="is not what was imported"):
        build("my_tail", source(), 1)


@pytest.mark.parametrize("name", ["pareto", "step_k7", "ltad_exp33", "clean", "meds_nr03", "fuiad_nr10"])
def test_a_recipes_name_cannot_be_taken(tmp_path: Path, name: str) -> None:
    with pytest.raises(SplitsError, match="is a recipe's"):
        register(released(), name, source(), tmp_path)


@pytest.mark.parametrize("name", ["", "../up", "A B", "x/y"])
def test_a_name_must_be_a_file_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(SplitsError, match="cannot be used"):
        register(released(), name, source(), tmp_path)


def test_a_split_that_trains_on_test_goods_is_no_tailedcore_manifest(tmp_path: Path) -> None:
    dataset = listed({"a": (3, 2, 2)})
    clean = build("clean", dataset, 0)
    tested_good = next(image for image in clean.test if not image.is_defective)
    strange = Split("listed", "x", 0, (*clean.train, tested_good), clean.test)
    with pytest.raises(SplitsError, match="cannot be written as a TailedCore manifest"):
        export_split(strange, dataset, "tailedcore", tmp_path)


def test_a_registered_list_without_its_description_says_what_to_do(tmp_path: Path) -> None:
    register(released(), "mine", source(), tmp_path)
    file = next(tmp_path.rglob("seed1.json"))
    file.write_text("{")
    (file.parent / "seed1 (copy).txt").write_text("")
    with pytest.raises(SplitsError, match="import it again"):
        load("mine", source(), 1, "paper", tmp_path)
    with pytest.raises(SplitsError, match="no seed 7: expected one of 1"):
        load("mine", source(), 7, "paper", tmp_path)


def test_a_damaged_archive_and_a_bottomless_list_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04 and nothing more")
    with pytest.raises(SplitsError, match=r"x\.zip"):
        import_split(tmp_path / "x.zip", source())
    (tmp_path / "deep.json").write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(SplitsError, match="too deep"):
        import_split(tmp_path / "deep.json", source())
