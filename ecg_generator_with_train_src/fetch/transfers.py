"""What the steps that fetch data share: threads, retries, disk space and disk errors, one run at a time in a folder."""

import argparse
import contextlib
import queue
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ecg_generator_with_train_src.common.batch import SkipReport, outcome_of
from ecg_generator_with_train_src.common.command_line import EXIT_DONE, EXIT_SKIPPED, positive_int
from ecg_generator_with_train_src.common.errors import FULL_DISK, InputError
from ecg_generator_with_train_src.common.files import is_temporary
from ecg_generator_with_train_src.common.folder_lock import locked

MAX_CONNECTIONS = 8  # Google's client keeps a pool of 10
TIMEOUT_S = (10.0, 60.0)  # seconds to connect, and seconds between two reads
CHUNK_BYTES = 1 << 18  # a broken connection loses at most one chunk of what it brought
FIRST_DELAY_S, LONGEST_DELAY_S = 1.0, 30.0  # the wait before another try doubles after each failure

Item = TypeVar("Item")


class CannotGoOnError(InputError):
    """An error that every other file would meet too: no access, no network, or a full disk."""


def add_retry_seconds(parser: argparse.ArgumentParser) -> None:
    """Add `--retry-seconds`: how long a download keeps trying."""
    parser.add_argument(
        "--retry-seconds",
        type=positive_int,
        default=120,
        help="seconds to keep trying while no data arrives",
    )


@dataclass
class Counts:
    """How many files and bytes a run brought; `verb` is the word for it in the last line."""

    verb: str = "fetched"
    files: int = 0
    bytes: int = 0
    already: int = 0  # files that were there before

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
    """Return a size in decimal units (1 kB is 1000 B), which disks and networks are sold in."""
    for unit in ("B", "kB", "MB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} GB"


@contextlib.contextmanager
def output_folder(root: Path) -> Iterator[None]:
    """Make a folder, lock it for this run, and remove the temporary files that a killed run left in it.

    Raises InputError if another run is at work there, or CannotGoOnError for any error of the file system.
    """
    try:
        with locked(root):
            for path in filter(is_temporary, root.rglob(".*")):
                path.unlink(missing_ok=True)
            yield
    except OSError as error:
        raise disk_error(error, root) from error


def check_space(root: Path, needed_bytes: int, what: str) -> None:
    """Raise CannotGoOnError unless the disk of `root` has `needed_bytes` free; `what` needs them."""
    free_bytes = shutil.disk_usage(root).free
    if needed_bytes > free_bytes:
        raise CannotGoOnError(
            f"{root}: {what} needs {in_units(needed_bytes)}, the disk has {in_units(free_bytes)} free; "
            "free some space or give another --output-root"
        )


def disk_error(error: OSError, root: Path) -> CannotGoOnError:
    """Return an error with one line for what the file system refused in `root`."""
    if error.errno in FULL_DISK:
        return CannotGoOnError(
            f"{root}: disk full; free some space or choose another output folder, then run again to go on"
        )
    return CannotGoOnError(f"{error.filename or root}: {error.strerror or error}")


def over_threads(
    function: Callable[[Item], Any], items: Iterable[Item], num_threads: int
) -> Iterator[tuple[Item, Any]]:
    """Yield `(item, outcome)` in the order in which they are finished.

    An error of one item is its outcome, as in common.batch; CannotGoOnError and a full disk are raised.
    At most MAX_CONNECTIONS threads work. They are daemons, because Ctrl-C must not wait for a stalled connection.
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
            if isinstance(outcome, CannotGoOnError | OSError):
                raise outcome
            yield item, outcome
    finally:
        for _ in _taken(todo):  # items that still wait are not begun after an error
            pass


def _work(function: Callable, todo: queue.SimpleQueue, done: queue.SimpleQueue) -> None:
    for item in _taken(todo):
        try:
            done.put((item, outcome_of(function, item)))
        except OSError as error:
            done.put((item, error))


def _taken(todo: queue.SimpleQueue) -> Iterator[Any]:
    with contextlib.suppress(queue.Empty):
        while True:
            yield todo.get_nowait()


class Backoff:
    """Waits up to 1, 2, 4 … 30 s between failures; gives up when no data has arrived for `patience_s` seconds."""

    def __init__(self, patience_s: float):
        self._patience_s = patience_s
        self.restart()

    def restart(self) -> None:
        """Note that data arrived: delay and patience start anew."""
        self._since_s, self._delay_s = time.monotonic(), FIRST_DELAY_S

    def wait_or_raise(self, error: Exception) -> None:
        """Sleep until the next try, or raise `error`, the reason why no data arrived, if the patience is used up."""
        if time.monotonic() + self._delay_s > self._since_s + self._patience_s:
            raise error
        time.sleep(self._delay_s * random.uniform(0.5, 1.0))
        self._delay_s = min(2 * self._delay_s, LONGEST_DELAY_S)
