"""The page of an audit: products, the most suspicious images of each, and images with other notes."""

from __future__ import annotations

import csv
import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from ltbench.atomic_files import write_atomically
from ltbench.reports import overlays
from ltbench.reports.render import Renderer

PAGE = "index.html"
MOST_SHOWN = 12
"""Most suspicious images shown of each product."""


def write_page(folder: Path) -> Path:
    """Write the page of an audit beside its list, facts and pictures; return its path."""
    facts = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
    with (folder / "audit.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    _write_maps(folder, rows)
    products = []
    for product in facts["products"]:
        own = [row for row in rows if row["product"] == product["product"]]
        shown = [row for row in own if int(row["place"]) <= MOST_SHOWN and row["picture"]]
        noted = [row for row in own if row["notes"]]
        products.append({**product, "shown": shown, "noted_rows": noted})
    html = Renderer().render("audit", facts=facts, products=products, side=overlays.SIDE)
    write_atomically(folder / PAGE, html.encode())
    style = files("ltbench.reports") / "static" / "site.css"
    write_atomically(folder / "static" / "site.css", style.read_bytes())
    return folder / PAGE


def _key(path: str) -> str:
    """Hash that names the pictures of an image."""
    return hashlib.sha256(path.encode()).hexdigest()[:16]


def _write_maps(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Paint the suspicion of the patches over the pictures, on one scale per product."""
    with np.load(folder / "grids.npz") as stored:
        grids = dict(stored)
    for row in rows:
        row["picture"], row["map"] = "", ""
    by_product: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        row["key"] = _key(row["path"])
        if (folder / "pictures" / f"{row['key']}.jpg").is_file():
            row["picture"] = f"pictures/{row['key']}.jpg"
            by_product.setdefault(row["product"], []).append(row)
    for own in by_product.values():
        painted = [row for row in own if row["key"] in grids]
        if not painted:
            continue
        maps = overlays.maps_of(
            np.stack([grids[row["key"]] for row in painted]), overlays.SIDE, {"sigma": 4.0}
        )
        low, high = overlays.scale(maps)
        for row, scores in zip(painted, maps, strict=True):
            picture = overlays.read_picture(folder / row["picture"])
            row["map"] = f"pictures/{row['key']}-map.jpg"
            write_atomically(folder / row["map"], overlays.overlay(picture, scores, low, high, None))
