"""Only cells of one protocol stand in one table; the others are named with the reason."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from results.store import StoredCell


@dataclass(frozen=True)
class Odd:
    """A cell that cannot stand in the board's tables, and why."""

    cell: StoredCell
    why: str


def one_protocol(cells: Sequence[StoredCell]) -> tuple[list[StoredCell], list[Odd]]:
    """Cells of the most common protocol, and the others with the reason.

    A protocol is: the evaluation view, the data digest, the split digest of a seed, the recipe of each metric.
    """
    kept, odd = list(cells), list[Odd]()

    def keep(what: str, told: Sequence[str], within: Sequence[Any]) -> None:
        """Keep the cells that agree with most of those `within` the same key; "" agrees with all."""
        nonlocal kept
        votes: dict[Any, Counter[str]] = defaultdict(Counter)
        for text, key in zip(told, within, strict=True):
            if text:
                votes[key][text] += 1
        # The smaller text wins a draw, so that the choice does not depend on the order of folders.
        chosen = {key: sorted(count.items(), key=lambda item: (-item[1], item[0]))[0][0] for key, count in votes.items()}
        agreeing = []
        for cell, text, key in zip(kept, told, within, strict=True):
            if text and text != chosen[key]:
                odd.append(Odd(cell, f"{what} is “{text}”, the board's is “{chosen[key]}”"))
            else:
                agreeing.append(cell)
        kept = agreeing

    keep("the evaluation view", [str(cell.record["identity"]["view"]) for cell in kept], [0] * len(kept))
    keep("the data digest", [cell.record["identity"]["data_digest"][:12] for cell in kept], [0] * len(kept))
    keep(
        "the split digest of this seed",
        [cell.record["identity"]["split_digest"][:12] for cell in kept],
        [cell.record["identity"]["seed"] for cell in kept],
    )
    for name in sorted({name for cell in kept for name in cell.record["metrics"]}):
        # A cell that was evaluated without this metric has a hole, not another protocol: its text is "".
        recipes = [str(cell.record["metrics"].get(name, {}).get("recipe", "")) for cell in kept]
        keep(f"the recipe of {name}", recipes, [0] * len(kept))
    return kept, odd
