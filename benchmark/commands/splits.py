"""`ltbench splits`."""

import typer

app = typer.Typer(help="Splits: list, build, show, verify, import, export.", no_args_is_help=True)
