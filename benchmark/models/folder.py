"""Folders of models: written as a whole or not at all, refused where a byte has changed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ltbench.atomic_files import whole_folder
from ltbench.benchmark.errors import BenchmarkError, BrokenModel, UsageError
from ltbench.benchmark.models.facts import FORMAT, ModelFacts
from ltbench.methods.state.fitted import State

FACTS_FILE = "model.json"
TREE_FILE = "state.json"
TENSORS_FILE = "state.safetensors"


def require_free(folder: Path) -> None:
    """Raise UsageError where a folder of a model cannot be made."""
    if folder.exists():
        raise UsageError(f"'{folder}' exists and is left as it is: choose another folder, or remove it")


def write_model(folder: Path, facts: ModelFacts, state: State) -> str:
    """Write a model, which appears when all of it is on the disk; return its digest.

    Raises UsageError where the folder exists, BenchmarkError where its place is full or read-only; nothing is
    left behind then.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    require_free(folder)
    try:
        with whole_folder(folder) as temporary:
            (temporary / TREE_FILE).write_text(json.dumps(state.tree, allow_nan=False), encoding="utf-8")
            save_file(state.tensors, temporary / TENSORS_FILE)
            # The library lets nobody else read its file.
            shutil.copymode(temporary / TREE_FILE, temporary / TENSORS_FILE)
            content = {**facts.to_json(), "files": _digests(temporary)}
            content["digest"] = _digest_of(content)
            text = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
            (temporary / FACTS_FILE).write_text(text, encoding="utf-8")
            for path in temporary.iterdir():
                _flush(path)
        _flush(folder.parent)
    except (OSError, SafetensorError) as error:
        why = getattr(error, "strerror", None) or error
        raise BenchmarkError(
            f"cannot write '{folder}' ({why}): choose a folder with free space and write permission"
        ) from error
    return str(content["digest"])


def read_facts(folder: Path) -> tuple[ModelFacts, str]:
    """Facts and digest of a model. Raises UsageError without one, BrokenModel for a damaged or other one."""
    content = _read_content(folder)
    if content.get("format") != FORMAT:
        raise BrokenModel(
            f"'{folder}' has format '{content.get('format')}': this version of ltbench reads {FORMAT}; fit "
            "the model again"
        )
    digest = content.pop("digest", "")
    if digest != _digest_of(content):
        raise _damaged(folder / FACTS_FILE)
    files = content.pop("files")
    for name, known in files.items():
        if not (folder / name).is_file() or _file_digest(folder / name) != known:
            raise _damaged(folder / name)
    try:
        return ModelFacts.from_json(content), str(digest)
    except (KeyError, TypeError, ValueError) as error:
        raise BrokenModel(
            f"'{folder}' was written by another version of ltbench ({error}): fit the model again"
        ) from error


def read_state(folder: Path) -> State:
    """Learned state of a model's method, from files that `read_facts` has verified."""
    from safetensors.torch import load_file

    tree = json.loads((folder / TREE_FILE).read_text(encoding="utf-8"))
    return State(tree, load_file(folder / TENSORS_FILE))


def _read_content(folder: Path) -> dict[str, Any]:
    path = folder / FACTS_FILE
    if not path.is_file():
        raise UsageError(
            f"'{folder}' is no model: expected a folder with '{FACTS_FILE}', as 'ltbench fit' writes it"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(path) from error
    if not isinstance(content, dict):
        raise _damaged(path)
    return content


def _damaged(path: Path) -> BrokenModel:
    return BrokenModel(f"'{path}' is damaged or missing: put an intact copy in its place, or fit again")


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: _file_digest(path) for path in sorted(folder.iterdir())}


def _digest_of(content: Mapping[str, Any]) -> str:
    text = json.dumps({name: part for name, part in content.items() if name != "digest"}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    """Wait until a file or the entries of a folder are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
