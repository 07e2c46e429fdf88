"""Files of the Hugging Face hub: from its local cache, else fetched; an unreachable hub fails at once."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from http.client import HTTPException
from pathlib import Path

OFFLINE = "HF_HUB_OFFLINE"
"""The hub's own variable: set, nothing is fetched."""
_SECONDS = 10.0
# Not by the environment: the hub's library reads it once, when it is imported, and would stay offline.
_at_hand: ContextVar[bool] = ContextVar("at_hand", default=False)


def file_of(repository: str, names: Sequence[str]) -> Path | None:
    """First of these files of a repository that is cached or can be fetched; else None.

    What the local cache holds needs no network. The hub's library tries for half a minute a file before it
    gives up, and says so line by line; where the hub does not answer one plain request, it is not asked.
    """
    import huggingface_hub
    from huggingface_hub import constants

    for local in (True, False):
        if not local and (_is_offline() or not _answers(constants.ENDPOINT)):
            break
        for name in names:
            try:
                return Path(huggingface_hub.hf_hub_download(repository, name, local_files_only=local))
            except (OSError, ValueError):
                continue
    return None


@contextmanager
def offline() -> Iterator[None]:
    """Use the local cache alone within this context."""
    before = _at_hand.set(True)
    try:
        yield
    finally:
        _at_hand.reset(before)


def _is_offline() -> bool:
    return _at_hand.get() or os.environ.get(OFFLINE, "").upper() not in ("", "0", "FALSE", "NO", "OFF")


@cache
def _answers(endpoint: str) -> bool:
    """Whether the hub answers at all, through the environment's proxies; tested once per process."""
    request = urllib.request.Request(endpoint, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=_SECONDS).close()
    except urllib.error.HTTPError:
        return True
    except (OSError, HTTPException, ValueError):
        # ValueError: the address is none.
        return False
    return True
