"""A headless Chromium for tests of the site, and axe-core to look for what keeps people out."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1300,900",
)  # fmt: skip
AXE = "axe-core@4.10.3"
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """Starts a browser; `scripts=False` forbids them."""
    if not CHROMIUM or not DRIVER:
        pytest.skip(
            "chromium and chromedriver are not installed (Debian: apt-get install chromium chromium-driver)"
        )
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    open_ones = []

    def begin(scripts: bool = True) -> Any:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        if not scripts:
            options.add_experimental_option(
                "prefs", {"profile.managed_default_content_settings.javascript": 2}
            )
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
        open_ones.append(driver)
        return driver

    yield begin
    for driver in open_ones:
        driver.quit()


@pytest.fixture(scope="module")
def browser(start: Open) -> Any:
    return start()


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core: from LTBENCH_AXE, else from npm."""
    if os.environ.get("LTBENCH_AXE"):
        return Path(os.environ["LTBENCH_AXE"]).read_text(encoding="utf-8")
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("axe-core is not at hand: set LTBENCH_AXE to its axe.min.js, or install npm")
    folder = tmp_path_factory.mktemp("axe")
    packed = subprocess.run(
        [npm, "pack", AXE, "--silent"], cwd=folder, capture_output=True, timeout=60, check=False
    )
    archive = next(folder.glob("axe-core-*.tgz"), None)
    if packed.returncode or archive is None:
        pytest.skip(f"npm cannot fetch {AXE}: set LTBENCH_AXE to its axe.min.js")
    shutil.unpack_archive(archive, folder, filter="data")
    return (folder / "package" / "axe.min.js").read_text(encoding="utf-8")
