"""The example package of docs/examples/plugin, as a folder of plug-ins and as an installed package."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "docs" / "examples" / "plugin"
GROUPS = {
    "methods": ("mean_colour.py",),
    "recipes": ("half.py",),
    "metrics": ("clean_recall.py",),
    "datasets": ("stripes.py",),
    "backbones": ("grey_grid.py",),
    "pages": ("slowest.py", "slowest.html.j2"),
}


def add(folder: Path, group: str) -> None:
    """Copy the example of one kind into a folder of plug-ins: all that a person has to do."""
    (folder / group).mkdir(parents=True, exist_ok=True)
    for name in GROUPS[group]:
        shutil.copy(PACKAGE / "ltbench_example" / name, folder / group / name)


def install(target: Path) -> Path:
    """Put the package and its metadata into `target`, as an installer does; needs no network."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    shutil.copytree(PACKAGE / "ltbench_example", target / "ltbench_example")
    info = target / f"ltbench_example-{project['version']}.dist-info"
    info.mkdir()
    lines = [f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"]
    (info / "METADATA").write_text("".join(lines), encoding="utf-8")
    entries = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in names.items())
        for group, names in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(entries), encoding="utf-8")
    return target
