"""experiment/fuzzing/children.py."""

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ecg_generator_with_train_src.common.errors import InputError
from experiment.fuzzing.children import STDERR, STDOUT, Child, Limits, command

from helpers import linux_only, wait_for

pytestmark = linux_only

# A forked process has the memory of this one, in which other tests have run before
AMPLE = Limits(memory_mib=1e6)


@pytest.fixture
def cwd(tmp_path):
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def test_a_function_runs_in_its_folder_and_its_output_lands_beside_it(cwd):
    def work():
        print(Path.cwd(), sys.stdin.read())
        print("said", file=sys.stderr)
        sys.exit(3)

    ended = Child(work, cwd, AMPLE).wait()
    assert (ended.code, ended.over_time, ended.over_memory) == (3, False, False)
    assert (cwd.parent / STDOUT).read_text() == f"{cwd} \n"
    assert (cwd.parent / STDERR).read_text() == "said\n"


def test_an_exception_that_nothing_catches_is_printed_and_exits_70(cwd):
    def work():
        raise KeyError("lost")

    assert Child(work, cwd, AMPLE).wait().code == 70
    assert "KeyError: 'lost'" in (cwd.parent / STDERR).read_text()


def test_a_signal_is_a_negative_code(cwd):
    assert Child(lambda: os.kill(os.getpid(), signal.SIGSEGV), cwd, AMPLE).wait().code == -signal.SIGSEGV


def test_who_waits_for_ever_is_ended_with_all_that_it_started(cwd):
    def work():
        if os.fork() == 0:
            (cwd / "grandchild").write_text(str(os.getpid()))
        time.sleep(1000)

    ended = Child(work, cwd, replace(AMPLE, seconds=3)).wait()
    assert ended.over_time
    grandchild = int((cwd / "grandchild").read_text())
    wait_for(lambda: not is_alive(grandchild))


def is_alive(pid: int) -> bool:
    """Zombies do not live."""
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "Z (zombie)" not in status.read_text()


def test_who_computes_for_too_long_is_ended(cwd):
    def work():
        while True:
            pass

    ended = Child(work, cwd, replace(AMPLE, seconds=1)).wait()
    assert ended.over_time


def test_who_takes_too_much_memory_is_ended(cwd):
    def work():
        hoard = []
        while True:
            hoard.append(bytearray(b"x" * 2**24))

    ended = Child(work, cwd, Limits(memory_mib=1000)).wait()
    assert ended.over_memory
    assert ended.peak_mib > 1000


def test_a_command_ends_as_it_does_by_itself(cwd):
    ended = Child(
        command("scripts/common_recordings.py", ["--first", "no", "--second", "no"]), cwd, AMPLE
    ).wait()
    assert ended.code == 2
    assert (cwd.parent / STDERR).read_text().startswith("error: no: no such folder")
    assert InputError.__name__ not in (cwd.parent / STDERR).read_text()
