"""Cards of all methods: what they do, where they come from, how ours differ, which parameters ran."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ltbench.reports.cells import NEEDS
from ltbench.reports.entries import Entry
from ltbench.reports.page import File, Page, Site
from ltbench.reports.writing import settings
from ltbench.results.asked import ROW, Setting, Suite
from ltbench.results.method_record import CardRecord
from ltbench.results.parity import read_stages


@dataclass
class MethodCard:
    """A method over all boards."""

    name: str
    card: CardRecord
    needs: list[tuple[str, str]]
    configurations: dict[str, Configuration] = field(default_factory=dict)
    sources: list[Sources] = field(default_factory=list)


@dataclass(frozen=True)
class Sources:
    """Settings of a method in a suite that follows a paper."""

    suite: Suite
    row: str
    """Table and row of the paper that has the method."""
    settings: list[Setting]


@dataclass
class Configuration:
    """Parameters of a method and where they ran."""

    entry: Entry
    fields: str
    boards: list[str] = field(default_factory=list)


def build(site: Site) -> Iterable[File]:
    cards: dict[str, MethodCard] = {}
    for sheet in site.sheets:
        for entry in sheet.board.entries:
            needs = [NEEDS.get(need, (need, "")) for need in entry.facts.needs]
            card = cards.setdefault(entry.method, MethodCard(entry.method, entry.card, needs))
            configuration = card.configurations.setdefault(
                entry.config_digest, Configuration(entry, settings(entry.facts.fields))
            )
            configuration.boards.append(sheet.board.name)
    for card in cards.values():
        card.sources = [found for suite in site.material.suites if (found := _sources(suite, card.name))]
    compared = {stage.method for stage in read_stages()}
    ordered = sorted(cards.values(), key=lambda card: (card.card.title or card.name).casefold())
    yield site.page("methods.html", "methods", PAGE, cards=ordered, compared=compared)


def _sources(suite: Suite, method: str) -> Sources | None:
    told = [setting for setting in suite.settings if setting.method == method]
    row = next((setting.source for setting in told if setting.field == ROW), "")
    return Sources(suite, row, [one for one in told if one.field != ROW]) if told else None


PAGE = Page("methods", "Methods", 2, build=build)
