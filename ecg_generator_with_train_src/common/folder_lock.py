"""One run at a time in an output folder."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ecg_generator_with_train_src.common.errors import InputError

_LOCKS = Path("/proc/locks")  # Linux: a line a lock, such as `1: FLOCK ADVISORY WRITE 4711 08:01:2359 0 EOF`


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make a folder if there is none, and hold it. Raises InputError, which names the other process, if one holds it.

    The lock ends with the process, however that ends, and leaves no file.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:  # Windows has no fcntl
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{folder}: another run{_holder_of(handle)} is at work there; wait until it has ended"
            ) from None
        except OSError:  # some network file systems have no locks
            pass
        yield
    finally:
        os.close(handle)


def _holder_of(handle: int) -> str:
    """In words, the process that holds the lock of an open folder, where the system tells."""
    inode = os.fstat(handle).st_ino
    with contextlib.suppress(OSError, ValueError):
        for line in _LOCKS.read_text().splitlines():
            _, kind, *_, pid, place, _, _ = line.replace("->", "").split()
            if kind == "FLOCK" and int(place.rpartition(":")[2]) == inode and int(pid) > 0:
                return f" (process {pid})"
    return ""
