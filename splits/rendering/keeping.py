"""Cache of rendered images on disk, as PNG files with a digest of their name and pixels."""

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
    """Cache folder of images, which may be missing, read-only, full, damaged or shared by processes.

    None of this is an error: images that cannot be read are rendered again, and images that cannot be written
    are not cached.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        """Open a cache; `identity` names the renderer, and files of another one are ignored."""
        self.folder = folder
        self._identity = identity
        self._writable = True

    def get(self, path: str) -> Pixels | None:
        """Read a cached image; None if it is missing, damaged or of another renderer."""
        try:
            with Image.open(self.folder / path) as image:
                image.load()
                stated = getattr(image, "text", {}).get(_DIGEST)
                pixels = np.array(image, dtype=np.uint8)
        except _UNREADABLE:
            return None
        return pixels if stated == self._digest(path, pixels) else None

    def put(self, path: str, pixels: Pixels) -> bool:
        """Cache an image; False, for all further images too, if the folder is not writable."""
        if self._writable:
            try:
                self.write(path, pixels)
            except OSError:
                self._writable = False
        return self._writable

    def write(self, path: str, pixels: Pixels) -> None:
        """Write an image atomically. Raises OSError."""
        text = PngImagePlugin.PngInfo()
        text.add_text(_DIGEST, self._digest(path, pixels))

        def save(file: IO[bytes]) -> None:
            Image.fromarray(pixels).save(file, format="PNG", compress_level=1, pnginfo=text)

        write_atomically(self.folder / path, save)

    def _digest(self, path: str, pixels: Pixels) -> str:
        """Digest of the renderer, the name and the pixels of an image."""
        digest = hashlib.sha256(f"{self._identity}/{path}/{pixels.shape}/".encode())
        digest.update(np.ascontiguousarray(pixels).data)
        return digest.hexdigest()
