"""Limits on the threads of NumPy's and SciPy's matrix products, whose number changes the last bits."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController


def one_blas_thread() -> AbstractContextManager[object]:
    """Context in which NumPy and SciPy multiply matrices on one thread.

    OpenBLAS splits a product into as many parts as it has threads and rounds differently at their edges.
    """
    return _libraries().limit(limits=1, user_api="blas")


@cache
def _libraries() -> ThreadpoolController:
    """Controller of the loaded BLAS libraries."""
    # SciPy brings its own BLAS library, which a controller finds only once it is loaded.
    import scipy.linalg  # noqa: F401

    return ThreadpoolController()
