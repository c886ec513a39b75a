"""What becomes of memory that was freed: kept for the next picture, instead of given back to the system."""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's numbers of these options, in its malloc.h
_KEPT_BYTES = 32 << 20  # arrays up to this size reuse freed memory; glibc comes to it by itself if it is let


def keep_freed_memory() -> bool:
    """Let this process keep freed memory, as it does by itself unless MALLOC_TRIM_THRESHOLD_ is set.

    Nannies of Dask set it for their workers: memory is asked for anew for each picture then, and reading takes a third
    longer. Returns whether that could be done; only glibc has the option.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _KEPT_BYTES) and mallopt(_TRIM_THRESHOLD, 2 * _KEPT_BYTES))
