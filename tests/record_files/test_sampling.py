"""Sampling rates that are guessed, and those that times and words tell."""

from pathlib import Path

import numpy as np
import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.record_files.sampling import fs_in_words, fs_of_times, guess_fs

HERE = Path("a.csv")


@pytest.mark.parametrize(
    ("rows", "fs_hz"),
    [
        *(
            (fs * 10, fs) for fs in (250, 256, 500, 512, 1000, 1025, 100)
        ),  # 10 s, as the competition and PTB-XL have
        (15000, 500),  # 30 s, never 1500 Hz
        (30000, 500),  # a minute
        (7500, 500),
        (4000, 400),
        (4999, None),
        (4096, None),
        (650000, None),  # half an hour at 360 Hz
        (757, None),
        (1, None),
    ],
)
def test_only_rates_that_devices_have_are_guessed(rows, fs_hz):
    assert guess_fs(rows) == fs_hz


@pytest.mark.parametrize(
    ("step", "unit", "fs_hz"),
    [
        (0.002, "", 500),
        (2, "", 500),
        (2000, "", 500),
        (1, "ms", 1000),
        (1 / 360, "s", 360),
        (0.0039, "", 1 / 0.0039),
    ],
)
def test_times_tell_the_rate_in_seconds_milli_or_microseconds(step, unit, fs_hz):
    assert fs_of_times(HERE, 17 + step * np.arange(1000), unit) == pytest.approx(fs_hz, rel=1e-9)


def test_rounded_times_tell_the_rate_as_well():
    assert fs_of_times(HERE, np.round(np.arange(3600) / 360, 3), "s") == 360


def test_numbers_of_rows_and_times_that_stand_still_tell_none():
    assert fs_of_times(HERE, np.arange(5000.0), "") is None
    assert fs_of_times(HERE, np.zeros(5000), "s") is None


def test_times_with_a_hole_are_refused():
    times = np.arange(1000) / 100
    times[600:] += 3
    with pytest.raises(InputError, match=r"a.csv: row \d+: the times do not run evenly"):
        fs_of_times(HERE, times, "s")


@pytest.mark.parametrize(
    ("line", "fs_hz"),
    [
        ("Sample Rate,512 hertz", 512),
        ("# sampling frequency: 1 kHz", 1000),
        ("Samplerate;256,5", 256.5),
        ("fs=250", 250),
        ("offset 250", None),
    ],
)
def test_words_above_the_header_tell_the_rate(line, fs_hz):
    assert fs_in_words(["Name;X", line]) == fs_hz
