"""Generate the tables of this folder from one-row-per-image lists.

`python -m ltbench.splits.inventories.build FOLDER CONFIGURATIONS` reads in FOLDER
`inventory_{mvtec,visa_mvtecstyle,dagm}.csv` (class, split, defect, relative_path),
`tailedcore_listing_order.csv` (dataset, class, pool, file_index, relative_path), MeDS'
`meds_csv/{MVTech,VISA}/train_*_nr*_seed_*.csv` (filename), TailedCore's
`tailedcore_manifests/{mvtecad,visa}-nlt/<recipe>/<seed>/*.txt` and `ablation/nr05_listing.csv`, and the
configurations of TailedCore's noise-ratio ablation, and writes the tables beside this file.
"""

from __future__ import annotations

import csv
import hashlib
import re
import sys
from collections import defaultdict
from pathlib import Path, PurePosixPath

from ltbench.number_ranges import number_ranges
from ltbench.splits.datasets import mvtec, visa
from ltbench.splits.inventories import Row, bit_mask, build_ablation

_HERE = Path(__file__).parent


def _read(path: Path) -> list[Row]:
    """Read the rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _write(name: str, columns: list[str], rows: list[list[str]]) -> None:
    """Write a table into this folder."""
    with (_HERE / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _number(row: Row) -> int:
    """Number that the image file is named by."""
    return int(PurePosixPath(row["relative_path"]).stem)


def class_order(listing: list[Row], dataset: str) -> list[str]:
    """Classes of a data set in the order of the listing."""
    return list(dict.fromkeys(row["class"] for row in listing if row["dataset"] == dataset))


def mvtec_rows(inventory: list[Row], order: list[str]) -> list[list[str]]:
    """One row per folder: class, part, defect, number of files 000..n-1."""
    counts: dict[tuple[int, str, str], int] = defaultdict(int)
    for row in inventory:
        counts[order.index(row["class"]), row["split"], row["defect"].replace("good", "")] += 1
    return [[order[c], part, defect, str(n)] for (c, part, defect), n in sorted(counts.items())]


def visa_rows(inventory: list[Row], order: list[str]) -> list[list[str]]:
    """One row per class: number of normal images, digits of their names, tested ones, number of anomalies."""
    rows = []
    for category in order:
        own = [row for row in inventory if row["class"] == category]
        normal = [row for row in own if row["defect"] == "good"]
        digits = {len(PurePosixPath(row["relative_path"]).stem) for row in normal}
        tested = sorted(_number(row) for row in normal if row["split"] == "test")
        rows.append(
            [
                category,
                str(len(normal)),
                str(digits.pop()),
                number_ranges(tested, " "),
                str(len(own) - len(normal)),
            ]
        )
    return rows


def dagm_rows(inventory: list[Row]) -> list[list[str]]:
    """One row per class: image numbers of both parts and of the training defects, and count of test defects.

    Test defects are the rest of the published totals: 150 defects in Class1-6, 300 in Class7-10.
    """
    rows = []
    for index in range(1, 11):
        own = [row for row in inventory if row["class"] == f"Class{index}"]
        parts = [sorted(_number(row) for row in own if row["split"] == part) for part in ("train", "test")]
        defects = sorted(_number(row) for row in own if row["defect"] == "defect")
        left = (150 if index <= 6 else 300) - len(defects)
        rows.append(
            [
                f"Class{index}",
                number_ranges(parts[0], " "),
                number_ranges(parts[1], " "),
                number_ranges(defects, " "),
                str(left),
            ]
        )
    return rows


def listing_rows(listing: list[Row]) -> list[list[str]]:
    """One row per class and pool: positions in the sorted pool, in the authors' listing order."""
    pools: dict[tuple[str, str, str], list[tuple[int, str]]] = defaultdict(list)
    for row in listing:
        pool = "good" if row["pool"] == "train_good" else "defects"
        pools[row["dataset"], row["class"], pool].append((int(row["file_index"]), row["relative_path"]))
    rows = []
    for (dataset, category, pool), files in pools.items():
        position = {path: index for index, path in enumerate(sorted(path for _, path in files))}
        rows.append(
            [dataset, category, pool, number_ranges((position[path] for _, path in sorted(files)), " ")]
        )
    return rows


def meds_rows(folder: Path) -> list[list[str]]:
    """One row per released list: data set, percent, seed, bit mask over the defects sorted by path."""
    rows = []
    for dataset, images, subfolder in (
        ("mvtec", mvtec.listing(), "MVTech"),
        ("visa", visa.listing(), "VISA"),
    ):
        pool = sorted(image.path for image in images if image.is_defective)
        for file in (folder / subfolder).glob("*.csv"):
            match = re.fullmatch(r"train_\w+?_nr(\d+)_seed_(\d+)", file.stem)
            listed = {row["filename"] for row in _read(file)}
            injected = [position for position, path in enumerate(pool) if path in listed]
            if match and injected:
                rows.append([dataset, match[1], match[2], bit_mask(injected)])
    return sorted(rows, key=lambda row: (row[0], int(row[1]), int(row[2])))


def tailedcore_digests(folder: Path) -> list[list[str]]:
    """One row per released file of TailedCore (60): data set, recipe, seed, name, sha256."""
    return [
        [
            dataset,
            file.parts[-3],
            str(int(file.parts[-2].removeprefix("seed"))),
            file.name,
            _sha256(file.read_bytes()),
        ]
        for dataset, subfolder in (("mvtec", "mvtecad-nlt"), ("visa", "visa-nlt"))
        for file in sorted((folder / subfolder).rglob("*.txt"))
    ]


def meds_digests(folder: Path) -> list[list[str]]:
    """One row per released MeDS list (26), with the sha256 of its sorted paths, since its order is random."""
    rows = []
    for dataset, subfolder in (("mvtec", "MVTech"), ("visa", "VISA")):
        for file in sorted((folder / subfolder).glob("*.csv")):
            percent, seed = (int(text) for text in re.findall(r"nr(\d+)_seed_(\d+)", file.stem)[0])
            paths = sorted(row["filename"] for row in _read(file))
            digest = _sha256("\n".join(paths).encode())
            rows.append([dataset, f"meds_nr{percent:02d}", str(seed), "train.csv", digest])
    return rows


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def main(folder: Path, configurations: Path) -> None:
    """Write all tables, see the module's docstring for the inputs."""
    listing = _read(folder / "tailedcore_listing_order.csv")
    rows = mvtec_rows(_read(folder / "inventory_mvtec.csv"), class_order(listing, "mvtec"))
    _write("mvtec.csv", ["class", "part", "defect", "count"], rows)
    rows = visa_rows(_read(folder / "inventory_visa_mvtecstyle.csv"), class_order(listing, "visa"))
    _write("visa.csv", ["class", "normal", "digits", "test_good", "anomalous"], rows)
    rows = dagm_rows(_read(folder / "inventory_dagm.csv"))
    _write("dagm.csv", ["class", "train", "test", "train_defects", "test_defects"], rows)
    _write("listing.csv", ["dataset", "class", "pool", "order"], listing_rows(listing))
    _write("meds.csv", ["dataset", "percent", "seed", "injected"], meds_rows(folder / "meds_csv"))
    relisted = build_ablation.listing_rows(folder / "ablation" / "nr05_listing.csv")
    _write("ablation_nr05.csv", ["class", "order"], relisted)
    left_out = build_ablation.left_out_rows(configurations)
    _write("ablation_nr40.csv", ["recipe", "seed", "class", "left_out"], left_out)
    released = [
        *tailedcore_digests(folder / "tailedcore_manifests"),
        *build_ablation.digests(configurations),
        *meds_digests(folder / "meds_csv"),
    ]
    _write("released.csv", ["dataset", "recipe", "seed", "file", "sha256"], released)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
