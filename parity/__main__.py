"""`python -m parity [METHOD ...]`: run ltbench beside the authors' code and print what differs."""

from __future__ import annotations

import argparse
import sys

import torch
from rich.console import Console
from rich.table import Table

from parity import golden, methods
from parity.case import Outcome, compare
from parity.official import Unavailable, open_clone
from parity.report import write_report


def main() -> int:
    """Compare the named methods (default: all); exit code 3 if a stage differs, 4 if a clone is missing."""
    parser = argparse.ArgumentParser(prog="python -m parity", description=__doc__)
    parser.add_argument("methods", nargs="*", help=f"of {', '.join(methods.names())}; default: all")
    parser.add_argument("--golden", action="store_true", help="renew tests/golden from the authors' answers")
    parser.add_argument("--report", action="store_true", help="renew docs/parity.md and the site's data")
    options = parser.parse_args()
    if unknown := set(options.methods) - set(methods.names()):
        parser.error(f"unknown method '{min(unknown)}': expected one of {', '.join(methods.names())}")
    # The same sums on both sides, and in every run.
    torch.set_num_threads(1)
    outcomes: list[Outcome] = []
    missing: dict[str, None] = {}
    for method in options.methods or methods.names():
        done, sentences = run(method, renew_golden=options.golden)
        outcomes += done
        missing |= dict.fromkeys(sentences)
    Console(width=None if sys.stdout.isatty() else 160).print(table(outcomes))
    for sentence in missing:
        sys.stderr.write(f"skipped: {sentence}\n")
    if options.report and missing:
        sys.stderr.write("docs/parity.md was not renewed, because cases were skipped\n")
    elif options.report:
        write_report(outcomes, whole=not options.methods)
    if any(outcome.verdict == "differs" for outcome in outcomes):
        return 3
    return 4 if missing else 0


def run(method: str, *, renew_golden: bool = False) -> tuple[list[Outcome], list[str]]:
    """Compare all cases of a method; returns the outcomes and a sentence for each case that was skipped."""
    outcomes: list[Outcome] = []
    missing: list[str] = []
    records = {}
    for case in methods.cases(method):
        try:
            clone = open_clone(case.repository)
            outcomes.append(compare(case, clone))
            if renew_golden and case.is_golden:
                records[case.stage] = golden.record(case, case.official(clone))
        except Unavailable as error:
            missing.append(str(error))
    if renew_golden and not missing:
        golden.write(method, records)
    return outcomes, missing


def table(outcomes: list[Outcome]) -> Table:
    """The outcomes as a table for a terminal."""
    columns = ("method", "stage", "repository", "difference", "tolerance", "at defaults", "verdict")
    found = Table(*columns, title="ltbench beside the authors' code")
    for outcome in outcomes:
        case = outcome.case
        default = "" if outcome.default_difference is None else f"{outcome.default_difference:.1e}"
        found.add_row(
            case.method, case.stage, f"{case.repository.folder} {case.repository.commit}",
            f"{outcome.difference:.1e}", f"{case.tolerance:.0e}", default, outcome.verdict,
        )  # fmt: skip
    return found


if __name__ == "__main__":
    sys.exit(main())
