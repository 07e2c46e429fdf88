"""`ltbench predict`: verdicts of a model on images."""

from __future__ import annotations

import csv
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape

from ltbench.benchmark.commands import options
from ltbench.benchmark.commands.output import print_json
from ltbench.benchmark.console import console
from ltbench.benchmark.errors import BenchmarkError, ImagesFailed, UsageError

if TYPE_CHECKING:
    from ltbench.benchmark.models.images import Image
    from ltbench.benchmark.models.model import Model, Verdict

COLUMNS = ("image", "score", "threshold", "verdict", "map", "error")
PAUSE_SECONDS = 1.0
"""Between two looks at a watched folder."""
SINGLE_ROUNDS, BATCH_ROUNDS = 20, 5


def predict(
    model: Annotated[Path, typer.Argument(help="Folder of a model, as 'ltbench fit' writes it.")],
    images: Annotated[list[Path], typer.Argument(help="Images, or folders of images.")],
    form: Annotated[
        Literal["csv", "jsonl"],
        typer.Option("--format", help="Rows on stdout: CSV, or a JSON object a line."),
    ] = "csv",
    false_alarms: Annotated[
        float | None,
        typer.Option(
            "--false-alarms",
            help="Rate that sets the threshold: 0.01 or 0.05; by default the lower one that has any.",
        ),
    ] = None,
    maps: Annotated[
        Path | None, typer.Option("--maps", help="Folder for heat maps as PNG, all on the model's scale.")
    ] = None,
    category: Annotated[
        str | None, typer.Option("--category", help="Product on the images, where the method must be told.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Wait for new images in the folders; Ctrl-C ends it.")
    ] = False,
    benchmark: Annotated[
        bool, typer.Option("--benchmark", help="Measure latency and memory on these images instead.")
    ] = False,
    weights: options.WeightsOption = None,
    device: options.DeviceOption = None,
) -> None:
    """Score images with a model and compare the scores with its threshold.

    An image that cannot be read is named on stderr, the others are scored, and the exit code is 3.

    Example: ltbench predict model new/*.png --maps heat
    """
    from ltbench.benchmark.models.images import listed
    from ltbench.benchmark.models.model import load_model

    folders = [path for path in images if path.is_dir()]
    if watch and (benchmark or len(folders) < len(images)):
        raise UsageError("--watch waits for images in folders: expected folders alone, and no --benchmark")
    loaded = load_model(model, options.settings(weights=weights, device=device))
    if maps is not None and loaded.facts.map_range is None:
        raise UsageError(
            f"'{model}' has no scale for heat maps: fit it with --folds, by a method that localises"
        )
    if benchmark:
        show_speed(loaded, listed(images), category)
        return
    failed, write = 0, None
    try:
        for part in new_images(folders) if watch else [listed(images)]:
            verdicts = loaded.stream(
                part, category=category, false_alarms=false_alarms, maps=maps is not None
            )
            write = write or row_writer(form)
            for verdict in verdicts:
                write(row_of(verdict, loaded, maps))
                if verdict.error:
                    failed += 1
                    console.print(escape(verdict.error), soft_wrap=True)
    except KeyboardInterrupt:
        if not watch:
            raise
    if failed:
        raise ImagesFailed(f"not all images could be scored ({failed} were not): see above")


def new_images(folders: list[Path]) -> Iterator[list[Image]]:
    """Images that appear in the folders, each as soon as its size no longer changes."""
    from ltbench.benchmark.models.images import files_in

    done: set[Path] = set()
    sizes: dict[Path, int] = {}
    while True:
        waiting = [path for folder in folders for path in files_in(folder) if path not in done]
        here = {path: size_of(path) for path in waiting}
        ready = [path for path, size in here.items() if size and sizes.get(path) == size]
        sizes = here
        done.update(ready)
        if ready:
            yield list(ready)
        time.sleep(PAUSE_SECONDS)


def size_of(path: Path) -> int:
    """Size of a file in bytes; 0 if it does not exist."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def row_writer(form: str) -> Callable[[dict[str, Any]], None]:
    """Writer of a row at a time, flushed for the reader of a pipe."""
    if form == "jsonl":

        def write(row: dict[str, Any]) -> None:
            sys.stdout.write(json.dumps(row, allow_nan=False, ensure_ascii=False) + "\n")
            sys.stdout.flush()

        return write
    table = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
    table.writeheader()

    def write_line(row: dict[str, Any]) -> None:
        table.writerow(row)
        sys.stdout.flush()

    return write_line


def row_of(verdict: Verdict, model: Model, maps: Path | None) -> dict[str, Any]:
    """The row of an image, whose heat map is written where there is one."""
    drawn = None if maps is None else write_map(verdict, model, maps)
    return {
        "image": verdict.image,
        "score": verdict.score,
        "threshold": verdict.threshold,
        "verdict": verdict.verdict or None,
        "map": drawn and str(drawn),
        "error": verdict.error or None,
    }


def write_map(verdict: Verdict, model: Model, folder: Path) -> Path | None:
    """Write the judged part of an image under its heat map; a file of the same name is replaced.

    Returns:
        The file; None where the image has no map.
    """
    from PIL import Image as Picture

    from ltbench.atomic_files import write_atomically
    from ltbench.reports.overlays import painted
    from ltbench.splits.view import resize_and_crop

    if verdict.pixels is None or verdict.map is None or model.facts.map_range is None:
        return None
    view, path = model.context.view, Path(verdict.image)
    seen = resize_and_crop(verdict.pixels, view.resize, view.crop, squeeze=view.squeeze)
    picture = Picture.fromarray(painted(seen, verdict.map, *model.facts.map_range))
    # Images of one name from several folders keep apart.
    target = folder / f"{path.parent.name}-{path.stem}.png"
    try:
        write_atomically(target, lambda file: picture.save(file, format="PNG"))
    except OSError as error:
        raise BenchmarkError(
            f"cannot write '{target}' ({error.strerror or error}): give --maps a folder with free space and "
            "write permission"
        ) from error
    return target


def show_speed(model: Model, images: list[Image], category: str | None) -> None:
    """Time of one image and of a batch of 16, reading included, and peak memory."""
    from ltbench.benchmark.models.images import TOGETHER
    from ltbench.benchmark.stopwatch import Stopwatch

    batch = [images[number % len(images)] for number in range(TOGETHER)]
    # The first pass pays for what is set up once.
    if any(verdict.error for verdict in model.predict(batch, category=category)):
        raise ImagesFailed("an image cannot be read: expected intact ones to measure speed")

    def median_ms(part: list[Image], rounds: int) -> float:
        seconds = []
        for _ in range(rounds):
            start = time.perf_counter()
            model.predict(part, category=category)
            seconds.append(time.perf_counter() - start)
        return 1000 * statistics.median(seconds)

    one, many = median_ms(batch[:1], SINGLE_ROUNDS), median_ms(batch, BATCH_ROUNDS)
    facts = Stopwatch(model.context.device).facts(0)
    print_json(
        "predict",
        {
            "one_image_ms": round(one, 2),
            f"batch_of_{TOGETHER}_ms": round(many, 2),
            "images_per_second": round(1000 * TOGETHER / many, 2),
            **{name: facts[name] for name in ("device", "peak_rss_mb", "peak_vram_mb")},
        },
    )
