"""Tables and digests of TailedCore's noise-ratio ablation, generated from the authors' configurations.

A configuration is `data_configs/mvtec_<name>_nr<percent>..._seed10<seed>.pkl` of roomo7time/tailedcore (MIT)
at commit 59bcb27: the kept files ("tailed_files") and the injected defects ("noisy_files"). Those of 5 % were
added by commit d3cc772, those of 40 % by bae5803. The listing order of the machine of the 5 % lists is not in
them; it was recovered by replaying the generator, and is copied from `ablation/nr05_listing.csv`.
"""

from __future__ import annotations

import csv
import hashlib
import pickle
from pathlib import Path

from ltbench.number_ranges import number_ranges
from ltbench.splits.datasets import mvtec
from ltbench.splits.errors import SplitsError
from ltbench.splits.recipes._ablation import PERCENTS

_NAMES = {
    "pareto": "mvtec_pareto_random_nr{percent:02d}_seed10{seed}.pkl",
    "step_k1": "mvtec_step_random_nr{percent:02d}_tk1_tr60_seed10{seed}.pkl",
    "step_k4": "mvtec_step_random_nr{percent:02d}_tk4_tr60_seed10{seed}.pkl",
}
_SEEDS = range(1, 6)


class _PlainUnpickler(pickle.Unpickler):
    """Unpickler of plain dictionaries, lists and text, since a pickle with classes could execute code."""

    def find_class(self, module: str, name: str) -> None:
        """Refuse every class; raises SplitsError."""
        raise SplitsError(f"a configuration holds '{module}.{name}': expected lists of paths alone")


def _configuration(folder: Path, recipe: str, percent: int, seed: int) -> tuple[set[str], set[str]]:
    """Read the kept files and the injected defects of a configuration."""
    with (folder / _NAMES[recipe].format(percent=percent, seed=seed)).open("rb") as file:
        content = _PlainUnpickler(file).load()
    return set(content["tailed_files"]), set(content["noisy_files"])


def listing_rows(file: Path) -> list[list[str]]:
    """Row "*" with file numbers in listing order, and a row per class with its defect folders in order."""
    with file.open(encoding="utf-8", newline="") as opened:
        return [[row["class"], row["order"]] for row in csv.DictReader(opened)]


def left_out_rows(folder: Path) -> list[list[str]]:
    """One row per list at 40 % and class with some defects injected: positions of the omitted ones."""
    rows = []
    defects = [image for image in mvtec.listing() if image.is_defective]
    classes = sorted({image.category for image in defects})
    for recipe in _NAMES:
        for seed in _SEEDS:
            _, injected = _configuration(folder, recipe, 40, seed)
            for category in classes:
                pool = sorted(image.path for image in defects if image.category == category)
                left_out = [position for position, path in enumerate(pool) if path not in injected]
                if 0 < len(left_out) < len(pool):
                    rows.append([recipe, str(seed), category, number_ranges(left_out, " ")])
    return rows


def digests(folder: Path) -> list[list[str]]:
    """One row per list with its sha256: two per configuration, written as in the main release."""
    goods = {image.path for image in mvtec.listing() if image.part == "train"}
    rows = []
    for recipe in _NAMES:
        for percent in PERCENTS:
            for seed in _SEEDS:
                kept, injected = _configuration(folder, recipe, percent, seed)
                # "bottle/test/cut/000.png" is copied to "bottle/train/good/cut_000.png".
                parts = [path.split("/") for path in injected]
                lists = {
                    "inject_defects.txt": [f"{p[0]}/train/good/{p[2]}_{p[3]}" for p in parts],
                    "prune_good.txt": goods - kept,
                }
                for name, lines in lists.items():
                    digest = hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
                    rows.append(["mvtec", f"{recipe}_ablation_nr{percent:02d}", str(seed), name, digest])
    return rows
