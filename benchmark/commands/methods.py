"""`ltbench methods`: list, show, check, start a new one."""

from __future__ import annotations

import dataclasses
import keyword
import re
from pathlib import Path
from typing import Annotated

import typer

from ltbench.benchmark.commands import options
from ltbench.benchmark.commands.output import print_json, print_table, print_text
from ltbench.benchmark.console import console, would
from ltbench.benchmark.errors import UsageError

app = typer.Typer(help="Methods: list, show, check, start a new one.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="Name of a method, or FILE.py:CLASS.")]


@app.command("ls")
def show_all(as_json: options.JsonOption = False) -> None:
    """List the methods with family, paper and the inputs they get beyond pixels."""
    from ltbench.benchmark.describe import describe
    from ltbench.methods import catalog

    rows = []
    for name in catalog.names():
        found = describe(name)
        card = found.card
        rows.append([name, card["title"], card["family"], card["paper"], ", ".join(found.needs) or "pixels"])
    columns = ["method", "title", "family", "paper", "told"]
    if as_json:
        print_json("methods ls", {"methods": [dict(zip(columns, row, strict=True)) for row in rows]})
        return
    print_table(columns, rows)


@app.command()
def show(name: NameArgument, as_json: options.JsonOption = False) -> None:
    """Show a method's card: paper, licence, deviations, and every hyper-parameter with its default."""
    from ltbench.benchmark.describe import describe
    from ltbench.methods.features.published_weights import origin_of
    from ltbench.results.parity import stages_of

    found = describe(name)
    card = found.card
    if as_json:
        content = {"name": name, "card": card, "needs": list(found.needs), "fields": found.fields}
        print_json("methods show", content)
        return
    paper = f", {card['paper']}" if card["paper"] else ""
    print_text(f"{card['title']} ({card['family']}){paper}\n{card['summary']}")
    for title, text in (("official code", card["licence"]), ("address", card["url"])):
        if text:
            print_text(f"{title}: {text}")
    print_text(f"told beyond pixels: {', '.join(found.needs) or 'nothing'}")
    if origin := origin_of(str(found.fields.get("backbone", ""))):
        print_text(f"default weights: {found.fields['backbone']}, {origin}")
    for deviation in card["deviations"]:
        print_text(f"deviation: {deviation}")
    if stages := stages_of(name):
        equal = sum(stage.verdict.startswith("equal") for stage in stages)
        print_text(f"beside the authors' code: {equal} of {len(stages)} stages equal, see docs/parity.md")
    rows = [[field, str(value), found.documentation.get(field, "")] for field, value in found.fields.items()]
    print_table(["field", "default", "what"], rows)


@app.command()
def check(name: NameArgument, as_json: options.JsonOption = False) -> None:
    """Run the contract's checks on a method: what every plug-in must hold."""
    from ltbench.benchmark.conformance import check_method
    from ltbench.methods import catalog

    # A method that cannot be loaded is one mistake, not five failed checks.
    catalog.load_class(name)
    checks = check_method(name)
    if as_json:
        print_json("methods check", {"name": name, "checks": [dataclasses.asdict(entry) for entry in checks]})
    else:
        print_table(
            ["check", "", ""],
            [[entry.what, "ok" if entry.ok else "FAILED", entry.detail] for entry in checks],
        )
    if not all(entry.ok for entry in checks):
        raise UsageError(f"method '{name}' breaks the contract: the table says where")


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the new method, e.g. my_method.")],
    dry_run: options.DryRunOption = False,
) -> None:
    """Write NAME.py into the working folder, a working method to start from."""
    from ltbench.benchmark.scaffold import class_name, method_source

    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise UsageError(f"'{name}' cannot be a file of Python: expected lower case letters, digits and '_'")
    path = Path(f"{name}.py")
    if path.exists():
        raise UsageError(f"'{path}' exists and is left as it is: choose another name")
    if dry_run:
        would(f"write '{path}'")
        return
    path.write_text(method_source(name), encoding="utf-8")
    method = f"{path}:{class_name(name)}"
    console.print(f"wrote {path}; check it, then run it on the embedded data:", soft_wrap=True)
    print_text(f"ltbench methods check {method}\nltbench run --method {method} --split pareto")
