"""Errors of splits and data sets."""

from __future__ import annotations


class SplitsError(Exception):
    """A split, data set or image is missing or invalid; the message is one sentence for the user."""

    exit_code = 1


class DataMissing(SplitsError):
    """Images, or the acceptance of their licence, are missing; the message names the way to get them."""

    exit_code = 4


class VerificationFailed(SplitsError):
    """A digest, count or file does not match the record."""

    exit_code = 5
