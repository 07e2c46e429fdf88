"""Pages of the site: the folder is the registry, one module a page, each with one `PAGE`."""

from __future__ import annotations

import importlib
import pkgutil

from ltbench.reports.page import Page


def pages() -> list[Page]:
    """All pages of the folder by order."""
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    found: list[Page] = [importlib.import_module(f"{__name__}.{name}").PAGE for name in names]
    return sorted(found, key=lambda page: (page.order, page.name))
