"""Units and gaps of a file's numbers."""

import argparse
from pathlib import Path

import numpy as np
import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.record_files.millivolts import mv_per_unit, signals_in_mv
from ecg_generator_with_train_src.record_files.signals import FileSignals

BEATS_MV = np.sin(np.arange(500) / 8)


def file_of(values: np.ndarray, unit_mv: float | None = None) -> FileSignals:
    return FileSignals(Path("a.csv"), {"I": values, "II": values / 2}, {"I": unit_mv, "II": unit_mv})


def refusal_of(*arguments) -> str:
    with pytest.raises(InputError) as caught:
        signals_in_mv(*arguments)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"), [("mV", 1), ("uV", 1e-3), ("µV", 1e-3), ("V", 1e3), ("nV", 1e-6), ("0.00488", 0.00488)]
)
def test_a_unit_is_a_name_or_the_millivolts_of_a_step(text, value):
    assert mv_per_unit(text) == value


@pytest.mark.parametrize("text", ["", "mmHg", "0", "-1", "inf", "nan", "1e-320", "1e9"])
def test_other_words_are_no_unit(text):
    with pytest.raises(argparse.ArgumentTypeError, match="expected mV, uV, V, nV, or how many mV a step is"):
        mv_per_unit(text)


@pytest.mark.parametrize("unit_mv", [1e-3, 1e3, 0.005])
def test_numbers_become_millivolts_by_the_files_unit_or_the_one_told(unit_mv):
    for file, told in ((file_of(BEATS_MV / unit_mv, unit_mv), None), (file_of(BEATS_MV / unit_mv), unit_mv)):
        signals, notes = signals_in_mv(file, told)
        np.testing.assert_allclose(signals["I"], BEATS_MV, rtol=1e-12)
        assert notes == []


def test_a_unit_that_is_told_must_be_the_files():
    assert refusal_of(file_of(BEATS_MV, 1.0), 1e-3) == (
        "a.csv: says that lead I is in units of 1 mV, not 0.001 mV; leave out --unit"
    )


def test_a_files_own_unit_is_not_believed_either_if_its_values_are_no_ecg():
    assert "are they microvolts (--unit uV)" in refusal_of(file_of(BEATS_MV * 1000, 1.0), None)


@pytest.mark.parametrize("number", [-9999, 9999, 32767, -32768, -2147483648])
def test_numbers_that_stand_for_no_value_are_gaps(number):
    values = BEATS_MV.copy()
    values[100:110] = number
    signals, notes = signals_in_mv(FileSignals(Path("a.csv"), {"I": values}, {"I": None}), None)
    assert np.flatnonzero(np.isnan(signals["I"])).tolist() == list(range(100, 110))
    assert notes == [f"10 values of {number:g} are gaps"]


def test_a_quiet_or_a_paced_lead_among_others_is_no_reason_to_refuse():
    signals = {"I": BEATS_MV, "II": BEATS_MV * 1e-3, "V1": BEATS_MV, "V2": BEATS_MV * 60, "V3": BEATS_MV}
    read, _ = signals_in_mv(FileSignals(Path("a.csv"), signals, dict.fromkeys(signals)), None)
    np.testing.assert_array_equal(read["V2"], signals["V2"])
