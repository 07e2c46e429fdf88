"""What every figure has to be: well formed, described, legible, without overlaps, the same in every build."""

from __future__ import annotations

import itertools
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from figure_examples import FEW, HOSTILE, MANY, SIZES, drawings

from ltbench.reports.figures import theme
from ltbench.reports.figures.axes import mark, stroke
from ltbench.reports.figures.rank_changes import Change, rank_changes

SVG = "{http://www.w3.org/2000/svg}"
FIGURES = sorted(drawings("few"))


@pytest.fixture(scope="module", params=sorted(SIZES))
def size(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def drawn(size: str) -> dict[str, str]:
    return drawings(size)


def parse(figure: str) -> ElementTree.Element:
    return ElementTree.fromstring(figure)


def texts(root: ElementTree.Element) -> list[tuple[str, np.ndarray]]:
    """Words and the four corners of their box in pixels, by the narrowest of the usual fonts."""
    found = []
    for node in root.iter(f"{SVG}text"):
        words, size = node.text or "", float(node.get("font-size", root.get("font-size", "0")))
        x, y = float(node.get("x", 0)), float(node.get("y", 0))
        width = theme.text_width(words, size) / 1.13
        left = x - {"start": 0, "middle": width / 2, "end": width}[node.get("text-anchor", "start")]
        top, bottom = y - 0.7 * size, y + 0.15 * size
        corners = np.array([(left, top), (left + width, top), (left + width, bottom), (left, bottom)])
        turned = re.match(r"rotate\((\S+) (\S+) (\S+)\)", node.get("transform", ""))
        if turned:
            angle, *centre = (float(part) for part in turned.groups())
            c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            corners = (corners - centre) @ np.array([[c, s], [-s, c]]) + centre
        found.append((words, corners))
    return found


def overlap(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two rectangles of any direction share area: no edge of either separates them."""
    for corners in (first, second):
        for edge in (corners[1] - corners[0], corners[3] - corners[0]):
            a, b = first @ edge, second @ edge
            if a.max() <= b.min() or b.max() <= a.min():
                return False
    return True


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_a_document_with_a_name_and_a_description(drawn: dict[str, str], name: str) -> None:
    root = parse(drawn[name])
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert len(description.text or "") > 20
    assert "nan" not in drawn[name].lower().replace("dominant", "")


@pytest.mark.parametrize("name", FIGURES)
def test_no_words_cover_others(drawn: dict[str, str], name: str) -> None:
    for (first, a), (second, b) in itertools.combinations(texts(parse(drawn[name])), 2):
        assert not overlap(a, b), f"'{first}' and '{second}'"


@pytest.mark.parametrize("name", FIGURES)
def test_all_words_are_inside_and_large_enough_for_a_telephone(
    drawn: dict[str, str], name: str, size: str
) -> None:
    root = parse(drawn[name])
    width, height = (float(root.get(side, "0")) for side in ("width", "height"))
    for words, corners in texts(root):
        assert corners.min() >= -1, words
        assert corners[:, 0].max() <= width + 1, words
        assert corners[:, 1].max() <= height + 1, words
    smallest = min(
        float(node.get("font-size", root.get("font-size", "0"))) for node in root.iter(f"{SVG}text")
    )
    if size != "many" or name != "heat_map":  # fifteen columns of numbers need a wider page
        assert smallest * 360 / width >= 9


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_is_fetched_and_nothing_runs(drawn: dict[str, str], name: str) -> None:
    assert not re.search(r"url\(|href|<script|<image|<foreignObject|@import|on\w+=", drawn[name])


def test_figures_are_the_same_in_every_build(drawn: dict[str, str], size: str) -> None:
    assert drawings(size) == drawn


def test_figures_can_stand_on_one_page() -> None:
    found = [*drawings("few").values(), *drawings("many").values()]
    identifiers = [node.get("id") for figure in found for node in parse(figure).iter() if node.get("id")]
    assert len(identifiers) == len(set(identifiers)) == 2 * len(found)


@pytest.mark.parametrize("name", FIGURES)
def test_titles_are_text_and_never_markup(name: str) -> None:
    root = parse(drawings("few", HOSTILE)[name])
    assert root.findtext(f"{SVG}title") == HOSTILE
    assert not list(root.iter(f"{SVG}script"))


def test_names_are_text_and_never_markup() -> None:
    root = parse(rank_changes([Change(HOSTILE, 0.9, 0.8), Change("x", 0.8, 0.9)], title="t"))
    assert HOSTILE in (root.findtext(f"{SVG}desc") or "")


@pytest.mark.parametrize(
    "name", ["score_by_size", "score_by_parameter", "cost", "rank_changes", "roc", "standings"]
)
def test_every_method_is_named_in_words(name: str) -> None:
    shown = " ".join(words for words, _ in texts(parse(drawings("few")[name])))
    assert all(method in shown for method in FEW)


@pytest.mark.parametrize(
    "name", [name for name in FIGURES if name not in {"roc", "pro", "score_distributions"}]
)
def test_marks_tell_their_number_to_the_pointer(name: str) -> None:
    root = parse(drawings("few")[name])
    tips = [node.text or "" for node in root.iter(f"{SVG}title")][1:]
    assert len(tips) >= len(FEW) - 1
    assert sum(bool(re.search(r"\d", tip)) for tip in tips) >= len(FEW) - 1


def test_a_hole_says_why() -> None:
    assert "the method returns no maps" in drawings("few")["heat_map"]


# --- colours and marks ----------------------------------------------------------------------------------


def linear(colour: str) -> np.ndarray:
    """Linear RGB, 0..1."""
    plain = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(plain <= 0.04045, plain / 12.92, ((plain + 0.055) / 1.055) ** 2.4)


def contrast(first: str, second: str) -> float:
    """As the Web Content Accessibility Guidelines define it."""
    weights = np.array([0.2126, 0.7152, 0.0722])
    low, high = sorted(float(weights @ linear(colour)) for colour in (first, second))
    return (high + 0.05) / (low + 0.05)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear RGB."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    t = to_xyz @ rgb / np.array([0.9505, 1.0, 1.089])
    f = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


# Machado, Oliveira and Fernandes 2009, severity 1: full loss of one kind of cone.
VISIONS = {
    "usual": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}


@pytest.mark.parametrize(("palette", "paper"), [(theme.LIGHT, "#ffffff"), (theme.DARK, "#14171b")])
def test_series_stand_out_from_the_paper(palette: tuple[str, ...], paper: str) -> None:
    assert min(contrast(colour, paper) for colour in palette) >= 3


@pytest.mark.parametrize("vision", sorted(VISIONS))
@pytest.mark.parametrize("palette", [theme.LIGHT, theme.DARK])
def test_the_first_six_series_differ_for_colour_blind_readers(palette: tuple[str, ...], vision: str) -> None:
    seen = [lab(np.clip(VISIONS[vision] @ linear(colour), 0, 1)) for colour in palette[:6]]
    nearest = min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2))
    assert nearest > 9


def test_series_of_one_colour_differ_in_mark_and_dashes() -> None:
    looks = {
        (theme.colour(at), mark(at, 0, 0), stroke(at)["stroke_dasharray"]) for at in range(2 * len(MANY))
    }
    assert len(looks) == 2 * len(MANY)
