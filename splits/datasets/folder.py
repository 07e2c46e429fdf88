"""A person's own images in MVTec AD's folder layout: `folder:PATH`."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

from ltbench.splits.datasets.facts import Facts
from ltbench.splits.datasets.files import FileDataset
from ltbench.splits.datasets.layout import is_class_folder, scan, scan_class
from ltbench.splits.errors import DataMissing, SplitsError
from ltbench.splits.images import LabelledImage


class FolderDataset(FileDataset):
    """`<class>/train/good`, `<class>/test/<good or defect>`, masks optional; PATH may be one class."""

    @cached_property
    def _content(self) -> str:
        rows = [
            f"{image.path}\t{image.part}\t{image.defect}\t{self.content_digest(image)}"
            for image in self.images()
        ]
        return hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()

    def data_digest(self) -> str:
        """sha256 over paths, labels and file contents: nobody else keeps the version of such a folder."""
        return self._content


def open_dataset(data_root: Path, argument: str) -> FolderDataset:
    """The folder `argument`, absolute, relative to here, or in `data_root`."""
    if not argument:
        raise SplitsError("data set 'folder:' names no folder: write 'folder:PATH', e.g. 'folder:~/parts'")
    typed = Path(argument).expanduser()
    found = next((path for path in (typed, data_root / typed) if path.is_dir()), None)
    if found is None:
        raise DataMissing(
            f"folder '{argument}' does not exist: expected a folder with '<class>/train/good' and "
            f"'<class>/test/<good or defect>' in it, here or in '{data_root}'"
        )
    found = found.resolve()
    facts = Facts(
        name=f"folder:{found.name}", title=found.name, licence="yours", size="", gallery_allowed=False
    )
    if not is_class_folder(found):
        return FolderDataset(facts, lambda: scan(found), found, found)

    def one_class() -> tuple[LabelledImage, ...]:
        return tuple(scan_class(found.parent, found.name))

    return FolderDataset(facts, one_class, found.parent, found.parent)
