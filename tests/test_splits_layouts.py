"""The layouts in which the official data sets lie on people's disks, as small trees with pixels and masks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from split_trees import draw, draw_mask, mvtec_style_class

from ltbench.registry import UnknownName
from ltbench.splits.datasets import Dataset, open_dataset
from ltbench.splits.datasets.doctor import examine
from ltbench.splits.datasets.files import FileDataset
from ltbench.splits.errors import DataMissing, SplitsError
from ltbench.splits.images import LabelledImage
from ltbench.splits.recipes import build


def image_of(dataset: Dataset, path: str) -> LabelledImage:
    return next(image for image in dataset.images() if image.path == path)


def assert_loads(dataset: Dataset, path: str, level: int, *, masked: bool) -> None:
    image = image_of(dataset, path)
    dataset.require_pixels()
    pixels = dataset.pixels(image)
    assert pixels.shape == (16, 16, 3)
    assert (pixels == level).all()
    mask = dataset.mask(image)
    assert (mask is not None) == masked
    if mask is not None:
        assert mask.shape == (16, 16)
        assert (mask[:8, :8] == 255).all()
        assert (mask > 0).sum() == 64


@pytest.mark.parametrize("suffix", ["_mask", ""])
def test_mvtec(tmp_path: Path, suffix: str) -> None:
    root = tmp_path / "mvtec_anomaly_detection"
    draw(root / "bottle/train/good/000.png", level=50)
    draw(root / "bottle/test/broken_large/003.png", level=60)
    draw_mask(root / f"bottle/ground_truth/broken_large/003{suffix}.png")
    dataset = open_dataset("mvtec", tmp_path)
    assert_loads(dataset, "bottle/train/good/000.png", 50, masked=False)
    assert_loads(dataset, "bottle/test/broken_large/003.png", 60, masked=True)
    with pytest.raises(SplitsError, match=r"bottle/test/good/000\.png' is missing"):
        dataset.pixels(image_of(dataset, "bottle/test/good/000.png"))


def test_visa_original_with_masks_that_hold_class_numbers(tmp_path: Path) -> None:
    root = tmp_path / "VisA_20220922"
    draw(root / "candle/Data/Images/Normal/0000.JPG", level=50)
    draw(root / "candle/Data/Images/Anomaly/007.JPG", level=60)
    draw_mask(root / "candle/Data/Masks/Anomaly/007.png", level=3)
    dataset = open_dataset("visa", tmp_path)
    assert_loads(dataset, "candle/train/good/0000.JPG", 50, masked=False)
    assert_loads(dataset, "candle/test/bad/007.JPG", 60, masked=True)


@pytest.mark.parametrize("suffix", ["_mask", ""])
def test_visa_in_mvtec_style(tmp_path: Path, suffix: str) -> None:
    root = tmp_path / "VisA_pytorch" / "1cls"
    draw(root / "candle/train/good/0000.JPG", level=50)
    draw(root / "candle/test/bad/007.JPG", level=60)
    draw_mask(root / f"candle/ground_truth/bad/007{suffix}.png")
    dataset = open_dataset("visa", tmp_path)
    assert_loads(dataset, "candle/train/good/0000.JPG", 50, masked=False)
    assert_loads(dataset, "candle/test/bad/007.JPG", 60, masked=True)


@pytest.mark.parametrize(
    "folder", ["dagm", "DAGM_KaggleUpload", "DAGM2007/DAGM_KaggleUpload", "dagm/DAGM_KaggleUpload"]
)
@pytest.mark.parametrize("nested", ["Class1", "Class1/Class1"])
def test_dagm(tmp_path: Path, folder: str, nested: str) -> None:
    place = tmp_path / folder / nested
    draw(place / "Train/0576.PNG", level=50)
    draw(place / "Train/0595.PNG", level=55)
    draw_mask(place / "Train/Label/0595_label.PNG")
    draw(place / "Test/0002.PNG", level=60)
    draw_mask(place / "Test/Label/0002_label.PNG")
    dataset = open_dataset("dagm", tmp_path)
    assert_loads(dataset, "Class1/Train/0576.PNG", 50, masked=False)
    assert_loads(dataset, "Class1/Train/0595.PNG", 55, masked=True)
    assert_loads(dataset, "Class1/Test/0002.PNG", 60, masked=True)
    assert not image_of(dataset, "Class1/Test/0001.PNG").is_defective
    assert image_of(dataset, "Class1/Test/0002.PNG").defect == "defect"
    with pytest.raises(DataMissing):
        _ = image_of(dataset, "Class2/Test/0001.PNG").is_defective


def test_dagm_splits_have_one_digest_with_and_without_images(tmp_path: Path) -> None:
    draw(tmp_path / "dagm/Class1/Train/0576.PNG")
    draw_mask(tmp_path / "dagm/Class1/Test/Label/0002_label.PNG")
    with_images, without = open_dataset("dagm", tmp_path), open_dataset("dagm", tmp_path / "none")
    assert build("ltad_exp100", with_images, 0).digest == build("ltad_exp100", without, 0).digest
    assert with_images.data_digest() == without.data_digest()


def realiad_list(prefix: str, train: list[tuple[str, str]], test: list[tuple[str, str]]) -> str:
    def entry(name: str, code: str) -> dict[str, str | None]:
        mask = None if code == "OK" else name.replace(".jpg", ".png")
        return {"category": prefix, "anomaly_class": code, "image_path": name, "mask_path": mask}

    parts = {"train": [entry(*pair) for pair in train], "test": [entry(*pair) for pair in test]}
    meta = {"prefix": f"{prefix}/", "normal_class": "OK", "pre_transform": False}
    return json.dumps({"meta": meta, **parts})


@pytest.fixture
def realiad(tmp_path: Path) -> Path:
    root = tmp_path / "Real-IAD"
    ok, seen, hidden = "OK/S1/m_C1.jpg", "NG/HS/S2/m_C1.jpg", "NG/HS/S2/m_C2.jpg"
    text = realiad_list("mint", [(ok, "OK")], [("OK/S3/m_C1.jpg", "OK"), (seen, "HS"), (hidden, "OK")])
    noisy = realiad_list("mint", [(ok, "OK"), (seen, "HS")], [("OK/S3/m_C1.jpg", "OK"), (seen, "HS")])
    toy = realiad_list("toy", [("OK/S1/t_C1.jpg", "OK")], [("NG/PS/S2/t_C1.jpg", "PS")])
    for folder, name, content in (
        ("realiad_jsons", "mint", text),
        ("realiad_jsons", "toy", toy),
        ("realiad_jsons_sv", "mint", text),
        ("realiad_jsons_fuiad_0.1", "mint", noisy),
    ):
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / f"{name}.json").write_text(content, encoding="utf-8")
    for name, level in ((ok, 50), (seen, 60), (hidden, 70)):
        draw(root / "realiad_1024/mint" / name, level=level)
    draw_mask(root / "realiad_1024/mint/NG/HS/S2/m_C1.png")
    return tmp_path


def test_realiad_reads_its_own_lists(realiad: Path) -> None:
    dataset = open_dataset("realiad", realiad)
    assert len(dataset.images()) == 6
    assert_loads(dataset, "mint/NG/HS/S2/m_C1.jpg", 60, masked=True)
    hidden = image_of(dataset, "mint/NG/HS/S2/m_C2.jpg")
    assert not hidden.is_defective
    assert {i.category for i in open_dataset("realiad:toy", realiad).images()} == {"toy"}
    assert open_dataset("realiad:sv+mint", realiad).name == "realiad:sv+mint"
    assert len(open_dataset("realiad:sv", realiad).images()) == 4


def test_fuiad_lists_are_read_and_keep_the_true_labels(realiad: Path) -> None:
    dataset = open_dataset("realiad:mint", realiad)
    split = build("fuiad_nr10", dataset, 0)
    assert [image.path for image in split.injected] == ["mint/NG/HS/S2/m_C1.jpg"]
    assert (len(split.train), len(split.test), split.overlap) == (2, 2, 1)
    assert split.evidence == "imported"
    assert build("fuiad_nr10", dataset, 0, "none").overlap == 0
    with pytest.raises(DataMissing, match=r"realiad_jsons_fuiad_0\.4"):
        build("fuiad_nr40", dataset, 0)


def test_broken_realiad_lists_are_named(realiad: Path) -> None:
    file = realiad / "Real-IAD/realiad_jsons/mint.json"
    file.write_text(file.read_text(encoding="utf-8")[:90], encoding="utf-8")
    with pytest.raises(SplitsError, match=r"mint\.json' is not complete JSON"):
        open_dataset("realiad", realiad).images()
    file.write_text("{}", encoding="utf-8")
    with pytest.raises(SplitsError, match=r"mint\.json' lacks 'meta'"):
        open_dataset("realiad", realiad).images()


def test_realiad_without_lists_or_images_says_what_to_do(realiad: Path, tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="on request"):
        open_dataset("realiad", tmp_path / "none").images()
    (realiad / "Real-IAD/realiad_1024").rename(realiad / "elsewhere")
    with pytest.raises(DataMissing, match="Real-IAD"):
        open_dataset("realiad", realiad).require_pixels()


def test_one_class_alone_is_a_data_set_of_its_own(tmp_path: Path) -> None:
    dataset = open_dataset("mvtec:screw+bottle", tmp_path)
    assert dataset.name == "mvtec:bottle+screw"
    assert {image.category for image in dataset.images()} == {"bottle", "screw"}
    split = build("clean", dataset, 0)
    assert len(split.train) == 209 + 320
    with pytest.raises(UnknownName, match="did you mean 'screw'"):
        open_dataset("mvtec:screws", tmp_path).images()


def test_a_doctor_finds_what_is_wrong_with_a_copy(tmp_path: Path) -> None:
    root = tmp_path / "dagm"
    draw(root / "Class1/Train/0576.PNG", level=1)
    draw(root / "Class1/Train/0577.PNG", level=1)
    (root / "Class1/Train/0577.PNG").write_bytes(b"no image")
    draw(root / "Class1/Test/0001.PNG", level=1)
    draw(root / "Class1/Test/0002.PNG", level=3)
    draw_mask(root / "Class1/Test/Label/0002_label.PNG", size=8)
    draw_mask(root / "Class1/Test/Label/9999_label.PNG")
    draw(root / "Class1/Train/notes.png")
    dataset = open_dataset("dagm:Class1+Class2", tmp_path)
    assert isinstance(dataset, FileDataset)
    report = examine(dataset)
    kinds = report.counts()
    assert kinds["missing image"] == 575 * 4 - 4
    assert {kind: kinds[kind] for kind in kinds if kind != "missing image"} == {
        "unreadable": 1, "wrong size": 1, "mask without image": 1, "extra file": 1, "same content": 1,
    }  # fmt: skip
    assert not report.ok
    advice = report.advice()
    assert advice[0] == "whole classes are missing: Class2"
    assert any("8 x 8, its image 16 x 16" in line for line in advice)
    assert any("Class1/Test/0001.PNG (as Class1/Train/0576.PNG)" in line for line in advice)
    quick = examine(dataset, read_all=False)
    assert "same content" not in quick.counts()
    assert not quick.pixels_read


def test_a_doctor_counts_dagms_label_files(tmp_path: Path) -> None:
    draw(tmp_path / "dagm/Class1/Train/0576.PNG")
    for number in range(1, 72):
        draw_mask(tmp_path / f"dagm/Class1/Test/Label/{number:04d}_label.PNG", size=4)
    dataset = open_dataset("dagm", tmp_path)
    assert isinstance(dataset, FileDataset)
    found = [f.path for f in examine(dataset, read_all=False).findings if f.kind == "label count"]
    assert found == [f"Class{index}/Test/Label" for index in range(2, 11)]


def test_a_doctor_is_content_with_a_whole_folder_and_notes_what_it_lacks(tmp_path: Path) -> None:
    mvtec_style_class(tmp_path / "parts", "bolt")
    mvtec_style_class(tmp_path / "parts", "nut", suffix=None)
    dataset = open_dataset("folder:parts", tmp_path)
    assert isinstance(dataset, FileDataset)
    report = examine(dataset)
    assert report.ok
    assert report.counts() == {"no mask": 2}
    draw_mask(tmp_path / "parts/bolt/ground_truth/scratch/000_mask.png", level=0)
    assert examine(dataset).counts() == {"no mask": 2, "empty mask": 1}
    assert not examine(dataset).ok
