"""The measuring itself: alternation, verdicts, absent peers; comparisons run and agree on small inputs."""

from __future__ import annotations

import re
import warnings
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from perf.comparison import Comparison, Side
from perf.comparisons import all_comparisons, find
from perf.machine import machine
from perf.memory import peak_memory
from perf.pairs import measure
from perf.recipes_figure import FIGURE, by_mask_rule, drawn, measured

NUMBER = r"\d+\.\d+"
DOCS = Path(__file__).parents[1] / "docs" / "metrics.md"


def numbers(text):
    return [float(number) for number in re.findall(NUMBER, text)]


def busy(seconds):
    """Something that takes about this much of the processor's time."""
    import time

    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def comparison(*peers, tolerance=None, order=None):
    def ours(given):
        busy(0.01)
        if order is not None:
            order.append("ours")
        return 1.0

    return Comparison(
        "c",
        "s",
        lambda brief: None,
        Side("ours", ours),
        peers,
        lambda one, other: abs(one - other),
        tolerance,
    )


def peer(seconds=0.03, answer=1.0, order=None, **more):
    def run(given):
        busy(seconds)
        if order is not None:
            order.append("peer")
        return answer

    return Side("peer", run, **more)


def test_sides_take_turns():
    order: list[str] = []
    measure(comparison(peer(0.01, order=order), order=order), seconds_per_side=0.05)
    assert order[:6] == ["ours", "peer"] * 3


def test_a_slow_side_runs_no_more_than_needed():
    order: list[str] = []
    rows = measure(comparison(peer(0.3, order=order), order=order), seconds_per_side=0.1)
    # Once on small inputs, which loads its code, and once timed.
    assert order.count("peer") == 2
    assert rows[0].rounds > rows[1].rounds == 1


def test_a_ratio_is_the_peers_time_over_ours():
    rows = measure(comparison(peer(0.05)), seconds_per_side=0.1)
    assert rows[0].ratio == 1
    assert 3 < rows[1].ratio < 8


@pytest.mark.parametrize(
    ("side", "tolerance", "verdict"),
    [
        (peer(faster=2), None, "ok"),
        (peer(faster=50), None, "wanted 50x faster"),
        (peer(answer=1.5), 0.1, "differs by more than 0.1"),
        (peer(answer=float("nan")), 0.1, "differs by more than 0.1"),
        (peer(), None, ""),
        (peer(needs=("no_such_module",)), None, "not installed: no_such_module"),
    ],
)
def test_a_missed_target_and_an_absent_peer_are_said(side, tolerance, verdict):
    rows = measure(comparison(side, tolerance=tolerance), seconds_per_side=0.04)
    assert rows[-1].verdict == verdict


def test_memory_is_watched_in_a_fresh_process():
    found = find("pixel metrics 256")
    assert 20 < peak_memory(found.name, found.ours.name) < 120, "one sorted copy of the maps is 31 MB"


@pytest.mark.parametrize("found", all_comparisons(), ids=lambda found: found.name)
def test_every_side_runs_and_exact_ones_agree(found):
    inputs = found.inputs(True)
    own = found.ours.run(inputs)
    for side in found.peers:
        if side.missing or "anomalib" in side.name:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer = side.run(inputs)
        if found.difference is None:
            continue
        apart = found.difference(own, answer)
        assert apart <= (1e-9 if "MVTec" in side.name else found.tolerance or 0.5)


def test_the_machine_is_described():
    facts = machine()
    assert facts["numpy"][0].isdigit()
    assert facts["cores"] != "0"


def test_the_figure_shows_every_value_and_the_page_says_the_same():
    found = measured()
    text = drawn(found)
    ET.fromstring(text)
    drawn_before = FIGURE.read_text()
    assert re.sub(NUMBER, "", text) == re.sub(NUMBER, "", drawn_before)
    assert numbers(text) == pytest.approx(numbers(drawn_before), abs=0.15)
    page = DOCS.read_text()
    for recipe in next(iter(found.values())):
        values = [100 * each[recipe] for each in found.values() if each[recipe] is not None]
        if recipe == "aupro":
            continue
        line = next(line for line in page.splitlines() if line.startswith(f"| `{recipe}` "))
        told = [float(number) for number in re.findall(r"\d\d\.\d\d", line.split("|")[-2])]
        assert min(told) == pytest.approx(min(values), abs=0.0101)
        assert max(told) == pytest.approx(max(values), abs=0.0101)


def test_the_page_says_what_mask_rules_do():
    page = DOCS.read_text()
    for rule, values in by_mask_rule().items():
        line = next(line for line in page.splitlines() if re.match(rf"\| `?{rule}", line) and "%" not in line)
        told = [float(number) for number in re.findall(r"\d\d\.\d\d", line)]
        assert told == pytest.approx([100 * value for value in values.values()], abs=0.006)
