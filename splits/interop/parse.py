"""Parser of lists of images, which detects their format."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ltbench.splits.datasets.layout import IMAGE_SUFFIXES, class_names
from ltbench.splits.errors import SplitsError
from ltbench.splits.interop.listing import Listing
from ltbench.splits.interop.text import decode, lines, read_text

PATH_FIELDS = ("filename", "path", "image", "image_path", "img_path", "file", "filepath", "file_path")
PART_FIELDS = ("split", "part", "phase", "mode", "set")
PREFIX_FIELD = "prefix"
_TAILEDCORE = ("prune_good.txt", "inject_defects.txt")
_TRAIN_NAMES = ("train.json", "train.jsonl", "train.csv", "train.txt", "manifest.txt")

Entry = tuple[str, str]
"""Path and part as written; "" without a part."""


def read_listing(place: Path) -> Listing:
    """Parse the list in a file or folder. Raises SplitsError, in one sentence, for any error in it."""
    if place.is_dir():
        return _read_folder(place)
    if place.name in _TAILEDCORE:
        return _read_tailedcore(place.parent)
    if zipfile.is_zipfile(place):
        return _read_archive(place)
    return parse_text(read_text(place), str(place))


def parse_text(text: str, source: str) -> Listing:
    """Parse the list in the text of one file."""
    first = text.lstrip()[:1]
    if first in "{[":
        return _parse_json(text, source)
    delimiter = _delimiter(text.lstrip().split("\n", 1)[0])
    if delimiter:
        return _parse_csv(text, delimiter, source)
    return Listing("paths", source, train=tuple(lines(text)))


def _read_folder(folder: Path) -> Listing:
    """Read the list in a folder: TailedCore's files, a training list with its test list, or a folder tree."""
    if any((folder / name).is_file() for name in _TAILEDCORE):
        return _read_tailedcore(folder)
    train = next((folder / name for name in _TRAIN_NAMES if (folder / name).is_file()), None)
    if train is not None:
        listing = read_listing(train)
        test = train.with_name(train.name.replace("train", "test"))
        if listing.test is None and test != train and test.is_file():
            listing = replace(listing, test=read_listing(test).train)
        return replace(listing, source=str(folder))
    if class_names(folder):
        return _read_tree(folder)
    raise SplitsError(
        f"folder '{folder}' holds no list: expected {_TAILEDCORE[0]} and {_TAILEDCORE[1]}, one of "
        f"{', '.join(_TRAIN_NAMES)}, or '<class>/train/good'"
    )


def _read_tailedcore(folder: Path) -> Listing:
    """Read the two files of a TailedCore manifest: good images to delete, defects to copy to train/good."""
    absent = [name for name in _TAILEDCORE if not (folder / name).is_file()]
    if absent:
        raise SplitsError(
            f"folder '{folder}' lacks '{absent[0]}': a TailedCore manifest is two files, put both"
        )
    texts = [(folder / name).read_bytes() for name in _TAILEDCORE]
    pruned, injected = (
        tuple(lines(decode(data, str(folder / name)))) if data.strip() else ()
        for name, data in zip(_TAILEDCORE, texts, strict=True)
    )
    return Listing("tailedcore", str(folder), train=injected, pruned=pruned)


def _read_tree(folder: Path) -> Listing:
    """List the images of a folder tree in MVTec's layout."""
    parts: dict[str, list[str]] = {"train": [], "test": []}
    for category in class_names(folder):
        for part, paths in parts.items():
            files = sorted((folder / category / part).rglob("*"))
            paths += [f.relative_to(folder).as_posix() for f in files if f.suffix.lower() in IMAGE_SUFFIXES]
    return Listing("tree", str(folder), tuple(parts["train"]), tuple(parts["test"]))


def _read_archive(file: Path) -> Listing:
    """Read the manifest of an exported archive."""
    try:
        return _read_members(file)
    except zipfile.BadZipFile as error:
        raise SplitsError(f"archive '{file}' is damaged ({error}): get an intact copy") from error


def _read_members(file: Path) -> Listing:
    """Read the only manifest of an archive. Raises SplitsError if there is none or more than one."""
    with zipfile.ZipFile(file) as archive:
        members = [name for name in archive.namelist() if name.endswith("manifest.txt")]
        if len(members) != 1:
            raise SplitsError(
                f"archive '{file}' holds {len(members)} manifests, expected one: unpack it and name the list "
                f"itself (it holds {', '.join(archive.namelist()[:5])} ...)"
            )
        return parse_text(decode(archive.read(members[0]), f"{file}/{members[0]}"), f"{file}/{members[0]}")


def _parse_json(text: str, source: str) -> Listing:
    """Parse a manifest with a header, a JSON document or JSON lines."""
    head, _, body = text.partition("\n")
    if '"manifest"' in head and body.startswith(("train\t", "test\t")):
        return _parse_manifest(body, source)
    try:
        document = json.loads(text)
    except json.JSONDecodeError as whole:
        return _parse_json_lines(text, source, whole)
    except RecursionError:
        raise SplitsError(
            f"'{source}' is JSON too deep for a list: expected objects with image paths"
        ) from None
    entries = list(_entries(document, "", ""))
    if not entries:
        raise SplitsError(
            f"'{source}' is JSON without image paths: expected objects with one of {', '.join(PATH_FIELDS)}"
        )
    return _with_parts("json", source, entries)


def _parse_json_lines(text: str, source: str, whole: json.JSONDecodeError) -> Listing:
    """Parse one JSON object per line; `whole` is the error of parsing the text as one document."""
    entries: list[Entry] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            document = json.loads(line)
        except json.JSONDecodeError as error:
            where = number if entries else whole.lineno
            raise SplitsError(
                f"'{source}' is not complete JSON (line {where}): it seems cut off; get an intact copy"
            ) from error
        in_line = list(_entries(document, "", ""))
        if not in_line:
            raise SplitsError(
                f"line {number} of '{source}' names no image: expected one of {', '.join(PATH_FIELDS)}"
            )
        entries += in_line
    return _with_parts("json-lines", source, entries)


def _entries(document: Any, part: str, prefix: str) -> Iterator[Entry]:
    """Yield every object with a path field at any depth; enclosing keys "train" and "test" give its part."""
    if isinstance(document, list):
        for item in document:
            yield from _entries(item, part, prefix)
    elif isinstance(document, dict):
        name = next((key for key in PATH_FIELDS if isinstance(document.get(key), str)), None)
        if name is not None:
            own = next(
                (str(document[key]) for key in PART_FIELDS if isinstance(document.get(key), str)), part
            )
            yield prefix + document[name], own
            return
        meta = document.get("meta")
        inner = str(meta[PREFIX_FIELD]) if isinstance(meta, dict) and PREFIX_FIELD in meta else prefix
        for key, value in document.items():
            yield from _entries(value, key if key in ("train", "test") else part, inner)


def _parse_manifest(body: str, source: str) -> Listing:
    """Parse the body of a manifest: lines of part, tab and path."""
    entries: list[Entry] = []
    for number, line in enumerate(body.split("\n"), start=2):
        part, tab, path = line.partition("\t")
        if not line:
            continue
        if not tab or part not in ("train", "test"):
            raise SplitsError(
                f"line {number} of '{source}' is '{line}': expected 'train' or 'test', tab, path"
            )
        entries.append((path, part))
    return _with_parts("manifest", source, entries)


def _delimiter(header: str) -> str:
    """Column separator if the first line looks like that of a table; "" for a plain list of paths."""
    for mark in ("\t", ",", ";"):
        fields = [field.strip().strip('"').lower() for field in header.split(mark)]
        is_path = fields[0].endswith(IMAGE_SUFFIXES)
        if len(fields) > 1 and (is_path or any(field in PATH_FIELDS for field in fields)):
            return mark
        if mark == "," and len(fields) == 1 and fields[0] in PATH_FIELDS:
            return mark
    return ""


def _parse_csv(text: str, delimiter: str, source: str) -> Listing:
    """Parse a table with or without a header."""
    rows = [row for row in csv.reader(text.split("\n"), delimiter=delimiter) if any(row)]
    header = [field.strip().lower() for field in rows[0]]
    column = next((header.index(name) for name in PATH_FIELDS if name in header), None)
    part = next((header.index(name) for name in PART_FIELDS if name in header), None)
    if column is None:  # no header, so that the first column is the path
        column, part, rows = 0, None, [[], *rows]
    entries: list[Entry] = []
    for number, row in enumerate(rows[1:], start=2):
        if len(row) <= max(column, part or 0):
            raise SplitsError(
                f"row {number} of '{source}' has {len(row)} columns, expected at least "
                f"{max(column, part or 0) + 1}: it seems cut off; get an intact copy"
            )
        entries.append((row[column], "" if part is None else row[part]))
    return _with_parts("csv", source, entries)


def _with_parts(kind: str, source: str, entries: list[Entry]) -> Listing:
    """Separate entries into training and test; entries without a part are training images."""
    parts: dict[str, list[str]] = {"train": [], "test": []}
    has_parts = False
    for path, part in entries:
        name = part.strip().lower() or "train"
        has_parts = has_parts or bool(part)
        if name not in parts:
            raise SplitsError(f"'{source}' puts '{path}' into part '{part}': expected 'train' or 'test'")
        parts[name].append(path)
    test = tuple(parts["test"]) if has_parts else None
    return Listing(kind, source, tuple(parts["train"]), test)
