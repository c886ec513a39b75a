"""Rates, and rows of a submission, from tables."""

import pytest

from ecg_generator_with_train_src.common.errors import InputError
from experiment.reading.sampling_rates import read_rates


def table(folder, rows: str, lead: str = "I"):
    path = folder / "test.csv"
    path.write_text(f"id,lead,fs,number_of_rows\n7,{lead},500,{rows}\n")
    return path


def test_rows_of_each_lead_are_what_the_table_says(tmp_path):
    assert read_rates(None, None, table(tmp_path, "1250")).rows == {"7": {"I": 1250}}


@pytest.mark.parametrize("rows", ["nan", "inf", "-1", "2.5", "1e12"])
def test_a_number_of_rows_that_no_lead_has_is_refused(tmp_path, rows):
    with pytest.raises(InputError, match=r"test\.csv: 7, I: number_of_rows is .*, not 0 to 100000"):
        read_rates(None, None, table(tmp_path, rows))


@pytest.mark.parametrize("lead", ["0x10", "v1", ""])
def test_a_lead_that_is_none_of_the_twelve_is_refused(tmp_path, lead):
    with pytest.raises(InputError, match=rf"test\.csv: 7: lead is '{lead}', not one of I, II, III, aVR"):
        read_rates(None, None, table(tmp_path, "1250", lead))
