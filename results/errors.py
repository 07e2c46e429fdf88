"""Errors of result files."""

from __future__ import annotations


class ResultsError(Exception):
    """Result files cannot be written, read or combined; the message is one sentence for the user."""

    exit_code = 1


class ResultsDiffer(ResultsError):
    """Two results folders that should agree differ."""

    exit_code = 5
