"""Records and rows as the runner writes them, with random but plausible numbers."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np

from ltbench.results.cell_record import CellRecord, ViewRecord
from ltbench.results.schema import SCHEMA_VERSION
from ltbench.results.status import Status
from ltbench.results.store import cell_folder, slug

CATEGORIES = ("bolt", "button", "cable", "cap", "capsule", "fabric",
              "gear", "granite", "leather", "mesh", "pcb", "wood")  # fmt: skip
METRIC_TITLES = {
    "image_auroc": ("Image AUROC", "scores per category"),
    "image_ap": ("Image AP", "scores per category, ties averaged"),
    "pixel_auroc": ("Pixel AUROC", "all pixels of a category, 224 px"),
    "aupro": ("AUPRO", "exact, FPR up to 0.3, 8-connected, 224 px"),
}
ALL_METRICS = {
    "image_auroc": ("I-AUROC", "exact, ties one half; per category"),
    "image_ap": ("I-AP", "exact, step rule; per category"),
    "image_f1max": ("I-F1max", "exact, every threshold; per category"),
    "pixel_auroc": ("P-AUROC", "exact, ties one half; all images; per category"),
    "pixel_ap": ("P-AP", "exact, step rule; all images; per category"),
    "pixel_f1max": ("P-F1max", "exact, every threshold; all images; per category"),
    "aupro": ("AUPRO", "exact, linear between thresholds, cut at FPR 0.3; regions 8-connected; per category"),
}
"""What a run stores by default."""
VIEW = "resize256-crop224"


@dataclass(frozen=True)
class FakeMethod:
    """A row of the boards: where its numbers lie and what its card says."""

    name: str
    title: str
    family: str
    tail: float
    head: float
    needs: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    backbone: str = "desc"
    has_maps: bool = True
    deviations: tuple[str, ...] = ()
    fit_seconds: float = 10.0

    @property
    def config_digest(self) -> str:
        return digest(f"{self.name}{json.dumps(dict(self.fields), sort_keys=True)}{self.backbone}")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


METHODS = (
    FakeMethod("chance", "Chance", "baseline", 0.50, 0.50, backbone="", has_maps=False, fit_seconds=0.0),
    FakeMethod(
        "patchcore", "PatchCore", "memory bank", 0.81, 0.76, fields={"coreset_ratio": 0.1, "neighbours": 1},
        deviations=("`coreset_ratio` is drawn after a random projection.",), fit_seconds=21.4,
    ),
    FakeMethod(
        "patchcore", "PatchCore", "memory bank", 0.80, 0.74, fields={"coreset_ratio": 0.01, "neighbours": 1},
        fit_seconds=7.9,
    ),
    FakeMethod(
        "softpatch", "SoftPatch", "memory bank", 0.61, 0.86, fields={"lof_k": 6, "threshold": 0.15},
        fit_seconds=48.0,
    ),
    FakeMethod(
        "tailedcore", "TailedCore", "memory bank", 0.86, 0.86, fields={"tail_share": 0.05},
        deviations=(
            "`tail_share` is fixed: the paper gives no value.",
            "`projection` follows the official code.",
        ),
        fit_seconds=63.2,
    ),
    FakeMethod(
        "winclip", "WinCLIP", "vision-language", 0.78, 0.77, needs=("class_names",),
        backbone="ViT-B-16-plus-240",
        fields={"shots": 0}, fit_seconds=0.4,
    ),
    FakeMethod("inreach", "InReaCh", "memory bank", 0.66, 0.79, has_maps=True, fit_seconds=12.0),
    FakeMethod("funad", "FUN-AD", "reconstruction", 0.71, 0.80, fields={"epochs": 20}, fit_seconds=912.0),
)  # fmt: skip


def tail_of(dataset: str, split: str, seed: int, categories: Sequence[str]) -> tuple[str, ...]:
    """60 % of the categories, other ones for each seed."""
    rng = np.random.default_rng(int(digest(f"{dataset}{split}{seed}")[:8], 16))
    return tuple(
        sorted(rng.choice(categories, size=math.ceil(0.6 * len(categories)), replace=False).tolist())
    )


PARAMETERS: Mapping[str, dict[str, Any]] = {
    "pareto": {"recipe": "pareto", "noise": 0.1},
    "step_k4": {"recipe": "step", "tail_images": 4, "noise": 0.1},
    **{f"meds_nr{text}": {"recipe": "meds", "noise": int(text) / 100} for text in ("00", "10", "40")},
}
"""Parameters of the splits that the tests name."""


def split_record(
    dataset: str, split: str, seed: int, categories: Sequence[str], overlap: str
) -> dict[str, Any]:
    tail = tail_of(dataset, split, seed, categories)
    counts = []
    for position, name in enumerate(categories):
        is_tail = name in tail
        counts.append(
            {
                "category": name,
                "group": "tail" if is_tail else "head",
                "n_train_good": 4 + position % 3 if is_tail else 90 + 7 * position,
                "n_train_defects": 0 if is_tail else 9 + position % 4,
                "n_test_good": 30,
                "n_test_defects": 24 + position,
            }
        )
    injected = sum(row["n_train_defects"] for row in counts)
    return {
        "id": f"{dataset}/{split}/seed{seed}", "dataset": dataset, "recipe": split, "seed": seed,
        "parameters": PARAMETERS.get(split, {"recipe": "imported", "name": split}),
        "digest": digest(f"{dataset}{split}{seed}{overlap}"),
        "overlap": injected if overlap == "paper" else 0,
        "evidence": "generator-exact", "source": "Jung et al., CVPR 2025",
        "notes": ["10.0 % of a head class are defects"],
        "groups": {"head": [c for c in categories if c not in tail], "tail": list(tail)},
        "categories": counts,
    }  # fmt: skip


ENVIRONMENT = {
    "host": "bench-1", "system": "Linux-6.1", "cpu": "Example CPU", "cores": 8, "memory_gib": 64.0,
    "python": "3.11.9", "packages": {"ltbench": "0.1.0", "numpy": "2.2.0", "torch": "2.6.0"},
    "git_commit": "0123456789abcdef0123456789abcdef01234567", "git_dirty": False,
}  # fmt: skip


def record_of(
    method: FakeMethod,
    split: Mapping[str, Any],
    status: Status,
    error: str,
    overlap: str,
    view: str = VIEW,
    metrics: Mapping[str, tuple[str, str]] = METRIC_TITLES,
) -> dict[str, Any]:
    """A cell's record, complete but for the digests of its files."""
    name, recipe, seed = split["dataset"], split["recipe"], split["seed"]
    sides = re.fullmatch(r"(resize|squeeze)(\d+)-crop(\d+)", view)
    assert sides is not None
    cell = CellRecord(
        dataset=name, split=recipe, seed=seed, method=method.name, fields=method.fields, overlap=overlap,
        view=ViewRecord(int(sides[2]), int(sides[3]), squeeze=sides[1] == "squeeze"), limit=None, label="",
        folder=cell_folder(name, recipe, seed, method.name, method.config_digest),
    )  # fmt: skip
    return {
        "schema_version": SCHEMA_VERSION, "status": str(status), "error": error,
        "log_tail": "fit: 1234 patches\n" + (f"Traceback\n{error}\n" if error else "done\n"),
        "cell": json.loads(json.dumps(asdict(cell))),
        "identity": {
            "dataset": name, "split": recipe, "seed": seed, "overlap_policy": overlap, "method": method.name,
            "config_digest": method.config_digest, "split_digest": split["digest"],
            "data_digest": digest(name),
            "view": view,
        },
        "method": {
            "name": method.name, "version": 1, "fields": dict(method.fields), "needs": list(method.needs),
            "card": {
                "title": method.title, "family": method.family,
                "summary": f"{method.title} scores a patch by its distance to what it has seen.",
                "paper": "" if method.name == "chance" else "Author et al., CVPR 2022",
                "url": "" if method.name == "chance" else f"https://example.org/{method.name}",
                "bibtex": ""
                if method.name == "chance"
                else f"@inproceedings{{{method.name}2022,\n  title = {{{method.title}}}\n}}",
                "licence": "Apache-2.0", "deviations": list(method.deviations),
            },
            "backbone": method.backbone, "weights_digest": digest(method.backbone) if method.backbone else "",
        },
        "split": dict(split),
        "dataset": {
            "name": name, "title": name.capitalize(), "licence": "CC0-1.0",
            "citation": f"@misc{{{slug(name)},\n  title = {{{name}}}\n}}", "address": "generated",
            "digest": digest(name), "gallery_allowed": True,
        },
        "metrics": {
            key: {
                "title": title, "recipe": text, "order": order, "curve": "pro" if key == "aupro" else "",
                "needs": "scores" if key.startswith("image") else "maps",
            }
            for order, (key, (title, text)) in enumerate(metrics.items())
        },
        "figures": {"memory_bank_mb": 3.25},
        "timing": {
            "fit_seconds": method.fit_seconds, "score_seconds": 4.5, "score_ms_per_image": 6.9,
            "evaluate_seconds": 1.25, "peak_rss_mb": 812.0, "peak_vram_mb": None, "device": "cpu",
            "started_at": f"2026-03-0{seed}T09:15:00+00:00", "finished_at": f"2026-03-0{seed}T09:17:00+00:00",
        },
        "environment": ENVIRONMENT, "command": cell.command(), "gallery": [],
        "map_post": {"sigma": 4.0, "upsample": "bilinear"} if method.has_maps else None,
    }  # fmt: skip


def metric_rows(
    method: FakeMethod, record: Mapping[str, Any], rng: np.random.Generator
) -> list[dict[str, Any]]:
    """One row per category and metric; null with a reason where the method has no maps or the cell failed."""
    same, timing, split = record["identity"], record["timing"], record["split"]
    fixed = {
        "schema_version": SCHEMA_VERSION, "overlap": split["overlap"], "method_version": 1,
        **{key: same[key] for key in ("dataset", "data_digest", "split", "split_digest", "seed", "view")},
        "method": same["method"],
        "config_digest": same["config_digest"], "needs": ",".join(method.needs), "backbone": method.backbone,
        "weights_digest": record["method"]["weights_digest"],
        "status": record["status"], "error": record["error"],
        **{key: timing[key] for key in ("fit_seconds", "score_ms_per_image", "peak_rss_mb", "peak_vram_mb")},
        "memory_bank_mb": record["figures"]["memory_bank_mb"], "device": "cpu", "host": "bench-1",
        "python": "3.11.9", "torch": "2.6.0", "packages": json.dumps(ENVIRONMENT["packages"]),
        "git_commit": ENVIRONMENT["git_commit"], "git_dirty": False, "started_at": timing["started_at"],
        "source": "measured",
    }  # fmt: skip
    rows = []
    for count in split["categories"]:
        for position, (name, facts) in enumerate(record["metrics"].items()):
            level = method.tail if count["group"] == "tail" else method.head
            value: float | None = float(np.clip(rng.normal(level + 0.02 * position, 0.035), 0.05, 0.999))
            why = ""
            if record["status"] != Status.OK:
                value, why = None, f"the run ended: {record['status']}"
            elif not name.startswith("image") and not method.has_maps:
                value, why = None, "the method returns no maps"
            rows.append(
                {
                    **fixed,
                    **{key: count[key] for key in ("category", "group", "n_test_good", "n_test_defects")},
                    "n_train": count["n_train_good"] + count["n_train_defects"],
                    "n_train_defects": count["n_train_defects"],
                    "metric": name,
                    "recipe": facts["recipe"],
                    "value": value,
                    "why": why,
                }
            )
    return rows


def score_rows(
    record: Mapping[str, Any], rows: Sequence[dict[str, Any]], rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Scores of each category's test images; sets the image AUROC among `rows` to that of the scores."""
    found = []
    for row in rows:
        if row["metric"] != "image_auroc":
            continue
        good, defective = row["n_test_good"], row["n_test_defects"]
        distance = math.sqrt(2) * NormalDist().inv_cdf(row["value"])
        scores = rng.normal(size=good + defective)
        scores[good:] += distance
        row["value"] = float(np.mean(scores[good:, None] > scores[None, :good]))
        for position, score in enumerate(scores):
            key = digest(f"{row['category']}{position}")[:16]
            label = position >= good
            found.append(
                {
                    "key": key, "category": row["category"], "defect": "scratch" if label else "",
                    "label": label, "injected": False, "score": float(score),
                }
            )  # fmt: skip
    return sorted(found, key=lambda one: one["key"])


def curve_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A PRO curve of each category that rises to one, with the AUPRO of `rows`."""
    found = []
    for row in rows:
        if row["metric"] == "aupro" and row["value"] is not None:
            rates = 0.3 * (np.arange(65) / 64) ** 2
            # The mean of 1 - (1 - x / 0.3)^p over x is 1 - 1 / (p + 1).
            power = row["value"] / (1 - row["value"])
            covered = 1 - (1 - rates / 0.3) ** power
            found += [
                {"category": row["category"], "curve": "pro", "false_positives": x, "covered": y}
                for x, y in zip(rates.tolist(), covered.tolist(), strict=True)
            ]
    return found
