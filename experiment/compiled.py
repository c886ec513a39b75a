"""How loops over pixels, states and nodes are compiled: by numba, to machine code, the first time they run.

The code is kept beside the modules (in __pycache__), so that later runs start at once. Divisions follow IEEE 754
instead of raising, which lets loops run several values at a time.
"""

from numba import njit

compiled = njit(cache=True, error_model="numpy")
