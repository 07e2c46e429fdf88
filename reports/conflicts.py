"""Rows of different protocols never meet in one table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd


def protocol_conflicts(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows that cannot share a table with the others: their index in `frame`, the odd column, and the reason.

    One table has one view and data digest per (data set, split), one split digest per seed, one group per
    category of a seed, and one recipe per metric. What most configurations have counts as right; of equally
    many, the smaller text. An empty text agrees with all. Columns: dataset, split, seed, method,
    config_digest, category, metric, what, found, expected, why.
    """
    kept = frame
    odd = [_odd(frame.iloc[:0], "", "")]
    rules = (
        ("view", ("dataset", "split"), "the evaluation view"),
        ("data_digest", ("dataset", "split"), "the data digest"),
        ("split_digest", ("dataset", "split", "seed"), "the split digest of this seed"),
        ("group", ("dataset", "split", "seed", "category"), "the group of this category"),
        ("recipe", ("dataset", "split", "metric"), "the recipe of this metric"),
    )
    for column, within, what in rules:
        told = kept[[*within, column]].drop_duplicates()
        if not told[told[column].fillna("") != ""].duplicated(list(within)).any():
            continue
        found = kept[column].fillna("").to_numpy(dtype=object)
        expected = _most_common(kept, column, within)
        differs = (found != expected) & (found != "")
        if differs.any():
            odd.append(_odd(kept[differs].assign(found=found[differs]), expected[differs], what))
            kept = kept[~differs]
    return pd.concat(odd)


def _most_common(frame: pd.DataFrame, column: str, within: Sequence[str]) -> npt.NDArray[np.object_]:
    """Value of `column` that most configurations have within the row's key, (rows,)."""
    told = frame[[*within, column, "method", "config_digest"]].drop_duplicates()
    told = told[told[column].fillna("") != ""]
    votes = told.groupby([*within, column], sort=True).size().rename("votes").reset_index()
    # A stable sort keeps the smaller text first among equals.
    votes = votes.sort_values("votes", ascending=False, kind="stable").drop_duplicates(list(within))
    chosen = frame[list(within)].merge(votes, on=list(within), how="left")[column]
    expected: npt.NDArray[np.object_] = chosen.fillna("").to_numpy(dtype=object)
    return expected


def _odd(rows: pd.DataFrame, expected: Any, what: str) -> pd.DataFrame:
    found = rows.reindex(
        columns=["dataset", "split", "seed", "method", "config_digest", "category", "metric", "found"]
    ).assign(what=what, expected=expected)
    sentences = [
        f"{what} is '{row.found}' in data set '{row.dataset}', split '{row.split}', seed {row.seed}, "
        f"method '{row.method}', category '{row.category}', metric '{row.metric}': expected "
        f"'{row.expected}', as most have it"
        for row in found.itertuples(index=False)
    ]
    return found.assign(why=np.array(sentences, dtype=object))
