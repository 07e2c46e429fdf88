"""Jinja templates of the site."""

from __future__ import annotations

from typing import Any

import jinja2

from reports.cells import method_cell, number_cell
from reports.writing import amount, number_text, plural, settings, short_digest, spread_text, subscript, ticks

STATIC = ("site.css", "table.js", "page.js", "export.js", "board.js")
"""Files that pages link to."""


class Renderer:
    """Templates of `reports/templates`; every text is escaped unless it is Markup."""

    def __init__(self) -> None:
        self._environment = jinja2.Environment(
            loader=jinja2.PackageLoader("reports"),
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
        )
        self._environment.globals.update(
            text=number_text, spread=spread_text, method_cell=method_cell, number_cell=number_cell
        )

    def render(self, template: str, **values: Any) -> str:
        """The template `reports/templates/<template>.html.j2`; a name it does not find is an error."""
        return self._environment.get_template(f"{template}.html.j2").render(**values)
