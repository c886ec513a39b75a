"""The competition's submission files: what they say, in whatever order, and what is refused."""

import numpy as np
import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.page.records import LEADS
from experiment.scoring import submission
from experiment.scoring.submission import read_submission

from known_signals import submission_table, write_submission

TYPES = ("csv", "parquet")


def two_pages() -> dict[str, np.ndarray]:
    pages = {name: np.random.default_rng(len(name)).normal(size=(12, 8)) for name in ("7", "02132_lr")}
    for signals_mv in pages.values():
        signals_mv[[0, *range(2, 12)], 2:] = np.nan
    return pages


@pytest.mark.parametrize("suffix", TYPES)
def test_signals_come_back_whatever_the_order_of_the_rows_and_columns(tmp_path, suffix):
    pages = two_pages()
    table = submission_table(pages).sample(frac=1, random_state=0)
    table = table.assign(fs=1, note="x")[["note", "value", "fs", "id"]]
    read = read_submission(write_submission(table, tmp_path / f"submission.{suffix}"))
    assert read.keys() == pages.keys()
    for name, signals_mv in pages.items():
        np.testing.assert_array_equal(read[name], signals_mv)


def test_whole_numbers_are_numbers(tmp_path):
    table = submission_table({"7": np.zeros((12, 2))}).assign(value=3)
    for suffix in TYPES:
        read = read_submission(write_submission(table, tmp_path / f"submission.{suffix}"))
        np.testing.assert_array_equal(read["7"], np.full((12, 2), 3.0))


@pytest.mark.parametrize("suffix", TYPES)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.replace({"value": {table["value"][4]: np.nan}}), "'7_1_II' has no finite value"),
        (lambda table: table.replace({"value": {table["value"][4]: np.inf}}), "'7_1_II' has no finite value"),
        (lambda table: table.replace("7_1_II", "7-1-II"), "'7-1-II' is no id <page>_<row>_<lead>"),
        (lambda table: table.replace("7_1_II", "7_x_II"), "'7_x_II' has no row number"),
        (lambda table: table.replace("7_1_II", "7_-1_II"), "'7_-1_II' has no row number"),
        (lambda table: table.replace("7_1_II", "7_1_V7"), "'7_1_V7' has none of the leads I, II,"),
        (lambda table: table.replace("7_1_II", "7_0_II"), "page 7: lead II has rows missing or twice"),
        (lambda table: table.drop(index=4), "page 7: lead II has rows missing or twice"),
        (lambda table: table[~table["id"].str.endswith("_V3")], "page 7: lead V3 is missing"),
        (
            lambda table: table.rename(columns={"id": "ID"}),
            "no submission, which has the columns id and value",
        ),
        (lambda table: table.assign(value="much"), "no submission, which has the columns id and value"),
        (lambda table: table.iloc[:0], "no rows"),
    ],
)
def test_what_is_no_submission_is_refused_in_a_line(tmp_path, suffix, change, said):
    table = submission_table({"7": np.arange(36.0).reshape(12, 3)})
    assert table["id"][4] == "7_1_II"
    path = write_submission(change(table), tmp_path / f"submission.{suffix}")
    with pytest.raises(InputError) as error:
        read_submission(path)
    assert str(error.value).startswith(f"{path}: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_missing_or_of_another_kind_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_submission(tmp_path / "none.csv")
    (tmp_path / "text.parquet").write_text("id,value\n")
    with pytest.raises(InputError, match="no submission"):
        read_submission(tmp_path / "text.parquet")


def test_a_damaged_parquet_is_named_wherever_its_damage_lies(tmp_path):
    path = tmp_path / "s.parquet"
    submission.write_submission(path, {"7": dict.fromkeys(LEADS, np.linspace(0, 1, 300))})
    assert submission.read_submission(path)["7"].shape == (12, 300)
    whole = path.read_bytes()
    for damaged in (
        whole[: len(whole) // 2],
        whole[:40] + bytes(8) + whole[48:],  # its values
        whole[:-60] + b"\xff" * 20 + whole[-40:],  # what it says of itself
    ):
        path.write_bytes(damaged)
        with pytest.raises(
            InputError, match=r"s\.parquet: no submission, which has the columns id and value \("
        ):
            read_submission(path)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_more_rows_than_fit_the_memory_are_refused(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(submission, "MOST_ROWS", 23)
    path = tmp_path / f"s.{suffix}"
    for rows in (1, 2):
        submission.write_submission(path, {"7": dict.fromkeys(LEADS, np.zeros(rows))})
        if rows == 1:
            assert list(read_submission(path)) == ["7"]
    with pytest.raises(InputError, match=f"s.{suffix}: has more than 23 rows; part it by pages"):
        read_submission(path)


def test_leads_far_longer_than_the_others_of_their_page_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(submission, "MOST_PLACES", 12 * 5)
    path = tmp_path / "s.csv"
    for rows in (5, 6):
        submission.write_submission(path, {"7": {**dict.fromkeys(LEADS, np.zeros(1)), "II": np.zeros(rows)}})
        if rows == 5:
            assert list(read_submission(path)) == ["7"]
    with pytest.raises(InputError, match=r"s\.csv: has leads that are far longer than the others"):
        read_submission(path)
