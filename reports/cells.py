"""Numbers and row headers as compact HTML; a site has hundreds of thousands of them."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from ltbench.reports.entries import Entry
from ltbench.reports.numbers import Number
from ltbench.reports.tables import Column
from ltbench.reports.writing import is_rounded_up, number_text, short_digest, spread_text

NEEDS = {
    "class_ids_fit": ("class ids in training", "is told which product each training image shows"),
    "class_ids_score": ("class ids in test", "is told which product each tested image shows"),
    "class_names": ("class names", "is told what the products are called"),
    "auxiliary_masks": ("auxiliary masks", "learned from another, labelled data set with pixel masks"),
    "support_set": ("support set", "is given a few known-good images per product"),
}
"""Inputs of methods beyond pixels: badge and explanation."""
_MARKS = {"": "", "best": "b", "second": "u"}
_DOWN = "d"
"""Class of a number whose last written digit, a five, was rounded up: with one digit less it goes down."""


class Footnotes:
    """Collects reasons of empty cells while a table is written; the same reason has one letter."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._letters: dict[str, str] = {}

    def __iter__(self) -> Iterator[tuple[str, str, str]]:
        """Yield (identifier, letter, reason) of every footnote."""
        for why, letter in self._letters.items():
            yield f"{self._prefix}{letter}", letter, why

    def __bool__(self) -> bool:
        return bool(self._letters)

    def reference(self, why: str) -> Markup:
        """A raised letter that links to the reason."""
        letter = self._letters.setdefault(why, _letter(len(self._letters)))
        return Markup('<sup><a href="#{}{}">{}</a></sup>').format(self._prefix, letter, letter)


def number_cell(number: Number, column: Column, notes: Footnotes | None = None) -> Markup:
    """A `<td>`: the mean, and its spread in an `<i>`; `ltbench.round` of `static/table.js` shortens both."""
    if number.mean is None:
        reference = notes.reference(number.why) if notes is not None else ""
        hint = Markup(' title="{}"').format(number.why) if notes is None else ""
        return Markup('<td class="x"{}>n/a{}').format(hint, reference)
    shown = number_text(number, column)
    opened = _opened("td", _MARKS[number.mark], _DOWN if is_rounded_up(number.mean, column) else "")
    spread = ""
    if number.sd is not None:
        inner = _opened("i", _DOWN if is_rounded_up(number.sd, column) else "")
        spread = f"{inner}{spread_text(number, column)}</i>"
    # Every part is a number or a constant.
    return Markup(f"{opened}{shown}{spread}")


def _opened(tag: str, *classes: str) -> str:
    told = " ".join(filter(None, classes))
    if not told:
        return f"<{tag}>"
    return f'<{tag} class="{told}">' if " " in told else f"<{tag} class={told}>"


def method_cell(entry: Entry, with_facts: bool = True) -> Markup:
    """Row header: name, variant, and badges of the method's inputs beyond pixels."""
    parts = [Markup('<th scope="row"><a href="methods.html#{}">{}</a>').format(entry.method, entry.title)]
    if entry.variant:
        parts.append(Markup(' <span class="variant">{}</span>').format(entry.variant))
    if with_facts:
        for need in entry.facts.needs:
            badge, hint = NEEDS.get(need, (need.replace("_", " "), f"needs {need}"))
            parts.append(Markup(' <span class="badge need" title="{}">{}</span>').format(hint, badge))
    return Markup("").join(parts)


def backbone_cell(entry: Entry) -> Markup:
    """Backbone and the digest of its weights."""
    name, digest = entry.facts.backbone, entry.facts.weights_digest
    if not name:
        return Markup('<td class="t"><span class="faint">no backbone</span>')
    return Markup('<td class="t">{} <code>{}</code>').format(name, short_digest(digest)[:6] or "none")


def seeds_cell(entry: Entry, runs: str) -> Markup:
    """Finished and requested seeds; a sign marks failed or missing ones and links to their records.

    `page.js` links the others, as it does with every number of the row.
    """
    count = f"{len(entry.finished)}/{len(entry.asked)}"
    if len(entry.finished) == len(entry.asked):
        return Markup('<td class="n">{}').format(count)
    why = "; ".join(entry.holes)
    return Markup('<td class="n"><a href="{}" title="{}">{} <span class="badge bad">{}</span></a>').format(
        runs, why, count, ", ".join(dict.fromkeys(entry.holes.values()))
    )


def _letter(position: int) -> str:
    """a ... z, aa, ab ..."""
    letters = ""
    position += 1
    while position:
        position, rest = divmod(position - 1, 26)
        letters = chr(ord("a") + rest) + letters
    return letters
