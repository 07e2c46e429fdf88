"""Finds the checkpoints of vision-language encoders on this machine or a hub, and verifies them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ltbench.methods.errors import WeightsMissing
from ltbench.methods.features import weights


def in_mirror(candidates: Sequence[str], weights_root: Path | None) -> Path | None:
    """The first of these files or folders that lies in the folder with weights, or None."""
    root = weights.folder(weights_root)
    found = (root / name for name in candidates) if root is not None else iter(())
    return next((path for path in found if path.exists()), None)


def missing(encoder: str, source: str, put: str) -> WeightsMissing:
    """The ways out for someone whose encoder has no weights here.

    encoder: as it was asked for. source: where its authors keep them. put: name in a folder with weights.
    """
    return WeightsMissing(
        f"the weights of '{encoder}' are not on this machine and could not be fetched: run "
        f"`ltbench weights fetch '{encoder}'` on a machine with network, or download them from {source} and "
        f"put them as '{put}' into a folder that {weights.ENVIRONMENT} names, or choose the encoder "
        "'toy-vl', which needs no download and knows no language"
    )


def verified_sha256(path: Path, expected: str = "") -> str:
    """sha256 of a checkpoint; raises WeightsMissing if it is not `expected`, or not what its name says.

    The Hugging Face cache names large files by their sha256, and so tells a half-downloaded one.
    """
    blob = path.resolve().name
    named = blob if re.fullmatch(r"[0-9a-f]{64}", blob) else ""
    return weights.verified_sha256(path, expected or named)
