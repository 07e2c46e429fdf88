"""A results folder as the runner writes it: the tests of the site read it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from generated_records import (
    CATEGORIES,
    METHODS,
    METRIC_TITLES,
    FakeMethod,
    curve_rows,
    digest,
    metric_rows,
    record_of,
    score_rows,
    split_record,
)
from PIL import Image, ImageDraw

from ltbench.results.schema import CURVES, METRICS, SCORES, table
from ltbench.results.status import Status
from ltbench.results.store import CURVES_FILE, METRICS_FILE, SCORES_FILE, Store, slug
from ltbench.results.writer import CellWriter

GALLERY_SIZE = 96


def write_cell(
    store: Store, method: FakeMethod, record: Mapping[str, Any], rows: Sequence[Mapping[str, Any]],
    grids: Mapping[str, Any] | None = None, scores: Sequence[Mapping[str, Any]] = (),
    curves: Sequence[Mapping[str, Any]] = (),
) -> None:  # fmt: skip
    same = record["identity"]
    folder = store.folder(same["dataset"], same["split"], same["seed"], method.name, method.config_digest)
    writer = CellWriter(folder, {"identity": same})
    writer.write_table(METRICS_FILE, table(rows, METRICS))
    writer.write_table(SCORES_FILE, table(scores, SCORES))
    if curves:
        writer.write_table(CURVES_FILE, table(curves, CURVES))
    if grids:
        writer.write_gallery(grids)
    writer.finish(record)


def write_gallery(root: Path, dataset: str, categories: Sequence[str]) -> list[dict[str, str]]:
    """Two small pictures per category, one with a defect and its mask; their facts as a record lists them."""
    folder = root / slug(dataset) / "gallery"
    folder.mkdir(parents=True, exist_ok=True)
    facts = []
    for position, category in enumerate(categories):
        for defect in ("", "scratch"):
            key = digest(f"{dataset}{category}{defect}")[:16]
            base = Image.new(
                "RGB", (GALLERY_SIZE, GALLERY_SIZE), (120 + 8 * position, 140, 160 - 6 * position)
            )
            draw = ImageDraw.Draw(base)
            draw.ellipse((16, 16, 80, 80), fill=(70, 80 + 9 * position, 90))
            if defect:
                draw.line((30, 36, 62, 58), fill=(235, 225, 200), width=4)
                mask = Image.new("L", base.size, 0)
                ImageDraw.Draw(mask).line((30, 36, 62, 58), fill=255, width=6)
                mask.save(folder / f"{key}-mask.png")
            base.save(folder / f"{key}.jpg", quality=85)
            facts.append({"key": key, "category": category, "defect": defect})
    return facts


def grids_of(facts: Sequence[Mapping[str, str]], rng: np.random.Generator) -> dict[str, np.ndarray]:
    found = {}
    for fact in facts:
        grid = rng.normal(1.0, 0.15, size=(28, 28)).astype(np.float32)
        if fact["defect"]:
            grid[10:17, 9:18] += 1.2
        found[fact["key"]] = grid
    return found


def generate(
    root: Path,
    *,
    boards: Sequence[tuple[str, str]] = (("synthetic", "step_k4"), ("synthetic", "pareto")),
    methods: Sequence[FakeMethod] = METHODS,
    seeds: Sequence[int] = (1, 2, 3),
    categories: Sequence[str] = CATEGORIES,
    overlap: str = "paper",
    gallery: int = 12,
    with_scores: bool = False,
    metrics: Mapping[str, tuple[str, str]] = METRIC_TITLES,
) -> Path:
    """Fill `root`: every method on every board and seed, except what real runs lack.

    FUN-AD ran out of memory with the last seed, InReaCh never ran with the last seed, chance has no maps,
    WinCLIP's last seed was started and never finished. `with_scores` stores scores of test images, which the
    image AUROC is then of, and PRO curves.
    """
    store = Store(root)
    for dataset, split_name in boards:
        facts = write_gallery(root, dataset, categories[:gallery])
        for seed in seeds:
            split = split_record(dataset, split_name, seed, categories, overlap)
            for method in methods:
                rng = np.random.default_rng(
                    int(digest(f"{dataset}{split_name}{seed}{method.config_digest}")[:8], 16)
                )
                is_last = seed == seeds[-1] and len(seeds) > 1
                if is_last and method.name == "inreach":
                    continue
                if is_last and method.name == "winclip":
                    folder = store.folder(dataset, split_name, seed, method.name, method.config_digest)
                    CellWriter(folder, record_of(method, split, Status.OK, "", overlap))
                    continue
                failed = is_last and method.name == "funad"
                status = Status.OUT_OF_MEMORY if failed else Status.OK
                error = "CUDA out of memory: tried to allocate 2.4 GiB" if failed else ""
                record = record_of(method, split, status, error, overlap, metrics=metrics)
                shown = method.has_maps and seed == seeds[0] and not failed
                record["gallery"] = facts if shown else []
                grids = grids_of(facts, rng) if shown and facts else None
                rows = metric_rows(method, record, rng)
                scores = score_rows(record, rows, rng) if with_scores and not failed else []
                curves = curve_rows(rows) if with_scores else []
                write_cell(store, method, record, rows, grids, scores, curves)
    write_suite(root, boards, methods, seeds)
    return root


def write_suite(
    root: Path, boards: Sequence[tuple[str, str]], methods: Sequence[FakeMethod], seeds: Sequence[int]
) -> None:
    dataset = boards[0][0]
    suite = {
        "name": "demo", "title": "Demonstration", "summary": "Every method on the generated data set.",
        "dataset": dataset, "splits": [split for name, split in boards if name == dataset],
        "methods": sorted({method.name for method in methods}), "seeds": list(seeds),
    }  # fmt: skip
    (root / "suites").mkdir(parents=True, exist_ok=True)
    (root / "suites" / "demo.json").write_text(json.dumps(suite))
