"""`ltbench audit`: training images without a test set or labels, looked through."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ltbench.benchmark.commands import options
from ltbench.benchmark.commands.output import print_json, print_table
from ltbench.benchmark.console import console, would


class _DatasetOrCommand(TyperGroup):
    """Takes `audit DATASET` for `audit run DATASET`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["run", *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    help="Look through training images: products, suspicious images, duplicates, outliers.",
    no_args_is_help=True,
    cls=_DatasetOrCommand,
)


@app.command()
def run(
    dataset: Annotated[str, typer.Argument(help="Data set: folder:PATH, synthetic, mvtec ...")],
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder for the list and the page.")] = Path(
        "audit"
    ),
    products: Annotated[
        str,
        typer.Option(
            "--products",
            help="Compare images within 'folders' or within products found in the 'images'; 'auto': folders "
            "where there is more than one.",
        ),
    ] = "auto",
    method: Annotated[
        str, typer.Option("--method", "-m", help="Rank by this method instead of the training-free ranking.")
    ] = "",
    split: Annotated[
        str, typer.Option("--split", "-s", help="Whose training images; with injected defects: is judged.")
    ] = "clean",
    seed: Annotated[int, typer.Option("--seed", help="Seed of the split.")] = 1,
    view: options.ViewOption = "",
    data: options.DataOption = None,
    cache: options.CacheOption = None,
    weights: options.WeightsOption = None,
    device: options.DeviceOption = None,
    as_json: options.JsonOption = False,
    dry_run: options.DryRunOption = False,
) -> None:
    """Rank training images by suspicion, group them by product, find copies and outliers; write a page.

    No label is looked at. Write 'drop' into the column 'decision' of audit.csv, then `ltbench audit apply`.

    Example: ltbench audit folder:parts --out audit
    """
    from ltbench.benchmark.audit.examine import audit
    from ltbench.benchmark.audit.files import LIST, write_audit
    from ltbench.benchmark.calls import progress_bars
    from ltbench.benchmark.errors import UsageError
    from ltbench.benchmark.selection import parse_view
    from ltbench.reports.audit import write_page

    settings = options.settings(data=data, cache=cache, weights=weights, device=device)
    if out.exists():
        raise UsageError(
            f"'{out}' exists and is left as it is: choose another folder with --out, or remove it"
        )
    if dry_run:
        would(f"examine the training images of '{split}' on '{dataset}' and write '{out}'")
        return
    with progress_bars([f"audit {dataset}"]) as bars:
        for progress in bars:
            found = audit(
                dataset,
                settings,
                split=split,
                seed=seed,
                view=parse_view(view, dataset),
                products=products,  # type: ignore[arg-type]  # checked there
                method=method,
                progress=progress,
            )
    facts = write_audit(found, out)
    page = write_page(out)
    if as_json:
        print_json("audit", {"folder": str(out), **facts})
        return
    judged = any("auprc" in product for product in facts["products"])
    columns = ["product", "images", "probably defective", "other notes"]
    rows = [
        [
            product["product"],
            product["images"],
            "too few images" if product["probable_defects"] is None else product["probable_defects"],
            product["noted"],
            *([_percent(product, "auprc"), _percent(product, "inspection_depth")] if judged else []),
        ]
        for product in facts["products"]
    ]
    print_table([*columns, *(["AUPRC %", "inspection depth %"] if judged else [])], rows)
    console.print(
        f"products found in {facts['images']} images, folders aside: {facts['found_products']}",
        soft_wrap=True,
    )
    console.print(f"page: {page}\nlist to work through: {out / LIST}", soft_wrap=True)


@app.command()
def apply(
    folder: Annotated[Path, typer.Argument(help="Folder of the audit, or its list.")],
    name: Annotated[str, typer.Option("--name", help="Name of the cleaned split.")] = "audited",
    data: options.DataOption = None,
    as_json: options.JsonOption = False,
    dry_run: options.DryRunOption = False,
) -> None:
    """Make the split without the images whose decision is 'drop', under a name that every command knows."""
    from ltbench.benchmark.audit.decisions import dropped_paths, facts_beside, without
    from ltbench.splits import recipes
    from ltbench.splits.datasets import open_dataset
    from ltbench.splits.interop.registry import register

    settings = options.settings(data=data)
    dropped, facts = dropped_paths(folder), facts_beside(folder)
    dataset = open_dataset(facts["asked"], settings.data_root)
    cleaned = without(recipes.build(facts["split"], dataset, facts["seed"]), dropped, name, dataset)
    if dry_run:
        would(f"register split '{name}' of '{dataset.name}' with {len(cleaned.train)} training images")
        return
    kept = register(cleaned, name, dataset, settings.home)
    if as_json:
        content = {"split": name, "seed": kept.seed, "digest": kept.digest, "dropped": sorted(dropped)}
        print_json("audit apply", content)
        return
    rows = [
        ["split", name],
        ["dropped", str(len(dropped))],
        ["training images left", str(len(kept.train))],
        ["digest", kept.digest],
    ]
    print_table(["", ""], rows)
    console.print(
        f"use it: ltbench fit --dataset {facts['asked']} --split {name} --seed {kept.seed} --method ...",
        soft_wrap=True,
    )


def _percent(product: dict[str, Any], measure: str) -> str:
    return f"{100 * product[measure]:.1f}" if measure in product else ""
