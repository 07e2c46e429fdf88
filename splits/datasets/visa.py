"""VisA: 12 classes, 10821 images (Zou et al., ECCV 2022), in the original or an MVTec-style layout."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from ltbench.splits import inventories
from ltbench.splits.datasets.facts import Facts
from ltbench.splits.datasets.files import FileDataset, find_root, only_classes

FACTS = Facts(
    name="visa",
    title="VisA",
    licence="CC BY 4.0",
    citation="""@inproceedings{zou2022spot,
  title = {{SPot-the-Difference} Self-Supervised Pre-training for Anomaly Detection and Segmentation},
  author = {Zou, Yang and Jeong, Jongheon and Pemula, Latha and Zhang, Dongqing and Dabeer, Onkar},
  booktitle = {European Conference on Computer Vision (ECCV)},
  year = {2022}
}""",
    address="https://amazon-visual-anomaly.s3.us-west-2.amazonaws.com/VisA_20220922.tar",
    size="1.9 GB",
    default_contamination=0.05,
    gallery_allowed=True,
    folders=("visa", "VisA", "VISA", "VisA_20220922", "VisA_pytorch/1cls", "visa_mvtec", "visa/1cls"),
    example="candle/Data/Images/Normal/0000.JPG",
    shareable=True,
)


def _is_original(place: Path) -> bool:
    return any((place / category / "Data" / "Images").is_dir() for category in ("candle", "pcb1", "cashew"))


def _is_root(place: Path) -> bool:
    converted = any(
        (place / category / "train" / "good").is_dir() for category in ("candle", "pcb1", "cashew")
    )
    return converted or _is_original(place)


def original_path(path: str) -> str:
    """The authors' name of a file: "candle/Data/Images/Anomaly/000.JPG" for "candle/test/bad/000.JPG"."""
    category, part, kind, name = PurePosixPath(path).parts
    if part == "ground_truth":
        return f"{category}/Data/Masks/Anomaly/{name.replace('_mask.', '.')}"
    return f"{category}/Data/Images/{'Normal' if kind == 'good' else 'Anomaly'}/{name}"


def _locate(root: Path, path: str) -> Path:
    file = root / (original_path(path) if _is_original(root) else path)
    if "/ground_truth/" in path and not file.is_file():
        bare = file.with_name(file.name.replace("_mask.", "."))
        return bare if bare.is_file() else file
    return file


def open_dataset(data_root: Path, argument: str = "") -> FileDataset:
    """VisA, its images in `data_root/visa` (or a folder of a usual name), in whichever layout is found."""
    root, advised = find_root(data_root, FACTS, _is_root)
    facts, listing = only_classes(FACTS, inventories.visa, argument)
    return FileDataset(facts, listing, root, advised, locate=_locate)
