"""Arrows between packages, no cycles of modules, sizes of files, and what a light command may import."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = {"splits", "methods", "benchmark", "results", "reports"}
# Modules beside the packages, of the standard library alone, that everyone may import.
LEAVES = {"atomic_files", "home_folders", "number_ranges", "registry"}
AROUND = {"perf", "parity", "tests"}
HEAVY = {"torch", "torchvision", "timm", "open_clip", "faiss", "sklearn", "transformers"}

# Who may import whom: a new arrow is a changed line here.
MAY_IMPORT = {
    "results": set(),
    "splits": set(),
    "methods": {"splits"},
    "benchmark": {"splits", "methods", "results"},
    "reports": {"results"},
    "perf": OURS,
    "parity": OURS,
    **{leaf: set() for leaf in LEAVES},
}
# Files of the package benchmark that may import all packages.
INTERFACES = ("commands", "api.py", "result_set.py")
# Packages that run where torch is not installed.
WITHOUT_TORCH = {"results", "splits", "reports"}


def python_files(package: str) -> list[Path]:
    if package in LEAVES:
        return [ROOT / "src" / "ltbench" / f"{package}.py"]
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Imported names, those of our packages without the name that all stand under."""
    yield from (name.removeprefix("ltbench.") for name in _imported(path))


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules() -> dict[str, Path]:
    """All modules by name, a package by that of its folder."""
    files = [path for package in MAY_IMPORT for path in python_files(package)]
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removeprefix("src.ltbench.") for path in files
    ]
    return dict(zip((name.removesuffix(".__init__") for name in names), files, strict=True))


def cycle(files: Mapping[str, Path]) -> str:
    """Modules of a cycle as "a -> b -> a", lazy and typing-only imports included; "" if there is none."""
    graph: dict[str, set[str]] = {}
    for name, path in files.items():
        # "ltbench.benchmark.suites.Suite" is a name in the module benchmark.suites.
        targets = {one if one in files else one.rpartition(".")[0] for one in imports(path)}
        graph[name] = targets & files.keys() - {name}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return " -> ".join(reversed(error.args[1]))
    return ""


def test_modules_form_no_cycle() -> None:
    found = cycle(modules())
    assert not found, f"these modules import each other: {found}; move what both need into a third"


@pytest.mark.parametrize(
    "way",
    [
        "import {}",
        "def later():\n    from {} import name",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from {} import name",
    ],
)
def test_cycles_of_top_level_lazy_and_typing_only_imports_are_found(tmp_path: Path, way: str) -> None:
    files = {name: tmp_path / f"{name}.py" for name in "abc"}
    for name, path in files.items():
        path.write_text(way.format({"a": "b", "b": "c", "c": "os"}[name]))
    assert cycle(files) == ""
    files["c"].write_text(way.format("a"))
    assert set(cycle(files).split(" -> ")) == {"a", "b", "c"}


def knows_all(path: Path) -> bool:
    """Whether a file is of the command line or of the Python interface, which serve all packages."""
    return any(path.is_relative_to(ROOT / "benchmark" / name) for name in INTERFACES)


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_imports_follow_the_arrows(package: str) -> None:
    allowed = MAY_IMPORT[package] | {package}
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in python_files(package)
        for name in imports(path)
        if name.split(".")[0] in (OURS | AROUND) - (OURS if knows_all(path) else allowed)
    ]
    assert not wrong


@pytest.mark.parametrize("leaf", sorted(LEAVES))
def test_leaves_import_the_standard_library_alone(leaf: str) -> None:
    (path,) = python_files(leaf)
    assert {name.split(".")[0] for name in _imported(path)} <= sys.stdlib_module_names


@pytest.mark.parametrize("package", sorted(WITHOUT_TORCH))
def test_light_packages_do_not_import_heavy_libraries(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in python_files(package)
        for name in imports(path)
        if name.split(".")[0] in HEAVY
    ]
    assert not wrong


def test_packages_are_imported_by_their_full_names() -> None:
    """A bare `import results` would find another person's results.py."""
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for folder in (*sorted(OURS | AROUND), "src")
        for path in python_files(folder)
        for name in _imported(path)
        if name.split(".")[0] in OURS
    ]
    assert not wrong


def test_methods_do_not_import_each_other() -> None:
    files = [path for path in (ROOT / "methods").glob("*.py") if path.stem != "__init__"]
    shared = {"base", "errors", "catalog"}
    plug_ins = {path.stem for path in files} - shared
    wrong = [
        f"{path.name}: {name}"
        for path in files
        if path.stem in plug_ins
        for name in imports(path)
        if name.startswith("methods.") and name.split(".")[1] in plug_ins
    ]
    assert not wrong


def test_benchmark_reaches_methods_by_name_only() -> None:
    plug_ins = {path.stem for path in (ROOT / "methods").glob("*.py")} - {
        "__init__",
        "base",
        "errors",
        "catalog",
    }
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in python_files("benchmark")
        for name in imports(path)
        if name.startswith("methods.") and name.split(".")[1] in plug_ins
    ]
    assert not wrong


def test_files_are_short_enough_to_be_read() -> None:
    files = [path for folder in (*OURS, "tests", "perf", "parity") for path in python_files(folder)]
    long = [f"{path.relative_to(ROOT)}" for path in files if len(path.read_text().splitlines()) > 300]
    assert not long


@pytest.mark.parametrize(
    "module",
    [
        "ltbench",
        "ltbench.benchmark.cli",
        "ltbench.reports.site",
        "ltbench.splits.recipes",
        "ltbench.results.store",
    ],
)
def test_light_start_ups_import_no_torch(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {sorted(HEAVY)} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
