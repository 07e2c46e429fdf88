"""The lock, the inventories and what verification says when something is not as it was."""

from __future__ import annotations

import csv
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from ltbench.number_ranges import number_ranges
from ltbench.splits import inventories, verify
from ltbench.splits.describe import EVIDENCE, describe
from ltbench.splits.errors import DataMissing, VerificationFailed
from ltbench.splits.images import UNKNOWN
from ltbench.splits.named import named
from ltbench.splits.recipes import build
from ltbench.splits.verify import without_images

SHARED = Path(__file__).parents[2] / "shared" / "splits"


@cache
def checks() -> tuple[verify.Check, ...]:
    return verify.verify()


def test_every_named_split_is_what_the_lock_and_the_releases_say() -> None:
    verify.require(checks())
    kinds = Counter(check.against for check in checks())
    assert kinds == {"total": 3, "lock": len(named()), "release": 60 + 90 + 26}


def test_the_lock_holds_each_named_split_once() -> None:
    assert list(verify.locked()) == [name.id for name in named()]
    papers = Counter(name.paper for name in named())
    assert papers == {"": 3, "TailedCore": 30 + 45, "MeDS": 26, "LTAD": 40}


def test_a_changed_split_fails_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {key: dict(row) for key, row in verify.locked().items()}
    rows["dagm/clean/seed0"]["digest"] = "0" * 64
    monkeypatch.setattr(verify, "locked", lambda: rows)
    found = verify.verify("dagm")
    assert next(check.subject for check in found if not check.ok) == "dagm/clean/seed0"
    with pytest.raises(VerificationFailed, match="first 'dagm/clean/seed0' against the lock") as caught:
        verify.require(found)
    assert caught.value.exit_code == 5


@pytest.mark.parametrize(
    ("dataset", "total", "train_goods", "test_goods", "test_defects"),
    [("mvtec", 5354, 3629, 467, 1258), ("visa", 10821, 8659, 962, 1200)],
)
def test_inventory_totals(
    dataset: str, total: int, train_goods: int, test_goods: int, test_defects: int
) -> None:
    images = without_images(dataset).images()
    assert len({image.path for image in images}) == len(images) == total
    counts = Counter((image.part, image.is_defective) for image in images)
    assert counts == {
        ("train", False): train_goods,
        ("test", False): test_goods,
        ("test", True): test_defects,
    }
    assert sum(bool(image.mask) for image in images) == test_defects


def test_dagm_labels_are_unknown_without_its_files_and_said_so() -> None:
    images = without_images("dagm").images()
    assert len(images) == 16100
    assert {image.defect for image in images if image.part == "test"} == {UNKNOWN}
    train = Counter(image.category for image in images if image.part == "train" and image.is_defective)
    assert [train[f"Class{i}"] for i in range(1, 11)] == [79, 66, 66, 82, 70, 83, 150, 150, 150, 150]
    with pytest.raises(DataMissing, match="label files"):
        build("pareto", without_images("dagm"), 1)
    described = describe(build("ltad_exp100", without_images("dagm"), 0), without_images("dagm"))
    assert {row.test_defects for row in described.categories} == {None}


@pytest.mark.skipif(not SHARED.is_dir(), reason="the inventories are not beside the checkout")
@pytest.mark.parametrize("name", ["mvtec", "visa", "dagm"])
def test_inventories_agree_file_by_file_with_independent_listings(name: str) -> None:
    file = SHARED / f"inventory_{name.replace('visa', 'visa_mvtecstyle')}.csv"
    with file.open(newline="", encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    defects = {"good": "", "": UNKNOWN}
    expected = {
        (
            r["relative_path"],
            r["class"],
            r["split"],
            defects.get(r["defect"], r["defect"]),
            r["mask_relative_path"],
        )
        for r in rows
    }
    images = without_images(name).images()
    assert {(i.path, i.category, i.part, i.defect, i.mask) for i in images} == expected


def test_range_texts_and_bit_masks_are_read_back() -> None:
    for values in ([], [3], [0, 1, 2, 9], [5, 4, 3], [7, 8, 1, 2]):
        assert inventories.numbers(number_ranges(values, " ")) == values
        assert inventories.positions(inventories.bit_mask(values)) == sorted(values)


def test_a_description_adds_up() -> None:
    source = without_images("mvtec")
    split = build("pareto", source, 1)
    described = describe(split, source)
    assert described.kept + described.injected == described.train == len(split.train)
    assert (described.kept, described.injected, described.overlap) == (737, 74, 74)
    assert described.contamination_of_goods == pytest.approx(74 / 737)
    assert described.contamination_of_all == pytest.approx(74 / 811)
    assert described.imbalance == 264 / 5
    assert sum(row.available for row in described.categories) == 3629
    assert (
        sum((row.test_good or 0) + (row.test_defects or 0) for row in described.categories) == described.test
    )
    assert described.evidence_meaning == EVIDENCE["release-exact"]
    assert {row.group for row in described.categories} == {"head", "tail"}
