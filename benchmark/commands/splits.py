"""`ltbench splits`: list, build, show, verify, import, export."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ltbench.benchmark.commands import options
from ltbench.benchmark.commands.output import print_json, print_table, print_text
from ltbench.benchmark.console import console, would
from ltbench.benchmark.errors import UsageError
from ltbench.benchmark.selection import parse_seeds, select_names

if TYPE_CHECKING:
    from ltbench.splits.datasets import Dataset
    from ltbench.splits.split import Split

app = typer.Typer(help="Splits: list, build, show, verify, import, export.", no_args_is_help=True)

RecipeArgument = Annotated[str, typer.Argument(help="Recipe: pareto, step_k4, ltad_exp100, meds_nr20 ...")]
RecipesArgument = Annotated[str, typer.Argument(help="Recipes: comma list, globs.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of the split.")]
DEFAULT_DATASET = "mvtec"
SplitDatasetOption = Annotated[str, typer.Option("--dataset", "-d", help="Data set; needs no images.")]


@app.command("ls")
def show_names(
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="Only this data set's.")] = None,
    as_json: options.JsonOption = False,
) -> None:
    """List the papers' named splits with their digests, and the recipes that make others."""
    from ltbench.registry import UnknownName
    from ltbench.splits import datasets, recipes
    from ltbench.splits.interop.registry import registered_names
    from ltbench.splits.verify import locked

    known = datasets.names()
    if dataset is not None and dataset.partition(":")[0] not in known:
        raise UnknownName("data set", dataset, known)
    rows = [row for row in locked().values() if dataset in (None, row["dataset"])]
    own = registered_names(dataset, options.settings().home) if dataset else []
    if as_json:
        print_json("splits ls", {"named": rows, "recipes": recipes.names(), "imported": own})
        return
    columns = ["dataset", "recipe", "seed", "paper", "evidence", "train", "injected", "test"]
    print_table(
        [*columns, "digest"], [[*(row[name] for name in columns), row["digest"][:12]] for row in rows]
    )
    console.print(f"recipes for any data set and seed: {', '.join(recipes.names())}", soft_wrap=True)
    if own:
        console.print(f"imported for {dataset}: {', '.join(own)}", soft_wrap=True)


@app.command()
def show(
    recipe: RecipeArgument,
    dataset: SplitDatasetOption = DEFAULT_DATASET,
    seed: SeedOption = 1,
    overlap: options.OverlapOption = "paper",
    data: options.DataOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Show a split: counts per class, groups, contamination, overlap, digest, source, evidence."""
    from ltbench.splits.describe import describe

    split, source = _build(recipe, dataset, seed, overlap, data)
    facts = describe(split, source)
    if as_json:
        print_json("splits show", asdict(facts))
        return
    rows = [
        [
            *(row.category, row.group, row.available, row.kept, row.injected, row.overlap),
            *("unknown" if count is None else count for count in (row.test_good, row.test_defects)),
        ]
        for row in facts.categories
    ]
    columns = ["class", "group", "available", "kept", "injected", "overlap", "test good", "test defects"]
    print_table(columns, rows, title=facts.id)
    of_good, of_all = 100 * facts.contamination_of_goods, 100 * facts.contamination_of_all
    shares = f"{of_good:.1f} % of the good, {of_all:.1f} % of all"
    lines = {
        "digest": facts.digest,
        "evidence": f"{facts.evidence}: {facts.evidence_meaning}",
        "source": facts.source,
        "training": f"{facts.kept} good + {facts.injected} defects ({shares})",
        "test": f"{facts.test} images, {facts.overlap} of them also trained on",
        "imbalance": "–" if facts.imbalance is None else f"{facts.imbalance:.0f} : 1",
    }
    print_text("\n".join(f"{name:>10}  {text}" for name, text in lines.items() if text))
    for note in facts.notes:
        print_text(f"      note  {note}")


@app.command()
def build(
    recipe: RecipeArgument,
    dataset: SplitDatasetOption = DEFAULT_DATASET,
    seed: SeedOption = 1,
    overlap: options.OverlapOption = "paper",
    data: options.DataOption = None,
    out: Annotated[Path | None, typer.Option("--out", help="File to write [default: stdout].")] = None,
    dry_run: options.DryRunOption = False,
) -> None:
    """Write a split's manifest: a header, then every training and test path."""
    split, _ = _build(recipe, dataset, seed, overlap, data)
    if out is None:
        print_text(split.manifest().decode())
        return
    from ltbench.results.files import write_place

    if dry_run:
        would(f"write {split.id} {split.digest[:12]} to '{out}'")
        return
    write_place(out, lambda file: file.write(split.manifest()))
    console.print(f"{split.id} {split.digest[:12]}: {out}")


@app.command()
def verify(
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="Only this data set.")] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Rebuild every named split, compare with lock and releases; exit code 5 on a difference."""
    from ltbench.splits import verify as proof

    with console.status("building splits ...") as spinner:
        checks = proof.verify(dataset, progress=lambda name: spinner.update(f"building {name}"))
    failed = [check for check in checks if not check.ok]
    if as_json:
        print_json("splits verify", {"checks": len(checks), "failed": [asdict(check) for check in failed]})
    for check in failed if not as_json else []:
        console.print(f"[red]differs[/red] {check.subject} from the {check.against}", soft_wrap=True)
    proof.require(checks)
    counts = {kind: sum(check.against == kind for check in checks) for kind in ("lock", "release", "total")}
    if not as_json:
        print_text(
            f"{counts['lock']} splits equal the lock, {counts['release']} released files are reproduced, "
            f"{counts['total']} inventories have their authors' totals"
        )


@app.command("import")
def import_list(
    place: Annotated[Path, typer.Argument(help="File or folder in any known form.")],
    dataset: SplitDatasetOption = DEFAULT_DATASET,
    name: Annotated[str | None, typer.Option("--name", help="Register the list as this split.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed under which it is registered.")] = 0,
    test: Annotated[Path | None, typer.Option("--test", help="A list of what is tested.")] = None,
    overlap: options.OverlapOption = "paper",
    data: options.DataOption = None,
    dry_run: options.DryRunOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Say which named split a list is, or by which files it differs; register it with --name."""
    from ltbench.splits.interop.read import import_split
    from ltbench.splits.interop.registry import register

    source, home = _open(dataset, data), options.settings().home
    split, compared = import_split(
        place, source, name=name or "imported", seed=seed, test=test, overlap=_policy(overlap)
    )
    if name is not None and not dry_run:
        split = register(split, name, source, home)
    if as_json:
        nearest = compared.nearest
        print_json(
            "splits import",
            {
                "id": split.id,
                "digest": split.digest,
                "equal": list(compared.equal),
                "nearest": nearest.name if nearest else None,
                "differences": nearest.listed() if nearest else [],
                "notes": list(split.notes),
            },
        )
        return
    print_text(f"{len(split.train)} training and {len(split.test)} test images, digest {split.digest}")
    print_text(compared.sentence())
    for note in split.notes:
        print_text(f"note: {note}")
    if name is not None and dry_run:
        would(f"register it as split '{name}' of '{dataset}', seed {seed}, in '{home}'")
    elif name is not None:
        print_text(
            f"registered as {split.id}: ltbench run --dataset {dataset} --split {name} --seed {seed} ..."
        )


@app.command()
def export(
    recipe: RecipesArgument,
    dataset: SplitDatasetOption = DEFAULT_DATASET,
    seed: Annotated[str, typer.Option("--seed", help="Seeds: 1-5,8.")] = "1",
    kind: Annotated[
        str, typer.Option("--format", "-f", help="manifest, tailedcore, meds, csv, paths, json or zenodo.")
    ] = "manifest",
    out: Annotated[Path, typer.Option("--out", help="Folder, or the archive's file name.")] = Path(
        "exported"
    ),
    data: options.DataOption = None,
    dry_run: options.DryRunOption = False,
) -> None:
    """Write splits in other tools' forms, or as one archive ready for Zenodo."""
    from ltbench.results.store import slug
    from ltbench.splits import recipes
    from ltbench.splits.interop.write import export_split
    from ltbench.splits.interop.zenodo import write_archive

    chosen = select_names(recipe, recipes.names(dataset), "split", open_ended=True)
    built = [_build(name, dataset, number, "paper", data) for name in chosen for number in parse_seeds(seed)]
    if dry_run:
        would(f"write {len(built)} splits as '{kind}' to '{out}'")
        return
    if kind == "zenodo":
        file = out if out.suffix == ".zip" else out.with_name(f"{out.name}.zip")
        digest = write_archive(built, file)
        console.print(f"{len(built)} splits, sha256 {digest}: {file}", soft_wrap=True)
        return
    for split, source in built:
        folder = out / slug(split.dataset) / split.recipe / f"seed{split.seed}"
        for path in export_split(split, source, kind, folder):
            console.print(str(path), soft_wrap=True)


def _build(recipe: str, dataset: str, seed: int, overlap: str, data: Path | None) -> tuple[Split, Dataset]:
    from ltbench.splits import recipes

    source = _open(dataset, data)
    return recipes.build(recipe, source, seed, _policy(overlap)), source


def _open(dataset: str, data: Path | None) -> Dataset:
    from ltbench.splits.datasets import open_dataset

    return open_dataset(dataset, options.settings(data=data).data_root)


def _policy(overlap: str):  # type: ignore[no-untyped-def]
    if overlap not in ("paper", "none"):
        raise UsageError(f"overlap is '{overlap}': expected 'paper' or 'none'")
    return overlap
