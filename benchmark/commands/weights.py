"""`ltbench weights`: which pretrained weights the suites need, and getting them."""

from __future__ import annotations

from typing import Annotated

import typer

from ltbench.benchmark.commands import options
from ltbench.benchmark.commands.output import print_json, print_table, print_text
from ltbench.benchmark.console import console, would

app = typer.Typer(help="Pretrained weights: what is needed, what is here.", no_args_is_help=True)


@app.command("ls")
def show_all(
    suite: Annotated[str, typer.Argument(help="Only this suite's.")] = "",
    weights: options.WeightsOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """List the backbones that suites need: whether and where they are here, size, licence, suites."""
    from ltbench.methods.features.hub import offline
    from ltbench.methods.features.published_weights import needs_download, published

    needed = _needed(suite)
    root = options.settings(weights=weights).weights_root
    columns = ["backbone", "here", "from", "MB", "licence", "suites"]
    # A list fetches nothing.
    with offline(), console.status("looking for weights ...") as spinner:
        rows = []
        for backbone in sorted(needed):
            spinner.update(f"looking for {backbone}")
            here, _ = _look(backbone, root)
            source = _source(backbone, root) if here == "yes" else ""
            known = published(backbone)
            megabytes, licence = (known.megabytes, known.licence) if known else (None, "unknown")
            if not needs_download(backbone):
                megabytes, licence = 0, "part of ltbench"
            rows.append([backbone, here, source, megabytes, licence, ", ".join(needed[backbone])])
    if as_json:
        print_json("weights ls", {"weights": [dict(zip(columns, row, strict=True)) for row in rows]})
        return
    print_table(columns, rows)


@app.command()
def fetch(
    backbone: Annotated[str, typer.Argument(help="E.g. timm:wide_resnet50_2.tv_in1k.")],
    weights: options.WeightsOption = None,
    dry_run: options.DryRunOption = False,
) -> None:
    """Load a backbone once, from the folder with weights or its hub, and print the weights' digest."""
    root = options.settings(weights=weights).weights_root
    if dry_run:
        would(f"look for '{backbone}' in '{root}', then at its hub, and print the digest of its weights")
        return
    _, digest = _look(backbone, root, must=True)
    print_text(f"{backbone} from {_source(backbone, root)}, digest {digest}")


def _needed(suite: str) -> dict[str, list[str]]:
    """Backbones and text encoders of one suite or of all, with the suites that name them."""
    from ltbench.benchmark import suites
    from ltbench.methods import catalog

    needed: dict[str, dict[str, None]] = {}
    for name in [suite] if suite else suites.names():
        for entry in suites.load(name).methods:
            for backbone in catalog.pretrained(catalog.create(entry.name, **entry.fields)):
                needed.setdefault(backbone, {})[name] = None
    return {backbone: list(names) for backbone, names in needed.items()}


def _look(backbone: str, root, *, must: bool = False) -> tuple[str, str]:  # type: ignore[no-untyped-def]
    from ltbench.methods.errors import MethodsError
    from ltbench.methods.features.backbone import load

    try:
        return "yes", load(backbone, "cpu", root).digest
    except MethodsError:
        if must:
            raise
        return "no", ""


def _source(backbone: str, root) -> str:  # type: ignore[no-untyped-def]
    """Origin of an available backbone's weights: a package, a file, or ltbench itself."""
    from ltbench.methods.features import timm_weights
    from ltbench.methods.features.published_weights import needs_download

    family, _, model = backbone.partition(":")
    if family == "timm":
        return str(timm_weights.source(model, root))
    return "its hub's cache" if needs_download(backbone) else "ltbench"
