"""`python -m ltbench.benchmark.suites.document`: write docs/suites.md, where every setting comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ltbench.benchmark import suites
from ltbench.benchmark.suites import sources
from ltbench.results.asked import ALL_ROWS, ROW, Setting
from ltbench.results.document import markdown_table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "suites.md"
MARKED = {
    "differs": "What differs from its source",
    "not stated": "What neither paper nor code states",
}
"""Beginnings of sources, with the heading under which such settings are listed."""

_INTRODUCTION = """\
# The papers' suites, setting by setting

Written by `python -m ltbench.benchmark.suites.document` from `benchmark/suites/*.toml` and
`benchmark/suites/sources.toml`; a test compares. Change these files, not this page.

Every value that a suite of a paper sets has the place it comes from: the paper, or a file and a key of its
released code. Values marked *(default)* are ltbench's own defaults, which the suite leaves alone. `row` is
the method's place in the paper's tables; `dinomaly.size` is a field of a host under MeDS. Fields that are not
listed are at their defaults, which the methods' cards compare with their papers.
"""


def document() -> str:
    """The whole page, ending with a newline."""
    found = {name: sources.settings(suites.load(name)) for name in sources.of_papers()}
    parts = [_INTRODUCTION, _repositories()]
    parts += [_marked(mark, title, found) for mark, title in MARKED.items()]
    for paper, title in sources.content()["papers"].items():
        parts.append(f"## {title}\n")
        parts += [_section(name, found[name]) for name in found if name.partition("-")[0] == paper]
    return "\n".join(parts)


def _repositories() -> str:
    rows = [(name, text) for name, text in sources.content()["repositories"].items()]
    return "Names of code below, all on github.com:\n\n" + markdown_table(("name", "repository"), rows)


def _marked(mark: str, title: str, found: Mapping[str, Sequence[Setting]]) -> str:
    where: dict[tuple[str, str, str], list[str]] = {}
    for name, settings in found.items():
        for one in settings:
            if one.source.startswith(mark):
                where.setdefault((one.method, one.field, one.source), []).append(name)
    rows = [(method, field, source, ", ".join(names)) for (method, field, source), names in where.items()]
    return f"## {title}\n\n" + markdown_table(("method", "field", "source", "suites"), rows)


def _section(name: str, settings: Sequence[Setting]) -> str:
    rows = []
    method = ""
    for one in settings:
        rows.append((one.method if one.method != method else "", one.field, _value(one), one.source))
        method = one.method
    return f"### {name}: {suites.load(name).title}\n\n" + markdown_table(
        ("method", "field", "value", "source"), rows
    )


def _value(one: Setting) -> str:
    if one.field == ROW or one.method == ALL_ROWS:
        return one.value
    value, default, _ = one.value.partition(" (default)")
    return f"`{value}`{' *(default)*' if default else ''}"


def main() -> None:
    """Write the page of the documentation that lists all suites."""
    PAGE.write_text(document(), encoding="utf-8")


if __name__ == "__main__":
    main()
