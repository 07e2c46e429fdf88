"""Rows of the noise-ratio ablation's tables and digests, from the authors' own configurations.

A configuration is `data_configs/mvtec_<name>_nr<percent>..._seed10<seed>.pkl` of roomo7time/tailedcore (MIT)
at commit 59bcb27: the files that stay ("tailed_files") and the injected defects ("noisy_files"). Those of 5 %
came with commit d3cc772, those of 40 % with bae5803. The other machine's order of listing cannot be read off
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
    """Dicts, lists and text alone: a pickle that asks for a class could run anything."""

    def find_class(self, module: str, name: str) -> None:
        raise SplitsError(f"a configuration holds '{module}.{name}': expected lists of paths alone")


def _configuration(folder: Path, recipe: str, percent: int, seed: int) -> tuple[set[str], set[str]]:
    """(files that stay, injected defects)."""
    with (folder / _NAMES[recipe].format(percent=percent, seed=seed)).open("rb") as file:
        content = _PlainUnpickler(file).load()
    return set(content["tailed_files"]), set(content["noisy_files"])


def listing_rows(file: Path) -> list[list[str]]:
    """Row "*": file numbers in the order of every folder; then a row a class: its defect folders in order."""
    with file.open(encoding="utf-8", newline="") as opened:
        return [[row["class"], row["order"]] for row in csv.DictReader(opened)]


def left_out_rows(folder: Path) -> list[list[str]]:
    """One row a list at 40 % and class of which some defects are injected: positions of the others."""
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
    """sha256 of each configuration's two lists, written as the main release writes them."""
    goods = {image.path for image in mvtec.listing() if image.part == "train"}
    rows = []
    for recipe in _NAMES:
        for percent in PERCENTS:
            for seed in _SEEDS:
                stay, injected = _configuration(folder, recipe, percent, seed)
                # "bottle/test/cut/000.png" is copied to "bottle/train/good/cut_000.png".
                parts = [path.split("/") for path in injected]
                lists = {
                    "inject_defects.txt": [f"{p[0]}/train/good/{p[2]}_{p[3]}" for p in parts],
                    "prune_good.txt": goods - stay,
                }
                for name, lines in lists.items():
                    digest = hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
                    rows.append(["mvtec", f"{recipe}_ablation_nr{percent:02d}", str(seed), name, digest])
    return rows
