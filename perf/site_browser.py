"""Response times of a site in Chromium, from an action to its painting, for pages opened from disk."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1300,900",
)  # fmt: skip
ROUNDS = 5

# A frame after the next frame: what the action changed has been laid out and painted by then.
_PAINTED = """
const done = arguments[arguments.length - 1];
const started = performance.now();
ACTION
requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - started)));
"""
_LOADED = """
const done = arguments[arguments.length - 1];
const wait = () => document.readyState === "complete" && ltbench.ready.then(() =>
  requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now())))) || setTimeout(wait, 1);
wait();
"""
_SORT = "document.querySelectorAll('#scores th[data-key] button.sort')[ROUND].click();"
_SEARCH = """
const box = document.querySelector("input[type=search]");
box.value = ["method 1", "method", "2", "23", ""][ROUND];
box.dispatchEvent(new Event("input", { bubbles: true }));
"""
_CHIP = "document.querySelectorAll('.chip[data-metric]')[ROUND].click();"
_TAB = "document.querySelectorAll('[role=tab]')[1 + ROUND].click();"

ACTIONS = (
    ("sort a column", "", _SORT),
    ("type into the search", "", _SEARCH),
    ("show or hide a metric", "", _CHIP),
    ("another metric's classes", ".classes", _TAB),
)
PAGES = ("", ".classes", ".figures", ".ranks", ".runs")


def installed() -> str:
    """ "" if Chromium, its driver and selenium are here, else what is missing."""
    missing = [
        names[0] for names in (("chromium", "chromium-browser"), ("chromedriver",)) if not _found(*names)
    ]
    try:
        import selenium  # noqa: F401
    except ImportError:
        missing.append("selenium")
    return ", ".join(missing)


def measured(site: Path) -> Iterator[tuple[str, float, float]]:
    """(what, median, longest) in milliseconds, ROUNDS times each, on boards of the site in turn."""
    boards = sorted(path.stem for path in site.glob("*--*.html") if "." not in path.stem)
    with _browser() as driver:
        for name in ("index.html", "methods.html", "papers.html"):
            yield _summed(f"open {name}", [_load(driver, site / name) for _ in range(ROUNDS)])
        for end in PAGES:
            opened = [_load(driver, site / f"{boards[at % len(boards)]}{end}.html") for at in range(ROUNDS)]
            yield _summed(f"switch to another board's {end[1:] or 'leaderboard'}", opened)
        for what, end, action in ACTIONS:
            _load(driver, site / f"{boards[0]}{end}.html")
            yield _summed(what, _rounds(driver, action))


def _rounds(driver: Any, action: str) -> list[float]:
    return [
        driver.execute_async_script(_PAINTED.replace("ACTION", action.replace("ROUND", str(at))))
        for at in range(ROUNDS)
    ]


def _load(driver: Any, page: Path) -> float:
    """Milliseconds from the start of the navigation until everything is unfolded and painted."""
    driver.get("about:blank")
    driver.get(page.as_uri())
    return float(driver.execute_async_script(_LOADED))


def _summed(what: str, times: list[float]) -> tuple[str, float, float]:
    return what, statistics.median(times), max(times)


def _found(*names: str) -> str:
    return next((path for name in names if (path := shutil.which(name))), "")


@contextmanager
def _browser() -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = _found("chromium", "chromium-browser")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        service = webdriver.ChromeService(_found("chromedriver"))
        driver = webdriver.Chrome(options=options, service=service)
        try:
            driver.set_script_timeout(60)
            yield driver
        finally:
            driver.quit()
