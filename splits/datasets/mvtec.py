"""MVTec AD: 15 classes, 5354 images (Bergmann et al., CVPR 2019)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ltbench.splits import inventories
from ltbench.splits.datasets.facts import Facts
from ltbench.splits.datasets.files import FileDataset, find_root, only_classes
from ltbench.splits.images import LabelledImage

FACTS = Facts(
    name="mvtec",
    title="MVTec AD",
    licence="CC BY-NC-SA 4.0",
    citation="""@inproceedings{bergmann2019mvtec,
  title = {{MVTec AD} -- A Comprehensive Real-World Dataset for Unsupervised Anomaly Detection},
  author = {Bergmann, Paul and Fauser, Michael and Sattlegger, David and Steger, Carsten},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  pages = {9592--9600},
  year = {2019}
}""",
    address="https://www.mvtec.com/company/research/datasets/mvtec-ad",
    size="4.9 GB",
    default_contamination=0.10,
    folders=("mvtec", "mvtec_anomaly_detection", "MVTec", "mvtec_ad", "MVTecAD", "MVTec-AD", "mvtecad"),
    example="bottle/train/good/000.png",
    instructions="fill in the form on its page, download 'mvtec_anomaly_detection.tar.xz'",
    image_count=5354,
)


def _is_root(place: Path) -> bool:
    """Check for the training images of two typical classes."""
    return (place / "bottle" / "train" / "good").is_dir() or (place / "zipper" / "train" / "good").is_dir()


def _locate(root: Path, path: str) -> Path:
    """File of a path; masks may lack the ending `_mask`, as in converted copies."""
    file = root / path
    if "/ground_truth/" in path and not file.is_file():
        bare = file.with_name(file.name.replace("_mask.", "."))
        return bare if bare.is_file() else file
    return file


@cache
def listing() -> tuple[LabelledImage, ...]:
    """List all 5354 images of MVTec AD, with classes and files in the recovered listing order."""
    by_class: dict[str, tuple[list[LabelledImage], list[LabelledImage], list[LabelledImage]]] = {}
    for row in inventories.table("mvtec.csv"):
        category, part, defect = row["class"], row["part"], row["defect"]
        train, good, bad = by_class.setdefault(category, ([], [], []))
        pool = train if part == "train" else bad if defect else good
        for number in range(int(row["count"])):
            path = f"{category}/{part}/{defect or 'good'}/{number:03d}.png"
            mask = f"{category}/ground_truth/{defect}/{number:03d}_mask.png" if defect else ""
            pool.append(LabelledImage(path, category, "train" if part == "train" else "test", defect, mask))
    return tuple(
        image
        for category, pools in by_class.items()
        for image in inventories.in_listing_order("mvtec", category, *pools)
    )


def open_dataset(data_root: Path, argument: str = "") -> FileDataset:
    """Open MVTec AD with its images in `data_root/mvtec`, or a folder of another usual name."""
    root, advised = find_root(data_root, FACTS, _is_root)
    facts, cut = only_classes(FACTS, listing, argument)
    return FileDataset(facts, cut, root, advised, locate=_locate)
