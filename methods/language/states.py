"""Prompt ensembles of the papers: states of a normal or defective product, and sentence templates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from ltbench.methods.language import prompts
from ltbench.methods.language.encoder import TextTower

WINCLIP_NORMAL = (
    "{}", "flawless {}", "perfect {}", "unblemished {}", "{} without flaw", "{} without defect",
    "{} without damage",
)  # fmt: skip
WINCLIP_ABNORMAL = ("damaged {}", "{} with flaw", "{} with defect", "{} with damage")
"""States of WinCLIP (Jeong et al., CVPR 2023, supplement): 7 normal and 4 abnormal."""

WINCLIP_TEMPLATES = (
    "a cropped photo of the {}.", "a cropped photo of a {}.",
    "a close-up photo of a {}.", "a close-up photo of the {}.",
    "a bright photo of a {}.", "a bright photo of the {}.",
    "a dark photo of the {}.", "a dark photo of a {}.",
    "a jpeg corrupted photo of a {}.", "a jpeg corrupted photo of the {}.",
    "a blurry photo of the {}.", "a blurry photo of a {}.",
    "a photo of a {}.", "a photo of the {}.",
    "a photo of a small {}.", "a photo of the small {}.",
    "a photo of a large {}.", "a photo of the large {}.",
    "a photo of the {} for visual inspection.", "a photo of a {} for visual inspection.",
    "a photo of the {} for anomaly detection.", "a photo of a {} for anomaly detection.",
)  # fmt: skip
"""The 22 sentence templates of WinCLIP."""

_LEFT_OUT = ("a cropped photo of a {}.", "a jpeg corrupted photo of a {}.")
_TWICE = "a jpeg corrupted photo of the {}."
ACCURATE_TEMPLATES = (*(text for text in WINCLIP_TEMPLATES if text not in _LEFT_OUT), _TWICE)
"""The 21 templates of the re-implementation Accurate-WinCLIP: two of WinCLIP's are missing, one is double."""

ANOMALYGPT_NORMAL = (
    "{}", "flawless {}", "perfect {}", "unblemished {}", "{} without flaw", "{} without defect",
    "{} without damage",
)  # fmt: skip
ANOMALYGPT_ABNORMAL = ("damaged {}", "broken {}", "{} with flaw", "{} with defect", "{} with damage")
ANOMALYGPT_TEMPLATES = ("a photo of a {}.", "a photo of the {}.")
"""AnomalyGPT (Gu et al., AAAI 2024): 7 normal and 5 abnormal states, 2 templates."""

States = Literal["winclip", "accurate", "anomalygpt"]
_LISTS = {
    "winclip": (WINCLIP_NORMAL, WINCLIP_ABNORMAL, WINCLIP_TEMPLATES),
    "accurate": (WINCLIP_NORMAL, WINCLIP_ABNORMAL, ACCURATE_TEMPLATES),
    "anomalygpt": (ANOMALYGPT_NORMAL, ANOMALYGPT_ABNORMAL, ANOMALYGPT_TEMPLATES),
}


def sentences(name: str, states: Sequence[str], templates: Sequence[str]) -> list[str]:
    """Insert every state of the product `name` into every template.

    >>> sentences("bolt", ["flawless {}"], ["a photo of a {}."])
    ['a photo of a flawless bolt.']
    """
    return [template.format(state.format(name)) for state in states for template in templates]


def normal_and_abnormal(
    tower: TextTower, name: str, states: States, *, normalise_each: bool = False
) -> torch.Tensor:
    """Unit embeddings (2, dim) of "normal" and "abnormal" for a product, each a prompt ensemble.

    Args:
        tower: Text tower.
        name: Name of the product.
        states: Paper whose states and templates are used.
        normalise_each: Normalise each embedding before averaging.
    """
    normal, abnormal, templates = _LISTS[states]
    return torch.stack(
        [
            prompts.ensemble(tower, sentences(name, kind, templates), normalise_each=normalise_each)
            for kind in (normal, abnormal)
        ]
    )


def abnormality(embeddings: torch.Tensor, texts: torch.Tensor, temperature: float) -> torch.Tensor:
    """Probability of "abnormal": softmax over the cosines of an embedding to "normal" and "abnormal".

    Args:
        embeddings: (..., dim), of any length.
        texts: Unit embeddings of both texts, (2, dim), or one pair per embedding, (..., 2, dim).
        temperature: Divisor of the cosines.

    Returns:
        float64 (...,) in [0, 1].
    """
    directions = torch.nn.functional.normalize(embeddings.to(torch.float64), dim=-1)
    cosines = (texts.to(torch.float64) @ directions[..., None])[..., 0]
    return torch.softmax(cosines / temperature, dim=-1)[..., 1]
