"""Errors of methods that users can remedy."""

from __future__ import annotations


class MethodsError(Exception):
    """A method cannot carry out a request. The message is one sentence for the user."""

    exit_code = 1


class BadParameter(MethodsError):
    """A field of a method has a value that it cannot take, or no field has that name."""

    exit_code = 2


class WeightsMissing(MethodsError):
    """Pretrained weights are not on this machine; the message names ways to get them and their folder."""

    exit_code = 4


class NotStorable(MethodsError):
    """A fitted method holds something that no file can keep."""
