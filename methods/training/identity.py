"""Identity of a training, by which checkpoints are matched to it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ltbench.splits.images import ImageSet


def identity_of(fields: Mapping[str, Any], images: ImageSet) -> str:
    """Hash of a method's fields and of the training images' contents, 64 hex digits."""
    digest = hashlib.sha256(json.dumps(fields, sort_keys=True).encode())
    for index in range(len(images)):
        digest.update(images.content_digest(index).encode())
    return digest.hexdigest()
