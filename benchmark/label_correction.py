"""Active label correction: how early an inspector of ranked training images meets the injected defects.

Measures of MeDS (Safarov et al., arXiv 2605.26676, section 5.5): average precision of the ranking, and the
inspection depth, each per category.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ltbench.benchmark import gallery
from ltbench.benchmark.errors import BrokenPrediction
from ltbench.benchmark.metrics.blocks.curve import average_precision
from ltbench.benchmark.metrics.blocks.image_curve import curve_of_scores
from ltbench.benchmark.resolve import Prepared
from ltbench.benchmark.visible_images import visible_images
from ltbench.methods.base import Context, Method, Ranks
from ltbench.results.places import Place
from ltbench.results.ranking import CORRECTION, CORRECTION_FILE, RANKING, RANKING_FILE, summary
from ltbench.results.schema import table
from ltbench.results.writer import CellWriter
from ltbench.splits.images import LabelledImage

Floats = npt.NDArray[np.floating[Any]]
Bools = npt.NDArray[np.bool_]

PICTURES = 6
"""Images of each category, the most suspicious first, whose pictures are stored for the report."""


def rank_training(
    method: Method, prepared: Prepared, context: Context, writer: CellWriter, results: Place
) -> dict[str, Any]:
    """Rank the training images with a fitted method, judge the ranking, and write both tables.

    A method that offers `rank` (methods.base.Ranks) ranks by it; any other by the image scores that it gives
    its own training images. Pictures of the first places are stored below `results` where the data set's
    licence allows it.
    The answer is for the cell's record: mean and sample standard deviation of both measures and which of the
    two ways was taken. Raises BrokenPrediction unless there is one finite score per image.
    """
    train = prepared.split.train
    if isinstance(method, Ranks):
        scores, way = method.rank(visible_images("fit", train, prepared), context), "rank"
    else:
        scores, way = method.score(visible_images("score", train, prepared), context).scores, "score"
    if np.shape(scores) != (len(train),) or not np.isfinite(scores).all():
        raise BrokenPrediction(
            f"the method ranked its training images by {np.shape(scores)} scores: expected ({len(train)},) "
            "finite ones"
        )
    corrections = table(correction_rows(train, scores), CORRECTION)
    rows = ranking_rows(train, scores)
    writer.write_table(RANKING_FILE, table(rows, RANKING))
    writer.write_table(CORRECTION_FILE, corrections)
    if prepared.dataset.gallery_allowed:
        first = {row["key"] for row in rows if row["place"] <= PICTURES}
        shown = [image for image in train if image.key in first]
        gallery.store_pictures(shown, prepared.dataset, context.view, results)
    return {"ranked_by": way, **summary(corrections.to_pandas())}


def ranking_rows(train: Sequence[LabelledImage], scores: Floats) -> list[dict[str, Any]]:
    """Rows of the schema RANKING, by category and place; ties in the order of the keys."""
    order = sorted(range(len(train)), key=lambda i: (train[i].category, -scores[i], train[i].key))
    rows: list[dict[str, Any]] = []
    for index in order:
        image = train[index]
        follows = bool(rows) and rows[-1]["category"] == image.category
        rows.append(
            {
                "key": image.key,
                "path": image.path,
                "category": image.category,
                "defect": image.defect,
                "injected": image.is_defective,
                "score": float(scores[index]),
                "place": rows[-1]["place"] + 1 if follows else 1,
            }
        )
    return rows


def correction_rows(train: Sequence[LabelledImage], scores: Floats) -> list[dict[str, Any]]:
    """Rows of the schema CORRECTION: one per category, null with a reason where nothing was injected."""
    rows = []
    for category in sorted({image.category for image in train}):
        members = [index for index, image in enumerate(train) if image.category == category]
        injected = np.array([train[index].is_defective for index in members], bool)
        share = float(injected.mean())
        row: dict[str, Any] = {"category": category, "n_train": len(members), "n_injected": injected.sum()}
        if injected.any():
            mine = np.asarray(scores)[members]
            row |= {"auprc": auprc(mine, injected), "depth": inspection_depth(mine, injected)}
            row |= {"auprc_floor": share, "depth_floor": share, "why": ""}
        else:
            row["why"] = "no injected defect: nothing to find"
        rows.append(row)
    return rows


def auprc(scores: Floats, injected: Bools) -> float:
    """Average precision, step rule; a random ranking has the share of injected images on average."""
    return average_precision(curve_of_scores(scores, injected))


def inspection_depth(scores: Floats, injected: Bools) -> float:
    """Share of the images that are inspected, most suspicious first, until all injected ones are found.

    Images as suspicious as the last injected one are counted as inspected before it. A perfect ranking has
    the share of injected images.
    """
    return float((scores >= scores[injected].min()).mean())
