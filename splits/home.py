"""The folder for what a person told us once: names of own splits, accepted licences."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ltbench.home_folders import expanded


def home_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """`LTBENCH_HOME`, or `~/.cache/ltbench`."""
    return expanded(environment.get("LTBENCH_HOME") or Path.home() / ".cache" / "ltbench")
