"""Where pictures lie in memory: in what is kept for them, in large pages.

Pictures of 10 to 40 MB are made and freed all the time. By itself glibc asks the system anew for each of the larger
ones, in pages of 4 KB where NumPy does not see to it, which takes a tenth of the time that a page is read in.
"""

import ctypes
import functools
import sys
from pathlib import Path

# Numbers of glibc's malloc.h and of Linux's mman.h
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8
_HUGEPAGE, _LARGE_PAGE_BYTES = 14, 2 << 20
_KEPT_BYTES = 1 << 30  # a worker needs less
_STEP_BYTES = 64 << 20
_LARGE_PAGE_SIZE = Path("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size")


@functools.cache
def keep_memory_for_pictures() -> bool:
    """Let this process keep up to a gigabyte that it frees for the next picture, and have it in pages of 2 MB, if the
    system has such; what is more is given back. Returns whether memory is kept: only glibc can.

    Call it first: what other threads that are there already allocate is kept up to 64 MB an array, in small pages.
    """
    try:
        libc = ctypes.CDLL(None)
        # what _in_large_pages asks for and frees is less than what would be given back
        options = (
            (_ARENA_MAX, 1),
            (_MMAP_MAX, 0),
            (_TRIM_THRESHOLD, _KEPT_BYTES + 4 * _STEP_BYTES),
            (_TOP_PAD, _STEP_BYTES),
        )
        kept = all(libc.mallopt(*option) for option in options)
    except (AttributeError, OSError, TypeError):
        return False
    if kept and _has_large_pages() and not _is_limited():
        _in_large_pages(libc)
    return kept


def give_back_freed_memory() -> None:
    """Give the system back what is kept, where that is glibc's: between pictures a process then has what it needs."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim:
        trim(0)


def _has_large_pages() -> bool:
    try:
        return int(_LARGE_PAGE_SIZE.read_text()) == _LARGE_PAGE_BYTES
    except (OSError, ValueError):
        return False


def _is_limited() -> bool:
    """Whether memory that is asked for counts, though it is not used, as under `ulimit -v`."""
    import resource  # there is none on Windows

    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


def _in_large_pages(libc: ctypes.CDLL) -> None:
    """Ask for the memory once and free it: it stays this process's, though none is taken yet, and the system knows now
    how it is wanted."""
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    if start := libc.malloc(_KEPT_BYTES):
        first = -(-start // _LARGE_PAGE_BYTES) * _LARGE_PAGE_BYTES
        libc.madvise(first, _KEPT_BYTES - _LARGE_PAGE_BYTES, _HUGEPAGE)
        libc.free(start)
