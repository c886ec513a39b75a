"""Refuses to start while another program holds the TPU: only one process at a time can use it."""

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

from ecg_generator_with_train_src.common.errors import InputError
from experiment.training.supervisor import KILLED_RUN_S


def refuse_held_devices(devices: Iterable[Path], wait_s: float = KILLED_RUN_S) -> None:
    """Raise InputError, which names the processes, if others hold one of `devices`. Nothing is killed.

    It waits `wait_s` first: the processes of a run that was killed may still be ending.
    """
    devices = list(devices)
    deadline = time.monotonic() + wait_s
    while found := holders(devices):
        if time.monotonic() >= deadline:
            raise InputError(_held_line(found))
        time.sleep(0.2)


def holders(devices: Iterable[Path]) -> dict[int, tuple[Path, str]]:
    """Other processes that have one of `devices` open: by process id, the device and the process's command.

    Only processes that this user may look at in /proc are found.
    """
    wanted = {str(device) for device in devices}
    found = {}
    for process in Path("/proc").glob("[0-9]*") if wanted else ():
        if int(process.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):  # the process is another user's, or has ended
            for link in (process / "fd").iterdir():
                if (target := str(link.readlink())) in wanted:
                    command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    found[int(process.name)] = (Path(target), command.strip() or "?")
    return found


def _held_line(found: dict[int, tuple[Path, str]]) -> str:
    what = "; ".join(f"process {pid} ({command}) holds {device}" for pid, (device, command) in found.items())
    pids = " ".join(str(pid) for pid in found)
    return f"the TPU is in use: {what}; wait until it ends, or end it with kill {pids}, then start again"
