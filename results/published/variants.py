"""Printed names of configurations: rows of ablations are methods with some fields changed."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

Fields = Mapping[str, Any]


class Name(NamedTuple):
    """Printed name of a configuration."""

    method: str
    """`PublishedCell.method`; "" if the papers have the method but not this configuration."""
    order: int
    """Rank among configurations for the same row; the lowest is closest to the paper's text."""


_RECONSTRUCTION_ONLY = {"score_parts": "reconstruction"}
_SEMANTIC_ONLY = {"score_parts": "semantic"}
_LTAD: Fields = {
    "score_parts": "both",
    "augmentation": "vae",
    "sampling": "fixed",
    "names": "learned",
    "names_init": "word",
    "name_length": 2,
    "assignment": "own",
    "text": "encoder",
    "normal_prompts": ["a"],
    "abnormal_prompts": ["a broken"],
    "projection": "layerwise",
    "pooling": "max",
}
"""Fields that LTAD's Tables 6 to 9 and Figure 6 vary, with the values of its main tables."""
_LTAD_ROWS: Mapping[str, Fields] = {
    "ltad": {},
    "LTAD 6.3": {**_RECONSTRUCTION_ONLY, "augmentation": "autoencoder"},
    "LTAD 6.4": {**_RECONSTRUCTION_ONLY, "sampling": "inverse"},
    "LTAD 6.5": {**_RECONSTRUCTION_ONLY, "names": "fixed", "names_init": "class_name"},
    "LTAD 6.6": {**_RECONSTRUCTION_ONLY, "names_init": "class_name"},
    "LTAD 6.7": {**_RECONSTRUCTION_ONLY, "names_init": "random"},
    "LTAD w/o SAD": _RECONSTRUCTION_ONLY,
    "LTAD 7.1": {**_SEMANTIC_ONLY, "projection": "joint"},
    "LTAD 7.2": {**_SEMANTIC_ONLY, "pooling": "mean"},
    # The paper does not say which prompts it combines; the suite combines all of Table 9.
    "LTAD 7.3": {
        **_SEMANTIC_ONLY,
        "normal_prompts": ["a", "a normal", "a good", "a flawless"],
        "abnormal_prompts": ["a broken", "a damaged", "an abnormal", "a defective"],
    },
    "LTAD 8.1": {**_SEMANTIC_ONLY, "assignment": "shuffled"},
    "LTAD 8.2": {**_SEMANTIC_ONLY, "text": "none"},
    "LTAD w/o RM": _SEMANTIC_ONLY,
    **{
        f"LTAD w/o RM: {normal} / {abnormal}": {
            **_SEMANTIC_ONLY,
            "normal_prompts": [normal],
            "abnormal_prompts": [abnormal],
        }
        for normal in ("a", "a normal", "a good", "a flawless")
        for abnormal in ("a broken", "a damaged", "an abnormal", "a defective")
        if (normal, abnormal) != ("a", "a broken")
    },
}

_MEDS_PRESETS: tuple[Fields, ...] = (
    {"preset": "paper", "draws": 100, "k": 1},
    {"preset": "official_code", "draws": 100, "k": 3},
    {"preset": "ours", "draws": 0, "k": 1},
)
"""Settings that may represent the paper's, those of its text first."""
_MEDS: Fields = {
    "stop_after": "selection",
    "init": "distilled",
    "criterion": "distilled",
    "ratio": 0.1,
    "top_percent": 1,
    "distill_iterations": None,
}
"""Fields that MeDS' Tables 4 and 5 and its figures vary, with the values of its main tables.

A preset adds `k` and `draws`.
"""
_MEDS_STAGES: Mapping[str, Fields] = {
    "": {},
    ": Distilled model": {"stop_after": "distillation"},
    ": Fine-tuned with memory": {"init": "random", "criterion": "memory"},
    ": Random init fine-tune": {"init": "random"},
}


def _meds_rows() -> Mapping[str, Fields]:
    """Changed fields of MeDS by printed name."""
    rows: dict[str, Fields] = {"hvq+meds": {"host": "hvq"}}
    for host in ("dinomaly", "inpformer"):
        rows |= {f"{host}+meds{end}": {"host": host, **stage} for end, stage in _MEDS_STAGES.items()}
    # One row for both hosts, since no host is trained at this stage.
    rows["meds: memory ensemble"] = {"host": "dinomaly|inpformer", "stop_after": "memory"}
    return rows


_ROWS: Mapping[str, tuple[tuple[Fields, ...], Mapping[str, Fields]]] = MappingProxyType(
    {
        "ltad": ((_LTAD,), _LTAD_ROWS),
        "meds": (tuple({**_MEDS, **preset} for preset in _MEDS_PRESETS), _meds_rows()),
        "uniad": (({},), {"UniAD 6.2": {"backbone": "align:*"}, "uniad": {}}),
    }
)
"""Settings of the main tables, and changed fields by printed name, for each method; the first match wins."""


def printed_as(method: str, fields: Fields) -> Name:
    """Printed name of a method with given hyper-parameters.

    Args:
        method: Name of ltbench's method.
        fields: Hyper-parameters as in a result's record; a missing field counts as in the main tables.

    Returns:
        The name; the method's own name if no paper distinguishes its configurations.
    """
    settings, rows = _ROWS.get(method, (({},), {method: {}}))
    for order, base in enumerate(settings):
        for name, changes in rows.items():
            wanted = {**base, **changes}
            if all(_matches(fields.get(key, base.get(key)), value) for key, value in wanted.items()):
                return Name(name, order)
    return Name("", len(settings))


def _matches(value: Any, wanted: Any) -> bool:
    """Compare a field's value with the wanted one, which may contain wildcards and alternatives ("a|b")."""
    if isinstance(wanted, str):
        return any(fnmatch.fnmatchcase(str(value), one) for one in wanted.split("|"))
    if isinstance(wanted, list):
        return isinstance(value, list | tuple) and list(value) == wanted
    return bool(value == wanted)
