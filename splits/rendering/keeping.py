"""Pictures kept on disk so that they are drawn once: PNG files that prove to be what they are named."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
from PIL import Image, PngImagePlugin

from ltbench.atomic_files import write_atomically

Pixels = npt.NDArray[np.uint8]
_DIGEST = "pixels"
"""Name of the PNG text chunk that holds the digest."""
_UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning)


class Shelf:
    """A folder of pictures that may be absent, read-only, full, damaged, or shared by many processes.

    Nothing of that is an error: what cannot be read is drawn again, what cannot be written is not kept.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        """`identity` names the recipe that draws the pictures: another recipe's files are not taken."""
        self.folder = folder
        self._identity = identity
        self._writable = True

    def get(self, path: str) -> Pixels | None:
        """The picture under this name, or None where it is not there, damaged, or another recipe's."""
        try:
            with Image.open(self.folder / path) as image:
                image.load()
                stated = getattr(image, "text", {}).get(_DIGEST)
                pixels = np.array(image, dtype=np.uint8)
        except _UNREADABLE:
            return None
        return pixels if stated == self._digest(path, pixels) else None

    def put(self, path: str, pixels: Pixels) -> bool:
        """Keep a picture; False where the folder does not take it, and then no other is tried."""
        if self._writable:
            try:
                self.write(path, pixels)
            except OSError:
                self._writable = False
        return self._writable

    def write(self, path: str, pixels: Pixels) -> None:
        """Write a picture whole or not at all: a reader never sees half a file. Raises OSError."""
        text = PngImagePlugin.PngInfo()
        text.add_text(_DIGEST, self._digest(path, pixels))

        def save(file: IO[bytes]) -> None:
            Image.fromarray(pixels).save(file, format="PNG", compress_level=1, pnginfo=text)

        write_atomically(self.folder / path, save)

    def _digest(self, path: str, pixels: Pixels) -> str:
        digest = hashlib.sha256(f"{self._identity}/{path}/{pixels.shape}/".encode())
        digest.update(np.ascontiguousarray(pixels).data)
        return digest.hexdigest()
