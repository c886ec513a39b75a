"""Compile loops over pixels, states and nodes to machine code, with numba, the first time that they run."""

import threading
from collections.abc import Callable

from numba import njit

OPTIONS = {"error_model": "numpy", "nogil": True}


def compiled(function: Callable) -> Callable:
    """Compile a function of arrays and numbers.

    The machine code is kept in __pycache__ beside the module, or in the user's cache folder, so that later runs start
    at once. Where neither can be written, each run compiles anew. Delete the cache after changing the options here:
    numba does not take them into account. Divisions follow IEEE 754 instead of raising, so that a loop can work on
    several values at a time. Other threads of Python run meanwhile.
    """
    try:
        return njit(cache=True, **OPTIONS)(function)
    except RuntimeError:  # no folder for the cache
        return njit(**OPTIONS)(function)


def get_ready() -> None:
    """Load beside other work what numba needs before its first function runs; it takes a third of a second."""
    threading.Thread(target=_nothing, name="numba gets ready").start()


@compiled
def _nothing() -> None:
    pass
