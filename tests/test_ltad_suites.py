"""The suites of LTAD ask for what its tables and figures have, at the paper's settings."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generated_results import generate

from ltbench.benchmark import suites
from ltbench.benchmark.conformance import small_context, small_images
from ltbench.benchmark.suites.asked import store_facts
from ltbench.methods import catalog
from ltbench.methods.ltad import LTAD
from ltbench.methods.uniad import UniAD
from ltbench.reports.boards import boards
from ltbench.reports.material import read
from ltbench.results.asked import AskedCell

NAMES = [name for name in suites.names() if name.startswith("ltad-") or name == "demo-ltad"]
LAMBDA = {"ltad-mvtec": 500, "ltad-visa": 400, "ltad-dagm": 300, "ltad-ablations": 500}


def made(suite: str) -> list[Any]:
    """Methods of the rows of a suite."""
    return [catalog.create(row.name, **row.fields) for row in suites.load(suite).methods]


def changed(suite: str) -> list[dict[str, Any]]:
    """Of the LTAD rows of a suite: fields in which they differ from LTAD at the paper's settings."""
    usual = catalog.config(next(row for row in made(suite) if isinstance(row, LTAD)))
    fields = [catalog.config(row) for row in made(suite) if isinstance(row, LTAD)]
    return [{name: value for name, value in row.items() if value != usual[name]} for row in fields]


@pytest.mark.parametrize("name", NAMES)
def test_every_row_can_be_made_and_none_is_asked_for_twice(name: str) -> None:
    rows = [(type(row), repr(sorted(catalog.config(row).items()))) for row in made(name)]
    assert len(set(rows)) == len(rows)


def test_rows_of_a_method_share_a_table_and_their_own_fields_win(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'title = ""\nsummary = ""\ndataset = "synthetic"\nsplits = ["pareto"]\nseeds = [1]\n'
        '[fields.ltad]\nwidth = 32\ndepth = 1\n[[methods]]\nname = "ltad"\n'
        '[[methods]]\nname = "ltad"\nwidth = 48\n[[methods]]\nname = "uniad"\n'
    )
    rows = suites.read(file).methods
    assert [dict(row.fields) for row in rows] == [{"width": 32, "depth": 1}, {"width": 48, "depth": 1}, {}]


@pytest.mark.parametrize(
    ("name", "splits"),
    [
        ("ltad-mvtec", ["exp100", "exp200", "step100", "step200"]),
        ("ltad-visa", ["exp100", "exp200", "exp500", "step100", "step200", "step500"]),
        (
            "ltad-dagm",
            [f"{kind}{factor}" for kind, factor in product(("exp", "step"), (50, 100, 200, 500))]
            + ["reverse_exp200", "reverse_step200"],
        ),
        ("ltad-ablations", ["step100"]),
    ],
)
def test_tables_have_the_papers_configurations(name: str, splits: list[str]) -> None:
    assert sorted(suites.load(name).splits) == sorted(f"ltad_{split}" for split in splits)


@pytest.mark.parametrize("name", LAMBDA)
def test_training_is_as_long_and_as_large_as_the_paper_says(name: str) -> None:
    suite = suites.load(name)
    assert (suite.view.resize, suite.view.crop) == (224, 224)
    for row in made(name):
        if isinstance(row, LTAD):
            assert row.backbone == row.text_encoder == "align:kakaobrain/align-base"
            assert tuple(row.layers) == ("3", "10", "17", "37")
            assert (row.phase_1_epochs, row.epochs) == (100, 500)
            assert row.phase_1_learning_rate == row.learning_rate == 1e-4
            assert row.semantic_weight == LAMBDA[name]
            assert not row.standardise
            # Appendix A.2: "All LTAD and its variants are trained with batch size of 8".
            assert row.batch_size == 8
            assert (row.temperature, row.names_word, row.normalise_text) == (1.0, "object", False)
            assert (row.weight_decay, row.late_drop, row.max_minutes) == (1e-4, True, None)
        if isinstance(row, UniAD):
            assert row.batch_size == 64
        if isinstance(row, LTAD | UniAD):
            assert (row.width, row.heads, row.hidden, row.depth, row.dropout) == (256, 8, 1024, 4, 0.1)
            assert (row.query_scale, row.neighbours, row.jitter, row.clip) == (1.0, 7, 20.0, 0.1)
            assert row.real_probability == 0.5 if isinstance(row, LTAD) else row.epochs == 1000


@pytest.mark.parametrize("name", ["ltad-mvtec", "ltad-visa", "ltad-dagm", "demo-ltad"])
def test_tables_3_to_5_have_ltad_without_and_with_its_semantic_part_beside_uniad(name: str) -> None:
    parts = [row.score_parts for row in made(name) if isinstance(row, LTAD)]
    assert {"both", "reconstruction"} <= set(parts)
    assert sum(isinstance(row, UniAD) for row in made(name)) == 1
    assert any(row.name == "chance" for row in suites.load(name).methods)


def test_the_demo_compares_on_the_same_features_and_as_many_real_images() -> None:
    rows = [row for row in made("demo-ltad") if isinstance(row, LTAD | UniAD)]
    assert len({(row.backbone, tuple(row.layers), row.grid, row.standardise) for row in rows}) == 1
    assert len({(row.width, row.depth, row.batch_size, row.learning_rate, row.jitter) for row in rows}) == 1
    rebuilding = [row for row in rows if isinstance(row, UniAD) or row.score_parts != "semantic"]
    real = {row.iterations * (row.real_probability if isinstance(row, LTAD) else 1) for row in rebuilding}
    assert len(real) == 1


@pytest.mark.parametrize(
    ("row", "fields"),
    [
        ("6.3", {"augmentation": "autoencoder"}),
        ("6.4", {"sampling": "inverse"}),
        ("6.5", {"names": "fixed", "names_init": "class_name"}),
        ("6.6", {"names_init": "class_name"}),
        ("6.7", {"names_init": "random"}),
        ("6.8 and length 2", {}),
        ("length 1", {"name_length": 1}),
        ("length 3", {"name_length": 3}),
        ("length 4", {"name_length": 4}),
    ],
)
def test_table_6_and_figure_6_vary_the_reconstruction(row: str, fields: dict[str, Any]) -> None:
    assert changed("ltad-ablations").count({"score_parts": "reconstruction", **fields}) == 1, row


def test_table_6_has_uniad_on_both_networks() -> None:
    backbones = [row.backbone for row in made("ltad-ablations") if isinstance(row, UniAD)]
    assert backbones == ["timm:tf_efficientnet_b7.aa_in1k?padding_size=600", "align:kakaobrain/align-base"]


@pytest.mark.parametrize(
    ("row", "fields"),
    [
        ("7.1", {"projection": "joint"}),
        ("7.2", {"pooling": "mean"}),
        ("7.4 and 8.3", {}),
        ("8.1", {"assignment": "shuffled"}),
        ("8.2", {"text": "none"}),
    ],
)
def test_tables_7_and_8_vary_the_semantic_part(row: str, fields: dict[str, Any]) -> None:
    assert changed("ltad-ablations").count({"score_parts": "semantic", **fields}) == 1, row


def test_tables_7_and_9_vary_the_prompts() -> None:
    prompts = [
        (tuple(row.normal_prompts), tuple(row.abnormal_prompts))
        for row in made("ltad-ablations")
        if isinstance(row, LTAD) and row.score_parts == "semantic" and row.assignment == "own"
        if (row.projection, row.pooling, row.text) == ("layerwise", "max", "encoder")
    ]
    normal = ("a", "a normal", "a good", "a flawless")
    abnormal = ("a broken", "a damaged", "an abnormal", "a defective")
    single = [((this,), (that,)) for this, that in product(normal, abnormal)]
    assert sorted(prompts) == sorted([*single, (normal, abnormal)])


def test_rows_are_called_as_in_the_paper() -> None:
    labels = [row.label for row in suites.load("ltad-ablations").methods]
    assert len(set(labels)) == len(labels)
    told = " ".join(labels)
    for row in (*(f"6.{n}" for n in range(1, 9)), *(f"7.{n}" for n in range(1, 5)), "8.1", "8.2", "8.3"):
        assert row in told
    assert told.count("Table 9: a") == 16
    assert [told.count(f"length {length}") for length in (1, 2, 3, 4)] == [1, 1, 1, 1]


def test_labels_of_rows_are_left_for_the_boards(tmp_path: Path) -> None:
    suite = suites.load("demo-ltad")
    labels = [cell.label for cell in suite.cells() if cell.method == "ltad"]
    assert len(set(labels)) == 3
    rows = {f"ltad-{number}": label for number, label in enumerate(labels)}
    cells = {AskedCell(f"d/s/seed1/{name}", "d", "s", 1, "ltad"): label for name, label in rows.items()}
    store_facts(suite, tmp_path, {**cells, AskedCell("d/s/seed1/chance-0", "d", "s", 1, "chance"): ""})
    (stored,) = (tmp_path / "suites").glob("*.json")
    assert json.loads(stored.read_text())["labels"] == rows


def test_a_board_calls_rows_as_their_suite_does(tmp_path: Path) -> None:
    generate(tmp_path, boards=[("synthetic", "pareto")], seeds=(1,))
    (before,) = boards(read(tmp_path))
    named, *others = before.entries
    file = tmp_path / "suites" / "demo.json"
    labels = {f"{named.method}-{named.config_digest[:10]}": "6.3: autoencoder"}
    file.write_text(json.dumps({**json.loads(file.read_text()), "labels": labels}))
    (after,) = boards(read(tmp_path))
    found = {entry.anchor: entry.variant for entry in after.entries}
    assert found == {named.anchor: "6.3: autoencoder", **{entry.anchor: entry.variant for entry in others}}
    assert f"{named.title} (6.3: autoencoder)" in [entry.label for entry in after.entries]


def test_every_row_of_the_ablations_trains_and_scores_at_a_budget_of_seconds() -> None:
    small = {
        "backbone": "toy-vl", "text_encoder": "toy-vl", "layers": "block1,block3", "standardise": "true",
        "grid": 8, "width": 16, "heads": 2, "hidden": 16, "depth": 1, "decoder_width": 8, "batch_size": 4,
        "epochs": 1, "phase_1_epochs": 1,
    }  # fmt: skip
    suite = suites.asked_suite("ltad-ablations", "synthetic", fields=small)
    assert len(suite.methods) == 33
    scores = {}
    for row in suite.methods:
        method = catalog.create(row.name, **row.fields)
        method.fit(small_images(8, "train", method.needs), small_context())
        scores[row.label] = method.score(small_images(4, "test", method.needs), small_context()).scores
        assert np.isfinite(scores[row.label]).all()
    # On one backbone the two rows of UniAD are one.
    assert len({found.tobytes() for found in scores.values()}) == 32
