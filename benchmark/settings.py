"""Settings for folders, devices and limits; precedence: flag > environment > ltbench.toml > default."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ltbench.benchmark.errors import UsageError
from ltbench.home_folders import expanded
from ltbench.registry import FOLDER_VARIABLE, SETTINGS_FILE, read_settings
from ltbench.results.places import Place, RemotePath, local_side, place


@dataclass(frozen=True)
class Settings:
    """Settings of one command; each may be given as a flag, as LTBENCH_<NAME> or in ltbench.toml."""

    home: Path = Path.home() / ".cache" / "ltbench"
    """Root of everything that can be made again."""
    data: Path | None = None
    """Folder that holds one folder per data set; default <home>/data."""
    cache: Place | None = None
    """Folder or URL of cached features; default <home>/features."""
    weights: Path | None = None
    """Mirror folder of pretrained weights; default <home>/weights."""
    results: Place = Path("runs")
    """Folder or URL of results: "runs", "s3://bucket/runs"."""
    site: Path = Path("site")
    plugins: Path | None = None
    """Folder of the user's plug-ins: files in its subfolders methods/, recipes/, metrics/ and so on."""
    cache_gb: float = 50.0
    """The feature cache evicts its oldest entries beyond this size."""
    jobs: int = 0
    """Cells at a time; 0 = one per core."""
    threads: int = 0
    """Threads of a cell; 0 = OMP_NUM_THREADS if that was set, else the cores shared between the cells."""
    device: str = "cpu"
    timeout: float = 0.0
    """Seconds that one cell may take; 0 = no limit."""
    memory_gb: float = 0.0
    """Memory that one cell may take; 0 = no limit."""
    ray_address: str = ""
    """Ray cluster for the engine 'ray'; "" = RAY_ADDRESS, else this machine."""
    task_cpus: int = 1
    """Cores that a Ray task requests, and threads of its cell."""

    @property
    def data_root(self) -> Path:
        return self.data or self.home / "data"

    @property
    def cache_root(self) -> Place:
        return self.cache or self.home / "features"

    @property
    def weights_root(self) -> Path:
        return self.weights or self.home / "weights"

    @property
    def parallel(self) -> int:
        """Cells, or processes that embed, at a time: as many as set, else one per core or GPU."""
        return self.jobs or (1 if self.device.startswith("cuda") else os.cpu_count() or 1)

    def threads_of(self, cells: int) -> int:
        """Threads of each of so many cells at a time."""
        return self.threads or max(1, (os.cpu_count() or 1) // max(1, cells))

    def local(self, folder: Place) -> Path:
        """`folder` itself, or for a remote one its local counterpart: for locks, logs and checkpoints."""
        return local_side(folder, self.home)


def load_settings(
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] = os.environ,
    folder: Path | None = None,
) -> Settings:
    """Merge the sources; a flag that is None was not given."""
    known = {field.name: field for field in fields(Settings)}
    file = (folder or Path.cwd()) / SETTINGS_FILE
    merged: dict[str, tuple[Any, str]] = {}
    if environment.get("OMP_NUM_THREADS", "").isdecimal():
        # Read here and not where cells start: by then we have set it ourselves.
        merged["threads"] = (environment["OMP_NUM_THREADS"], "in the environment variable OMP_NUM_THREADS")
    try:
        stored = read_settings(file)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read '{file}': {error}") from error
    for name, value in stored.items():
        if name not in known:
            raise UsageError(
                f"unknown setting '{name}' in '{file}': expected some of {', '.join(sorted(known))}"
            )
        merged[name] = (value, f"in '{file}'")
    for name in known:
        variable = f"LTBENCH_{name.upper()}"
        if environment.get(variable):
            merged[name] = (environment[variable], f"in the environment variable {variable}")
    for name, value in (flags or {}).items():
        if value is not None:
            merged[name] = (value, f"given as --{name.replace('_', '-')}")
    return Settings(**{name: _convert(name, value, origin) for name, (value, origin) in merged.items()})


def leave_in_environment(settings: Settings) -> None:
    """Leave the places that are looked up deep inside (imported splits, plug-ins) for this process."""
    os.environ["LTBENCH_HOME"] = str(settings.home)
    if settings.plugins:
        os.environ[FOLDER_VARIABLE] = str(settings.plugins.absolute())


def _convert(name: str, value: Any, origin: str) -> Any:
    if name in {"jobs", "threads", "timeout", "memory_gb", "cache_gb", "task_cpus"}:
        kind = int if name in {"jobs", "threads", "task_cpus"} else float
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = -1.0
        if not 0 <= number < math.inf or kind(number) != number:
            whole = "a whole number" if kind is int else "a number"
            raise UsageError(f"{name} is '{value}' {origin}: expected {whole}, zero or more")
        return kind(number)
    if isinstance(value, RemotePath):
        return value
    if not isinstance(value, str | Path):
        raise UsageError(f"{name} is {value!r} {origin}: expected a text")
    if name in {"device", "ray_address"}:
        return str(value)
    # A URL written as a Path has lost a slash, so only text may be one.
    return place(value) if name in {"results", "cache"} else expanded(value)
