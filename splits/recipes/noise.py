"""`ltad_exp100+noise10`: the training list of any recipe with additional injected defects."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace

from ltbench.splits import recipes
from ltbench.splits.datasets import Dataset
from ltbench.splits.errors import SplitsError
from ltbench.splits.recipes import Overlap
from ltbench.splits.recipes._assemble import Chosen, assemble, test_defects
from ltbench.splits.recipes._contaminate import Contamination, draw_defects, realised
from ltbench.splits.split import Split

EXAMPLES = ("ltad_exp100+noise10", "ltad_exp100+noise10heads", "fewshot_k4+noise25")

_NAME = re.compile(r"(?P<base>.+)\+noise(?P<percent>\d\d)(?P<heads>heads)?(?P<stratified>_stratified)?")
_LARGE_GROUPS = ("head", "high")


def build(name: str, dataset: Dataset, seed: int, overlap: Overlap) -> Split | None:
    """Add `ratio * kept good images` defects to every class, rounded half to even, at most all that remain.

    With `heads`, only the head or high classes of the base split receive defects; raises SplitsError if it
    has none. Groups and test list are those of the base split.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    base = recipes.build(match["base"], dataset, seed)
    injected_before = {image.path for image in base.injected}
    goods: dict[str, int] = dict.fromkeys(base.categories, 0)
    kept = defaultdict(list)
    for image in base.train:
        if not image.is_defective:
            goods[image.category] += 1
            kept[image.category].append(image)
    large = {member for group in _LARGE_GROUPS for member in base.groups.get(group, ())}
    if match["heads"] and not large:
        raise SplitsError(
            f"split '{name}' adds defects to head or high classes and '{match['base']}' has none: leave out "
            "'heads', or choose a long-tailed base"
        )
    receiving = {c: count for c, count in goods.items() if not match["heads"] or c in large}
    left = {
        category: [image for image in pool if image.path not in injected_before]
        for category, pool in test_defects(dataset).items()
    }
    before = f", {len(base.injected)} of them from the base split" if base.injected else ""
    contamination = Contamination(int(match["percent"]) / 100, stratified=bool(match["stratified"]))
    added, notes = draw_defects(contamination, receiving, left, "noise", dataset.name, name, seed)
    injected = [*base.injected, *added]
    note = realised(sum(goods.values()), len(injected), contamination) + before
    chosen = Chosen(kept, injected, (*base.notes, note, *notes))
    split = assemble(
        name, dataset, seed, overlap, chosen,
        parameters={
            **base.parameters,
            "added_noise": contamination.ratio,
            **({"added_to": "heads"} if match["heads"] else {}),
            **({"added_stratified": True} if match["stratified"] else {}),
        },
        groups=base.groups, evidence="own", source=base.source, tested=base.test,
    )  # fmt: skip
    return replace(split, source=f"{base.source}; defects added by ltbench" if base.source else "ltbench")
