"""What can go wrong between a finished cell and its files."""

from __future__ import annotations


class ResultsError(Exception):
    """Result files cannot be written, read or combined. The message is one sentence for a person."""

    exit_code = 1


class ResultsDiffer(ResultsError):
    """Two result sets that should agree do not."""

    exit_code = 5
