"""Keeps the processes of a training run together: all of them stop when asked, and none outlives the others.

    supervisor ── the command that was typed; only waits, and imports neither torch nor torch_xla
      └ trainer ── the same command again, in a session of its own
          ├ ranks ── started by torch_xla, if there are several
          └ forkserver ── loader workers

The supervisor holds the only writing end of a pipe, and all others watch its reading end. A byte in the pipe asks them
to stop after the current step. When the supervisor dies, however that happens, the pipe is closed, and they end. Each
process also asks Linux to kill it when its parent dies (that is, the thread that started it), and regularly checks that
its parent is still there. Under torchrun, which sets WORLD_SIZE, torchrun is the parent and there is no supervisor.
"""

import contextlib
import ctypes
import faulthandler
import math
import multiprocessing
import multiprocessing.forkserver
import os
import select
import shlex
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from ecg_generator_with_train_src.common import command_line
from ecg_generator_with_train_src.common.command_line import EXIT_DONE, EXIT_FAULT, EXIT_INTERRUPTED

GRACE_S = 25  # the time from SIGTERM to the end; a preempted machine gives 30 s
LOOK_S = 1  # the time between two checks of the parent and the heartbeat
KILLED_RUN_S = 10  # within this time, the processes of a run that was killed have ended
# An environment variable of all processes below the supervisor: "<its process id>:<the pipe's reading end>".
_PIPE = "TRAINER_LIFELINE"
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_IS_SPAWNED = "--multiprocessing-fork" in sys.orig_argv  # this is a rank that torch_xla started
_IS_FORKSERVER = "multiprocessing.forkserver" in " ".join(sys.orig_argv)
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def run_supervised(main: Callable[[], int | None]) -> None:
    """Run the command `main` in a supervised process, or here if this already is one, and exit with its code."""
    # A process that ends abruptly leaves its semaphores to Python's tracker, which removes them with a warning.
    ignored = "ignore:resource_tracker:UserWarning"
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), ignored]))
    if _is_supervised() or "WORLD_SIZE" in os.environ or not hasattr(os, "killpg"):
        follow_parent()
        # Python's own end would wait for threads and loader workers, which may be stuck; os._exit ends them.
        os._exit(_code_of(main))
    sys.exit(_Supervisor().run([sys.executable, *sys.orig_argv[1:]]))


def _code_of(main: Callable[[], int | None]) -> int:
    """Run `main`, flush what it printed, and return its exit code."""
    code = EXIT_FAULT
    try:
        command_line.run(main)
    except SystemExit as end:
        code = end.code
    except Exception:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    return code


def resume_command() -> str:
    """The command that resumes this run."""
    words = [*sys.argv]
    for number, word in enumerate(words):
        if word == "--resume":
            del words[number : number + 2]
        elif word.startswith("--resume="):
            del words[number]
    variables = [f"{name}={os.environ[name]}" for name in ("PJRT_DEVICE",) if name in os.environ]
    installed = Path(words[0]).name.startswith(command_line.INSTALLED)
    starter = "torchrun … " if "WORLD_SIZE" in os.environ else "" if installed else "python "
    return " ".join([*variables, starter + shlex.join(words)])


# the supervisor


class _Supervisor:
    """Starts the trainer, passes signals on to it, and ends all of its processes."""

    def __init__(self):
        self._woken, wake = os.pipe()
        os.set_blocking(wake, False)
        numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGCHLD]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup ignores it, and so must this process
            numbers.append(signal.SIGHUP)
        for number in numbers:
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        self._stop_at = math.inf

    def run(self, command: list[str]) -> int:
        """Run `command`; return its exit code, or the code for what ended it."""
        reading, self._pipe = os.pipe()
        os.environ[_PIPE] = f"{os.getpid()}:{reading}"
        self._trainer = subprocess.Popen(
            command, start_new_session=True, pass_fds=[reading], preexec_fn=_before_exec(os.getpid())
        )
        try:
            while (code := self._trainer.poll()) is None:
                end = self._heed(self._signals())
                if end is not None:
                    return end
            return self._explained(code)
        finally:
            self._end_all()

    def _signals(self) -> bytes:
        """Wait for signals and return their numbers; empty once the grace period is over."""
        left = max(self._stop_at - time.monotonic(), 0)
        ready, _, _ = select.select([self._woken], [], [], min(left, 3600))
        return os.read(self._woken, 64) if ready else b""

    def _heed(self, signals: bytes) -> int | None:
        """Act on signals; return the exit code if all processes must end now."""
        if signal.SIGINT in signals:
            print(f"interrupted: the last checkpoint stands; resume with {resume_command()}", file=sys.stderr)
            return EXIT_INTERRUPTED
        if {signal.SIGTERM, signal.SIGHUP} & set(signals) and self._stop_at == math.inf:
            self._stop_at = time.monotonic() + GRACE_S
            os.write(self._pipe, b"!")
        if time.monotonic() >= self._stop_at:
            print(_no_step_line(), flush=True)
            return EXIT_DONE
        return None

    def _explained(self, code: int) -> int:
        if code >= 0:
            return code
        name = signal.Signals(-code).name
        hint = " (out of memory?)" if -code == signal.SIGKILL else ""
        print(
            f"error: the trainer was ended by {name}{hint}; the last checkpoint stands; "
            f"resume with {resume_command()}",
            file=sys.stderr,
        )
        return 128 - code

    def _end_all(self) -> None:
        """Kill what is left of the trainer's session, and wait until it has ended."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._trainer.pid, signal.SIGKILL)
        self._trainer.wait()
        os.close(self._pipe)
        deadline = time.monotonic() + KILLED_RUN_S
        # Orphans become the supervisor's children; once none is left, waitpid raises ChildProcessError.
        with contextlib.suppress(ChildProcessError):
            while time.monotonic() < deadline:
                if os.waitpid(-1, os.WNOHANG) == (0, 0):
                    time.sleep(0.01)


def _before_exec(supervisor: int) -> Callable[[], None]:
    def prepare() -> None:  # runs in the new process, before it becomes the trainer
        _die_with(supervisor)
        # All processes below inherit this: the pipe asks them to stop, not SIGTERM.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    return prepare


def _no_step_line() -> str:
    return (
        f"stopped in the middle of a step ({GRACE_S} s were not enough: a compilation?): "
        f"the last checkpoint stands; resume with {resume_command()}"
    )


# the family below it


def follow_parent() -> None:
    """From now on end when the parent ends; in the trainer and its ranks, watch for a stop as well.

    The main thread of a process calls this before it does anything else.
    """
    _die_with(os.getppid())
    if _IS_FORKSERVER:  # it forks workers, so it must not have another thread
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        _watch.start()


def start_forkserver() -> None:
    """Start the parent of all loader workers. It is killed when the calling thread ends."""
    # It imports torch once, so that no worker has to.
    multiprocessing.set_forkserver_preload(["__main__", "experiment.training.loaders"])
    multiprocessing.forkserver.ensure_running()


def begin_worker(_: int = 0) -> None:
    """What a loader worker does first (`worker_init_fn`): end with its parent, and outlast a stop by SIGTERM."""
    _die_with(os.getppid())
    # A machine that shuts down sends SIGTERM to every process, but the trainer still has a step to finish.
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(GRACE_S))
    _watch.start()


def expect_steps(limit_s: float) -> None:
    """From now on end this process if `beat` is not called for `limit_s` seconds."""
    beat()
    _watch.limit_s = limit_s


def beat() -> None:
    """Note that a step has ended."""
    _watch.last_beat = time.monotonic()


def end_of_steps() -> None:
    """Expect no more calls of `beat`."""
    _watch.limit_s = math.inf


def stop_asked() -> bool:
    """Whether this process was asked to stop after the current step."""
    return _watch.stop


class _Watch:
    """A thread that looks out for the end of the parent, for a request to stop, and for steps that do not end."""

    def __init__(self):
        self.stop = False
        self.limit_s, self.last_beat = math.inf, 0.0
        self._deadline = math.inf
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, unless it already runs in this process."""
        if self._thread is not None and self._thread.is_alive():
            return
        self._parent, self._poll = os.getppid(), select.poll()
        self._lifeline = _open_lifeline()
        parent = multiprocessing.parent_process()
        self._sentinel = parent.sentinel if parent else None
        self._signalled = self._catch_sigterm() if parent is None else None
        for source in (self._lifeline, self._sentinel, self._signalled):
            if source is not None:
                self._poll.register(source, select.POLLIN)
        self._thread = threading.Thread(target=self._run, daemon=True, name="watch")
        self._thread.start()

    def _catch_sigterm(self) -> int:
        """The reading end of a pipe to which signals are written, even while the main thread computes."""
        reading, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        return reading

    def _run(self) -> None:
        while True:
            for source, event in self._poll.poll(1000 * LOOK_S):
                self._heed(source, event)
            self._look()

    def _heed(self, source: int, event: int) -> None:
        if source == self._sentinel or event & select.POLLHUP:
            _end_with_family(source == self._lifeline)
        elif source == self._lifeline:
            self.stop, self._deadline = True, math.inf  # the supervisor keeps the time from here on
            self._poll.modify(source, 0)  # the pipe's end is still reported
        elif signal.SIGTERM in os.read(source, 64) and not self.stop:
            # A spawned rank gets SIGTERM when the machine shuts down, or from the trainer when another rank failed.
            if _is_supervised() and _IS_SPAWNED:
                self._deadline = time.monotonic() + LOOK_S
            else:
                self.stop, self._deadline = True, time.monotonic() + GRACE_S

    def _look(self) -> None:
        now = time.monotonic()
        if os.getppid() != self._parent:
            _end_with_family(False)
        if now > self._deadline:
            if self.stop and os.environ.get("RANK", "0") == "0":
                print(_no_step_line(), flush=True)
            os._exit(EXIT_DONE if self.stop else EXIT_FAULT)
        if now - self.last_beat > self.limit_s:
            self._report_hang()
            os._exit(EXIT_FAULT)

    def _report_hang(self) -> None:
        rank = f"rank {os.environ['RANK']}: " if "RANK" in os.environ else ""
        print(
            f"error: {rank}no step ended for {self.limit_s:g} s (run.hang_minutes): another rank or the "
            f"device does not answer; the last checkpoint stands; resume with {resume_command()}",
            file=sys.stderr,
            flush=True,
        )
        faulthandler.dump_traceback(file=sys.__stderr__)


_watch = _Watch()


def _is_supervised() -> bool:
    return _PIPE in os.environ


def _open_lifeline() -> int | None:
    """The reading end of the supervisor's pipe; None without a supervisor. If it has ended, so does this process."""
    if not _is_supervised():
        return None
    pid, number = map(int, os.environ[_PIPE].split(":"))
    if os.getppid() == pid:
        return number  # this process inherited it
    if not Path("/proc/self").exists():
        return None  # not Linux: only the parent is watched
    try:
        return os.open(f"/proc/{pid}/fd/{number}", os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        _end_with_family(True)


def _die_with(parent: int) -> None:
    """Ask Linux to kill this process when the thread that started it ends; end now if that has happened already."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(EXIT_FAULT)


def _end_with_family(whole_session: bool) -> None:
    if whole_session:
        _kill_group(os.getpgrp())  # the trainer's session holds only processes of this run
    os._exit(EXIT_FAULT)


def _kill_group(group: int) -> None:
    """Kill a trainer's processes, except Python's resource tracker, which removes semaphores and ends by itself."""
    for process in Path("/proc").glob("[0-9]*"):
        pid = int(process.name)
        with contextlib.suppress(OSError):
            is_tracker = b"resource_tracker" in (process / "cmdline").read_bytes()
            if os.getpgid(pid) == group and not is_tracker and pid != os.getpid():
                os.kill(pid, signal.SIGKILL)
    if not Path("/proc/self").exists():
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    if _LIBC is not None:
        _LIBC.prctl(option, value, 0, 0, 0)


# There the import of this module is the first code of ours that Python runs.
if _IS_SPAWNED or _IS_FORKSERVER:
    follow_parent()
