"""Which records are drawn, which files they have, and the table of those that are here."""

import csv
from pathlib import Path

import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.fetch.kaggle_client import Competition
from ecg_generator_with_train_src.fetch.kaggle_subset import (
    PAGE_TYPES,
    TABLES,
    CompetitionTable,
    SubsetOptions,
    draw_ids,
    files_of,
    is_here,
    is_record_id,
    read_competition_table,
    rows_before,
    write_subset_table,
)

from kaggle_stand_in import COMPETITION, IDS, first
from record_sources import write_files

TABLE = CompetitionTable(["id", "fs"], [[name, "500"] for name in IDS])


def read(folder: Path, text: bytes, split: str = "train") -> CompetitionTable:
    """The table that an earlier run fetched."""
    write_files(folder, {f"{TABLES}/{COMPETITION}/{split}.csv": text})
    return read_competition_table(Competition(COMPETITION, 2), folder, split)


def test_a_table_that_is_here_already_is_not_fetched(tmp_path):
    table = read(tmp_path, b"\xef\xbb\xbfid,fs\r\n2,500\r\n\r\n1,250\r\n2,500\r\n")
    assert table == CompetitionTable(["id", "fs"], [["2", "500"], ["1", "250"], ["2", "500"]])
    assert table.ids() == ["1", "2"]


@pytest.mark.parametrize(
    "text", [b"", b"number\n1\n", b"id,fs\n", b"id,fs\n../../escaped,500\n", b"id,fs\n1\n", b"\xff\xfe"]
)
def test_a_table_that_is_none(tmp_path, text):
    with pytest.raises(InputError, match=r"train\.csv: not a table of records.*; remove it and run again"):
        read(tmp_path, text)


@pytest.mark.parametrize(("text", "safe"), [("1_a-B", True), ("", False), ("..", False), ("a/b", False)])
def test_an_id_is_safe_as_a_file_name(text, safe):
    assert is_record_id(text) == safe


def test_a_larger_number_keeps_what_a_smaller_one_drew():
    assert draw_ids(TABLE, 4, 0)[:2] == draw_ids(TABLE, 2, 0) == first(2)
    assert draw_ids(TABLE, 25, 5) != draw_ids(TABLE, 25, 0)
    assert sorted(draw_ids(TABLE, 25, 5)) == sorted(IDS)
    with pytest.raises(InputError, match="--num-samples 26: there are only 25 records"):
        draw_ids(TABLE, 26, 0)


def test_the_files_of_a_record():
    here = Path("here")
    assert [file.remote for file in files_of("1", SubsetOptions(here))] == [
        *(f"train/1/1-{page_type}.png" for page_type in PAGE_TYPES),
        "train/1/1.csv",
    ]
    (page,) = files_of("1", SubsetOptions(here, page_types=("0006", "0006"), with_csv=False))
    assert (page.remote, page.path) == ("train/1/1-0006.png", here / "1" / "1-0006.png")
    (page,) = files_of("1", SubsetOptions(here, split="test"))
    assert (page.remote, page.path) == ("test/1.png", here / "1.png")


@pytest.mark.parametrize("text", [b"\xff\xfe\0", b"name\nmine\n"])
def test_a_table_of_the_users_that_is_none_is_named_and_stays(tmp_path, text):
    path = write_files(tmp_path, {"train.csv": text}) / "train.csv"
    with pytest.raises(
        InputError, match=r"train\.csv: not a table of records with a column id; move it away"
    ):
        rows_before(path)
    assert path.read_bytes() == text


def test_the_table_has_the_records_that_are_here_and_those_it_had(tmp_path):
    write_files(tmp_path, {"train.csv": b"id,fs,patient\nmine,1000,7\n%s,500,8\n" % IDS[3].encode()})
    write_files(tmp_path, {f"{IDS[1]}/{IDS[1]}-0001.png": b"page", f"{IDS[2]}/.{IDS[2]}.csv.part": b"half"})
    write_subset_table(TABLE, rows_before(tmp_path / "train.csv"), tmp_path, "train")
    with (tmp_path / "train.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {"id": IDS[1], "fs": "500", "patient": ""},
        {"id": IDS[3], "fs": "500", "patient": ""},
        {"id": "mine", "fs": "1000", "patient": "7"},
    ]


def test_without_records_there_is_no_table(tmp_path):
    write_subset_table(TABLE, rows_before(tmp_path / "train.csv"), tmp_path, "train")
    assert list(tmp_path.iterdir()) == []


def test_a_record_is_here_once_one_of_its_files_is_complete(tmp_path):
    write_files(tmp_path, {"1/1.csv": b"", "2/.2.csv.part": b"", "3.png": b""})
    assert [is_here(name, tmp_path, "train") for name in "123"] == [True, False, False]
    assert [is_here(name, tmp_path, "test") for name in "123"] == [False, False, True]
