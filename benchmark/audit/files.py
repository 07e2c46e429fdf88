"""The folder of an audit: a list to work through, facts, and pictures of what comes first."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ltbench.atomic_files import whole_folder
from ltbench.benchmark.audit.examine import Audit, Finding, members_of
from ltbench.benchmark.errors import BenchmarkError, UsageError
from ltbench.benchmark.label_correction import auprc, inspection_depth
from ltbench.splits.view import resize_and_crop

LIST, FACTS, GRIDS, PICTURES = "audit.csv", "audit.json", "grids.npz", "pictures"
COLUMNS = ("place", "product", "path", "score", "suspicious", "notes", "decision")
MOST_PICTURES = 12
"""Pictures of the most suspicious images of each product."""
MOST_NOTED = 60
"""Pictures of further images that have a note."""


def write_audit(audit: Audit, folder: Path) -> dict[str, Any]:
    """Write the list, the facts and the pictures of an audit; return the facts.

    Raises:
        UsageError: The folder exists.
        BenchmarkError: Its place is full or read-only; nothing is left behind.
    """
    if folder.exists():
        raise UsageError(f"'{folder}' exists and is left as it is: choose another folder, or remove it")
    facts = facts_of(audit)
    pictured = _pictured(audit.findings)
    try:
        with whole_folder(folder) as temporary:
            _write_list(audit.findings, temporary / LIST)
            (temporary / PICTURES).mkdir()
            for finding in pictured:
                pixels = audit.dataset.pixels(finding.image)
                view = audit.view
                seen = resize_and_crop(pixels, view.resize, view.crop, squeeze=view.squeeze)
                Image.fromarray(seen).save(temporary / PICTURES / f"{finding.image.key}.jpg", quality=88)
            grids = {finding.image.key: finding.grid for finding in pictured if finding.grid is not None}
            np.savez_compressed(temporary / GRIDS, **grids)  # type: ignore[arg-type]  # its stub takes lists
            text = json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False)
            (temporary / FACTS).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise BenchmarkError(
            f"cannot write '{folder}' ({error.strerror or error}): choose a folder with free space and write "
            "permission"
        ) from error
    return facts


def facts_of(audit: Audit) -> dict[str, Any]:
    """Facts of an audit for users and programs; injected defects, if any, rate its ranking."""
    products = []
    for product, members in members_of(audit.findings).items():
        these = [audit.findings[index] for index in members]
        count = audit.defects[product]
        products.append(
            {
                "product": product,
                "images": len(these),
                "probable_defects": count,
                "noted": sum(bool(finding.notes) for finding in these),
                **_truth(these),
            }
        )
    return {
        "ltbench": version("ltbench"),
        "asked": audit.asked,
        "dataset": audit.dataset.name,
        "data_digest": audit.dataset.data_digest(),
        "split": audit.split.recipe,
        "seed": audit.split.seed,
        "view": str(audit.view),
        "backbone": audit.backbone,
        "ranked_by": audit.ranked_by,
        "images": len(audit.findings),
        "found_products": audit.found_products,
        "estimated_class_sizes": audit.estimate.groups.tolist(),
        "products": sorted(products, key=lambda product: -product["images"]),
    }


def _truth(findings: Sequence[Finding]) -> dict[str, Any]:
    """MeDS' two measures of how well injected defects are found; {} if none was injected."""
    injected = np.array([finding.image.is_defective for finding in findings])
    if not injected.any():
        return {}
    scores = np.array([finding.score for finding in findings])
    return {
        "injected": int(injected.sum()),
        "auprc": auprc(scores, injected),
        "inspection_depth": inspection_depth(scores, injected),
    }


def _pictured(findings: Sequence[Finding]) -> list[Finding]:
    first = [finding for finding in findings if finding.place <= MOST_PICTURES]
    noted = [finding for finding in findings if finding.notes and finding.place > MOST_PICTURES]
    return [*first, *noted[:MOST_NOTED]]


def _write_list(findings: Sequence[Finding], path: Path) -> None:
    """Write the images of all products, the most suspicious of each first."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for finding in sorted(findings, key=lambda finding: (finding.place, finding.product)):
            writer.writerow(
                [
                    finding.place,
                    finding.product,
                    finding.image.path,
                    f"{finding.score:.6g}",
                    "yes" if finding.is_suspicious else "",
                    "; ".join(finding.notes),
                    "",
                ]
            )
