"""Finds the checkpoints of vision-language encoders on this machine or a hub, and refuses damaged ones."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from methods.errors import BadParameter, WeightsMissing
from methods.features import weights


def in_mirror(candidates: Sequence[str], weights_root: Path | None) -> Path | None:
    """The first of these files or folders that lies in the folder with weights, or None."""
    root = weights.folder(weights_root)
    found = (root / name for name in candidates) if root is not None else iter(())
    return next((path for path in found if path.exists()), None)


def from_hub(repository: str, files: Sequence[str]) -> Path | None:
    """The first of these files of a Hugging Face repository, fetched or from its local cache; else None."""
    import huggingface_hub

    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() not in ("", "0", "FALSE", "NO", "OFF")
    for file in files:
        try:
            return Path(huggingface_hub.hf_hub_download(repository, file, local_files_only=offline))
        except (OSError, ValueError):
            continue
    return None


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


@contextmanager
def reading(path: Path, encoder: str) -> Iterator[None]:
    """Turns what goes wrong while a checkpoint is read into one sentence.

    Raises WeightsMissing for a damaged or half-downloaded file, BadParameter for one of another model.
    """
    try:
        yield
    except (RuntimeError, OSError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as error:
        why = " ".join(str(error).split())[:300]
        if "loading state_dict" in why or "size mismatch" in why:
            raise BadParameter(f"the weights '{path}' do not fit '{encoder}': {why}") from error
        raise WeightsMissing(
            f"the weights '{path}' of '{encoder}' cannot be read ({why or type(error).__name__}): the file "
            "is damaged or half-downloaded; remove it and fetch it again"
        ) from error
    except Exception as error:
        # safetensors' own error derives from nothing more special.
        if type(error).__name__ != "SafetensorError":
            raise
        raise WeightsMissing(
            f"the weights '{path}' of '{encoder}' cannot be read ({error}): the file is damaged or "
            "half-downloaded; remove it and fetch it again"
        ) from error
