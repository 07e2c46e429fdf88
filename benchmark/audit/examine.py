"""The whole audit: embed training images, group them by product, rank them, look at them as pictures."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from ltbench.benchmark.audit.appearance import Appearance, appearance_of, copies, unusual
from ltbench.benchmark.audit.products import products_of
from ltbench.benchmark.audit.suspicion import probable_defects, suspicion_of
from ltbench.benchmark.cell import Cell
from ltbench.benchmark.errors import UsageError
from ltbench.benchmark.feature_cache import open_cache
from ltbench.benchmark.measure import context_of
from ltbench.benchmark.resolve import Prepared, Resolver
from ltbench.benchmark.settings import Settings
from ltbench.benchmark.visible_images import visible_images
from ltbench.methods.base import Context, Progress, Ranks, View
from ltbench.methods.blocks.tails import TailEstimate, estimate_tail
from ltbench.methods.features.backbone import DEFAULT_BACKBONE
from ltbench.methods.features.embed import PatchEmbedder
from ltbench.splits.datasets import Dataset
from ltbench.splits.images import ImageSet, LabelledImage
from ltbench.splits.split import Split

Products = Literal["auto", "folders", "images"]
GRID = 14
"""Side of the patch grid: twice as fine takes sixteen times as long."""


@dataclass
class Finding:
    """Result of the audit for one image."""

    image: LabelledImage
    product: str
    """Folder of the image, or the number of the product that it was found to show."""
    score: float
    """Suspicion; comparable within a product."""
    place: int = 0
    """Rank within the product, 1 = the most suspicious."""
    is_suspicious: bool = False
    """Whether its rank is within the probable number of defects of the product."""
    notes: list[str] = field(default_factory=list)
    """Reasons to inspect the image other than its score."""
    grid: npt.NDArray[np.float32] | None = None
    """Suspicion of each patch (h, w); None where a method gives none."""


@dataclass(frozen=True)
class Audit:
    """Findings about a set of training images."""

    asked: str
    """Argument that opens the data set; a folder has its absolute path."""
    dataset: Dataset
    split: Split
    view: View
    ranked_by: str
    """ "memory" for the training-free ranking, else the method's name."""
    backbone: str
    findings: Sequence[Finding]
    """Findings by product, then by rank within it."""
    defects: dict[str, int | None]
    """Probable number of defects by product; None where there are too few images."""
    estimate: TailEstimate
    """Class sizes as TailedCore estimates them, without the folders."""
    found_products: int
    """Number of products found without the folders."""


def audit(
    dataset: str,
    settings: Settings,
    *,
    split: str = "clean",
    seed: int = 1,
    view: View | None = None,
    products: Products = "auto",
    method: str = "",
    progress: Progress,
) -> Audit:
    """Audit the training images of a split; labels are never looked at.

    Args:
        dataset: Name of the data set, such as "folder:parts".
        settings: Places and device.
        split: Split whose training images are audited; "clean" = all good images. If the data set has no
            defect at all, its images are taken as unlabelled, and all of them are audited.
        seed: Seed of the split and of random references.
        view: Part of each image that is compared.
        products: Group images by "folders" or by what the "images" show; "auto" = by folders where there is
            more than one.
        method: Method whose ranking replaces the training-free one.
        progress: Shows the progress.

    Raises:
        UsageError: `products` is none of the three.
        DataMissing, WeightsMissing, UnknownName, SplitsError: As in a run.
    """
    if products not in ("auto", "folders", "images"):
        raise UsageError(f"products is '{products}': expected 'auto', 'folders' or 'images'")
    cell = Cell(dataset, split, seed, method or "patchcore", view=view or View())
    prepared = _of_all_unlabelled(Resolver(settings).prepare(cell))
    images = list(prepared.split.train)
    context = context_of(prepared, settings, open_cache(settings), progress)
    patches = PatchEmbedder(DEFAULT_BACKBONE, context, grid=GRID).fit(
        ImageSet(images, prepared.dataset), title="embed"
    )
    shown = products_of(patches.pooled)
    folders = [image.category for image in images]
    by_folder = products == "folders" or (products == "auto" and len(set(folders)) > 1)
    names = folders if by_folder else [f"product {number + 1}" for number in shown]
    findings = [Finding(image, name, 0.0) for image, name in zip(images, names, strict=True)]
    if method:
        _rank_by_method(findings, prepared, context)
    else:
        _rank_by_memory(findings, patches.vectors, context)
    if by_folder:
        _note_misfiled(findings, shown)
    _note_appearance(findings, prepared.dataset, progress)
    defects = _place(findings)
    return Audit(
        asked=_absolute(dataset),
        dataset=prepared.dataset,
        split=prepared.split,
        view=cell.view,
        ranked_by=method or "memory",
        backbone=DEFAULT_BACKBONE,
        findings=sorted(findings, key=lambda finding: (finding.product, finding.place)),
        defects=defects,
        estimate=estimate_tail(patches.pooled),
        found_products=int(shown.max()) + 1,
    )


def _of_all_unlabelled(prepared: Prepared) -> Prepared:
    """Also examine the images that are held out for testing, where no image is labelled as a defect."""
    everything = prepared.dataset.images()
    if any(image.is_defective for image in everything):
        return prepared
    return replace(prepared, split=replace(prepared.split, train=everything, test=()))


def _absolute(dataset: str) -> str:
    """Name of a data set that means the same in every working folder."""
    kind, _, place = dataset.partition(":")
    path = Path(place).expanduser()
    return f"folder:{path.resolve()}" if kind == "folder" and path.is_dir() else dataset


def members_of(findings: Sequence[Finding]) -> dict[str, list[int]]:
    """Positions of the images of each product, products by name."""
    members: dict[str, list[int]] = {}
    for index, finding in enumerate(findings):
        members.setdefault(finding.product, []).append(index)
    return dict(sorted(members.items()))


def _rank_by_memory(findings: list[Finding], vectors: npt.NDArray[np.float32], context: Context) -> None:
    for members in members_of(findings).values():
        found = suspicion_of(vectors[members], context.rng, context.progress)
        for index, score, grid in zip(members, found.scores, found.grids, strict=True):
            findings[index].score, findings[index].grid = float(score), grid


def _rank_by_method(findings: list[Finding], prepared: Prepared, context: Context) -> None:
    train = prepared.split.train
    method = copy.deepcopy(prepared.method)
    method.fit(visible_images("fit", train, prepared), context)
    grids = None
    if isinstance(method, Ranks):
        scores = method.rank(visible_images("fit", train, prepared), context)
    else:
        prediction = method.score(visible_images("score", train, prepared), context)
        scores, grids = prediction.scores, prediction.grids
    for index, finding in enumerate(findings):
        finding.score = float(scores[index])
        finding.grid = None if grids is None else grids[index]


def _note_misfiled(findings: list[Finding], shown: npt.NDArray[np.int64]) -> None:
    """Note images that look like most images of another folder, and not like those of their own."""
    names = np.array([finding.product for finding in findings])
    owner = {
        number: Counter(names[shown == number].tolist()).most_common(1)[0][0] for number in np.unique(shown)
    }
    home = {name: Counter(shown[names == name].tolist()).most_common(1)[0][0] for name in np.unique(names)}
    for finding, number in zip(findings, shown, strict=True):
        if number != home[finding.product]:
            other = owner[number]
            looks = "like nothing else here" if other == finding.product else f"like '{other}'"
            finding.notes.append(f"looks {looks}")


def _note_appearance(findings: list[Finding], dataset: Dataset, progress: Progress) -> None:
    looks: list[Appearance] = [
        appearance_of(dataset.pixels(finding.image))
        for finding in progress(findings, "look at pictures", len(findings))
    ]
    for members in members_of(findings).values():
        those = [looks[index] for index in members]
        for index, notes in zip(members, unusual(those), strict=True):
            findings[index].notes += notes
        equal, near = copies(those)
        for groups, word in ((equal, "same pixels as"), (near, "nearly the same picture as")):
            for group in groups:
                first = findings[members[group[0]]]
                for position in group[1:]:
                    findings[members[position]].notes.append(f"{word} '{first.image.path}'")


def _place(findings: list[Finding]) -> dict[str, int | None]:
    """Rank the images of each product; return how many of each are probably defective."""
    defects: dict[str, int | None] = {}
    for product, members in members_of(findings).items():
        order = sorted(members, key=lambda index: (-findings[index].score, findings[index].image.key))
        count = probable_defects(np.array([findings[index].score for index in members]))
        for place, index in enumerate(order, start=1):
            findings[index].place = place
            findings[index].is_suspicious = place <= (count or 0)
        defects[product] = count
    return defects
