"""Golden values: what the authors' code answered, kept so that later changes are compared without a clone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from parity.case import Arrays, Case

FOLDER = Path(__file__).parents[1] / "tests" / "golden"
KEPT = 48
"""Entries kept of each array, evenly spaced over it."""


def path(method: str) -> Path:
    """The file of a method's golden values."""
    return FOLDER / f"{method}.json"


def record(case: Case, official: Arrays) -> dict[str, Any]:
    """Golden values of the authors' answer: a sample of each array, and a summary of all its entries."""
    return {
        "repository": case.repository.url,
        "commit": case.repository.commit,
        "arrays": {name: summary(np.asarray(array)) for name, array in official.items()},
    }


def summary(array: npt.NDArray[Any]) -> dict[str, Any]:
    """Shape, evenly spaced sample, and root mean square (integers: checksum) of an array."""
    flat = array.ravel()
    kept = flat[np.linspace(0, max(flat.size - 1, 0), min(KEPT, flat.size)).round().astype(int)]
    facts: dict[str, Any] = {"shape": list(array.shape)}
    if np.issubdtype(array.dtype, np.floating):
        wide = flat.astype(np.float64)
        return facts | {
            "rms": float(f"{np.sqrt(np.square(wide).mean()) if flat.size else 0.0:.7g}"),
            "largest": float(f"{np.abs(wide).max(initial=0.0):.7g}"),
            "values": [float(f"{value:.7g}") for value in kept],
        }
    return facts | {"crc32": crc32(flat.astype(np.int64).tobytes()), "values": [int(value) for value in kept]}


def write(method: str, records: Mapping[str, Any]) -> None:
    """Write a method's golden values, one record per stage."""
    FOLDER.mkdir(exist_ok=True)
    path(method).write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")


def read(method: str) -> dict[str, Any]:
    """The golden values of a method by stage; empty if there are none."""
    file = path(method)
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return found
