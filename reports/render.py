"""Jinja templates of the site."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from ltbench.reports.cells import method_cell, number_cell
from ltbench.reports.packing import packed, script_data
from ltbench.reports.writing import (
    amount,
    number_text,
    plural,
    settings,
    short_digest,
    spread_text,
    subscript,
    ticks,
)

SCRIPTS = ("unpack.js", "table.js", "page.js", "export.js", "board.js")
"""Parts of the pages' one script, in the order in which they run."""


class Renderer:
    """Templates of `reports/templates`; every text is escaped unless it is Markup."""

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        """`folders` hold further templates; ours win where two have one name."""
        ours, theirs = jinja2.PackageLoader("ltbench.reports"), jinja2.FileSystemLoader(folders)
        self._environment = jinja2.Environment(
            loader=jinja2.ChoiceLoader([ours, theirs]),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(
            amount=amount,
            subscript=subscript,
            short=short_digest,
            plural=plural,
            settings=settings,
            ticks=ticks,
            pack=packed,
        )
        self._environment.globals.update(
            text=number_text,
            spread=spread_text,
            method_cell=method_cell,
            number_cell=number_cell,
            script_data=script_data,
        )

    def render(self, template: str, **values: Any) -> str:
        """The template `reports/templates/<template>.html.j2`; a name it does not find is an error."""
        return self._environment.get_template(f"{template}.html.j2").render(**values)
