"""How loops over pixels, states and nodes are compiled: by numba, to machine code, the first time they run."""

from collections.abc import Callable

from numba import njit


def compiled(function: Callable) -> Callable:
    """Compile a function of arrays and numbers.

    The code is kept in __pycache__ beside the module, or in the user's cache folder, so that later runs start at once;
    where neither can be written, each run compiles anew. (After a change of the options here, delete it: numba keys it
    by the function alone.) Divisions follow IEEE 754 instead of raising, which lets loops take several values at a
    time.
    """
    try:
        return njit(cache=True, error_model="numpy")(function)
    except RuntimeError:  # no folder for the cache
        return njit(error_model="numpy")(function)
