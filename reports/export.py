"""Tables as CSV, LaTeX (booktabs) and BibTeX."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from ltbench.reports.boards import Board
from ltbench.reports.leaderboard import Sheet
from ltbench.reports.numbers import Number
from ltbench.reports.page import File
from ltbench.reports.tables import SUBSCRIPTED, Column, Line, Table

LATEX_DECIMALS = 2
_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": "$-$",
    "±": r"$\pm$", "“": "``", "”": "''", "·": r"$\cdot$",
}  # fmt: skip


def to_csv(table: Table, spread_digits: int = 5) -> str:
    """One line per method: mean, standard deviation and number of seeds of every column; scores as fractions.

    spread_digits: significant ones of standard deviations.

    An empty mean has its reason in the last column.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = [
        "method",
        "variant",
        "title",
        "config_digest",
        "backbone",
        "weights_digest",
        "needs",
        "seeds",
        "asked",
        "rank",
    ]
    for column in table.columns:
        head += [column.key, f"{column.key}.sd"]
    writer.writerow([*head, "why_empty"])
    for line in table.lines:
        writer.writerow(_csv_line(line, spread_digits))
    return text.getvalue()


def _csv_line(line: Line, spread_digits: int) -> list[object]:
    entry, facts = line.entry, line.entry.facts
    cells: list[object] = [
        entry.method, entry.variant, entry.title, entry.config_digest[:10], facts.backbone,
        facts.weights_digest[:12], " ".join(facts.needs),
        len(entry.finished), len(entry.asked), line.rank,
    ]  # fmt: skip
    for number in line.numbers:
        pair = ((number.mean, 5), (number.sd, spread_digits))
        cells += ["" if value is None else f"{value:.{digits}g}" for value, digits in pair]
    return [*cells, "; ".join(dict.fromkeys(number.why for number in line.numbers if number.why))]


def to_latex(table: Table, with_spread: bool = True) -> str:
    """A booktabs table; the best are bold, the next underlined, unranked rows follow a rule."""
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latex(table.caption)}}}",
        rf"\label{{tab:{re.sub('[^A-Za-z0-9:-]+', '-', table.name)}}}",
        rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        r"\toprule",
        " & ".join(["Method", *(_latex_title(column) for column in table.columns)]) + r" \\",
        r"\midrule",
    ]
    ranked = [line for line in table.lines if line.entry.is_ranked]
    others = [line for line in table.lines if not line.entry.is_ranked]
    lines += [_latex_line(line, table.columns, with_spread) for line in ranked]
    if ranked and others:
        lines.append(r"\midrule")
    lines += [_latex_line(line, table.columns, with_spread) for line in others]
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def _latex_title(column: Column) -> str:
    title = f"${column.title}$" if column.title in SUBSCRIPTED else latex(column.title)
    return f"{title} ({column.unit})" if column.unit else title


def _latex_line(line: Line, columns: Iterable[Column], with_spread: bool) -> str:
    entry = line.entry
    name = latex(entry.label)
    if not entry.is_ranked and not entry.is_baseline:
        name += f" ({len(entry.finished)} of {len(entry.asked)} seeds)"
    return (
        " & ".join(
            [name, *(_latex_number(n, c, with_spread) for n, c in zip(line.numbers, columns, strict=True))]
        )
        + r" \\"
    )


def _latex_number(number: Number, column: Column, with_spread: bool) -> str:
    if number.mean is None:
        return "--"
    if column.unit:
        return f"{number.mean:.3g}"
    text = f"{100 * number.mean:z.{LATEX_DECIMALS}f}".replace("-", "$-$")
    text = {"best": rf"\textbf{{{text}}}", "second": rf"\underline{{{text}}}"}.get(number.mark, text)
    return (
        text
        if number.sd is None or not with_spread
        else rf"{text} {{\scriptsize$\pm${100 * number.sd:.{LATEX_DECIMALS}f}}}"
    )


def latex(text: str) -> str:
    """Text with LaTeX's special characters escaped."""
    return "".join(_LATEX.get(character, character) for character in text)


def bibtex(board: Board) -> str:
    """Entries of the data set and of every method on the board, each once."""
    entries = [board.dataset_facts.citation]
    entries += [entry.card.bibtex for entry in board.entries]
    return "\n\n".join(dict.fromkeys(entry.strip() for entry in entries if entry.strip())) + "\n"


def table_files(sheet: Sheet, *, with_categories: bool = True) -> Iterator[File]:
    """The tables of groups as files below data/, and all tables of the board in one archive.

    Without categories there is the archive alone, with the groups as one table and LaTeX without spreads.
    """
    if not with_categories:
        text = "\n".join(to_latex(table, with_spread=False) for table in sheet.metrics)
        whole = {".csv": to_csv(_joined(sheet), spread_digits=3), ".tex": text, ".bib": bibtex(sheet.board)}
        yield File(
            f"data/{sheet.board.name}.zip",
            _archive({f"{sheet.board.name}{end}": text for end, text in whole.items()}),
        )
        return
    files = {f"{table.name}.csv": to_csv(table) for table in (*sheet.metrics, sheet.cost)}
    files |= {f"{table.name}.tex": to_latex(table) for table in sheet.metrics}
    files[f"{sheet.board.name}.bib"] = bibtex(sheet.board)
    for name, text in files.items():
        yield File(f"data/{name}", text.encode())
    files |= {f"{table.name}.csv": to_csv(table) for table in sheet.classes}
    files |= {f"{table.name}.tex": to_latex(table, with_spread=False) for table in sheet.classes}
    yield File(f"data/{sheet.board.name}.zip", _archive(files))


def _joined(sheet: Sheet) -> Table:
    """The tables of groups and the costs as one."""
    tables = (*sheet.metrics, sheet.cost)
    by_entry = [{line.entry.anchor: line for line in table.lines} for table in tables]
    return Table(
        name=sheet.board.name,
        title="",
        caption="",
        columns=[column for table in tables for column in table.columns],
        lines=[
            replace(line, numbers=tuple(n for by in by_entry for n in by[line.entry.anchor].numbers))
            for line in sheet.metrics[0].lines
        ],
    )


def _archive(files: Mapping[str, str]) -> bytes:
    """A zip whose bytes depend on the files alone."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, text in sorted(files.items()):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, text)
    return buffer.getvalue()
