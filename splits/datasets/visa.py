"""VisA: 12 classes, 10821 images (Zou et al., ECCV 2022), in the original or an MVTec-style layout."""

from __future__ import annotations

from functools import cache
from pathlib import Path, PurePosixPath

from ltbench.splits import inventories
from ltbench.splits.datasets.facts import Archive, Facts
from ltbench.splits.datasets.files import FileDataset, find_root, only_classes
from ltbench.splits.images import LabelledImage

_ADDRESS = "https://amazon-visual-anomaly.s3.us-west-2.amazonaws.com/VisA_20220922.tar"
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
    address=_ADDRESS,
    size="1.9 GB",
    default_contamination=0.05,
    gallery_allowed=True,
    folders=("visa", "VisA", "VISA", "VisA_20220922", "VisA_pytorch/1cls", "visa_mvtec", "visa/1cls"),
    example="candle/Data/Images/Normal/0000.JPG",
    archives=(
        Archive(
            "VisA_20220922.tar",
            (_ADDRESS,),
            "2eb8690c803ab37de0324772964100169ec8ba1fa3f7e94291c9ca673f40f362",
            1_929_840_640,
        ),
    ),
    image_count=10821,
)


def _is_original(place: Path) -> bool:
    """Check for the folder structure of the original release."""
    return any((place / category / "Data" / "Images").is_dir() for category in ("candle", "pcb1", "cashew"))


def _is_root(place: Path) -> bool:
    """Whether a folder holds VisA in the original or an MVTec-style layout."""
    converted = any(
        (place / category / "train" / "good").is_dir() for category in ("candle", "pcb1", "cashew")
    )
    return converted or _is_original(place)


def original_path(path: str) -> str:
    """Path of a file in the original layout.

    >>> original_path("candle/test/bad/000.JPG")
    'candle/Data/Images/Anomaly/000.JPG'
    """
    category, part, kind, name = PurePosixPath(path).parts
    if part == "ground_truth":
        return f"{category}/Data/Masks/Anomaly/{name.replace('_mask.', '.')}"
    return f"{category}/Data/Images/{'Normal' if kind == 'good' else 'Anomaly'}/{name}"


def _locate(root: Path, path: str) -> Path:
    """File of a path in the layout of the folder; masks may lack the ending `_mask`."""
    file = root / (original_path(path) if _is_original(root) else path)
    if "/ground_truth/" in path and not file.is_file():
        bare = file.with_name(file.name.replace("_mask.", "."))
        return bare if bare.is_file() else file
    return file


@cache
def listing() -> tuple[LabelledImage, ...]:
    """List all 10821 images of VisA in the recovered order, with MVTec-style paths as in TailedCore and MeDS.

    The defect type is "bad" and masks are named "NNN_mask.png", as by TailedCore's converter.
    """
    images: list[LabelledImage] = []
    for row in inventories.table("visa.csv"):
        category, width = row["class"], int(row["digits"])
        tested = set(inventories.numbers(row["test_good"]))
        train, good = [], []
        for number in range(int(row["normal"])):
            part = "test" if number in tested else "train"
            path = f"{category}/{part}/good/{number:0{width}d}.JPG"
            if number in tested:
                good.append(LabelledImage(path, category, "test"))
            else:
                train.append(LabelledImage(path, category, "train"))
        bad = [
            LabelledImage(
                f"{category}/test/bad/{number:03d}.JPG",
                category,
                "test",
                "bad",
                f"{category}/ground_truth/bad/{number:03d}_mask.png",
            )
            for number in range(int(row["anomalous"]))
        ]
        images += inventories.in_listing_order("visa", category, train, good, bad)
    return tuple(images)


def open_dataset(data_root: Path, argument: str = "") -> FileDataset:
    """Open VisA with its images, in either layout, in `data_root/visa` or a folder of another usual name."""
    root, advised = find_root(data_root, FACTS, _is_root)
    facts, cut = only_classes(FACTS, listing, argument)
    return FileDataset(facts, cut, root, advised, locate=_locate)
