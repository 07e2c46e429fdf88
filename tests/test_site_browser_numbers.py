"""Numbers of a table in a browser: rounded once, sorted and ranked by what they are, exported whole."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from generated_results import generate

from ltbench.reports.cells import number_cell
from ltbench.reports.numbers import Number
from ltbench.reports.site import build_site
from ltbench.reports.tables import Column

pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver.common.by import By

pytestmark = pytest.mark.browser

BOARD = "synthetic--step_k4.html"

MADE = """
const table = document.createElement("table");
table.className = "grid";
table.innerHTML = `<thead><tr><th class="rank"><abbr>#</abbr></th>
<th data-key="${arguments[1]}" ${arguments[2]}>x</th></tr></thead>
<tbody>${arguments[0].map((cell) => `<tr><td class="rank"></td>${cell}</tr>`).join("")}</tbody>`;
[...table.tHead.rows[0].cells].forEach((header, at) => ltbench.columns.set(header, at));
const header = table.tHead.querySelector("[data-key]");
ltbench.round(table, 1);
"""
"""A table of one column, from cells, a key and attributes of its header."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = generate(tmp_path_factory.mktemp("results"), boards=[("synthetic", "step_k4")])
    out = tmp_path_factory.mktemp("site") / "site"
    build_site(root, out)
    return out


@pytest.fixture
def board(site: Path, browser: Any) -> Any:
    browser.get((site / BOARD).as_uri())
    return browser


def shown(driver: Any, key: str) -> list[str]:
    """Texts of a column's means, from above, without the baseline's."""
    return driver.execute_script(
        "const t = document.getElementById('scores');"
        "const at = ltbench.column(t.tHead.querySelector(`th[data-key='${arguments[0]}']`));"
        "const rows = ltbench.body(t).filter(r => !r.classList.contains('baseline'));"
        "return rows.map(r => (r.cells[at].querySelector('a') || r.cells[at]).firstChild.textContent)",
        key,
    )


def cells(*numbers: Number) -> list[str]:
    return [str(number_cell(number, Column("a.all", "All"))) for number in numbers]


def test_a_number_shown_with_one_decimal_is_not_rounded_twice(site: Path, board: Any) -> None:
    with (site / "data" / BOARD.replace(".html", "--image_auroc.csv")).open() as lines:
        found = csv.DictReader(lines)
        means = [100 * float(row["image_auroc.all"]) for row in found if row["method"] != "chance"]
    assert sorted(shown(board, "image_auroc.all")) == sorted(f"{mean:.1f}" for mean in means)
    board.execute_script("document.querySelector('.chooser').open = true")
    board.find_element(By.CSS_SELECTOR, "select[data-name=d] option[value='2']").click()
    assert sorted(shown(board, "image_auroc.all")) == sorted(f"{mean:.2f}" for mean in means)


def test_a_script_shortens_numbers_as_python_does(board: Any) -> None:
    percents = [sign * step / 500 for step in range(6000) for sign in (1, -1)] + [64.946, 64.954, 67.054]
    numbers = [Number(percent / 100, sd=abs(percent) / 100) for percent in percents]
    found = board.execute_script(
        MADE + "const texts = (row) => [...row.cells[1].childNodes].map((one) => one.textContent);"
        "return ltbench.body(table).map(texts)",
        cells(*numbers), "a.all", "",
    )  # fmt: skip
    for number, texts in zip(numbers, found, strict=True):
        wanted = [f"{100 * number.mean:.1f}".replace("-", "−"), f"{100 * number.sd:.1f}"]
        assert texts == [text.replace("−0.0", "0.0") for text in wanted], number


def ranked(driver: Any, numbers: list[float], key: str = "a.all", attributes: str = "") -> list[str]:
    """Ranks in the order of `numbers` after a click on their column."""
    return driver.execute_script(
        MADE + "const rows = ltbench.body(table); ltbench.sort(table, header, 'descending');"
        "return rows.map((row) => row.cells[0].textContent)",
        cells(*map(Number, numbers)), key, attributes,
    )  # fmt: skip


def test_ranks_and_order_follow_the_number_and_not_its_rounded_text(board: Any) -> None:
    assert ranked(board, [0.6063, 0.6065, 0.6065, 0.7]) == ["4", "2", "2", "1"]
    order = board.execute_script(
        MADE + "ltbench.sort(table, header, 'ascending');"
        "return ltbench.body(table).map((row) => ltbench.value(row.cells[1]))",
        cells(*map(Number, [0.6065, 0.6063, 0.6014])), "a.all", "",
    )  # fmt: skip
    assert order == [60.14, 60.63, 60.65]


def test_less_is_better_where_a_column_costs_something(board: Any) -> None:
    assert ranked(board, [0.6, 0.3, 0.9], "cost.fit_seconds", "data-low") == ["2", "1", "3"]


def test_a_gap_ranks_nothing(board: Any) -> None:
    assert ranked(board, [0.6, 0.3, 0.9], "a.gap") == ["", "", ""]


def test_a_click_on_a_cost_brings_the_cheapest_first(board: Any) -> None:
    board.find_element(By.CSS_SELECTOR, ".chip[data-metric=cost]").click()
    fit = board.find_element(By.CSS_SELECTOR, "#scores th[data-key='cost.fit_seconds']")
    fit.find_element(By.TAG_NAME, "button").click()
    assert fit.get_attribute("aria-sort") == "ascending"
    told = board.execute_script(
        "const rows = ltbench.body(document.getElementById('scores'));"
        "const ranks = rows.map((row) => row.cells[0].textContent);"
        "return [ranks.find((rank) => rank !== ''), document.querySelector('#scores .rank abbr').title]"
    )
    assert told[0] == "1"
    assert "Cost" in told[1]
