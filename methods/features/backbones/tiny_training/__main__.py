"""Trains `tiny` and writes the file that ships, with its sha256 into the backbone's source.

`OMP_NUM_THREADS=1 python -m ltbench.methods.features.backbones.tiny_training [FILE]`: about ten minutes on
one core. Another CPU or torch rounds differently: the file then has another sha256, and features as good.
"""

from __future__ import annotations

import hashlib
import logging
import re
import sys
from pathlib import Path

import torch

from ltbench.methods.features.backbones import tiny
from ltbench.methods.features.backbones.tiny_training.training import Recipe, trained


def main(file: Path) -> None:
    """Train with one thread, so that a run can be repeated, and write the weights to a file."""
    torch.set_num_threads(1)
    content = trained(Recipe())
    file.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    logging.getLogger(__name__).info("wrote '%s', %d bytes, sha256 %s", file, len(content), digest)
    if file == tiny.WEIGHTS:
        source = Path(tiny.__file__)
        source.write_text(re.sub(r'SHA256 = "\w*"', f'SHA256 = "{digest}"', source.read_text()))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else tiny.WEIGHTS)
