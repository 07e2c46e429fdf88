"""Comma lists, globs, ranges and settings as people type them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ltbench.benchmark.errors import UsageError
from ltbench.benchmark.selection import parse_fields, parse_seeds, parse_view, select_names
from ltbench.benchmark.settings import load_settings
from ltbench.methods.base import View

KNOWN = ["chance", "padim", "patchcore", "softpatch", "tailedcore"]


def test_globs_and_commas_keep_the_typed_order_and_drop_repeats() -> None:
    assert select_names("tailedcore, *patch*,patchcore", KNOWN, "method") == [
        "tailedcore",
        "patchcore",
        "softpatch",
    ]


def test_a_misspelt_name_gets_a_suggestion() -> None:
    with pytest.raises(UsageError, match=r"no method matches 'patchcoer': did you mean 'patchcore'\?"):
        select_names("patchcoer", KNOWN, "method")


def test_an_open_ended_name_passes_but_an_open_ended_glob_must_match() -> None:
    assert select_names("step_k7", ["step_k4"], "split", open_ended=True) == ["step_k7"]
    with pytest.raises(UsageError, match="no split matches 'x\\*'"):
        select_names("x*", ["step_k4"], "split", open_ended=True)


@pytest.mark.parametrize(("text", "seeds"), [("1", [1]), ("1-3,8", [1, 2, 3, 8]), ("3,1-3", [3, 1, 2])])
def test_seeds_are_numbers_and_ranges(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "3-1", "-1", "1.5"])
def test_wrong_seeds_are_named(text: str) -> None:
    with pytest.raises(UsageError, match="seed"):
        parse_seeds(text)


def test_fields_are_split_at_the_first_equals_sign() -> None:
    assert parse_fields(["backbone=timm:x?mean=0.5", "k = 6"]) == {"backbone": "timm:x?mean=0.5", "k": "6"}
    typed = parse_fields(["host=rd", "host.width=8", "host.layers=a,b"])
    assert typed == {"host": "rd", "host_fields": {"width": "8", "layers": "a,b"}}
    with pytest.raises(UsageError, match="'k' is no setting"):
        parse_fields(["k"])


def test_a_view_is_resize_and_crop() -> None:
    assert parse_view("256/224", "folder:parts") == View(256, 224)
    for wrong in ("224/256", "256", "0/0", "a/b"):
        with pytest.raises(UsageError, match="is no view"):
            parse_view(wrong, "synthetic")


def test_flags_beat_environment_beats_file_beats_default(tmp_path: Path) -> None:
    (tmp_path / "ltbench.toml").write_text('jobs = 2\nresults = "from-file"\ndevice = "cuda"\n')
    environment = {"LTBENCH_JOBS": "3", "LTBENCH_RESULTS": "from-environment"}
    found = load_settings({"jobs": 4, "site": None}, environment, tmp_path)
    assert (found.jobs, found.results, found.device) == (4, Path("from-environment"), "cuda")
    assert found.site == Path("site")


@pytest.mark.parametrize(
    ("flags", "environment", "file", "sentence"),
    [
        ({"jobs": "many"}, {}, "", "jobs is 'many' given as --jobs"),
        ({}, {"LTBENCH_TIMEOUT": "-1"}, "", "timeout is '-1' in the environment variable LTBENCH_TIMEOUT"),
        ({}, {}, "jobz = 1", "unknown setting 'jobz'"),
        ({}, {}, "jobs = [", "cannot read"),
    ],
)
def test_a_wrong_setting_says_where_it_was_set(
    tmp_path: Path, flags: dict[str, object], environment: dict[str, str], file: str, sentence: str
) -> None:
    (tmp_path / "ltbench.toml").write_text(file)
    with pytest.raises(UsageError, match=sentence):
        load_settings(flags, environment, tmp_path)
