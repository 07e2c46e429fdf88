"""Folder of user settings that persist: imported splits and accepted licences."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ltbench.home_folders import expanded


def home_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Home folder of ltbench: `LTBENCH_HOME`, or `~/.cache/ltbench`."""
    return expanded(environment.get("LTBENCH_HOME") or Path.home() / ".cache" / "ltbench")
