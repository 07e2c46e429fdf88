"""`python -m perf.site`: size, build time and response of the site of a large folder of generated results."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import zipfile
from collections import Counter
from pathlib import Path

from ltbench.reports.site import SiteReport, build_site
from ltbench.reports.uncertainty import CACHE_FILE
from perf import site_browser

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
# The tests' generator, so that what is measured is what is tested.
from generated_records import ALL_METRICS, METHODS, FakeMethod
from generated_results import generate

FAMILIES = ("memory bank", "vision-language", "reconstruction", "density")


def main() -> None:
    """Generate (or reuse) results, build their site; print sizes by kind of file, seconds, and response."""
    parser = argparse.ArgumentParser(prog="python -m perf.site", description=__doc__)
    for name, count in (("methods", 25), ("boards", 40), ("seeds", 5), ("classes", 15)):
        parser.add_argument(f"--{name}", type=int, default=count)
    parser.add_argument("--results", type=Path, help="results folder to fill or, if it is there, to reuse")
    parser.add_argument("--no-scores", action="store_true", help="store no scores of test images, no curves")
    parser.add_argument("--no-browser", action="store_true", help="do not open the site in Chromium")
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
                with_scores=not options.no_scores,
            )
        out = Path(temporary) / "site"
        (root / CACHE_FILE).unlink(missing_ok=True)
        _, first = timed(root, out)
        report, again = timed(root, out)
        for kind, size in kinds(out).most_common(12):
            print(f"{size / 1e6:8.3f} MB  {kind}")
        print(
            f"{report.bytes / 1e6:8.3f} MB  all of {report.pages} pages; as a zip {zipped(out) / 1e6:.3f} MB"
        )
        print(f"{again:8.1f} s   of processor time to build")
        print(f"{first:8.1f} s   the first time, when test images are resampled")
        if not options.no_browser:
            response(out)


def timed(root: Path, out: Path) -> tuple[SiteReport, float]:
    """The build and its processor seconds, all threads together."""
    start = time.process_time()
    report = build_site(root, out)
    return report, time.process_time() - start


def response(site: Path) -> None:
    """Print the pages' response times, or what is missing to measure them."""
    if missing := site_browser.installed():
        print(f"how soon it answers is not known: {missing} is not installed")
        return
    for what, median, longest in site_browser.measured(site):
        print(f"{median:8.0f} ms  {what} (longest {longest:.0f})")


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
