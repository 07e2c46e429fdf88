"""Archive of splits for publication: lists, metadata and checksums, with the same bytes on every machine.

Members are not compressed, since versions of zlib may compress the same text differently.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

from ltbench.splits.datasets import Dataset
from ltbench.splits.describe import Description, describe
from ltbench.splits.errors import SplitsError
from ltbench.splits.interop.text import write_whole
from ltbench.splits.interop.write import Files, json_lines
from ltbench.splits.split import Split

_EPOCH = (1980, 1, 1, 0, 0, 0)
LICENCE = "CC0-1.0"
LICENCE_TEXT = """The lists in this archive name files; they hold no image. As far as any right in such lists
exists, it is waived under CC0 1.0 (https://creativecommons.org/publicdomain/zero/1.0/).
The images stay under the licences of their data sets, which README.md names.
"""
PAPERS = {
    "LTAD": """@inproceedings{ho2024ltad,
  title = {Long-Tailed Anomaly Detection with Learnable Class Names},
  author = {Ho, Chih-Hui and Peng, Kuan-Chuan and Vasconcelos, Nuno},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  year = {2024}
}""",
    "TailedCore": """@inproceedings{jung2025tailedcore,
  title = {{TailedCore}: Few-Shot Sampling for Unsupervised Long-Tail Noisy Anomaly Detection},
  author = {Jung, Yoon Gyo and Park, Jaewoo and Yoon, Jaeho and Peng, Kuan-Chuan and Kim, Wonchul and
            Teoh, Andrew Beng Jin and Camps, Octavia},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  year = {2025}
}""",
    "MeDS": """@misc{safarov2026meds,
  title = {Memory-Distilled Selection for Noise-Robust Anomaly Detection},
  author = {Safarov, Sirojbek and Park, Jaewoo and Jung, Yoon Gyo and Peng, Kuan-Chuan and Kim, Wonchul and
            Bang, Seongdeok and Camps, Octavia},
  eprint = {2605.26676},
  archivePrefix = {arXiv},
  year = {2026}
}""",
}


def archive(
    splits: Sequence[tuple[Split, Dataset]], *, title: str = "", creators: Sequence[str] = ()
) -> bytes:
    """Build a zip archive of splits with README, metadata, licence, citation and checksums.

    Args:
        splits: Splits with their data sets.
        title: Title of the archive.
        creators: Names as "Family, Given" for Zenodo; without them the metadata must be completed by hand.

    Raises:
        SplitsError: Without a split, or if a split is repeated.
    """
    ids = [split.id for split, _ in splits]
    if not ids:
        raise SplitsError("there is no split to put into the archive: name at least one")
    twice = next((name for name in ids if ids.count(name) > 1), None)
    if twice is not None:
        raise SplitsError(f"split '{twice}' is named twice: name each split once")
    ordered = sorted(splits, key=lambda pair: pair[0].id)
    descriptions = [describe(split, dataset) for split, dataset in ordered]
    datasets = {dataset.name: dataset for _, dataset in ordered}
    files: Files = {}
    for split, dataset in ordered:
        folder = split.id.replace(":", "_")
        files[f"{folder}/manifest.txt"] = split.manifest()
        for name, content in json_lines(split, dataset).items():
            files[f"{folder}/{name}"] = content
    heading = (
        title or f"Training and test lists: {', '.join(sorted({split.dataset for split, _ in ordered}))}"
    )
    files["README.md"] = _readme(heading, descriptions, list(datasets.values())).encode()
    files["metadata.json"] = _metadata(heading, descriptions, creators)
    files["LICENSE.txt"] = LICENCE_TEXT.encode()
    files["CITATION.bib"] = _citation(descriptions, list(datasets.values())).encode()
    sums = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items())]
    files["checksums.sha256"] = "".join(sums).encode()
    return _zip(files)


def _zip(files: Files) -> bytes:
    """Build a zip archive without compression and times, in the order of names."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        for name in sorted(files):
            member = zipfile.ZipInfo(name, date_time=_EPOCH)
            member.create_system = 3  # Unix, regardless of the machine
            member.external_attr = 0o644 << 16
            file.writestr(member, files[name])
    return buffer.getvalue()


def _readme(title: str, descriptions: Sequence[Description], datasets: Sequence[Dataset]) -> str:
    """Render the README of an archive."""
    lines = [
        f"# {title}",
        "",
        "Each folder holds one split: `manifest.txt` (one header line, then `train<TAB>path` and "
        "`test<TAB>path`, sorted) and the same lists as JSON lines, `train.json` and `test.json`. Paths are "
        "relative to the data set's folder. Training paths below `test/` are injected defects.",
        "",
        "The digest of a split is the sha256 of its manifest without the header line: "
        "`tail -n +2 manifest.txt | sha256sum`. `sha256sum -c checksums.sha256` checks the files.",
        "",
        "| split | goods | injected | tested | evidence | digest |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {d.id} | {d.kept} | {d.injected} | {d.test} | {d.evidence} | `{d.digest}` |" for d in descriptions
    ]
    lines += ["", "| evidence | meaning |", "|---|---|"]
    lines += sorted({f"| {d.evidence} | {d.evidence_meaning} |" for d in descriptions})
    lines += ["", "## Notes", ""]
    lines += [f"- {d.id}: {note}" for d in descriptions for note in d.notes] or ["None."]
    lines += ["", "## Images", "", "No image is part of this archive.", ""]
    lines += [
        f"- {d.title}: {d.licence or 'licence not stated'}, {d.address or 'not public'}" for d in datasets
    ]
    return "\n".join(lines) + "\n"


def _papers(descriptions: Sequence[Description]) -> list[str]:
    """Papers that the splits' sources mention."""
    sources = " ".join(description.source for description in descriptions)
    return [paper for paper in PAPERS if paper in sources]


def _citation(descriptions: Sequence[Description], datasets: Sequence[Dataset]) -> str:
    """BibTeX entries of the papers and data sets of an archive."""
    entries = [PAPERS[paper] for paper in _papers(descriptions)]
    entries += [dataset.citation for dataset in datasets if dataset.citation]
    return "\n\n".join(entries) + "\n"


def _metadata(title: str, descriptions: Sequence[Description], creators: Sequence[str]) -> bytes:
    """Metadata of the deposit with the field names of Zenodo's interface."""
    digests = ", ".join(f"{description.id} {description.digest}" for description in descriptions)
    content = {
        "metadata": {
            "title": title,
            "upload_type": "dataset",
            "description": f"Lists of training and test images, with sha256 digests: {digests}",
            "creators": [{"name": name} for name in creators],
            "license": LICENCE,
            "access_right": "open",
            "keywords": ["anomaly detection", "long-tailed", "label noise", "data split"],
        }
    }
    return (json.dumps(content, indent=2, sort_keys=True) + "\n").encode()


def write_archive(
    splits: Sequence[tuple[Split, Dataset]], file: Path, *, title: str = "", creators: Sequence[str] = ()
) -> str:
    """Write the archive and return its sha256."""
    content = archive(splits, title=title, creators=creators)
    write_whole(file, content)
    return hashlib.sha256(content).hexdigest()
