"""Records: what is found, read, refused."""

import numpy as np
import pandas as pd
import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.page.records import (
    LEADS,
    RecordOptions,
    check_fs,
    find_records,
    read_record,
    read_record_table,
    recording_of,
)

from helpers import waves_mv, write_csv


@pytest.fixture
def table() -> pd.DataFrame:
    return waves_mv(50)


def message_of(function, *arguments) -> str:
    with pytest.raises(InputError) as caught:
        function(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


# --- finding


def test_flat_and_nested_layouts_are_found_sorted_by_id(tmp_path):
    for place in ("b.csv", "a/a.csv", "00007.csv"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).touch()
    assert list(find_records(tmp_path).items()) == [
        ("00007", tmp_path / "00007.csv"),
        ("a", tmp_path / "a" / "a.csv"),
        ("b", tmp_path / "b.csv"),
    ]


def test_tables_hidden_files_folders_and_other_names_are_no_records(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "folder.csv").mkdir()
    others = ("train.csv", "test.csv", "sample_submission.csv", "._b.csv", ".train.csv.abcd1234.tmp.csv")
    for place in (*others, "a/a.csv", "a/notes.csv", "a/._a.csv", "a/a-0001.png"):
        (tmp_path / place).touch()
    assert find_records(tmp_path) == {"a": tmp_path / "a" / "a.csv"}


def test_no_such_root_is_refused(tmp_path):
    assert message_of(find_records, tmp_path / "none").startswith(f"{tmp_path / 'none'}: no such folder")


def test_a_root_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "root").touch()
    assert str(tmp_path / "root") in message_of(find_records, tmp_path / "root")


def test_a_root_without_records_is_refused(tmp_path):
    (tmp_path / "train.csv").touch()
    assert message_of(find_records, tmp_path).startswith(f"{tmp_path}: no records")


def test_an_id_in_both_layouts_is_refused_naming_both_files(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a.csv").touch()
    (tmp_path / "a" / "a.csv").touch()
    message = message_of(find_records, tmp_path)
    assert str(tmp_path / "a.csv") in message
    assert str(tmp_path / "a" / "a.csv") in message


# --- reading


def test_leads_come_in_order_whatever_the_columns_order_and_other_columns_are_left(tmp_path, table):
    shuffled = table[["V6", "II", "I", *(lead for lead in LEADS if lead not in ("V6", "II", "I"))]]
    path = write_csv(tmp_path / "a.csv", shuffled.assign(time=np.arange(500) / 50))
    record = read_record(path, 50)
    assert record.record_id == "a"
    assert record.fs_hz == 50
    np.testing.assert_allclose(record.signal_mv, table.to_numpy(), atol=5e-7)
    np.testing.assert_array_equal(record.lead_mv("V6"), record.signal_mv[:, 11])


def test_empty_cells_are_nan_where_they_stand(tmp_path, table):
    table.loc[125:, "I"] = np.nan
    record = read_record(write_csv(tmp_path / "a.csv", table), 50)
    assert np.flatnonzero(np.isnan(record.lead_mv("I"))).tolist() == list(range(125, 500))
    assert not np.isnan(record.lead_mv("II")).any()


def test_windows_line_ends_spaces_and_a_byte_order_mark_are_read(tmp_path, table):
    path = write_csv(tmp_path / "a.csv", table)
    text = path.read_text().replace(",", ", ").replace("\n", "\r\n")
    other = tmp_path / "b.csv"
    other.write_bytes(b"\xef\xbb\xbf" + text.encode())
    np.testing.assert_array_equal(read_record(other, 50).signal_mv, read_record(path, 50).signal_mv)


def test_a_comma_at_the_end_of_every_row_shifts_nothing(tmp_path, table):
    path = write_csv(tmp_path / "a.csv", table)
    header, *rows = path.read_text().splitlines()
    (tmp_path / "b.csv").write_text("\n".join([header, *(f"{row}," for row in rows)]))
    np.testing.assert_array_equal(
        read_record(tmp_path / "b.csv", 50).signal_mv, read_record(path, 50).signal_mv
    )


def test_a_number_more_in_every_row_than_the_header_names_is_refused(tmp_path, table):
    path = write_csv(tmp_path / "a.csv", table)
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, *(f"{number},{row}" for number, row in enumerate(rows))]))
    assert message_of(read_record, path, 50) == f"{path}: the rows have more cells than the header"


def corrupt(table: pd.DataFrame, kind: str) -> bytes:
    """A CSV of the table with one thing wrong."""
    text = table.to_csv(index=False)
    header, first, second, *rest = text.splitlines()
    if kind == "no leads":
        text = table.rename(columns="sensor {}".format).to_csv(index=False)
    elif kind == "text":
        text = "\n".join(
            [
                header,
                first,
                ",".join(["oops" if k == 3 else c for k, c in enumerate(second.split(","))]),
                *rest,
            ]
        )
    elif kind == "no rows":
        text = header + "\n"
    elif kind == "empty":
        text = ""
    elif kind == "infinite":
        text = table.assign(V2=np.where(np.arange(500) == 6, -np.inf, table["V2"])).to_csv(index=False)
    elif kind == "overflow":
        text = "\n".join([header, first.replace(first.split(",")[0], "1e999", 1), second, *rest])
    elif kind == "nothing":
        text = (table * 0).assign(V5=np.nan).to_csv(index=False)
    elif kind == "twice":
        text = table.rename(columns={"aVF": "Lead i"}).to_csv(index=False)
    elif kind == "longer row":
        text = "\n".join([header, first, second + ",1", *rest])
    elif kind == "binary":
        return bytes(range(256)) * 40
    elif kind == "null bytes":
        return bytes(5000)
    return text.encode()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("no leads", "no line names the leads; expected the columns I,II,III,"),
        ("text", "row 2, column aVR: 'oops' is not a number"),
        ("no rows", "no rows below the header"),
        ("empty", "the file is empty"),
        ("infinite", "row 7, lead V2 is infinite"),
        ("overflow", "row 1, column I: '1e999' is not a number"),
        ("nothing", "no lead has a signal: lead I is flat (0 mV) and left out; "),
        ("twice", "two columns are lead I; remove one of them"),
        ("longer row", "Expected 12 fields in line 3, saw 13"),
        ("binary", "not a CSV file"),
        ("null bytes", "the file is empty"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path, table, kind, said):
    path = tmp_path / "bad.csv"
    path.write_bytes(corrupt(table, kind))
    message = message_of(read_record, path, 50)
    assert message.startswith(f"{path}: ")
    assert said in message


def test_a_file_that_is_not_there_is_named(tmp_path):
    assert message_of(read_record, tmp_path / "a.csv", 50) == f"{tmp_path / 'a.csv'}: no such file"


def test_a_lead_that_is_absent_empty_or_flat_costs_that_lead(tmp_path, table):
    """Limb leads that are absent are computed; one that is off is not, for the record does not have it."""
    path = write_csv(tmp_path / "a.csv", table.drop(columns=["aVR", "V3"]).assign(V5=np.nan, III=0.25))
    record = read_record(path, 50)
    there = [lead for lead in LEADS if np.isfinite(record.lead_mv(lead)).all()]
    assert there == [lead for lead in LEADS if lead not in ("III", "V3", "V5")]
    assert np.isnan(record.signal_mv[:, [2, 8, 10]]).all()
    np.testing.assert_allclose(record.lead_mv("aVR"), -(table["I"] + table["II"]) / 2, atol=1e-6)
    assert record.notes[:4] == (
        "aVR computed from I and II",
        "no lead V3",
        "lead III is flat (0.25 mV) and left out",
        "lead V5 is empty and left out",
    )


def test_eight_leads_make_twelve(tmp_path, table):
    eight = table.drop(columns=["III", "aVR", "aVL", "aVF"])
    record = read_record(write_csv(tmp_path / "a.csv", eight), 50)
    one, two = table["I"], table["II"]
    for lead, expected in (("III", two - one), ("aVL", one - two / 2), ("aVF", two - one / 2)):
        np.testing.assert_allclose(record.lead_mv(lead), expected, atol=2e-6)
    assert record.notes == ("III, aVR, aVL, aVF computed from I and II",)


def test_a_record_is_ten_seconds_of_its_file_from_the_second_that_is_told(tmp_path):
    table = pd.concat([waves_mv(50), waves_mv(50) / 2, waves_mv(50) / 4])
    path = write_csv(tmp_path / "a.csv", table)
    for start_s, rows in ((0, slice(0, 500)), (12.5, slice(625, 1125))):
        record = read_record(path, 50, RecordOptions(start_s=start_s))
        np.testing.assert_allclose(record.signal_mv, table.to_numpy()[rows], atol=5e-7)
        assert f"{start_s:g}-{start_s + 10:g} s of 30 s are used" in record.notes
    assert message_of(read_record, path, 50, RecordOptions(start_s=30)) == (
        f"{path}: has no values from 30 s on; it is 30 s long (--start-s)"
    )


def test_a_short_record_is_used_as_far_as_it_goes(tmp_path):
    table = waves_mv(100).iloc[:370]
    record = read_record(write_csv(tmp_path / "a.csv", table), 100)
    assert record.signal_mv.shape == (1000, 12)
    np.testing.assert_allclose(record.signal_mv[:370], table.to_numpy(), atol=5e-7)
    assert np.isnan(record.signal_mv[370:]).all()
    assert "0-3.7 s of 3.7 s are used" in record.notes


def test_values_in_microvolts_volts_and_steps_are_refused_unless_their_unit_is_told(tmp_path, table):
    for factor, said, mv in (
        (1e3, "microvolts (--unit uV)", 1e-3),
        (1e-3, "volts (--unit V)?", 1e3),
        (200, "a converter's steps (--unit 0.005, the mV of one)", 0.005),
    ):
        path = tmp_path / f"{mv}.csv"
        (table * factor).to_csv(path, index=False)
        assert said in message_of(read_record, path, 50)
        record = read_record(path, 50, RecordOptions(mv_per_unit=mv))
        np.testing.assert_allclose(record.signal_mv, table.to_numpy(), rtol=1e-9, atol=1e-12)


def test_a_record_whose_limb_leads_contradict_each_other_is_named(tmp_path, table):
    table = table.drop(columns=["III", "aVR", "aVL", "aVF"]).assign(III=table["II"] - table["I"])
    assert "limb leads" not in str(read_record(write_csv(tmp_path / "a.csv", table), 50).notes)
    table["I"] *= -1
    assert read_record(write_csv(tmp_path / "a.csv", table), 50).notes[-1] == (
        "limb leads break Einthoven's relations: I is upside down or II and III are swapped"
    )


@pytest.mark.parametrize("fs_hz", [50, 50.0, 999.9, 2000])
def test_rates_from_50_to_2000_hz_are_accepted(fs_hz):
    check_fs(fs_hz, "here")


@pytest.mark.parametrize("fs_hz", [49.99, 2000.01, 0, -250, float("nan"), float("inf")])
def test_other_rates_are_refused_saying_where(fs_hz):
    assert message_of(check_fs, fs_hz, "--fs-hz") == (
        f"--fs-hz: {fs_hz:g} Hz is outside 50-2000 Hz; check the sampling rate"
    )


# --- sampling rates


@pytest.mark.parametrize(
    ("rows", "fs_hz"), [(500, 50), (2560, 256), (10250, 1025), (15000, 500), (30000, 500), (15000 // 2, 500)]
)
def test_a_rate_that_nothing_tells_is_one_that_devices_have_and_is_said(tmp_path, rows, fs_hz):
    table = waves_mv(3000).iloc[:rows]
    record = read_record(write_csv(tmp_path / "a.csv", table))
    assert record.fs_hz == fs_hz
    assert (
        record.guess == f"{fs_hz} Hz guessed from {rows} rows (neither --fs-hz nor train.csv tells the rate)"
    )
    assert read_record(tmp_path / "a.csv", fs_hz).guess == ""
    np.testing.assert_allclose(record.signal_mv, table.to_numpy()[: 10 * fs_hz], atol=5e-7)


def test_rows_that_no_device_gives_are_refused_but_for_a_told_rate(tmp_path):
    path = write_csv(tmp_path / "a.csv", waves_mv(500).iloc[:4999])
    assert message_of(read_record, path).startswith(
        f"{path}: 4999 rows are no usual time at any rate that devices have; is the file cut off?"
    )
    assert read_record(path, 500).signal_mv.shape == (5000, 12)


def test_the_rate_that_a_file_tells_is_taken_and_no_other(tmp_path, table):
    path = write_csv(tmp_path / "a.csv", table.assign(time=np.arange(500) / 50))
    assert (read_record(path).fs_hz, read_record(path).guess) == (50, "")
    assert message_of(read_record, path, 100) == (
        f"{path}: says that its rate is 50 Hz, not 100 Hz; mend --fs-hz or train.csv"
    )


def test_the_table_is_read_in_the_root_or_the_nearest_folder_above(tmp_path):
    root = tmp_path / "above" / "between" / "root"
    root.mkdir(parents=True)
    (tmp_path / "above" / "train.csv").write_text("id,fs,sig_len\n007,500,5000\n8,1025,10250\n")
    assert read_record_table(root).fs_hz == {"007": 500.0, "8": 1025.0}
    (root / "train.csv").write_text("id,fs\n007,250\n")
    assert read_record_table(root).fs_hz == {"007": 250.0}
    assert read_record_table(root).path == root / "train.csv"


def test_a_table_beside_the_path_is_not_above_it(tmp_path):
    (tmp_path / "aside").mkdir()
    (tmp_path / "root").mkdir()
    (tmp_path / "aside" / "train.csv").write_text("id,fs\na,250\n")
    assert "a" not in read_record_table(tmp_path / "aside" / ".." / "root").fs_hz


def test_patients_are_known_where_the_table_states_them(tmp_path):
    (tmp_path / "train.csv").write_text("id,fs,patient_id\na,500,p1\nb,500,\nc,500,02\n")
    assert read_record_table(tmp_path).patients == {"a": "p1", "c": "02"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"record,rate\na,500\n", "expected the columns id and fs, found record, rate"),
        (b"id,fs\na,500\nb,fast\n", "row 2: fs is not a number"),
        (b"id,fs\na,\n", "row 1: fs is not a number"),
        (bytes(range(256)), "not a CSV file"),
    ],
)
def test_a_bad_table_is_named_with_what_is_wrong(tmp_path, content, said):
    (tmp_path / "train.csv").write_bytes(content)
    message = message_of(read_record_table, tmp_path)
    assert message.startswith(f"{tmp_path / 'train.csv'}: ")
    assert said in message


def test_the_rate_is_no_part_of_a_recordings_name():
    assert recording_of("02132_hr") == recording_of("02132_lr") == "02132"
    assert recording_of("1006427285") == "1006427285"
    assert recording_of("hr_02132") == "hr_02132"
