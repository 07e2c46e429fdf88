"""Search for checkpoints of vision-language encoders on this machine, and their verification."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ltbench.methods.errors import WeightsMissing
from ltbench.methods.features import weights


def in_mirror(candidates: Sequence[str], weights_root: Path | None) -> Path | None:
    """First of the candidate files or folders that exists in the weights folder, or None."""
    root = weights.folder(weights_root)
    paths = (root / name for name in candidates) if root is not None else iter(())
    return next((path for path in paths if path.exists()), None)


def missing(encoder: str, source: str, put: str) -> WeightsMissing:
    """Build the error for an encoder whose weights are not on this machine.

    Args:
        encoder: Name of the encoder, as given by the user.
        source: Address of the authors' weights.
        put: File or folder name expected in the weights folder.
    """
    return WeightsMissing(
        f"the weights of '{encoder}' are not on this machine and could not be fetched: run "
        f"`ltbench weights fetch '{encoder}'` on a machine with network, or download them from {source} and "
        f"put them as '{put}' into a folder that {weights.ENVIRONMENT} names, or choose the encoder "
        "'toy-vl', which needs no download and knows no language"
    )


def verified_sha256(path: Path, expected: str = "") -> str:
    """Compute the sha256 of a checkpoint; raises WeightsMissing if it differs from `expected` or its name.

    The Hugging Face cache names large files by their sha256, which reveals an incomplete download.
    """
    blob = path.resolve().name
    named = blob if re.fullmatch(r"[0-9a-f]{64}", blob) else ""
    return weights.verified_sha256(path, expected or named)
