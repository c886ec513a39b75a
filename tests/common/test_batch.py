"""Work over several processes, and what a batch says of the items that it left out."""

import functools
import gc
import multiprocessing
import os
import signal
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

from ecg_generator_with_train_src.common.batch import (
    ITEMS_IN_FLIGHT,
    KILLED,
    THREAD_VARIABLES,
    SkipReport,
    run_batch,
)
from ecg_generator_with_train_src.common.command_line import run
from ecg_generator_with_train_src.common.errors import InputError, item_fault

from helpers import files_below

# --- reports


def test_a_report_is_sorted_and_goes_when_nothing_is_left_out(tmp_path, capsys):
    report = SkipReport(tmp_path / "out" / "skipped.tsv")
    report.add("b", "b.csv: is empty")
    report.add("a", "a.csv: is empty")
    assert capsys.readouterr().err == "skipped b: b.csv: is empty\nskipped a: a.csv: is empty\n"
    report.write()
    assert report.path.read_text() == "a\ta.csv: is empty\nb\tb.csv: is empty\n"
    SkipReport(report.path).write()
    assert not report.path.exists()
    SkipReport(report.path).write()  # and is not missed


def test_what_went_well_is_sifted_from_what_is_skipped(tmp_path, capsys):
    report = SkipReport(tmp_path / "skipped.tsv")
    outcomes = [(1, "one"), (2, InputError("2.csv: bad")), (3, "three")]
    assert list(report.sift(outcomes, "page {}".format)) == [(1, "one"), (3, "three")]
    assert report.reasons == {"page 2": "2.csv: bad"}
    assert capsys.readouterr().err == "skipped page 2: 2.csv: bad\n"


def test_stack_traces_of_faults_go_to_a_log_beside_the_report(tmp_path, capsys):
    report = SkipReport(tmp_path / "skipped.tsv")
    fault = item_fault(ValueError("two\nlines"))
    assert list(report.sift([(7, fault)], "page {}".format)) == []
    line = (
        f"a fault of this program, please report it (ValueError: two lines); stack trace in {report.log_path}"
    )
    assert capsys.readouterr().err == f"skipped page 7: {line}\n"
    report.write()
    assert report.path.read_text() == f"page 7\t{line}\n"
    assert report.log_path.read_text() == "page 7\nValueError: two\nlines\n"
    SkipReport(report.path).write()
    assert files_below(tmp_path) == {}


def test_names_and_reasons_stay_in_their_line_and_column(tmp_path, capsys):
    report = SkipReport(tmp_path / "skipped.tsv")
    report.add(os.fsdecode(b"a\xff\tb\n.png"), "a\tb\n.png: is empty")
    report.add("quiet", "is empty", quiet=True)
    assert capsys.readouterr().err == "skipped a\\xff\\tb\\n.png: a\\tb\\n.png: is empty\n"
    report.write()
    lines = ["a\\xff\\tb\\n.png\ta\\tb\\n.png: is empty\n", "quiet\tis empty\n"]
    assert report.path.read_text() == "".join(lines)


# --- work (functions of this module, for the workers to find)


def square(number: int) -> int:
    return number * number


def refuse_odd(number: int) -> int:
    if number % 2:
        raise InputError(f"{number}: is odd")
    return number


def fail_at_three(number: int) -> int:
    if number == 3:
        raise ZeroDivisionError("a bug")
    return number


def open_missing(number: int) -> bytes:
    return Path(f"/no/such/{number}.csv").read_bytes()


def fill_the_disk(number: int) -> int:
    raise OSError(28, "No space left on device", "/full/a.png")


def die_at_five(number: int) -> int:
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die_by_threes(number: int) -> int:
    return number if number % 3 else die_at_five(5)


def die_always(number: int) -> int:
    return die_at_five(5)


def die_once(mark: Path, number: int) -> int:
    if number == 4 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def thread_limits(number: int) -> tuple:
    return tuple(os.environ.get(name) for name in THREAD_VARIABLES)


def wait_long(number: int) -> int:
    time.sleep(60 if number > 1 else 0)
    return number


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_item_comes_back_once_with_its_result(workers):
    outcomes = list(run_batch(square, range(23), num_workers=workers, description="test"))
    assert sorted(outcomes) == [(number, number * number) for number in range(23)]


@pytest.mark.parametrize("workers", [1, 2])
def test_bad_items_come_back_as_errors_and_the_rest_is_done(workers):
    outcomes = dict(run_batch(refuse_odd, range(8), num_workers=workers, description="test"))
    assert [outcomes[number] for number in range(0, 8, 2)] == [0, 2, 4, 6]
    assert [str(outcomes[number]) for number in range(1, 8, 2)] == [f"{n}: is odd" for n in range(1, 8, 2)]
    assert all(isinstance(outcomes[number], InputError) for number in range(1, 8, 2))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_file_that_is_gone_is_an_items_error(workers):
    ((_, outcome),) = run_batch(open_missing, [7], num_workers=workers, description="test")
    assert str(outcome) == "/no/such/7.csv: No such file or directory"


def test_a_name_that_is_too_long_is_an_items_error():
    name = "n" * 256
    ((_, outcome),) = run_batch(Path.read_bytes, [Path(name)], num_workers=1, description="test")
    assert str(outcome) == f"{name}: File name too long"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bug_costs_one_item_and_its_stack_trace_is_kept(workers):
    outcomes = dict(run_batch(fail_at_three, range(8), num_workers=workers, description="test"))
    fault = outcomes.pop(3)
    assert outcomes == {number: number for number in range(8) if number != 3}
    assert str(fault) == "a fault of this program, please report it (ZeroDivisionError: a bug)"
    assert "in fail_at_three" in fault.trace


@pytest.mark.parametrize("bug", [InputError, ZeroDivisionError])
def test_pictures_in_hand_go_at_once_with_an_item_that_fails(bug):
    """Though errors were kept where they came up, so that the garbage collector alone would find them."""
    in_hand = []

    def fails(number):
        picture, problems = np.zeros(number), []
        in_hand.append(weakref.ref(picture))
        try:
            raise bug("one way up")
        except bug as error:
            problems.append(error)
        raise InputError("neither way up") from problems[0]

    gc.disable()
    try:
        ((_, outcome),) = run_batch(fails, [7], num_workers=1, description="test")
        assert str(outcome) == "neither way up" and in_hand[0]() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_ends_the_batch(workers):
    with pytest.raises(OSError, match="No space left"):
        list(run_batch(fill_the_disk, range(8), num_workers=workers, description="test"))


@pytest.mark.parametrize("workers", [2, 3])
def test_a_worker_that_is_killed_costs_its_item_alone(workers):
    outcomes = dict(run_batch(die_at_five, range(20), num_workers=workers, description="test"))
    assert str(outcomes.pop(5)) == KILLED
    assert outcomes == {number: number for number in range(20) if number != 5}


def test_every_item_that_kills_its_worker_is_found():
    outcomes = dict(run_batch(die_by_threes, range(9), num_workers=2, description="test"))
    killed = [number for number, outcome in outcomes.items() if isinstance(outcome, InputError)]
    assert sorted(killed) == [0, 3, 6] and len(outcomes) == 9


def test_a_batch_whose_workers_are_all_killed_ends():
    with pytest.raises(InputError, match="one worker process after another was killed"):
        list(run_batch(die_always, range(20), num_workers=2, description="test"))


def test_an_item_whose_worker_is_killed_once_is_done_after_all(tmp_path):
    work = functools.partial(die_once, tmp_path / "died")
    assert dict(run_batch(work, range(9), num_workers=2, description="test")) == {n: n for n in range(9)}


def test_no_worker_outlives_a_reader_that_stops():
    before = set(multiprocessing.active_children())  # of other tests
    outcomes = run_batch(wait_long, range(9), num_workers=2, description="test")
    assert next(outcomes)[1] in (0, 1)
    assert len(set(multiprocessing.active_children()) - before) == 2
    outcomes.close()
    deadline = time.monotonic() + 30
    while workers := set(multiprocessing.active_children()) - before:
        assert time.monotonic() < deadline, f"still there: {workers}"
        time.sleep(0.01)


@pytest.mark.parametrize("workers", [1, 2])
def test_items_are_made_as_they_are_needed(workers):
    made = []

    def items():
        for number in range(30):
            made.append(number)
            yield number

    outcomes = run_batch(square, items(), num_workers=workers, description="test")
    next(outcomes)
    assert len(made) <= workers * ITEMS_IN_FLIGHT
    assert len(list(outcomes)) == 29


def test_workers_use_one_thread_each_and_the_caller_as_many_as_before(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    outcomes = list(run_batch(thread_limits, range(4), num_workers=2, description="test"))
    assert {limits for _, limits in outcomes} == {("1", "1", "1")}
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert "OPENBLAS_NUM_THREADS" not in os.environ


def test_no_items_are_no_work():
    for workers in (1, 2):
        assert list(run_batch(square, [], num_workers=workers, description="test")) == []


# --- how a command ends


def ends_with(main) -> int:
    with pytest.raises(SystemExit) as end:
        run(main)
    return end.value.code


def raising(error: BaseException):
    def main() -> None:
        raise error

    return main


def test_a_command_ends_with_the_code_of_what_happened_and_one_line(capsys):
    assert ends_with(lambda: None) == 0
    assert ends_with(lambda: 0) == 0
    assert ends_with(lambda: 1) == 1
    assert capsys.readouterr().err == ""
    for error, code, line in (
        (InputError("a.csv: is empty"), 2, "error: a.csv: is empty\n"),
        (
            OSError(28, "No space left on device", "b.png"),
            2,
            "error: b.png: disk full; free some space, then run again to go on\n",
        ),
        (OSError("no reason"), 2, "error: no reason\n"),
        (
            KeyboardInterrupt(),
            130,
            "interrupted: what was finished is kept; run the same command again to go on\n",
        ),
    ):
        assert ends_with(raising(error)) == code
        assert capsys.readouterr().err == line


def test_a_bug_shows_its_stack_trace_and_ends_with_a_code_of_its_own(capsys):
    assert ends_with(raising(ZeroDivisionError("a bug"))) == 70
    assert "ZeroDivisionError: a bug" in capsys.readouterr().err


def test_a_name_that_is_no_text_costs_nothing_where_it_is_said(capsys):
    name = os.fsdecode(b"a\xff\n.csv")
    assert ends_with(raising(InputError(f"{name}: is empty"))) == 2
    assert capsys.readouterr().err == "error: a\\xff\\n.csv: is empty\n"
