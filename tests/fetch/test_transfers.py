"""What the downloads share: threads, retries, one run at a time in a folder, space and errors of disks."""

import errno
import os
import shutil
import subprocess
import sys
import threading
import time

import pytest

from ecg_generator_with_train_src.common.batch import SkipReport
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.fetch import transfers
from ecg_generator_with_train_src.fetch.transfers import (
    MAX_CONNECTIONS,
    Backoff,
    CannotGoOnError,
    Counts,
    check_space,
    disk_error,
    in_units,
    output_folder,
    over_threads,
)

fcntl = pytest.importorskip("fcntl")


def test_every_item_comes_with_its_outcome_and_a_bad_one_with_its_error():
    def halve(number):
        if number % 2:
            raise InputError(f"{number} is odd")
        return number // 2

    outcomes = dict(over_threads(halve, range(10), 3))
    assert {number: outcomes[number] for number in (0, 2, 4, 6, 8)} == {0: 0, 2: 1, 4: 2, 6: 3, 8: 4}
    assert str(outcomes[7]) == "7 is odd"
    assert list(over_threads(halve, [], 3)) == []


def test_a_bug_costs_one_item_and_its_stack_trace_is_kept():
    outcomes = dict(over_threads(lambda number: 1 // number, range(3), 2))
    assert (outcomes[1], outcomes[2]) == (1, 0)
    assert str(outcomes[0]).startswith("a fault of this program, please report it (ZeroDivisionError: ")
    assert "ZeroDivisionError" in outcomes[0].trace


@pytest.mark.parametrize("error", [CannotGoOnError("the network is gone"), OSError(28, "No space")])
def test_what_stops_all_is_raised_and_nothing_more_is_begun(error):
    begun, raised = [], threading.Event()

    def work(number):
        begun.append(number)
        if number == 0:
            raise error
        raised.wait(timeout=30)

    with pytest.raises(type(error), match=r"the network is gone|No space"):
        list(over_threads(work, range(9), 1))
    raised.set()
    assert begun in ([0], [0, 1])


def test_threads_work_at_the_same_time_but_not_too_many():
    together = threading.Barrier(MAX_CONNECTIONS)

    def meet(_):
        together.wait(timeout=30)
        return threading.get_ident()

    outcomes = [outcome for _, outcome in over_threads(meet, range(2 * MAX_CONNECTIONS), 100)]
    assert len(set(outcomes)) == MAX_CONNECTIONS


class Clock:
    """Time that passes by sleeping alone."""

    def __init__(self):
        self.now_s, self.slept_s = 0.0, []

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(transfers, "time", clock)
    return clock


def wait_until_it_gives_up(backoff: Backoff) -> None:
    with pytest.raises(EOFError):
        for _ in range(1000):
            backoff.wait_or_raise(EOFError())


def test_delays_grow_to_half_a_minute_and_end_with_the_patience(clock):
    wait_until_it_gives_up(Backoff(300))
    limits = [1, 2, 4, 8, 16] + [30] * len(clock.slept_s)
    assert all(limit / 2 <= delay <= limit for delay, limit in zip(clock.slept_s, limits, strict=False))
    assert 270 <= clock.now_s <= 300


def test_patience_begins_anew_once_something_came(clock):
    backoff = Backoff(10)
    wait_until_it_gives_up(backoff)
    backoff.restart()
    backoff.wait_or_raise(EOFError())
    assert clock.slept_s[-1] <= 1


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2.5e6, "2.5 MB"), (84e9, "84.0 GB"), (9e12, "9000.0 GB")],
)
def test_units(size, text):
    assert in_units(size) == text


@pytest.mark.parametrize("skipped", [0, 1])
def test_the_last_line_and_the_exit_code(tmp_path, capsys, skipped):
    report = SkipReport(tmp_path / "skipped.txt")
    for number in range(skipped):
        report.add(f"file {number}", "is bad")
    counts = Counts("taken", files=3, bytes=4_200_000, already=5)
    assert counts.close("out: 7 records", time.monotonic() - 2, report) == skipped
    line = capsys.readouterr().out
    assert line.startswith("out: 7 records; 3 files (4.2 MB) taken in 2.0 s (2.1 MB/s), 5 already there")
    assert line.endswith(f"; 1 skipped, see {report.path}\n" if skipped else "there\n")
    assert report.path.exists() == bool(skipped)


def test_a_second_run_in_the_same_folder_is_refused_until_the_first_has_ended(tmp_path):
    folder = tmp_path / "new" / "folder"
    code = (
        "import sys, pathlib\n"
        "from ecg_generator_with_train_src.fetch.transfers import output_folder\n"
        "with output_folder(pathlib.Path(sys.argv[1])):\n"
        "    print('at work', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(folder)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout.readline() == b"at work\n"
    with pytest.raises(InputError, match=r"another run .*is at work there"), output_folder(folder):
        pass
    other.kill()  # the lock ends with the process, however that ends
    other.communicate()
    with output_folder(folder):
        pass
    assert list(folder.iterdir()) == []


def test_a_file_system_without_locks_is_worked_on_all_the_same(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with output_folder(tmp_path):
        pass


def test_temporary_files_of_a_killed_run_are_cleared_away_and_nothing_else(tmp_path):
    (tmp_path / "101").mkdir()
    ours = [tmp_path / ".a.csv.0123abcd.tmp.csv", tmp_path / "101" / ".b.png._bcdefgh.tmp.png"]
    yours = [tmp_path / ".notes.tmp", tmp_path / "101" / "b.tmp.png", tmp_path / ".b.png.part"]
    for path in ours + yours:
        path.touch()
    with output_folder(tmp_path):
        assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in yours)


def test_too_little_space_is_said_in_units(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 1500))
    check_space(tmp_path, 1500, "the copy")
    with pytest.raises(
        CannotGoOnError, match=r"the copy needs 2\.0 MB, the disk has 1\.5 kB free; free some"
    ):
        check_space(tmp_path, 2_000_000, "the copy")


def test_a_full_disk_comes_with_the_remedy(tmp_path):
    with pytest.raises(CannotGoOnError, match=f"{tmp_path}: disk full; free some space"):  # noqa: SIM117
        with output_folder(tmp_path), open("/dev/full", "w") as file:  # noqa: PTH123
            file.write("x")


def test_what_else_a_disk_refuses_is_named(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(CannotGoOnError, match=f"{tmp_path / 'file'}"),
        output_folder(tmp_path / "file" / "below"),
    ):
        pass
    assert str(disk_error(OSError("odd"), tmp_path)) == f"{tmp_path}: odd"
    refused = OSError(errno.EACCES, os.strerror(errno.EACCES), "a.png")
    assert str(disk_error(refused, tmp_path)) == "a.png: Permission denied"


def test_an_error_of_the_work_itself_passes_through(tmp_path):
    with pytest.raises(InputError, match="bad input"), output_folder(tmp_path):
        raise InputError("bad input")


def test_it_loads_no_client_and_nothing_heavy():
    code = (
        "import sys, ecg_generator_with_train_src.fetch.transfers\n"
        "print({'torch', 'matplotlib', 'google', 'kaggle', 'kagglesdk', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
