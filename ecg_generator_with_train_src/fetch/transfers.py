"""What the steps that fetch data share: work over threads, patience with a network, one run at a time in a folder."""

import argparse
import contextlib
import errno
import os
import queue
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ecg_generator_with_train_src.common.batch import SkipReport
from ecg_generator_with_train_src.common.command_line import EXIT_DONE, EXIT_SKIPPED, positive_int
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import is_temporary

MAX_CONNECTIONS = 8  # the pool of Google's client holds 10
TIMEOUT_S = (10.0, 60.0)  # to connect, and between two reads
CHUNK_BYTES = 1 << 18  # at most so much of a broken answer is lost
LONGEST_DELAY_S = 30.0

Item = TypeVar("Item")


class CannotGoOnError(InputError):
    """No other file would fare better: no access, no network, or the disk is full."""


def add_retry_seconds(parser: argparse.ArgumentParser) -> None:
    """`--retry-seconds`: how patient a download is."""
    parser.add_argument(
        "--retry-seconds",
        type=positive_int,
        default=120,
        help="how long to keep trying, in seconds, while the network gives nothing",
    )


@dataclass
class Counts:
    """What a run moved; `verb` says how."""

    verb: str = "fetched"
    files: int = 0
    bytes: int = 0
    already: int = 0

    def close(self, made: str, started_s: float, report: SkipReport) -> int:
        """Write the report, print the last line of a run that made `made`, and return its exit code."""
        report.write()
        seconds = time.monotonic() - started_s
        speed = in_units(self.bytes / max(seconds, 1e-3))
        print(
            f"{made}; {self.files} files ({in_units(self.bytes)}) {self.verb} in {seconds:.1f} s ({speed}/s), "
            f"{self.already} already there"
            + (f"; {len(report.reasons)} skipped, see {report.path}" if report.reasons else "")
        )
        return EXIT_SKIPPED if report.reasons else EXIT_DONE


def in_units(size_bytes: float) -> str:
    """Bytes in decimal units, as disks and networks count."""
    for unit in ("B", "kB", "MB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} GB"


@contextlib.contextmanager
def output_folder(root: Path) -> Iterator[None]:
    """Make a folder and hold it for this run alone; what the file system says becomes one line.

    Clears away the temporary files of a killed run. Raises CannotGoOnError if another run is at work there.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _held(root):
            for path in filter(is_temporary, root.rglob(".*")):
                path.unlink(missing_ok=True)
            yield
    except OSError as error:
        raise disk_error(error, root) from error


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """A lock that ends with the process, however it ends, and leaves no file."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise CannotGoOnError(f"{folder}: another run is at work there; wait until it has ended") from None
    except OSError:  # a network file system without locks
        pass
    try:
        yield
    finally:
        os.close(handle)


def disk_error(error: OSError, root: Path) -> CannotGoOnError:
    """The one line for what the file system refused below `root`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return CannotGoOnError(
            f"{root}: disk full; free some space or choose another output folder, then run again to go on"
        )
    return CannotGoOnError(f"{error.filename or root}: {error.strerror or error}")


def over_threads(
    function: Callable[[Item], Any], items: Iterable[Item], num_threads: int
) -> Iterator[tuple[Item, Any]]:
    """Yield `(item, outcome)` as they come; an InputError of one item is yielded, any other error raised.

    A CannotGoOnError is raised too. Not more than MAX_CONNECTIONS threads work; they are daemons, for Ctrl-C must
    not wait for a stalled connection.
    """
    todo, done = queue.SimpleQueue(), queue.SimpleQueue()
    items = list(items)
    for item in items:
        todo.put(item)
    for _ in range(min(num_threads, MAX_CONNECTIONS, len(items))):
        threading.Thread(target=_work, args=(function, todo, done), daemon=True).start()
    try:
        for _ in items:
            item, outcome = done.get()
            if isinstance(outcome, CannotGoOnError) or _is_bug(outcome):
                raise outcome
            yield item, outcome
    finally:
        for _ in _taken(todo):  # what nobody waits for is not begun
            pass


def _is_bug(outcome: Any) -> bool:
    return isinstance(outcome, Exception) and not isinstance(outcome, InputError)


def _work(function: Callable, todo: queue.SimpleQueue, done: queue.SimpleQueue) -> None:
    for item in _taken(todo):
        try:
            done.put((item, function(item)))
        except Exception as error:
            done.put((item, error))


def _taken(todo: queue.SimpleQueue) -> Iterator[Any]:
    with contextlib.suppress(queue.Empty):
        while True:
            yield todo.get_nowait()


class Backoff:
    """Waits 1, 2, 4 … 30 s between failures, and gives up once nothing has come for `patience_s` seconds."""

    def __init__(self, patience_s: float):
        self._patience_s = patience_s
        self.restart()

    def restart(self) -> None:
        """Something came."""
        self._since_s, self._delay_s = time.monotonic(), 1.0

    def wait_or_raise(self, error: Exception) -> None:
        """Nothing came, because of `error`."""
        if time.monotonic() + self._delay_s > self._since_s + self._patience_s:
            raise error
        time.sleep(self._delay_s * random.uniform(0.5, 1.0))
        self._delay_s = min(2 * self._delay_s, LONGEST_DELAY_S)
