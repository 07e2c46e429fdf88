"""`ltbench methods`."""

import typer

app = typer.Typer(help="Methods: list, show, check, scaffold.", no_args_is_help=True)
