"""The three papers with published tables, and their citations."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Paper:
    """Paper with published results."""

    name: str
    """Name in the data and on the command line, e.g. "ltad"."""
    short: str
    """Name in captions, e.g. "LTAD"."""
    title: str
    authors: tuple[str, ...]
    venue: str
    year: int
    url: str
    bibtex: str
    source: str
    """Text of the paper that the numbers were read from."""


def _bibtex(key: str, kind: str, fields: dict[str, str]) -> str:
    """Format a BibTeX entry."""
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    return f"@{kind}{{{key},\n{lines}\n}}"


_LTAD_AUTHORS = ("Chih-Hui Ho", "Kuan-Chuan Peng", "Nuno Vasconcelos")
_LTAD_TITLE = "Long-Tailed Anomaly Detection with Learnable Class Names"
_TAILEDCORE_AUTHORS = (
    "Yoon Gyo Jung",
    "Jaewoo Park",
    "Jaeho Yoon",
    "Kuan-Chuan Peng",
    "Wonchul Kim",
    "Andrew Beng Jin Teoh",
    "Octavia Camps",
)
_TAILEDCORE_TITLE = "TailedCore: Few-Shot Sampling for Unsupervised Long-Tail Noisy Anomaly Detection"
_MEDS_AUTHORS = (
    "Sirojbek Safarov",
    "Jaewoo Park",
    "Yoon Gyo Jung",
    "Kuan-Chuan Peng",
    "Wonchul Kim",
    "Seongdeok Bang",
    "Octavia Camps",
)
_MEDS_TITLE = "Memory-Distilled Selection for Noise-Robust Anomaly Detection"
_CVPR = "Proceedings of the IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)"

PAPERS: dict[str, Paper] = {
    "ltad": Paper(
        name="ltad",
        short="LTAD",
        title=_LTAD_TITLE,
        authors=_LTAD_AUTHORS,
        venue="CVPR 2024",
        year=2024,
        url="https://arxiv.org/abs/2403.20236",
        bibtex=_bibtex(
            "ho2024ltad",
            "inproceedings",
            {
                "title": _LTAD_TITLE,
                "author": " and ".join(_LTAD_AUTHORS),
                "booktitle": _CVPR,
                "pages": "12435--12446",
                "year": "2024",
            },
        ),
        source="paper with supplement, arXiv 2403.20236",
    ),
    "tailedcore": Paper(
        name="tailedcore",
        short="TailedCore",
        title=_TAILEDCORE_TITLE,
        authors=_TAILEDCORE_AUTHORS,
        venue="CVPR 2025",
        year=2025,
        url="https://arxiv.org/abs/2504.02775",
        bibtex=_bibtex(
            "jung2025tailedcore",
            "inproceedings",
            {
                "title": _TAILEDCORE_TITLE,
                "author": " and ".join(_TAILEDCORE_AUTHORS),
                "booktitle": _CVPR,
                "year": "2025",
            },
        ),
        source=(
            "Tables 1-4 as on the authors' conference poster; the noise-ratio figure from the authors' logs, "
            "github.com/roomo7time/tailedcore @59bcb27 (MIT)"
        ),
    ),
    "meds": Paper(
        name="meds",
        short="MeDS",
        title=_MEDS_TITLE,
        authors=_MEDS_AUTHORS,
        venue="arXiv 2605.26676",
        year=2026,
        url="https://arxiv.org/abs/2605.26676",
        bibtex=_bibtex(
            "safarov2026meds",
            "misc",
            {
                "title": _MEDS_TITLE,
                "author": " and ".join(_MEDS_AUTHORS),
                "year": "2026",
                "eprint": "2605.26676",
                "archivePrefix": "arXiv",
                "primaryClass": "cs.CV",
            },
        ),
        source="arXiv 2605.26676, version 1, with appendix",
    ),
}
"""Papers by name, in order of publication."""
