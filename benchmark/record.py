"""Record and result rows of a cell, as they are written to its folder."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ltbench.benchmark.auxiliary import Auxiliary
from ltbench.benchmark.cell import Cell, config_digest
from ltbench.benchmark.declared import card_of, fields_of, needs_of, source_digest, version_of
from ltbench.benchmark.evaluate import CategoryValues, metric_facts
from ltbench.benchmark.metrics import Value
from ltbench.methods.base import Method, Prediction
from ltbench.methods.features.published_weights import origin_of
from ltbench.results.environment import environment
from ltbench.results.record import Identity
from ltbench.results.schema import SCHEMA_VERSION
from ltbench.results.status import Status
from ltbench.results.store import cell_folder
from ltbench.splits.datasets import Dataset
from ltbench.splits.split import Split


@dataclass(frozen=True)
class MethodFacts:
    """Facts about a method for the record, all known before it runs."""

    name: str
    version: int
    fields: Mapping[str, Any]
    needs: tuple[str, ...]
    card: Mapping[str, Any]
    backbone: str
    weights_digest: str
    config_digest: str
    auxiliary: Mapping[str, Any] | None = None
    """Facts about the labelled data set that the method learned from; None if it uses none."""
    source_digest: str = ""
    """Digest of the source of a class from outside of this package."""


def method_facts(
    cell: Cell, method: Method, weights_digest: str, auxiliary: Auxiliary | None = None
) -> MethodFacts:
    """Facts of the cell's method; raises BadParameter if a declared value cannot be recorded."""
    fields, version, source = fields_of(method), version_of(method), source_digest(type(method))
    if cell.limit is not None:
        fields = {**fields, "limit": cell.limit}
    return MethodFacts(
        name=cell.method_name,
        version=version,
        fields=fields,
        needs=tuple(sorted(needs_of(method))),
        card=asdict(card_of(method)),
        backbone=str(fields.get("backbone", "")),
        weights_digest=weights_digest,
        config_digest=config_digest(
            cell,
            version,
            fields,
            weights_digest,
            auxiliary_digest=auxiliary.digest if auxiliary else "",
            source_digest=source,
        ),
        auxiliary=auxiliary.facts() if auxiliary else None,
        source_digest=source,
    )


def category_counts(split: Split) -> list[dict[str, Any]]:
    """Images per category: good and defective, trained and tested."""
    train = Counter((image.category, image.is_defective) for image in split.train)
    test = Counter((image.category, image.is_defective) for image in split.test)
    return [
        {
            "category": category,
            "group": split.group_of(category),
            "n_train_good": train[category, False],
            "n_train_defects": train[category, True],
            "n_test_good": test[category, False],
            "n_test_defects": test[category, True],
        }
        for category in split.categories
    ]


def base_record(
    cell: Cell,
    dataset: Dataset,
    split: Split,
    facts: MethodFacts,
    machine: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Everything that is known before the cell runs; see `ltbench.results.schema` for what the rows hold."""
    return {
        "cell": asdict(cell.as_recorded(folder_of(cell, dataset, split, facts))),
        "identity": asdict(identity(cell, dataset, split, facts)),
        "method": {
            "name": facts.name,
            "version": facts.version,
            "fields": dict(facts.fields),
            "needs": list(facts.needs),
            "card": dict(facts.card),
            "backbone": facts.backbone,
            "weights_digest": facts.weights_digest,
            "weights_origin": origin_of(facts.backbone),
            "auxiliary": dict(facts.auxiliary) if facts.auxiliary else None,
            "source_digest": facts.source_digest,
        },
        "split": {
            "id": split.id,
            "dataset": split.dataset,
            "recipe": split.recipe,
            "seed": split.seed,
            "parameters": dict(split.parameters),
            "digest": split.digest,
            "overlap": split.overlap,
            "evidence": split.evidence,
            "source": split.source,
            "notes": list(split.notes),
            "groups": {name: list(members) for name, members in split.groups.items()},
            "categories": category_counts(split),
        },
        "dataset": {
            "name": dataset.name,
            "title": dataset.title,
            "licence": dataset.licence,
            "citation": dataset.citation,
            "address": dataset.address,
            "digest": dataset.data_digest(),
            "gallery_allowed": dataset.gallery_allowed,
        },
        "metrics": metric_facts(cell.view, cell.metric_names),
        "command": cell.command(),
        "environment": dict(machine or environment()),
    }


def folder_of(cell: Cell, dataset: Dataset, split: Split, facts: MethodFacts) -> str:
    """Folder of the cell below the results folder."""
    return cell_folder(dataset.name, split.recipe, cell.seed, facts.name, facts.config_digest)


def identity(cell: Cell, dataset: Dataset, split: Split, facts: MethodFacts) -> Identity:
    """Facts that must be equal for a finished cell to be the answer to the same question."""
    return Identity(
        dataset=dataset.name,
        split=split.recipe,
        seed=cell.seed,
        overlap_policy=cell.overlap,
        method=facts.name,
        config_digest=facts.config_digest,
        split_digest=split.digest,
        data_digest=dataset.data_digest(),
        view=str(cell.view),
    )


def metric_rows(
    record: Mapping[str, Any], values: Iterable[CategoryValues], status: Status, error: str = ""
) -> list[dict[str, Any]]:
    """Rows of the schema METRICS; for a failed cell one row per category and metric whose value is null."""
    fixed = _cell_columns(record, status, error)
    counts = {row["category"]: row for row in record["split"]["categories"]}
    rows = []
    for result in values:
        count = counts[result.category]
        category = {
            "category": result.category,
            "group": count["group"],
            "n_train": count["n_train_good"] + count["n_train_defects"],
            "n_train_defects": count["n_train_defects"],
            "n_test_good": count["n_test_good"],
            "n_test_defects": count["n_test_defects"],
        }
        for value in result.values:
            measured = {
                "metric": value.metric,
                "recipe": value.recipe,
                "value": value.value,
                "why": value.why,
                "note": value.note,
            }
            rows.append({**fixed, **category, **measured})
    return rows


def failed_values(record: Mapping[str, Any], status: Status) -> list[CategoryValues]:
    """A hole with its reason for every category and metric."""
    return [
        CategoryValues(
            row["category"],
            [
                Value(metric=name, recipe=fact["recipe"], value=None, why=f"the run ended: {status}")
                for name, fact in record["metrics"].items()
            ],
        )
        for row in record["split"]["categories"]
    ]


def curve_rows(values: Iterable[CategoryValues]) -> list[dict[str, Any]]:
    """Rows of the schema CURVES: the PRO curve of each category that has one."""
    return [
        {"category": result.category, "curve": "pro", "false_positives": across, "covered": covered}
        for result in values
        if result.pro is not None
        for across, covered in result.pro.tolist()
    ]


def score_rows(split: Split, prediction: Prediction) -> list[dict[str, Any]]:
    """Rows of the schema SCORES, ordered by key."""
    trained = {image.path for image in split.train}
    return [
        {
            "key": image.key,
            "category": image.category,
            "defect": image.defect,
            "label": image.is_defective,
            "injected": image.path in trained,
            "score": float(score),
        }
        for image, score in zip(split.test, prediction.scores, strict=True)
    ]


def _cell_columns(record: Mapping[str, Any], status: Status, error: str) -> dict[str, Any]:
    same, method, timing = record["identity"], record["method"], record.get("timing", {})
    machine = record["environment"]
    needs: Sequence[str] = method["needs"]
    return {
        "schema_version": SCHEMA_VERSION,
        **{name: same[name] for name in ("dataset", "data_digest", "split", "split_digest", "seed", "view")},
        "overlap": record["split"]["overlap"],
        "method": same["method"],
        "method_version": method["version"],
        "config_digest": same["config_digest"],
        "needs": ",".join(needs),
        "backbone": method["backbone"],
        "weights_digest": method["weights_digest"],
        "status": str(status),
        "error": error,
        "fit_seconds": timing.get("fit_seconds"),
        "score_ms_per_image": timing.get("score_ms_per_image"),
        "peak_rss_mb": timing.get("peak_rss_mb"),
        "peak_vram_mb": timing.get("peak_vram_mb"),
        "memory_bank_mb": record.get("figures", {}).get("memory_bank_mb"),
        "device": timing.get("device"),
        "host": machine["host"],
        "python": machine["python"],
        "torch": machine["packages"].get("torch"),
        "packages": json.dumps(machine["packages"], sort_keys=True),
        "git_commit": machine["git_commit"],
        "git_dirty": machine["git_dirty"],
        "started_at": timing.get("started_at"),
        "source": "measured",
    }
