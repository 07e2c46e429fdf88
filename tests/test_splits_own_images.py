"""Files that people's own folders hold, after public bug reports: what is read, found and refused."""

from __future__ import annotations

import struct
import unicodedata
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from split_trees import draw, draw_mask, mvtec_style_class

from ltbench.home_folders import UnknownHome
from ltbench.splits.datasets import open_dataset
from ltbench.splits.datasets.decoding import read_mask, read_pixels
from ltbench.splits.datasets.doctor import Report, examine
from ltbench.splits.datasets.files import FileDataset
from ltbench.splits.errors import SplitsError

MARKED = np.zeros((16, 16), bool)
MARKED[:8, :8] = True


@pytest.fixture
def bolt(tmp_path: Path) -> Path:
    mvtec_style_class(tmp_path / "parts", "bolt")
    return tmp_path / "parts" / "bolt"


def opened(bolt: Path) -> FileDataset:
    dataset = open_dataset(f"folder:{bolt.parent}", bolt.parent.parent)
    assert isinstance(dataset, FileDataset)
    return dataset


def report(bolt: Path) -> Report:
    return examine(opened(bolt))


def mask_file(bolt: Path, number: int = 0) -> Path:
    return bolt / "ground_truth" / "scratch" / f"{number:03d}_mask.png"


def save(pixels: np.ndarray, path: Path, **options: object) -> None:
    Image.fromarray(pixels).save(path, **options)


def test_the_alpha_of_a_mask_tells_where_its_colour_does_not(bolt: Path) -> None:
    for colour in (0, 255):
        pixels = np.full((16, 16, 4), colour, np.uint8)
        pixels[..., 3] = MARKED * 255
        save(pixels, mask_file(bolt))
        assert (read_mask(mask_file(bolt), 16, 16) == MARKED * 255).all()
    pixels[..., :3], pixels[..., 3] = (MARKED * 255)[..., None], 255
    save(pixels, mask_file(bolt))
    assert (read_mask(mask_file(bolt), 16, 16) == MARKED * 255).all()
    assert report(bolt).ok


@pytest.mark.parametrize("colours", [(0, 0, 0, 255, 0, 0), (90, 0, 90, 0, 255, 0), (255, 255, 255, 0, 0, 0)])
def test_the_palette_of_a_mask_is_read(bolt: Path, colours: tuple[int, ...]) -> None:
    """Black is good where the palette has it in use; else index 0 is."""
    is_white_first = colours[0] == 255
    image = Image.fromarray((MARKED ^ is_white_first).astype(np.uint8), "L").convert("P")
    image.putdata([int(value) for value in (MARKED ^ is_white_first).ravel()])
    image.putpalette(colours)
    image.save(mask_file(bolt))
    assert (read_mask(mask_file(bolt), 16, 16) == (MARKED) * 255).all()


def test_inverted_masks_are_found(bolt: Path) -> None:
    save(np.where(MARKED, np.uint8(0), np.uint8(255)), mask_file(bolt))
    (finding,) = report(bolt).findings
    assert (finding.kind, finding.detail) == ("marks most", "marks 75 % of the image")
    assert not report(bolt).ok
    (bolt.parent / "dataset.toml").write_text("inverted_masks = true\n")
    inverted = opened(bolt)
    image = next(one for one in inverted.images() if one.mask.endswith("000_mask.png"))
    assert (inverted.mask(image) == MARKED * 255).all()


def test_soft_masks_are_found_and_numbered_ones_are_not(bolt: Path) -> None:
    levels = np.zeros((16, 16), np.uint8)
    levels[0, :5] = (1, 2, 3, 4, 5)
    save(levels, mask_file(bolt))
    assert report(bolt).ok
    save(levels * 50, mask_file(bolt))
    (finding,) = report(bolt).findings
    assert (finding.kind, finding.detail) == ("grey mask", "5 grey levels")
    (bolt.parent / "dataset.toml").write_text("mask_above = 127\n")
    dataset = opened(bolt)
    image = next(one for one in dataset.images() if one.mask.endswith("000_mask.png"))
    assert (dataset.mask(image) > 0).sum() == 3
    assert examine(dataset).ok


@pytest.mark.parametrize("orientation", range(1, 9))
def test_own_images_are_turned_upright_as_viewers_do(bolt: Path, orientation: int) -> None:
    upright = np.arange(16 * 24, dtype=np.uint8).reshape(16, 24)
    turn = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.T,
        6: np.rot90(upright, 1), 7: upright[::-1, ::-1].T, 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = bolt / "test" / "scratch" / "000.png"
    save(np.ascontiguousarray(turn), file, exif=exif)
    save(np.where(upright == 1, np.uint8(255), np.uint8(0)), mask_file(bolt))
    dataset = opened(bolt)
    image = next(one for one in dataset.images() if one.path == "bolt/test/scratch/000.png")
    assert (dataset.pixels(image)[..., 0] == upright).all()
    mask = dataset.mask(image)
    assert mask is not None
    assert mask[0, 1] == 255
    assert report(bolt).counts() == ({"turned": 1} if orientation > 1 else {})
    assert read_pixels(file).shape[:2] == turn.shape


def test_the_size_sentence_names_exif(bolt: Path) -> None:
    save(np.zeros((16, 24), np.uint8), mask_file(bolt))
    with pytest.raises(SplitsError, match="EXIF orientation"):
        read_mask(mask_file(bolt), 24, 16)


def test_sixteen_bits_have_one_scale_in_all_images(bolt: Path) -> None:
    levels = {"000": 200, "001": 300}
    for name, level in levels.items():
        save(np.full((16, 16), level, np.uint16), bolt / "train" / "good" / f"{name}.png")
    dataset = opened(bolt)
    pixels = [dataset.pixels(i)[0, 0, 0] for i in dataset.images() if i.part == "train"][:2]
    assert list(pixels) == [1, 1]
    assert report(bolt).counts() == {"dark 16 bits": 2}
    before = dataset.data_digest()
    (bolt.parent / "dataset.toml").write_text("white = 1000\n")
    dataset = opened(bolt)
    pixels = [dataset.pixels(i)[0, 0, 0] for i in dataset.images() if i.part == "train"][:2]
    assert list(pixels) == [51, 77]
    assert dataset.data_digest() != before
    assert report(bolt).ok


def test_twelve_bits_in_sixteen_bits_of_colour_are_found(bolt: Path) -> None:
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 16, 2, 0, 0, 0))]
    # Pillow writes no 16-bit colour. Each row begins with its filter, 0 = none.
    rows = b"".join(b"\0" + struct.pack(">48H", *[4000] * 48) for _ in range(16))
    chunks += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    png = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    (bolt / "train" / "good" / "000.png").write_bytes(b"\x89PNG\r\n\x1a\n" + png)
    (finding,) = report(bolt).findings
    assert (finding.kind, finding.detail) == ("dark 16 bits", "its largest value is 3840")
    # Only grey images can be brightened: of colours, Pillow reads the upper 8 bits.
    (bolt.parent / "dataset.toml").write_text("white = 4095\n")
    assert report(bolt).counts() == {"dark 16 bits": 1}


def test_two_images_do_not_share_a_mask(bolt: Path) -> None:
    draw(bolt / "test" / "scratch" / "000.jpg")
    with pytest.raises(SplitsError, match=r"'000\.jpg' and '000\.png'.*share the mask '000_mask\.png'"):
        opened(bolt).images()


@pytest.mark.parametrize("part", ["train", "test/scratch"])
def test_no_class_is_lost(bolt: Path, part: str) -> None:
    draw(bolt.parent / "nut" / part / "000.png")
    with pytest.raises(SplitsError, match="class 'nut' has images but no 'train/good'"):
        opened(bolt).images()


def test_images_outside_of_the_classes_are_found(bolt: Path) -> None:
    draw(bolt.parent / "more" / "000.png")
    draw(bolt.parent / "001.png")
    assert [one.path for one in report(bolt).findings] == ["001.png", "more/000.png"]
    assert report(bolt).counts() == {"extra file": 2}


@pytest.mark.parametrize("suffix", [".pgm", ".ppm", ".jfif", ".PNM"])
def test_suffixes_of_older_cameras_are_read(bolt: Path, suffix: str) -> None:
    file = bolt / "train" / "good" / f"900{suffix}"
    Image.new("L" if suffix == ".pgm" else "RGB", (16, 16)).save(
        file, format="JPEG" if suffix == ".jfif" else "PPM"
    )
    assert any(image.path.endswith(file.name) for image in opened(bolt).images())


def test_files_that_are_not_read_are_named(bolt: Path) -> None:
    good = bolt / "train" / "good"
    (good / "900.heic").write_bytes(b"")
    (finding,) = report(bolt).findings
    assert (finding.kind, finding.path) == ("other file", "bolt/train/good/900.heic")
    for file in good.glob("*.png"):
        file.unlink()
    with pytest.raises(SplitsError, match=r"is empty: .*\(1 '\.heic' there; images are \.png, "):
        opened(bolt).images()


def test_a_file_of_several_pages_is_found(bolt: Path) -> None:
    page = Image.new("RGB", (16, 16))
    page.save(bolt / "train" / "good" / "900.tif", save_all=True, append_images=[page, page])
    (finding,) = report(bolt).findings
    assert (finding.kind, finding.detail) == ("several pages", "3 pages")
    assert not report(bolt).ok


def test_intact_files_that_are_not_read_have_the_true_reason(
    bolt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(np.full((16, 16), 0.5, np.float32), bolt / "train" / "good" / "900.tif")
    save(np.full((16, 16), 70000, np.int32), bolt / "train" / "good" / "901.tif")
    reasons = {one.path[-7:]: (one.kind, one.detail) for one in report(bolt).findings}
    assert {kind for kind, _ in reasons.values()} == {"unsupported"}
    assert "8 or 16 bits" in reasons["900.tif"][1]
    assert "from 70000 to 70000" in reasons["901.tif"][1]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 16 * 16 // 2 - 1)
    with pytest.raises(SplitsError, match="more than 178956970 pixels"):
        read_pixels(bolt / "train" / "good" / "000.png")
    assert report(bolt).counts() == {"unsupported": len(report(bolt).findings)}


def test_large_images_raise_no_warning_of_python(bolt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 16 * 16 - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
        assert read_pixels(bolt / "train" / "good" / "000.png").shape == (16, 16, 3)


def test_names_of_masks_are_compared_in_one_form_of_unicode(bolt: Path) -> None:
    name = "schräg"
    draw(bolt / "test" / "scratch" / (unicodedata.normalize("NFD", name) + ".png"))
    draw_mask(bolt / "ground_truth" / "scratch" / (unicodedata.normalize("NFC", name) + "_mask.png"))
    assert report(bolt).counts() == {}
    assert all(image.mask for image in opened(bolt).images() if image.defect)


def test_masks_of_another_ending_are_said_and_can_be_named(bolt: Path) -> None:
    mask_file(bolt).rename(mask_file(bolt).with_name("000_gt.png"))
    assert report(bolt).counts() == {"no mask": 1, "mask without image": 1}
    assert "'000_mask.png' or '000.png'" in " ".join(report(bolt).advice())
    mask_file(bolt, 1).rename(mask_file(bolt).with_name("001_gt.png"))
    (bolt.parent / "dataset.toml").write_text('mask_ending = "_gt"\n')
    assert report(bolt).counts() == {}


def test_masks_of_good_images_may_be_there_if_they_are_black(bolt: Path) -> None:
    file = bolt / "ground_truth" / "good" / "000_mask.png"
    draw_mask(file, level=0)
    assert report(bolt).counts() == {}
    draw_mask(file)
    assert report(bolt).counts() == {"marked good": 1}
    assert not report(bolt).ok


@pytest.mark.parametrize(("kind", "finding"), [("good", "no good"), ("scratch", "no defect")])
def test_a_class_of_which_nothing_can_be_measured_is_named(bolt: Path, kind: str, finding: str) -> None:
    for file in (bolt / "test" / kind).iterdir():
        file.unlink()
    assert [one.kind for one in report(bolt).findings if one.kind.startswith("no ")] == [finding]


def test_masks_that_are_read_in_another_way_are_other_data(bolt: Path) -> None:
    digests, versions = set(), set()
    for text in ("", "inverted_masks = true", "mask_above = 127"):
        (bolt.parent / "dataset.toml").write_text(text)
        dataset = opened(bolt)
        digests.add(dataset.data_digest())
        versions |= {(i.path, dataset.mask_version(i)) for i in dataset.images() if i.mask}
    assert len(digests) == 3
    assert len(versions) == 3 * 2


def test_one_class_is_examined_alone(bolt: Path) -> None:
    draw(bolt.parent / "more" / "000.png")
    dataset = open_dataset(f"folder:{bolt}", bolt.parent)
    assert isinstance(dataset, FileDataset)
    assert examine(dataset).counts() == {}
    assert report(bolt).counts() == {"extra file": 1}


def test_corrected_masks_make_other_data(bolt: Path) -> None:
    """Values measured with the old masks are no answer to the new ones."""
    before = opened(bolt).data_digest()
    draw_mask(mask_file(bolt), level=0)
    assert opened(bolt).data_digest() != before


def test_the_home_of_an_unknown_user_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UnknownHome, match=r"'~no-such-user/parts' begins with the home folder"):
        open_dataset("folder:~no-such-user/parts", tmp_path)
