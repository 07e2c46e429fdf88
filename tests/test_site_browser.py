"""The site in a browser, opened from disk: nothing comes from elsewhere, the keyboard reaches everything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from generated_results import generate

from ltbench.reports.site import build_site

pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from browsing import Open
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

pytestmark = pytest.mark.browser

BOARD = "synthetic--step_k4.html"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = generate(
        tmp_path_factory.mktemp("results"), boards=[("synthetic", "step_k4"), ("mvtec", "step_k4")], gallery=2
    )
    out = tmp_path_factory.mktemp("site") / "site"
    build_site(root, out)
    return out


def names(driver: Any) -> list[str]:
    return driver.execute_script(
        "return [...document.querySelectorAll('#scores tbody tr')].filter(r => !r.hidden)"
        ".map(r => r.querySelector('th').innerText.trim())"
    )


def column(driver: Any, key: str) -> list[float]:
    return driver.execute_script(
        "const t = document.getElementById('scores');"
        "const at = ltbench.column(t.tHead.querySelector(`th[data-key='${arguments[0]}']`));"
        "const rows = ltbench.body(t).filter(r => !r.classList.contains('baseline'));"
        "return rows.map(r => ltbench.value(r.cells[at]))",
        key,
    )


def header(driver: Any, key: str) -> Any:
    return driver.find_element(By.CSS_SELECTOR, f"#scores th[data-key='{key}']")


def test_pages_load_from_disk_alone_and_without_complaint(site: Path, browser: Any) -> None:
    for page in sorted(site.glob("*.html")):
        browser.get(page.as_uri())
        assert browser.get_log("browser") == [], page.name
        sent = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
        asked = [
            entry["params"]["request"]["url"]
            for entry in sent
            if entry["method"] == "Network.requestWillBeSent"
            and entry["params"]["documentURL"].startswith("file:")
        ]
        assert all(address.startswith(("file://", "data:")) for address in asked), asked
        assert f"file://{site}/static/site.css" in asked


def test_a_click_sorts_a_column_and_the_baseline_stays_last(site: Path, browser: Any) -> None:
    browser.get((site / BOARD).as_uri())
    key = "image_auroc.head"
    header(browser, key).find_element(By.TAG_NAME, "button").click()
    assert header(browser, key).get_attribute("aria-sort") == "descending"
    assert column(browser, key) == sorted(column(browser, key), reverse=True)
    header(browser, key).find_element(By.TAG_NAME, "button").click()
    assert header(browser, key).get_attribute("aria-sort") == "ascending"
    assert column(browser, key) == sorted(column(browser, key))
    assert names(browser)[-1] == "Chance"


def test_the_keyboard_reaches_and_sorts_every_column(site: Path, browser: Any) -> None:
    browser.get((site / BOARD).as_uri())
    wanted = header(browser, "image_auroc.tail").find_element(By.TAG_NAME, "button")
    body = browser.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    assert browser.switch_to.active_element.text == "Skip to content"
    for _ in range(60):
        if browser.switch_to.active_element == wanted:
            break
        browser.switch_to.active_element.send_keys(Keys.TAB)
    assert browser.switch_to.active_element == wanted
    wanted.send_keys(Keys.ENTER)
    assert header(browser, "image_auroc.tail").get_attribute("aria-sort") == "descending"
    wanted.send_keys(Keys.SPACE)
    assert header(browser, "image_auroc.tail").get_attribute("aria-sort") == "ascending"
    assert column(browser, "image_auroc.tail") == sorted(column(browser, "image_auroc.tail"))


def test_search_and_filters_keep_the_baseline_and_the_address_remembers_them(
    site: Path, browser: Any
) -> None:
    browser.get((site / BOARD).as_uri())
    browser.find_element(By.CSS_SELECTOR, "input[type=search]").send_keys("patch")
    assert {name.split()[0] for name in names(browser)} == {"PatchCore", "SoftPatch"}
    browser.find_element(By.CSS_SELECTOR, "input[type=search]").send_keys(Keys.CONTROL, "a")
    browser.find_element(By.CSS_SELECTOR, "input[type=search]").send_keys(Keys.DELETE)
    browser.find_element(By.CSS_SELECTOR, "option[value=class_names]").click()
    assert [name.split()[0] for name in names(browser)] == ["WinCLIP", "Chance"]
    header(browser, "image_auroc.all").find_element(By.TAG_NAME, "button").click()
    address = browser.current_url
    assert "#view&" in address
    browser.get("about:blank")
    browser.get(address)
    assert [name.split()[0] for name in names(browser)] == ["WinCLIP", "Chance"]
    assert header(browser, "image_auroc.all").get_attribute("aria-sort") == "descending"


def test_metric_chips_show_and_hide_columns(site: Path, browser: Any) -> None:
    browser.get((site / BOARD).as_uri())
    assert not header(browser, "image_ap.all").is_displayed()
    chip = browser.find_element(By.CSS_SELECTOR, ".chip[data-metric=image_ap]")
    chip.click()
    assert chip.get_attribute("aria-pressed") == "true"
    assert header(browser, "image_ap.all").is_displayed()


def test_without_scripts_the_leaderboard_is_a_plain_table_and_the_rest_says_where_it_is(
    site: Path, start: Open
) -> None:
    driver = start(scripts=False)
    driver.get((site / BOARD).as_uri())
    rows = driver.find_elements(By.CSS_SELECTOR, "#scores tbody tr")
    assert len(rows) == 8
    assert all(cell.is_displayed() for cell in rows[0].find_elements(By.TAG_NAME, "td"))
    assert driver.find_elements(By.CSS_SELECTOR, "button") == []
    driver.get((site / BOARD.replace(".html", ".classes.html")).as_uri())
    assert "Needs JavaScript" in driver.find_element(By.TAG_NAME, "main").text


def test_dark_follows_the_system_and_the_button(site: Path, browser: Any) -> None:
    def paper() -> str:
        return browser.execute_script("return getComputedStyle(document.body).backgroundColor")

    def system(scheme: str) -> None:
        feature = {"name": "prefers-color-scheme", "value": scheme}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    browser.get((site / "index.html").as_uri())
    system("light")
    light = paper()
    system("dark")
    dark = paper()
    assert light != dark
    button = browser.find_element(By.ID, "theme")
    button.click()
    assert paper() == light
    button.click()
    assert paper() == dark
    system("light")
    assert paper() == dark
    button.click()
    assert paper() == light


def test_tabs_follow_the_arrow_keys(site: Path, browser: Any) -> None:
    browser.get((site / BOARD.replace(".html", ".classes.html")).as_uri())
    tabs = browser.find_elements(By.CSS_SELECTOR, "[role=tab]")
    panels = browser.find_elements(By.CSS_SELECTOR, "[role=tabpanel]")
    assert [panel.is_displayed() for panel in panels] == [True, False, False, False]
    tabs[0].send_keys(Keys.ARROW_RIGHT)
    assert [panel.is_displayed() for panel in panels] == [False, True, False, False]
    assert browser.switch_to.active_element == tabs[1]


def test_a_narrow_screen_scrolls_tables_and_not_the_page(site: Path, browser: Any) -> None:
    size = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        for page in sorted(site.glob("*.html")):
            browser.get(page.as_uri())
            assert browser.execute_script("return document.documentElement.scrollWidth") <= 360, page.name
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_to_complain_about(site: Path, browser: Any, axe: str, scheme: str) -> None:
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    # In the dark only colours differ; of two boards one has every kind of page.
    rules = "{preload: false}" if scheme == "light" else "{preload: false, runOnly: ['color-contrast']}"
    for page in sorted(page for page in site.glob("*.html") if not page.name.startswith("synthetic")):
        browser.get(page.as_uri())
        browser.execute_script(axe)
        found = browser.execute_async_script(f"axe.run({rules}).then(arguments[0])")
        told = [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found["violations"]]
        assert told == [], page.name


def test_a_note_stands_only_under_a_table_that_refers_to_it(site: Path, browser: Any) -> None:
    browser.get((site / BOARD).as_uri())
    state = (
        "return [...document.querySelectorAll('.notes li')].map(n => [!!n.offsetParent,"
        " [...document.querySelectorAll(`#scores a[href='#${n.id}']`)].some(a => a.offsetParent)])"
    )
    shown = browser.execute_script(state)
    assert any(is_shown for is_shown, _ in shown)
    assert all(is_shown == is_referred for is_shown, is_referred in shown)
    for chip in browser.find_elements(By.CSS_SELECTOR, ".chip")[1:]:
        if chip.get_attribute("aria-pressed") == "true":
            chip.click()
    fewer = browser.execute_script(state)
    assert all(is_shown == is_referred for is_shown, is_referred in fewer)
    assert sum(is_shown for is_shown, _ in fewer) < sum(is_shown for is_shown, _ in shown)
