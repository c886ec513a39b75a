"""Commands run in processes that are forked from this one, which has loaded all they need, within limits."""

import contextlib
import ctypes
import os
import runpy
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ecg_generator_with_train_src.common import command_line

REPOSITORY = Path(__file__).resolve().parents[2]
STDOUT, STDERR = "stdout.txt", "stderr.txt"
LOOK_S = 0.02
MIB = 2**20
IDLE_S = 0.05  # who computed no longer than this since the last look only waits
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Limits:
    """How long a command may compute, or wait for something without computing, and how much memory its largest process
    may use."""

    seconds: float = 60.0
    memory_mib: float = 2048.0


@dataclass(frozen=True)
class Ended:
    """How a command ended. The code is negative if a signal ended it, as in subprocess."""

    code: int
    cpu_s: float
    peak_mib: float
    over_time: bool
    over_memory: bool


class Child:
    """A process of its own that calls a function in a folder; what it prints goes to two files beside that folder."""

    def __init__(self, work: Callable[[], None], cwd: Path, limits: Limits):
        self._limits, self._stopped_for = limits, ""
        self._busy_at, self._cpu_s = time.monotonic(), 0.0  # when it last computed, and how much by then
        self._pid = os.fork()
        if self._pid == 0:
            _become(work, cwd)

    def poll(self) -> Ended | None:
        """How it ended; None while it runs. It is killed when it is over a limit."""
        pid, status, usage = os.wait4(self._pid, os.WNOHANG)
        if pid == 0:
            self._kill_if_over()
            return None
        _kill_group(self._pid)  # what it may have left behind
        peak_mib = usage.ru_maxrss * 1024 / MIB
        over_memory = peak_mib > self._limits.memory_mib or self._stopped_for == "memory"
        cpu_s, over_time = usage.ru_utime + usage.ru_stime, self._stopped_for == "time"
        return Ended(os.waitstatus_to_exitcode(status), cpu_s, peak_mib, over_time, over_memory)

    def wait(self) -> Ended:
        """The same, once it has ended."""
        while (ended := self.poll()) is None:
            time.sleep(LOOK_S)
        return ended

    def kill(self) -> None:
        """End it and all that it started."""
        _kill_group(self._pid)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)

    def _kill_if_over(self) -> None:
        cpu_s = _cpu_s(self._pid)
        if cpu_s > self._cpu_s + IDLE_S:
            self._busy_at, self._cpu_s = time.monotonic(), cpu_s
        if max(cpu_s, time.monotonic() - self._busy_at) > self._limits.seconds:
            self._stopped_for = "time"
        elif _resident_mib(self._pid) > self._limits.memory_mib:
            self._stopped_for = "memory"
        if self._stopped_for:
            _kill_group(self._pid)


def command(script: str, arguments: list[str]) -> Callable[[], None]:
    """What runs a command of the repository, such as scripts/build_dataset.py, as its own process would."""

    def work() -> None:
        sys.argv = [script, *arguments]
        main = runpy.run_path(str(REPOSITORY / script), run_name="forked")["main"]
        command_line.run(lambda: main(arguments))

    return work


def _become(work: Callable[[], None], cwd: Path) -> None:
    """The forked process: its own group, folder and output; it never returns."""
    code = command_line.EXIT_FAULT
    try:
        os.setsid()
        _die_with_parent()
        _redirect(cwd.parent)
        os.chdir(cwd)
        work()
        code = command_line.EXIT_DONE
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


def _redirect(folder: Path) -> None:
    """Standard output and error go to files of a folder, encoded as Python does it; there is nothing to read."""
    for number, name in ((1, STDOUT), (2, STDERR)):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _cpu_s(pid: int) -> float:
    """Seconds of computing so far, of a process and the children that it has waited for."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _resident_mib(pid: int) -> float:
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / MIB
    return 0.0
