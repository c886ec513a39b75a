"""A Dask cluster on this machine, as users start one, and the end of one of its workers."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

WAIT_S = 120
_KILL_AFTER_FIRST = """
import os, signal, sys, time
from pathlib import Path
from typing import NamedTuple
pid, folder, pattern = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
while not any(folder.glob(pattern)):
    time.sleep(0.01)
os.kill(pid, signal.SIGKILL)
"""


class Cluster(NamedTuple):
    """Where the scheduler is to be found, and the processes."""

    address: str
    scheduler: subprocess.Popen
    worker: subprocess.Popen
    other: subprocess.Popen


@contextlib.contextmanager
def two_workers(folder: Path) -> Iterator[Cluster]:
    """A scheduler on loopback and its workers, which run in another folder than we do."""
    file = folder / "scheduler.json"
    flags = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
    processes = [_start_dask("scheduler", folder, *flags)]
    try:
        address = _wait_for_address(file)
        worker_flags = (address, "--nthreads", "1", "--no-dashboard", "--no-nanny", "--host", "127.0.0.1")
        processes += [_start_dask("worker", folder, *worker_flags) for _ in range(2)]
        yield Cluster(address, *processes)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def kill_after_first(lost: subprocess.Popen, folder: Path, pattern: str) -> subprocess.Popen:
    """A process that kills a worker once a file of this pattern is in the folder."""
    command = [sys.executable, "-c", _KILL_AFTER_FIRST, str(lost.pid), str(folder), pattern]
    return subprocess.Popen(command)


def _start_dask(kind: str, folder: Path, *flags: str) -> subprocess.Popen:
    """`dask scheduler` or `dask worker`."""
    command = [sys.executable, "-m", "dask", kind, *flags]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _wait_for_address(file: Path) -> str:
    """The scheduler writes its address once it listens."""
    deadline_s = time.monotonic() + WAIT_S
    while time.monotonic() < deadline_s:
        try:
            return json.loads(file.read_text())["address"]
        except (FileNotFoundError, json.JSONDecodeError):
            time.sleep(0.1)
    raise AssertionError("the scheduler did not start")
