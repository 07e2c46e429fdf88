"""`python -m perf.site`: size and time of the site of a large results folder of generated numbers."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import zipfile
from collections import Counter
from pathlib import Path

from reports.site import build_site

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
# The tests' generator, so that what is measured is what is tested.
from generated_records import ALL_METRICS, METHODS, FakeMethod
from generated_results import generate

FAMILIES = ("memory bank", "vision-language", "reconstruction", "density")


def main() -> None:
    """Generate (or reuse) results, build their site, print sizes by kind of file and seconds."""
    parser = argparse.ArgumentParser(prog="python -m perf.site", description=__doc__)
    for name, count in (("methods", 25), ("boards", 40), ("seeds", 5), ("classes", 15)):
        parser.add_argument(f"--{name}", type=int, default=count)
    parser.add_argument("--results", type=Path, help="results folder to fill or, if it is there, to reuse")
    parser.add_argument("--scores", action="store_true", help="store scores of test images and curves too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = options.results or Path(temporary) / "results"
        if not root.exists():
            fill(
                root,
                options.methods,
                options.boards,
                options.seeds,
                options.classes,
                with_scores=options.scores,
            )
        out = Path(temporary) / "site"
        wall, cpu = time.perf_counter(), time.process_time()
        report = build_site(root, out)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        for kind, size in kinds(out).most_common(12):
            print(f"{size / 1e6:8.3f} MB  {kind}")
        print(
            f"{report.bytes / 1e6:8.3f} MB  all of {report.pages} pages; as a zip {zipped(out) / 1e6:.3f} MB"
        )
        print(f"{cpu:8.1f} s   of processor time, {wall:.1f} s by the clock")


def fill(root: Path, methods: int, boards: int, seeds: int, classes: int, *, with_scores: bool) -> None:
    """Results of so many methods, chance among them."""
    chosen = [
        METHODS[0],
        *(
            FakeMethod(
                f"method{at:02d}",
                f"Method {at:02d}",
                FAMILIES[at % len(FAMILIES)],
                tail=0.6 + 0.25 * at / methods,
                head=0.65 + 0.22 * at / methods,
                fields={"coreset_ratio": 0.1, "neighbours": at},
                fit_seconds=1.0 + at,
            )
            for at in range(methods - 1)
        ),
    ]
    generate(
        root,
        boards=[("mvtec", f"pareto_v{at:02d}") for at in range(boards)],
        methods=chosen,
        seeds=range(1, seeds + 1),
        categories=[f"category_{at:02d}" for at in range(classes)],
        gallery=0,
        with_scores=with_scores,
        metrics=ALL_METRICS,
    )


def kinds(site: Path) -> Counter[str]:
    """Bytes by kind of file: all boards' pages of one kind together."""
    sizes: Counter[str] = Counter()
    for path in site.rglob("*"):
        if path.is_file():
            name = path.name.partition(".")[2] if "--" in path.name else path.name
            sizes[f"{path.parent.name}/*.{name}" if "--" in path.name else name] += path.stat().st_size
    return sizes


def zipped(site: Path) -> int:
    """Bytes of the whole site as one zip."""
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(site.rglob("*")):
                archive.write(path, path.relative_to(site))
        return file.tell()


if __name__ == "__main__":
    main()
