"""The command `ltbench`: every subcommand, and the one place where expected errors become a sentence."""

from __future__ import annotations

import os
import sys

import typer
from rich.markup import escape

from ltbench.benchmark.commands import (
    audit,
    bench,
    cache,
    cite,
    data,
    env,
    fit,
    methods,
    metrics,
    plan,
    predict,
    published,
    rank,
    report,
    results,
    run,
    splits,
    status,
    weights,
)
from ltbench.benchmark.console import console
from ltbench.benchmark.errors import BenchmarkError
from ltbench.benchmark.processor import avoid_slow_sort
from ltbench.home_folders import UnknownHome
from ltbench.methods.errors import MethodsError
from ltbench.registry import PluginError
from ltbench.results.errors import ResultsError
from ltbench.splits.errors import SplitsError

EXPECTED = (BenchmarkError, MethodsError, PluginError, ResultsError, SplitsError, UnknownHome)
INTERRUPTED = 130
# Some versions of typer carry a copy of click: its exceptions are found from one that typer names.
UsageMistake: type[typer.BadParameter] = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)

app = typer.Typer(
    name="ltbench",
    help="Benchmark of visual anomaly detection on long-tailed, contaminated training data.",
    epilog="Exit codes: 0 ok, 1 error, 2 usage, 3 finished with failed cells or images, 4 data or weights "
    "missing, 5 verification or diff failed, 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# In the order in which a person needs them.
app.command("bench")(bench.bench)
app.command("run")(run.run)
app.command("plan")(plan.plan)
app.command("status")(status.status)
app.command("report")(report.report)
app.add_typer(audit.app, name="audit")
app.command("fit")(fit.fit)
app.command("predict")(predict.predict)
app.add_typer(data.app, name="data")
app.add_typer(splits.app, name="splits")
app.add_typer(methods.app, name="methods")
app.add_typer(metrics.app, name="metrics")
app.add_typer(results.app, name="results")
app.add_typer(rank.app, name="rank")
app.add_typer(published.app, name="published")
app.add_typer(weights.app, name="weights")
app.add_typer(cache.app, name="cache")
app.command("env")(env.env)
app.command("cite")(cite.cite)


def main() -> None:
    """Entry point: run, turn expected errors into one sentence, keep the traceback of bugs."""
    # Before a command imports NumPy.
    avoid_slow_sort()
    sys.exit(_exit_code())


def _exit_code() -> int:
    try:
        code = app(standalone_mode=False)
    except EXPECTED as error:
        return _say(str(error), error.exit_code)
    except UsageMistake as error:
        error.show(sys.stderr)
        return int(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        # The reader of our stdout (`| head`) has seen enough; keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if code == INTERRUPTED:
        return _say("interrupted; what was finished is kept, the same command does the rest", INTERRUPTED)
    return code if isinstance(code, int) else 0


def _say(sentence: str, code: int) -> int:
    console.print(f"[red]error:[/red] {escape(sentence)}", soft_wrap=True, highlight=False)
    return code
