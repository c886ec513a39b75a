"""Where pictures lie in memory: in what is kept for them, in large pages.

Pictures of 10 to 40 MB are made and freed all the time. By itself glibc asks the system for each of them anew, in pages
of 4 KB, which takes a tenth of the time that a page is read in.
"""

import ctypes
import functools

# Numbers of glibc's malloc.h and of Linux's mman.h
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8
_HUGEPAGE, _LARGE_PAGE_BYTES = 14, 2 << 20
_KEPT_BYTES = 1 << 30  # a worker needs less
_STEP_BYTES = 64 << 20


@functools.cache
def keep_memory_for_pictures() -> bool:
    """Let this process keep the memory that it frees for the next picture, and have it in pages of 2 MB, if the system
    has such. None is taken before it is used.

    Returns whether that could be done: only glibc can. Call it before other threads are there, as they have memory of
    their own otherwise.
    """
    try:
        libc = ctypes.CDLL(None)
        options = (
            (_ARENA_MAX, 1),
            (_MMAP_MAX, 0),
            (_TRIM_THRESHOLD, 2 * _KEPT_BYTES - 1),
            (_TOP_PAD, _STEP_BYTES),
        )
        kept = all(libc.mallopt(*option) for option in options)
    except (AttributeError, OSError, TypeError):
        return False
    if kept:
        _in_large_pages(libc)
    return kept


def _in_large_pages(libc: ctypes.CDLL) -> None:
    """Ask for the memory once and free it: it stays this process's, and the system knows now how it is wanted."""
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    if start := libc.malloc(_KEPT_BYTES):
        first = -(-start // _LARGE_PAGE_BYTES) * _LARGE_PAGE_BYTES
        libc.madvise(first, _KEPT_BYTES - _LARGE_PAGE_BYTES, _HUGEPAGE)
        libc.free(start)
