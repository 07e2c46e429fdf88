"""A packed site in a browser: its parts unfold, the panel tells intervals, one figure becomes one page."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generated_results import generate

from ltbench.reports.packing import packed
from ltbench.reports.site import build_site

pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = pytest.mark.browser
BOARD = "mvtec--pareto"


@pytest.fixture(scope="module")
def packed_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = generate(
        tmp_path_factory.mktemp("results"),
        boards=[("mvtec", "pareto")],
        seeds=(1, 2),
        categories=("bottle", "cable", "grid", "pill", "wood"),
        gallery=0,
        with_scores=True,
    )
    out = tmp_path_factory.mktemp("site") / "site"
    build_site(root, out)
    return out


def visit(driver: Any, page: Path, anchor: str = "") -> None:
    """Open a page and wait until its parts are unfolded."""
    driver.get("about:blank")
    driver.get(page.as_uri() + anchor)
    WebDriverWait(driver, 60).until(
        lambda d: d.execute_script("return document.querySelectorAll('[data-packed]').length") == 0
    )


def test_packed_parts_unfold_and_work(packed_site: Path, browser: Any) -> None:
    visit(browser, packed_site / f"{BOARD}.figures.html")
    assert browser.execute_script("return document.querySelectorAll('figure svg').length") > 6
    visit(browser, packed_site / f"{BOARD}.classes.html")
    assert len(browser.find_elements("css selector", "[role=tab]")) == 4
    header = browser.find_element("css selector", "th[data-key=cable]")
    header.find_element("tag name", "button").click()
    assert header.get_attribute("aria-sort") == "descending"
    assert browser.get_log("browser") == []


def test_the_script_unfolds_what_python_folded(packed_site: Path, browser: Any) -> None:
    rng = np.random.default_rng(0)
    texts = [
        "x" * 100_000,
        "\0\ufeff 1.5" + "ab" * 900,
        "é−“" * 400,
        "".join(map(chr, rng.integers(32, 1000, 5_000))),
        rng.bytes(40_000).decode("latin-1").translate({1: None, 2: None, 3: None}),
        "12.34 -56 1.5 <i>0.07</i> 007.50 655.36 599.99 9999 -9999 9999.9 0.5 -0.5 10 10.0 100.00" * 30,
        " ".join(f"{number / 100:.2f}" for number in range(70_000)),
        " ".join(f"{number / 10:.1f}" for number in range(70_000)),
        " ".join(map(str, range(-10_100, 10_100))),
    ]
    visit(browser, packed_site / f"{BOARD}.html")
    parts = [str(packed(text)).partition('data-packed="')[2].partition('"')[0] for text in texts]
    assert all(parts)
    unfolded = browser.execute_async_script(
        "Promise.all(arguments[0].map(ltbench.unpack)).then(arguments[1])", parts
    )
    assert unfolded == texts


def test_a_link_to_a_run_leads_to_it_although_it_was_packed(packed_site: Path, browser: Any) -> None:
    html = (packed_site / f"{BOARD}.html").read_text(encoding="utf-8")
    anchor = re.findall(r"runs\.html(#winclip-[0-9a-f]+)", html)[0]
    visit(browser, packed_site / f"{BOARD}.runs.html", anchor)
    assert browser.execute_script("return scrollY") > 0
    top = browser.execute_script(
        "return document.querySelector(arguments[0]).getBoundingClientRect().top", anchor
    )
    assert 0 <= top < 400


def test_the_panel_tells_seeds_and_both_intervals(packed_site: Path, browser: Any) -> None:
    visit(browser, packed_site / f"{BOARD}.html")
    told = browser.execute_script(
        "const table = document.getElementById('scores');"
        "const at = ltbench.column(table.tHead.querySelector(\"th[data-key='image_auroc.all']\"));"
        "const cell = ltbench.body(table)[0].cells[at];"
        "cell.dispatchEvent(new MouseEvent('mouseover', {bubbles: true}));"
        "return [ltbench.value(cell), document.getElementById('seeds').innerText]"
    )
    value, text = float(told[0]), told[1]
    seeds = [float(one) for one in re.findall(r"seed \d ([\d.]+)", text)]
    assert len(seeds) == 2
    assert abs(sum(seeds) / 2 - value) <= 0.06
    low, high = map(float, re.findall(r"over test images: ([\d.]+) to ([\d.]+)", text)[0])
    assert low < value < high
    low, high = map(float, re.findall(r"over seeds: ([\d.]+) to ([\d.]+)", text)[0])
    assert low < value < high


def test_one_figure_becomes_one_page_of_its_size(packed_site: Path, browser: Any) -> None:
    visit(browser, packed_site / f"{BOARD}.figures.html")
    browser.execute_script("window.print = () => {}")
    size = browser.execute_script(
        "document.querySelector('figure button + button').click();"
        "return document.querySelector('figure svg').getAttribute('viewBox').split(' ').slice(2)"
    )
    made = browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True, "printBackground": True})
    pdf = base64.b64decode(made["data"])
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1
    box = re.search(rb"/MediaBox\s*\[0 0 ([\d.]+) ([\d.]+)\]", pdf)
    assert box is not None
    for points, pixels in zip(box.groups(), size, strict=True):
        assert abs(float(points) - 0.75 * float(pixels)) < 2
    browser.execute_script("dispatchEvent(new Event('afterprint'))")
    assert not browser.find_elements("css selector", "#alone")


def test_a_printed_board_holds_every_column_shown(packed_site: Path, browser: Any) -> None:
    visit(browser, packed_site / f"{BOARD}.html")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert not browser.find_element("css selector", ".controls").is_displayed()
        frame = browser.execute_script(
            "return getComputedStyle(document.querySelector('#scores').closest('.frame')).overflow"
        )
        assert frame == "visible"
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_axe_finds_nothing_in_what_was_packed(
    packed_site: Path,
    browser: Any,
    axe: str,
    start: Callable[..., Any],
) -> None:
    for name in ("papers.html", "lint.html", f"{BOARD}.classes.html", f"{BOARD}.figures.html"):
        visit(browser, packed_site / name)
        browser.execute_script(axe)
        found = browser.execute_async_script("axe.run({preload: false}).then(arguments[0])")
        told = [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found["violations"]]
        assert told == [], name
