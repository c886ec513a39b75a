"""One run at a time in an output folder."""

import contextlib
import importlib.util
import os
import time
from collections.abc import Iterator
from pathlib import Path

from ecg_generator_with_train_src.common.errors import InputError

ORPHANS_S, LOOK_AGAIN_S = 30.0, 0.2
_LOCKS = Path("/proc/locks")  # Linux: a line a lock, such as `1: FLOCK ADVISORY WRITE 4711 08:01:2359 0 EOF`


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make a folder if there is none, and hold it. Raises InputError, which names the other process, if one holds it.

    The lock ends with the process, however that ends, and leaves no file.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    if importlib.util.find_spec("fcntl") is None:  # Windows has none
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        _take(handle, folder)
        yield
    finally:
        os.close(handle)


def _take(handle: int, folder: Path) -> None:
    """Lock an open folder. What a killed run left, such as its loaders, ends by itself soon: that is waited for."""
    import fcntl

    until = time.monotonic() + ORPHANS_S
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = _holder_of(handle)
            if time.monotonic() > until or (pid and not _is_left_over(pid)):
                which = f" (process {pid})" if pid else ""
                raise InputError(
                    f"{folder}: another run{which} is at work there; wait until it has ended"
                ) from None
            time.sleep(LOOK_AGAIN_S)
        except OSError:  # some network file systems have no locks
            return None


def _holder_of(handle: int) -> int | None:
    """The process that took the lock of an open folder, where the system tells. Those that it started hold it on."""
    inode = os.fstat(handle).st_ino
    with contextlib.suppress(OSError, ValueError):
        for line in _LOCKS.read_text().splitlines():
            _, kind, *_, pid, place, _, _ = line.replace("->", "").split()
            if kind == "FLOCK" and int(place.rpartition(":")[2]) == inode and int(pid) > 0:
                return int(pid)
    return None


def _is_left_over(pid: int) -> bool:
    """Whether a process has ended, or lost the one that started it."""
    try:
        parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
    except OSError:
        return True
    return int(parent) == 1
