"""The two layouts, made from one another, and the check of every record."""

from pathlib import Path

import numpy as np
import pytest
import wfdb

from ecg_generator_with_train_src.common.batch import SkipReport
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.fetch.both_layouts import (
    SHOWN_ERRORS,
    check_record,
    check_records,
    lay_out,
    records_in,
)
from ecg_generator_with_train_src.fetch.state import State

from record_sources import (
    assert_both_layouts,
    competition_files,
    contents,
    csv_bytes,
    flat_files,
    table_bytes,
    write_files,
)


@pytest.fixture
def report(tmp_path) -> SkipReport:
    return SkipReport(tmp_path / "skipped.txt")


@pytest.mark.parametrize("files", [flat_files(), competition_files()])
def test_each_layout_is_made_from_the_other(tmp_path, report, files):
    write_files(tmp_path, files)
    lay_out(State(tmp_path), report)
    assert_both_layouts(tmp_path)
    assert (tmp_path / "train/101/101.csv").samefile(tmp_path / "train-csvs/101.csv")
    before = contents(tmp_path)
    lay_out(State(tmp_path), report)
    assert contents(tmp_path) == before


def test_a_made_file_follows_a_changed_original_and_an_original_stays(tmp_path, report):
    write_files(tmp_path, {**flat_files(), "train/202/202.csv": csv_bytes(7)})
    lay_out(State(tmp_path), report)
    for name in ("101", "202"):
        new = write_files(tmp_path, {".new": csv_bytes(999)}) / ".new"
        new.replace(tmp_path / f"train-csvs/{name}.csv")
    lay_out(State(tmp_path), report)
    assert (tmp_path / "train/101/101.csv").read_bytes() == csv_bytes(999)
    assert (tmp_path / "train/202/202.csv").read_bytes() == csv_bytes(7)


@pytest.mark.parametrize("files", [flat_files(), {"train/101/101.csv": csv_bytes(101)}])
def test_the_table_is_brought_above_both_layouts(tmp_path, report, files):
    folder = Path(next(iter(files))).parts[0]
    write_files(tmp_path, {**files, f"{folder}/train.csv": table_bytes()})
    lay_out(State(tmp_path), report)
    assert (tmp_path / "train.csv").read_bytes() == table_bytes()


def test_no_records_come_with_the_first_reason(tmp_path, report):
    with pytest.raises(InputError, match="no records; check --source"):
        lay_out(State(tmp_path), report)
    report.add("a.zip", "a.zip: corrupt archive")
    with pytest.raises(InputError, match=r"no records: a\.zip: corrupt archive"):
        lay_out(State(tmp_path), report)
    assert report.path.exists()
    assert records_in(tmp_path / "none") == records_in(tmp_path) == {}


def test_every_bad_record_is_reported_and_a_few_are_shown(tmp_path, report, capsys):
    bad = [str(number) for number in range(500, 502 + SHOWN_ERRORS)]
    write_files(tmp_path, {**flat_files(), **{f"train-csvs/{name}.csv": b"I,II\n1,2\n" for name in bad}})
    write_files(tmp_path, {"train/101/101.csv": b"I,II\n1,2\n"})  # it differs from the flat layout's
    lay_out(State(tmp_path), report)
    assert check_records(tmp_path, 1, report) == 3 + len(bad)
    assert sorted(report.reasons) == ["101", *bad]
    assert "train/101/101.csv" in report.reasons["101"]
    assert len(capsys.readouterr().err.splitlines()) == SHOWN_ERRORS


@pytest.mark.parametrize("fs_hz", [None, 50.0])
def test_a_rate_that_no_table_gives_follows_from_the_rows(tmp_path, fs_hz):
    path: Path = write_files(tmp_path, flat_files()) / "train-csvs/101.csv"
    check_record((path, fs_hz))
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:101]))  # 10 Hz, if they are 10 s
    with pytest.raises(InputError):
        check_record((path, None))


def test_wfdb_records_are_laid_out_with_their_samples_and_what_is_odd_of_records_is_said(
    tmp_path, report, capsys
):
    """aVR is upside down; the leads are two sines and what the relations make of them."""
    time_s = np.arange(1000) / 100
    one, two = np.sin(time_s * 7), np.sin(time_s * 3)
    folder = tmp_path / "train-csvs" / "records100"
    folder.mkdir(parents=True)
    leads = {"I": one, "II": two, "aVR": (one + two) / 2, "V1": two / 2}
    wfdb.wrsamp(
        "7",
        fs=100,
        units=["mV"] * 4,
        sig_name=list(leads),
        p_signal=np.stack(list(leads.values()), axis=1),
        fmt=["16"] * 4,
        write_dir=str(folder),
    )
    lay_out(State(tmp_path), report)
    nested = tmp_path / "train" / "7"
    assert sorted(path.name for path in nested.iterdir()) == ["7.dat", "7.hea"]
    assert (nested / "7.dat").samefile(folder / "7.dat")
    assert check_records(tmp_path, 1, report) == 1
    assert report.reasons == {}
    assert capsys.readouterr().out.splitlines() == [
        "1 records: III, aVL, aVF computed from I and II: 7",
        "1 records: limb leads break Einthoven's relations: aVR is upside down: 7",
        "1 records: no lead V2, V3, V4, V5, V6: 7",
    ]
    before = contents(tmp_path)
    lay_out(State(tmp_path), report)
    assert contents(tmp_path) == before


def test_a_record_that_cannot_be_laid_out_costs_that_record(tmp_path, report):
    """A file may have a name of 255 bytes, a folder of 251 with as long a file in it as well, but no longer."""
    long = "n" * 251
    write_files(tmp_path, {**flat_files(), f"train-csvs/{long}.csv": csv_bytes(7)})
    lay_out(State(tmp_path), report)
    assert list(report.reasons) == [long]
    assert report.reasons[long].endswith("File name too long")
    assert (tmp_path / "train/101/101.csv").exists()
    assert check_records(tmp_path, 1, report) == len(records_in(tmp_path / "train-csvs"))
