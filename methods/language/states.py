"""What normal and broken things are called: states of a product, and sentences around them, per paper."""

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
"""Jeong et al., CVPR 2023, supplement: 7 and 4 states."""

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
"""22 sentences."""

_LEFT_OUT = ("a cropped photo of a {}.", "a jpeg corrupted photo of a {}.")
_TWICE = "a jpeg corrupted photo of the {}."
ACCURATE_TEMPLATES = (*(text for text in WINCLIP_TEMPLATES if text not in _LEFT_OUT), _TWICE)
"""The list of the re-implementation Accurate-WinCLIP: 21, two of the paper's missing and one there twice."""

ANOMALYGPT_NORMAL = (
    "{}", "flawless {}", "perfect {}", "unblemished {}", "{} without flaw", "{} without defect",
    "{} without damage",
)  # fmt: skip
ANOMALYGPT_ABNORMAL = ("damaged {}", "broken {}", "{} with flaw", "{} with defect", "{} with damage")
ANOMALYGPT_TEMPLATES = ("a photo of a {}.", "a photo of the {}.")
"""Gu et al., AAAI 2024: 7 and 5 states, 2 sentences."""

States = Literal["winclip", "accurate", "anomalygpt"]
_LISTS = {
    "winclip": (WINCLIP_NORMAL, WINCLIP_ABNORMAL, WINCLIP_TEMPLATES),
    "accurate": (WINCLIP_NORMAL, WINCLIP_ABNORMAL, ACCURATE_TEMPLATES),
    "anomalygpt": (ANOMALYGPT_NORMAL, ANOMALYGPT_ABNORMAL, ANOMALYGPT_TEMPLATES),
}


def sentences(name: str, states: Sequence[str], templates: Sequence[str]) -> list[str]:
    """Every state of the product `name` in every template."""
    return [template.format(state.format(name)) for state in states for template in templates]


def normal_and_abnormal(
    tower: TextTower, name: str, states: States, *, normalise_each: bool = False
) -> torch.Tensor:
    """(2, dim): unit embeddings of "normal" and "abnormal" for the product `name`, each an ensemble."""
    normal, abnormal, templates = _LISTS[states]
    return torch.stack(
        [
            prompts.ensemble(tower, sentences(name, kind, templates), normalise_each=normalise_each)
            for kind in (normal, abnormal)
        ]
    )


def abnormality(embeddings: torch.Tensor, texts: torch.Tensor, temperature: float) -> torch.Tensor:
    """softmax over the cosines to "normal" and "abnormal", the second: (...,) in [0, 1], float64.

    embeddings: (..., dim), of any length. texts: unit, (2, dim) or one pair per embedding, (..., 2, dim).
    """
    directions = torch.nn.functional.normalize(embeddings.to(torch.float64), dim=-1)
    cosines = (texts.to(torch.float64) @ directions[..., None])[..., 0]
    return torch.softmax(cosines / temperature, dim=-1)[..., 1]
