"""Keeps the processes of a training run together: they are asked to stop, and they end, as one.

    supervisor ── the command that was typed; only waits, and imports neither torch nor torch_xla
      └ trainer ── the same command again, in a session of its own
          ├ ranks ── where torch_xla starts them
          └ forkserver ── loader workers

The supervisor holds the only writing end of a pipe. All others watch the reading end: a byte in it asks for a stop
after the current step, and its end, which comes however the supervisor dies, ends them. Each also asks Linux to be
killed with its parent (which means the thread that started it), and looks at its parent again and again. Under
torchrun, which sets WORLD_SIZE, torchrun is the parent and there is no supervisor.
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
from collections.abc import Callable, Iterable
from pathlib import Path

from ecg_generator_with_train_src.common import command_line
from ecg_generator_with_train_src.common.command_line import EXIT_DONE, EXIT_INTERRUPTED
from ecg_generator_with_train_src.common.errors import InputError

GRACE_S = 25  # from SIGTERM to the end, of the 30 s that a preempted machine gives
LOOK_S = 1  # between two looks at the parent and the heartbeat
HELD_S = 10  # in which the processes of a run that was killed are gone
EXIT_FAILED = 1
_PIPE = (
    "TRAINER_LIFELINE"  # in the environment of all below the supervisor: "<its pid>:<the pipe's reading end>"
)
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_IS_SPAWNED = "--multiprocessing-fork" in sys.orig_argv  # a rank that torch_xla starts
_IS_FORKSERVER = "multiprocessing.forkserver" in " ".join(sys.orig_argv)
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def run(main: Callable[[], int | None]) -> None:
    """Run the command `main` in a supervised process, or here if this is one, and exit with its code."""
    # Whatever ends without Python's own clean-up leaves semaphores to its tracker, which does it and complains.
    ignored = "ignore:resource_tracker:UserWarning"
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), ignored]))
    if _is_supervised() or "WORLD_SIZE" in os.environ or not hasattr(os, "killpg"):
        follow_parent()
        os._exit(
            _code_of(main)
        )  # at once: threads and loader workers may be stuck, and end with this process
    sys.exit(_Supervisor().run([sys.executable, *sys.orig_argv[1:]]))


def _code_of(main: Callable[[], int | None]) -> int:
    """The exit code that `main` comes to; what it printed is written out."""
    try:
        command_line.run(main)
        code = EXIT_FAILED  # not reached: it exits
    except SystemExit as end:
        code = end.code
    except Exception:
        traceback.print_exc()
        code = EXIT_FAILED
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    return code


def resume_command() -> str:
    """The command that goes on with this run."""
    words = [*sys.argv]
    for number, word in enumerate(words):
        if word == "--resume":
            del words[number : number + 2]
        elif word.startswith("--resume="):
            del words[number]
    variables = [f"{name}={os.environ[name]}" for name in ("PJRT_DEVICE",) if name in os.environ]
    starter = "torchrun … " if "WORLD_SIZE" in os.environ else "python "
    return " ".join([*variables, starter + shlex.join(words)])


# the supervisor


class _Supervisor:
    """Starts the trainer, passes signals on, and leaves nothing of it behind."""

    def __init__(self):
        self._woken, wake = os.pipe()
        os.set_blocking(wake, False)
        numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGCHLD]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # it is under nohup
            numbers.append(signal.SIGHUP)
        for number in numbers:
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        self._stop_at = math.inf

    def run(self, command: list[str]) -> int:
        """The exit code of `command`, or of what ended it."""
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
        """The numbers of the signals that came, after waiting for some; none at the end of the grace."""
        left = max(self._stop_at - time.monotonic(), 0)
        ready, _, _ = select.select([self._woken], [], [], min(left, 3600))
        return os.read(self._woken, 64) if ready else b""

    def _heed(self, signals: bytes) -> int | None:
        """Act on signals; the exit code, if all is to end now."""
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
        """Kill what is left in the trainer's session, and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._trainer.pid, signal.SIGKILL)
        self._trainer.wait()
        os.close(self._pipe)
        deadline = time.monotonic() + HELD_S
        with contextlib.suppress(
            ChildProcessError
        ):  # orphans come to the supervisor; in the end none is left
            while time.monotonic() < deadline:
                if os.waitpid(-1, os.WNOHANG) == (0, 0):
                    time.sleep(0.01)


def _before_exec(supervisor: int) -> Callable[[], None]:
    def prepare() -> None:  # in the trainer, before it becomes one
        _die_with(supervisor)
        signal.signal(
            signal.SIGTERM, signal.SIG_IGN
        )  # all below inherit this: a stop is asked for by the pipe

    return prepare


def _no_step_line() -> str:
    return (
        f"stopped in the middle of a step ({GRACE_S} s were not enough: a compilation?): "
        f"the last checkpoint stands; resume with {resume_command()}"
    )


# the family below it


def follow_parent() -> None:
    """End with the parent from now on; in the trainer and its ranks, watch for a stop as well.

    For a process's main thread, before it does anything else.
    """
    _die_with(os.getppid())
    if _IS_FORKSERVER:  # it forks, so it must have no thread
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        _watch.start()


def start_forkserver() -> None:
    """Start the parent of all loader workers here: it is killed when the thread that starts it ends."""
    multiprocessing.set_forkserver_preload(
        ["__main__", "experiment.training.loaders"]
    )  # torch is imported once, not by each
    multiprocessing.forkserver.ensure_running()


def begin_worker(_: int = 0) -> None:
    """What a loader worker does first (`worker_init_fn`)."""
    _die_with(os.getppid())
    # A shutdown of the machine sends it to every process: the trainer still has a step to finish.
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(GRACE_S))
    _watch.start()


def expect_steps(limit_s: float) -> None:
    """From now on `beat` is called at least every `limit_s` seconds, or the process ends."""
    beat()
    _watch.limit_s = limit_s


def beat() -> None:
    """A step has ended."""
    _watch.last_beat = time.monotonic()


def end_of_steps() -> None:
    """No more beats."""
    _watch.limit_s = math.inf


def stop_asked() -> bool:
    """Whether this process was asked to stop after the current step."""
    return _watch.stop


class _Watch:
    """A thread that waits for the end of the parent, a stop, and a heartbeat that fails to come."""

    def __init__(self):
        self.stop = False
        self.limit_s, self.last_beat = math.inf, 0.0
        self._deadline = math.inf
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, once a process."""
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
        """A pipe that a signal writes to even while the main thread computes."""
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
            self.stop, self._deadline = True, math.inf  # from here on the supervisor sees to the time
            self._poll.modify(source, 0)  # its end is told nevertheless
        elif signal.SIGTERM in os.read(source, 64) and not self.stop:
            if (
                _is_supervised() and _IS_SPAWNED
            ):  # a machine's shutdown, or the trainer ends a broken run's ranks
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
            os._exit(EXIT_DONE if self.stop else EXIT_FAILED)
        if now - self.last_beat > self.limit_s:
            self._report_hang()
            os._exit(EXIT_FAILED)

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
    """The reading end of the supervisor's pipe; None without one. Ends the process if it is gone already."""
    if not _is_supervised():
        return None
    pid, number = map(int, os.environ[_PIPE].split(":"))
    if os.getppid() == pid:
        return number  # inherited
    if not Path("/proc/self").exists():
        return None  # no Linux: the parent is looked at
    try:
        return os.open(f"/proc/{pid}/fd/{number}", os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        _end_with_family(True)


def _die_with(parent: int) -> None:
    """Be killed when the thread that started this process ends, and end now if it has ended."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(EXIT_FAILED)


def _end_with_family(whole_session: bool) -> None:
    if whole_session:
        _kill_group(os.getpgrp())  # the trainer's session holds nothing else
    os._exit(EXIT_FAILED)


def _kill_group(group: int) -> None:
    """Kill a trainer's processes, but for Python's resource tracker, which removes semaphores and ends by itself."""
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


# devices that another program holds


def refuse_held_devices(devices: Iterable[Path], wait_s: float = HELD_S) -> None:
    """Raise InputError naming the processes that hold one of `devices`, after a wait for dying ones.

    Only one process can use a TPU. Nothing is killed.
    """
    devices = list(devices)
    deadline = time.monotonic() + wait_s
    while found := holders(devices):
        if time.monotonic() >= deadline:
            raise InputError(_held_line(found))
        time.sleep(0.2)


def holders(devices: Iterable[Path]) -> dict[int, tuple[Path, str]]:
    """By process id, which of `devices` a process other than this one has open, and its command.

    Only what this user may see in /proc.
    """
    wanted = {str(device) for device in devices}
    found = {}
    for process in Path("/proc").glob("[0-9]*") if wanted else ():
        if int(process.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):  # another user's, or it has ended
            for link in (process / "fd").iterdir():
                if (target := str(link.readlink())) in wanted:
                    command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    found[int(process.name)] = (Path(target), command.strip() or "?")
    return found


def _held_line(found: dict[int, tuple[Path, str]]) -> str:
    what = "; ".join(f"process {pid} ({command}) holds {device}" for pid, (device, command) in found.items())
    pids = " ".join(str(pid) for pid in found)
    return f"the TPU is in use: {what}; wait until it ends, or end it with kill {pids}, then start again"


if _IS_FORKSERVER:  # Python gives it no other code of ours to run
    follow_parent()
