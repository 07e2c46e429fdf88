"""What can go wrong between a name typed by a person and a list of images."""

from __future__ import annotations


class SplitsError(Exception):
    """A split, data set or image is not what was asked for. The message is one sentence for a person."""

    exit_code = 1


class DataMissing(SplitsError):
    """The images (or a licence's acceptance) are not on this machine; says where to get and to put them."""

    exit_code = 4


class VerificationFailed(SplitsError):
    """A digest, count or file is not what the record says."""

    exit_code = 5
