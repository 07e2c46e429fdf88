"""`ltbench data`."""

import typer

app = typer.Typer(
    help="Data sets: what they are, where they are, whether they are whole.", no_args_is_help=True
)
