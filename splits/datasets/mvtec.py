"""MVTec AD: 15 classes, 5354 images (Bergmann et al., CVPR 2019)."""

from __future__ import annotations

from pathlib import Path

from ltbench.splits import inventories
from ltbench.splits.datasets.facts import Facts
from ltbench.splits.datasets.files import FileDataset, find_root, only_classes

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
)


def _is_root(place: Path) -> bool:
    return (place / "bottle" / "train" / "good").is_dir() or (place / "zipper" / "train" / "good").is_dir()


def _locate(root: Path, path: str) -> Path:
    """MVTec's masks end in `_mask`; converted copies drop it."""
    file = root / path
    if "/ground_truth/" in path and not file.is_file():
        bare = file.with_name(file.name.replace("_mask.", "."))
        return bare if bare.is_file() else file
    return file


def open_dataset(data_root: Path, argument: str = "") -> FileDataset:
    """MVTec AD, its images in `data_root/mvtec` (or a folder of a usual name)."""
    root, advised = find_root(data_root, FACTS, _is_root)
    facts, listing = only_classes(FACTS, inventories.mvtec, argument)
    return FileDataset(facts, listing, root, advised, locate=_locate)
