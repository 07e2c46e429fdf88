"""What can go wrong between a name typed by a person and a list of images."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SplitsError(Exception):
    """A split, data set or image is not what was asked for. The message is one sentence for a person."""

    exit_code = 1


class UnknownName(SplitsError):
    """No data set, recipe or split has this name."""

    exit_code = 2

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"did you mean '{close[0]}'? " if close else ""
        super().__init__(f"unknown {kind} '{name}': {hint}known are {', '.join(known)}")


class DataMissing(SplitsError):
    """The images (or a licence's acceptance) are not on this machine; says where to get and to put them."""

    exit_code = 4


class VerificationFailed(SplitsError):
    """A digest, count or file is not what the record says."""

    exit_code = 5
