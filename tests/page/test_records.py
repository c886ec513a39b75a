"""Records: what is found, read, refused."""

import numpy as np
import pandas as pd
import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.page.records import (
    LEADS,
    check_fs,
    find_records,
    fs_from_row_count,
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
    if kind == "missing":
        text = table.drop(columns=["aVL", "V3"]).to_csv(index=False)
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
    elif kind == "wholly nan":
        text = table.assign(V5=np.nan).to_csv(index=False)
    elif kind == "constant":
        text = table.assign(aVF=0.25).to_csv(index=False)
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
        ("missing", "lead aVL, V3 is missing"),
        ("text", "row 2, column aVR: 'oops' is not a number"),
        ("no rows", "no rows below the header"),
        ("empty", "the file is empty"),
        ("infinite", "row 7, lead V2 is infinite"),
        ("overflow", "row 1, column I: '1e999' is not a number"),
        ("wholly nan", "lead V5 has no values"),
        ("constant", "lead aVF is constant (0.25 mV)"),
        ("longer row", "Expected 12 fields in line 3, saw 13"),
        ("binary", "not a CSV file"),
        ("null bytes", "holds a NUL character"),
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


@pytest.mark.parametrize(
    ("rows", "accepted"), [(500, True), (505, True), (495, True), (506, False), (494, False)]
)
def test_a_record_is_ten_seconds_give_or_take_a_tenth(tmp_path, rows, accepted):
    table = waves_mv(100).iloc[:rows]
    path = write_csv(tmp_path / "a.csv", table)
    if accepted:
        assert len(read_record(path, 50).signal_mv) == rows
    else:
        assert f"{rows} rows at 50 Hz are {rows / 50:.2f} s, not 10 s" in message_of(read_record, path, 50)


@pytest.mark.parametrize("fs_hz", [50, 50.0, 999.9, 2000])
def test_rates_from_50_to_2000_hz_are_accepted(fs_hz):
    check_fs(fs_hz, "here")


@pytest.mark.parametrize("fs_hz", [49.99, 2000.01, 0, -250, float("nan"), float("inf")])
def test_other_rates_are_refused_saying_where(fs_hz):
    assert message_of(check_fs, fs_hz, "--fs-hz") == (
        f"--fs-hz: {fs_hz:g} Hz is outside 50-2000 Hz; check the sampling rate"
    )


# --- sampling rates


@pytest.mark.parametrize("fs_hz", [50, 256, 1025, 2000])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_rate_from_rows_is_a_tenth_of_them(tmp_path, fs_hz, end):
    path = tmp_path / "a.csv"
    lines = ["I,II", *(["0,1"] * (fs_hz * 10))]
    path.write_text(end.join(lines), newline="")
    assert fs_from_row_count(path) == fs_hz
    path.write_text(end.join(lines) + end + end, newline="")
    assert fs_from_row_count(path) == fs_hz


def test_rate_from_rows_refuses_what_holds_no_record(tmp_path):
    path = tmp_path / "a.csv"
    for text, said in (("", "the file is empty"), ("I,II\n", "no rows below the header")):
        path.write_text(text)
        assert message_of(fs_from_row_count, path) == f"{path}: {said}"
    path.write_text("I,II\n" + "0,1\n" * 499)
    assert message_of(fs_from_row_count, path).startswith(f"{path}: 499 rows in 10 s: 49.9 Hz is outside")


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
