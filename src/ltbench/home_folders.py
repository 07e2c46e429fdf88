"""Paths that begin with "~"."""

from __future__ import annotations

from pathlib import Path


class UnknownHome(Exception):
    """A path begins with "~name" and there is no such user. The message is one sentence for the user."""

    exit_code = 2


def expanded(path: str | Path) -> Path:
    """The path with the home folder in place of "~" or "~name". Raises UnknownHome."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UnknownHome(
            f"'{path}' begins with the home folder of a user that is not known here: write the folder's "
            f"whole path, or './{path}' if it is called so"
        ) from error
