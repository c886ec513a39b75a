"""experiment/fuzzing/campaign.py, with a material of a few files made here."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from experiment.fuzzing import campaign
from experiment.fuzzing.campaign import (
    COLUMNS,
    Case,
    Damaged,
    Judged,
    contents,
    describe,
    harm_table,
    run_inputs,
)
from experiment.fuzzing.children import STDERR, Ended, Limits
from experiment.fuzzing.targets import Reader, Target

from helpers import files_below, linux_only

WELL = Ended(code=0, cpu_s=1.0, peak_mib=100.0, over_time=False, over_memory=False)
READER = Reader("scripts/common_recordings.py", "--first {file} --second ids", "ids")
LIST = Target("csv", "ids/list.csv", READER)


@pytest.fixture
def material(tmp_path):
    """A folder with a list of ids, and what else commands find there."""
    folder = tmp_path / "material/work/ids"
    folder.mkdir(parents=True)
    (folder / "list.csv").write_text("65\n66\n")
    return tmp_path / "material/work"


@pytest.fixture(autouse=True)
def one_target(monkeypatch, tmp_path):
    """One kind of file and one command, and a precious file that other runs do not share."""
    monkeypatch.setattr(campaign, "TARGETS", (LIST,))
    monkeypatch.setattr(campaign, "MUTATIONS", {"csv": campaign.MUTATIONS["csv"]})
    monkeypatch.setattr(campaign, "ABSOLUTE_PRECIOUS", str(tmp_path / "elsewhere/absolute.txt"))
    (tmp_path / "elsewhere").mkdir()
    campaign.touched_absolute()


def verdict_of(ended: Ended, **changes) -> Judged:
    damaged = Damaged(5, LIST, "ids/list.csv", ("flip_bits",))
    return replace(Judged(damaged, ended, traceback=False, item_fault=False, outside=()), **changes)


def test_the_same_number_and_seed_give_the_same_input(tmp_path, material):
    cases = [Case(tmp_path / str(k), material, number, 3) for k, number in enumerate((7, 7, 8))]
    first, same, other = (files_below(case.root) for case in cases)
    assert cases[0].damaged == cases[1].damaged
    assert first == same != other


def test_what_is_written_or_deleted_outside_of_the_output_is_seen(tmp_path, material):
    case = Case(tmp_path / "case", material, 1, 0)
    (case.work / "out").mkdir()
    (case.work / "out/made.csv").write_text("made")
    (case.work / "tmp/scratch").write_text("made")
    (case.work.parent / STDERR).write_text("")
    assert case.judge(WELL).outside == ()
    (case.root / "a/precious.txt").unlink()
    (case.work / "escaped").write_text("made")
    assert case.judge(WELL).outside == ("a/b/work/escaped", "a/precious.txt")
    Path(campaign.ABSOLUTE_PRECIOUS).write_text("changed")
    assert campaign.ABSOLUTE_PRECIOUS in case.judge(WELL).outside


def test_pipes_links_and_odd_names_are_looked_at_without_being_opened(tmp_path):
    root = tmp_path / "case"
    root.mkdir()
    os.mkfifo(root / "pipe")
    (root / "self").symlink_to("self")
    (root / os.fsdecode(b"\xff")).write_text("x")
    found = contents(root, root / "work")
    assert found.keys() == {"pipe", "self", os.fsdecode(b"\xff")}
    assert found["pipe"] == ("neither",)


@pytest.mark.parametrize(
    ("code", "said", "is_traceback"),
    [
        (0, "", False),
        (1, "skipped 7: why; stack trace in out/skipped.log", False),
        (2, "error: no", False),
        (3, "", False),
        (70, "error: a fault", True),
        (-11, "", True),
        (5, "", True),
        (0, "Traceback (most recent call last):\n", True),
    ],
)
def test_a_stack_trace_a_signal_or_an_unknown_code_is_a_traceback(
    tmp_path, material, code, said, is_traceback
):
    case = Case(tmp_path / "case", material, 1, 0)
    (case.work.parent / STDERR).write_text(said)
    verdict = case.judge(replace(WELL, code=code))
    assert (verdict.traceback, verdict.is_bad) == (is_traceback, is_traceback)
    assert verdict.item_fault == ("stack trace in" in said)


@linux_only
def test_inputs_run_and_only_the_folders_of_those_that_did_harm_stay(tmp_path, material):
    verdicts = list(run_inputs(range(12), 0, tmp_path, Limits(memory_mib=1e6), at_once=3))
    assert sorted(verdict.damaged.number for verdict in verdicts) == list(range(12))
    bad = {str(verdict.damaged.number) for verdict in verdicts if verdict.is_bad}
    assert {path.name for path in (tmp_path / "cases").iterdir()} == bad


def test_the_table_counts_by_kind(tmp_path):
    verdicts = [
        verdict_of(WELL),
        verdict_of(replace(WELL, code=2)),
        verdict_of(replace(WELL, code=-9, over_time=True)),
        verdict_of(replace(WELL, code=1), item_fault=True, outside=("a",)),
    ]
    header, csv, whole = harm_table(verdicts)
    assert header.split() == " ".join(COLUMNS).split()
    assert csv.split() == ["csv", "4", "0", "1", "0", "1", "1", "1", "1", "1"]
    assert whole.split() == ["all", *csv.split()[1:]]


def test_an_input_that_did_harm_is_described_in_a_line(tmp_path):
    folder = tmp_path / "cases/5/a/b"
    folder.mkdir(parents=True)
    (folder / STDERR).write_text("Traceback\n  File x\nKeyError: 'a'\nerror: a fault of this program\n")
    line = describe(verdict_of(replace(WELL, code=70), traceback=True, outside=("a",)), tmp_path)
    assert line == (
        "input 5: 'ids/list.csv' flip_bits -> scripts/common_recordings.py: outside: 'a'; "
        "code 70, KeyError: 'a' (1.0 s, 100 MiB)"
    )
