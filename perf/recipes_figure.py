"""Values of every metric recipe on the same maps: `python -m perf.recipes_figure` draws docs' figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ltbench.benchmark.metrics import Answer, Truth, evaluate
from perf.metrics import category

FIGURE = Path(__file__).parents[1] / "docs" / "metrics-recipes.svg"
IMAGES, SIZE = 30, 128
PIXEL = ("pixel_auroc", "pixel_ap", "pixel_f1max", "aupro")
RECIPES = ("aupro", "aupro_mvtec3d", "aupro_cflow", "aupro_anomalib", "aupro_adeval")
MASK_RULES: Mapping[str, Callable[[npt.NDArray[Any]], npt.NDArray[np.bool_]]] = {
    "> 0": lambda soft: soft > 0,
    "> 0.5": lambda soft: soft > 0.5,
    "eroded": lambda soft: soft.astype(np.int64) > 0,
}
"""From masks in [0, 1], resized with interpolation, to anomalous pixels.

"> 0" keeps every touched pixel (FUN-AD rounds up), "> 0.5" keeps the area, and the cast to integers of
amazon-science/patchcore-inspection and TailedCore keeps fully covered pixels only.
"""
Maps = npt.NDArray[np.float32]
Values = Mapping[str, float | None]


def variants() -> tuple[npt.NDArray[np.bool_], dict[str, Maps]]:
    """Masks, and one set of maps changed in ways that no table shows; exp is a rising transform."""
    given = category(IMAGES, SIZE, strength=12.0)
    unit = (given.maps - given.maps.min()) / np.ptp(given.maps)
    outlier = unit.copy()
    outlier[0, 0, 0] = 3
    return given.masks, {
        "as they are": unit,
        "exp(5 x)": np.exp(5 * unit),
        "one pixel of a good image x 3": outlier,
        "saved with 8 bits": (np.round(unit * 255) / 255).astype(np.float32),
    }


def measured() -> dict[str, Values]:
    """AUPRO (0 … 1) by variant and metric; "aupro" is the metric of the boards."""
    masks, changed = variants()
    truth = Truth(masks.any(axis=(1, 2)), masks)
    found: dict[str, Values] = {}
    for variant, maps in changed.items():
        found[variant] = {each.metric: each.value for each in evaluate(truth, Answer(maps=maps), RECIPES)}
    return found


def by_mask_rule() -> dict[str, Values]:
    """The standard pixel metrics of maps at 128², their masks brought down from 512² by each rule."""
    given = category(IMAGES, SIZE, strength=12.0)
    fine = np.kron(given.masks, np.ones((4, 4), bool))
    # Off the coarse grid, as annotations are.
    fine = np.roll(fine, (1, 2), axis=(1, 2))
    soft = fine.reshape(IMAGES, SIZE, 4, SIZE, 4).mean(axis=(2, 4))
    found: dict[str, Values] = {}
    for rule, mask in MASK_RULES.items():
        masks = mask(soft)
        truth = Truth(masks.any(axis=(1, 2)), masks)
        found[rule] = {value.metric: value.value for value in evaluate(truth, Answer(maps=given.maps), PIXEL)}
    return found


def drawn(found: Mapping[str, Values]) -> str:
    """One line per recipe, one mark per variant, in percent."""
    recipes = list(next(iter(found.values())))
    known = [100 * value for values in found.values() for value in values.values() if value is not None]
    low, high = np.floor(min(known)), np.ceil(max(known))
    left, top, width, step = 190, 62, 470, 34
    bottom = top + step * len(recipes)

    def x(value: float) -> float:
        return float(left + width * (100 * value - low) / (high - low))

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 30} {bottom + 42}" role="img" '
        'font-family="system-ui, sans-serif" font-size="13">',
        "<title>AUPRO of the same maps by recipe</title>",
        "<style>text{fill:#1f2328}.quiet{fill:#59636e}line{stroke:#d1d9e0}"
        "@media (prefers-color-scheme:dark){text{fill:#e6edf3}.quiet{fill:#9198a1}line{stroke:#3d444d}}"
        "</style>",
    ]
    for tick in np.arange(low, high + 1, 1 if high - low <= 10 else 10):
        at = x(tick / 100)
        parts.append(f'<line x1="{at:.1f}" y1="{top - 8}" x2="{at:.1f}" y2="{bottom}"/>')
        parts.append(
            f'<text class="quiet" x="{at:.1f}" y="{bottom + 18}" text-anchor="middle">{tick:.0f}</text>'
        )
    parts.append(
        f'<text class="quiet" x="{left + width / 2}" y="{bottom + 36}" text-anchor="middle">AUPRO in %</text>'
    )
    for number, (variant, (mark, colour)) in enumerate(zip(found, MARKS, strict=True)):
        at, row = left - 180 + 330 * (number % 2), 18 + 20 * (number // 2)
        parts.append(mark(at, row - 4, colour) + f'<text x="{at + 12}" y="{row}">{escape(variant)}</text>')
    for line, recipe in enumerate(recipes):
        y = top + step * (line + 0.5)
        weight = ' font-weight="600"' if recipe == "aupro" else ""
        parts.append(
            f'<text x="{left - 12}" y="{y + 4:.1f}" text-anchor="end"{weight}>{escape(recipe)}</text>'
        )
        for variant, (mark, colour) in zip(found, MARKS, strict=True):
            value = found[variant][recipe]
            if value is not None:
                parts.append(mark(x(value), y, colour))
    return "\n".join([*parts, "</svg>", ""])


def _disc(x: float, y: float, colour: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5.5" fill="none" stroke="{colour}" stroke-width="2.5"/>'


def _cross(x: float, y: float, colour: str) -> str:
    path = f"M{x - 5:.1f} {y - 5:.1f}l10 10m0 -10l-10 10"
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>'


def _triangle(x: float, y: float, colour: str) -> str:
    return f'<path d="M{x:.1f} {y - 6:.1f}l6 11h-12z" fill="none" stroke="{colour}" stroke-width="2"/>'


def _bar(x: float, y: float, colour: str) -> str:
    return f'<path d="M{x:.1f} {y - 8:.1f}v16" stroke="{colour}" stroke-width="3"/>'


# Colours that stay apart for colour-blind readers, each with its own shape.
MARKS = ((_disc, "#0072b2"), (_cross, "#d55e00"), (_triangle, "#009e73"), (_bar, "#cc79a7"))


if __name__ == "__main__":
    FIGURE.write_text(drawn(measured()))
