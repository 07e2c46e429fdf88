"""Pictures on disk: whatever happens to the files, a picture is right or drawn anew."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltbench.splits.datasets.synthetic import SyntheticDataset
from ltbench.splits.images import LabelledImage, Pixels
from ltbench.splits.rendering import keeping
from ltbench.splits.rendering.keeping import Shelf
from ltbench.splits.rendering.picture import Name, render

ROOT = Path(__file__).parents[1]
IMAGE = LabelledImage(
    "capsule/test/squeeze/001.png", "capsule", "test", "squeeze", "capsule/ground_truth/squeeze/001_mask.png"
)


@pytest.fixture(scope="module")
def fresh() -> tuple[Pixels, Pixels]:
    pixels, mask = render(Name("capsule", "test", "squeeze", 1))
    assert mask is not None
    return pixels, mask


def assert_right(dataset: SyntheticDataset, fresh: tuple[Pixels, Pixels]) -> None:
    assert np.array_equal(dataset.pixels(IMAGE), fresh[0])
    mask = dataset.mask(IMAGE)
    assert mask is not None
    assert np.array_equal(mask, fresh[1])


def no_drawing(*_: object) -> None:
    pytest.fail("a kept picture was drawn again")


def test_a_kept_picture_equals_a_fresh_one_and_is_not_drawn_again(
    tmp_path: Path, fresh: tuple[Pixels, Pixels], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_right(SyntheticDataset(tmp_path), fresh)
    monkeypatch.setattr("ltbench.splits.datasets.synthetic.render", no_drawing)
    assert_right(SyntheticDataset(tmp_path), fresh)


def test_a_mask_alone_brings_its_picture_with_it(
    tmp_path: Path, fresh: tuple[Pixels, Pixels], monkeypatch: pytest.MonkeyPatch
) -> None:
    SyntheticDataset(tmp_path).mask(IMAGE)
    monkeypatch.setattr("ltbench.splits.datasets.synthetic.render", no_drawing)
    assert_right(SyntheticDataset(tmp_path), fresh)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def flip_a_byte(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x55
    file.write_bytes(bytes(content))


def replace_by_another_picture(file: Path) -> None:
    Image.new("L" if "mask" in file.name else "RGB", (256, 256), 77).save(file)


def replace_by_another_name(file: Path) -> None:
    """A whole picture of the same recipe, moved to a wrong place."""
    dataset = SyntheticDataset(file.parents[5])
    other = LabelledImage("capsule/train/good/000.png", "capsule", "train")
    dataset.pixels(other)
    (dataset.root / other.path).replace(file)


def replace_by_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


DAMAGES = [
    truncate,
    empty,
    flip_a_byte,
    replace_by_another_picture,
    replace_by_another_name,
    replace_by_a_folder,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_drawn_anew(
    damage: Callable[[Path], None], tmp_path: Path, fresh: tuple[Pixels, Pixels]
) -> None:
    dataset = SyntheticDataset(tmp_path)
    assert_right(dataset, fresh)
    damage(dataset.root / IMAGE.path)
    damage(dataset.root / IMAGE.mask)
    assert_right(dataset, fresh)


def test_a_damaged_file_is_repaired(tmp_path: Path, fresh: tuple[Pixels, Pixels]) -> None:
    dataset = SyntheticDataset(tmp_path)
    assert_right(dataset, fresh)
    truncate(dataset.root / IMAGE.path)
    assert_right(dataset, fresh)
    assert Shelf(dataset.root, dataset.identity).get(IMAGE.path) is not None


def test_another_recipe_does_not_take_the_files(tmp_path: Path, fresh: tuple[Pixels, Pixels]) -> None:
    shelf = Shelf(tmp_path, "one")
    assert shelf.put("a/b.png", fresh[0])
    assert np.array_equal(shelf.get("a/b.png"), fresh[0])
    assert Shelf(tmp_path, "two").get("a/b.png") is None


def test_a_folder_that_cannot_be_written_means_no_caching(
    tmp_path: Path, fresh: tuple[Pixels, Pixels]
) -> None:
    occupied = tmp_path / "occupied"
    occupied.write_text("a file where the folder should be")
    assert_right(SyntheticDataset(occupied), fresh)
    assert occupied.read_text() == "a file where the folder should be"


def test_a_full_disk_leaves_no_half_files_and_is_tried_once(
    tmp_path: Path, fresh: tuple[Pixels, Pixels], monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[str] = []

    def full(self: Image.Image, file: object, **_: object) -> None:
        attempts.append("save")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keeping.Image.Image, "save", full)
    dataset = SyntheticDataset(tmp_path)
    assert_right(dataset, fresh)
    assert_right(dataset, fresh)
    assert attempts == ["save"]
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_processes_that_draw_the_same_picture_do_not_disturb_each_other(
    tmp_path: Path, fresh: tuple[Pixels, Pixels]
) -> None:
    code = (
        "import hashlib, pathlib, sys, tests.test_synthetic_cache as t\n"
        "for _ in range(4):\n"
        "    dataset = t.SyntheticDataset(pathlib.Path(sys.argv[1]))\n"
        "    print(hashlib.sha256(dataset.pixels(t.IMAGE).tobytes()).hexdigest())\n"
        "    (dataset.root / t.IMAGE.path).unlink(missing_ok=True)\n"
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        for _ in range(3)
    ]
    printed = [worker.communicate()[0].split() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert len({digest for lines in printed for digest in lines}) == 1
    assert not list(tmp_path.rglob("*.part"))
    assert_right(SyntheticDataset(tmp_path), fresh)
