"""What the papers call a method in one configuration: an ablation's row changes some fields."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

Fields = Mapping[str, Any]


class Name(NamedTuple):
    """How a configuration stands in the papers."""

    method: str
    """`PublishedCell.method`; "" where the papers have this method, and no row of this configuration."""
    order: int
    """Of several configurations that mean the same row the lowest is closest to the paper's text."""


_REBUILDS = {"score_parts": "reconstruction"}
_JUDGES = {"score_parts": "semantic"}
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
"""What LTAD's Tables 6 to 9 and Figure 6 vary, as in its main tables."""
_LTAD_ROWS: Mapping[str, Fields] = {
    "ltad": {},
    "LTAD 6.3": {**_REBUILDS, "augmentation": "autoencoder"},
    "LTAD 6.4": {**_REBUILDS, "sampling": "inverse"},
    "LTAD 6.5": {**_REBUILDS, "names": "fixed", "names_init": "class_name"},
    "LTAD 6.6": {**_REBUILDS, "names_init": "class_name"},
    "LTAD 6.7": {**_REBUILDS, "names_init": "random"},
    "LTAD w/o SAD": _REBUILDS,
    "LTAD 7.1": {**_JUDGES, "projection": "joint"},
    "LTAD 7.2": {**_JUDGES, "pooling": "mean"},
    # Which prompts the paper takes together is not said: the suite takes all of Table 9.
    "LTAD 7.3": {
        **_JUDGES,
        "normal_prompts": ["a", "a normal", "a good", "a flawless"],
        "abnormal_prompts": ["a broken", "a damaged", "an abnormal", "a defective"],
    },
    "LTAD 8.1": {**_JUDGES, "assignment": "shuffled"},
    "LTAD 8.2": {**_JUDGES, "text": "none"},
    "LTAD w/o RM": _JUDGES,
    **{
        f"LTAD w/o RM: {normal} / {abnormal}": {
            **_JUDGES,
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
"""The settings that may stand for the paper's, the text's first."""
_MEDS: Fields = {
    "stop_after": "selection",
    "init": "distilled",
    "criterion": "distilled",
    "ratio": 0.1,
    "top_percent": 1,
    "distill_iterations": None,
}
"""What MeDS' Tables 4 and 5 and its figures vary, as in its main tables; a preset brings `k` and `draws`."""
_MEDS_STAGES: Mapping[str, Fields] = {
    "": {},
    ": Distilled model": {"stop_after": "distillation"},
    ": Fine-tuned with memory": {"init": "random", "criterion": "memory"},
    ": Random init fine-tune": {"init": "random"},
}


def _meds_rows() -> Mapping[str, Fields]:
    rows: dict[str, Fields] = {"hvq+meds": {"host": "hvq"}}
    for host in ("dinomaly", "inpformer"):
        rows |= {f"{host}+meds{end}": {"host": host, **stage} for end, stage in _MEDS_STAGES.items()}
    # One row for both hosts: neither is trained yet.
    rows["meds: memory ensemble"] = {"host": "dinomaly|inpformer", "stop_after": "memory"}
    return rows


_ROWS: Mapping[str, tuple[tuple[Fields, ...], Mapping[str, Fields]]] = MappingProxyType(
    {
        "ltad": ((_LTAD,), _LTAD_ROWS),
        "meds": (tuple({**_MEDS, **preset} for preset in _MEDS_PRESETS), _meds_rows()),
        "uniad": (({},), {"UniAD 6.2": {"backbone": "align:*"}, "uniad": {}}),
    }
)
"""By our method: settings of the main tables, and by printed name what differs; the first match wins."""


def printed_as(method: str, fields: Fields) -> Name:
    """The printed name of `method` with these hyper-parameters, as a result's record has them.

    Methods whose configurations no paper tells apart are printed under their own name. A field that a record
    lacks counts as in the papers' main tables.
    """
    settings, rows = _ROWS.get(method, (({},), {method: {}}))
    for order, base in enumerate(settings):
        for name, changes in rows.items():
            wanted = {**base, **changes}
            if all(_is(fields.get(key, base.get(key)), value) for key, value in wanted.items()):
                return Name(name, order)
    return Name("", len(settings))


def _is(found: Any, wanted: Any) -> bool:
    """Equal; a wanted text may hold wildcards and alternatives ("a|b"), lists and tuples are alike."""
    if isinstance(wanted, str):
        return any(fnmatch.fnmatchcase(str(found), one) for one in wanted.split("|"))
    if isinstance(wanted, list):
        return isinstance(found, list | tuple) and list(found) == wanted
    return bool(found == wanted)
