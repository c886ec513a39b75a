"""Ink beside the traces that were read tells that another trace, or a part of these, was not read."""

from dataclasses import replace

import numpy as np

from ecg_generator_with_train_src.common.classes import WAVEFORM
from ecg_generator_with_train_src.page.layouts import DEFAULT_SETUP
from experiment.reading.find_layout import ReadingOptions
from experiment.reading.ink_beside import MUCH_BESIDE, share_beside
from experiment.reading.read_page import read_page
from known_pages import FS_HZ, page_of

PAGE = page_of(DEFAULT_SETUP)


def test_all_ink_of_a_page_is_its_traces():
    reading = read_page(PAGE, FS_HZ, ReadingOptions())
    assert share_beside(reading.page, reading.leads) < 0.002
    assert reading.verdict.status == "sure"


def test_another_ecg_over_the_same_rows_is_a_reason_to_check():
    planes = PAGE.probability.copy()
    ink = planes[WAVEFORM]
    other = np.zeros_like(ink)
    other[:, 120:-60] = ink[:, 60:-120]  # the same traces, 60 px later
    planes[WAVEFORM] = np.maximum(ink, other)
    reading = read_page(replace(PAGE, probability=planes), FS_HZ, ReadingOptions())
    assert share_beside(reading.page, reading.leads) > MUCH_BESIDE
    assert reading.verdict.status == "check"
    assert any("of the ink is beside the traces" in reason for reason in reading.verdict.reasons)


def test_the_share_is_that_of_the_ink_between_the_rows_ends():
    reading = read_page(PAGE, FS_HZ, ReadingOptions())
    ink = reading.page.ink.copy()
    before = float((ink > 0.5).sum())
    zero_y_px = round(reading.leads[0].place.zero_y_px)
    ink[zero_y_px + 110 : zero_y_px + 120, 300:400] = 1  # 1,000 pixels between two rows
    ink[-40:, :] = 1  # below the last row, and left of all
    ink[:, :20] = 1
    share = share_beside(replace(reading.page, ink=ink), reading.leads)
    assert abs(share - 1000 / (before + 1000)) < 0.002
