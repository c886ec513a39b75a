"""Ink beside the traces that were read tells that another trace, or a part of these, was not read."""

from dataclasses import replace

import numpy as np
import pytest

from ecg_generator_with_train_src.common.classes import WAVEFORM
from ecg_generator_with_train_src.page.layouts import DEFAULT_SETUP
from experiment.reading.find_layout import ReadingOptions
from experiment.reading.ink_beside import doubts_of_ink
from experiment.reading.read_page import PageReading, read_page
from known_pages import FS_HZ, page_of

PAGE = page_of(DEFAULT_SETUP)


@pytest.fixture(scope="module")
def reading() -> PageReading:
    """A whole page."""
    return read_page(PAGE, FS_HZ, ReadingOptions())


def test_all_ink_of_a_page_is_its_traces(reading):
    assert doubts_of_ink(reading.page, reading.leads) == ()
    assert reading.verdict.status == "sure"


def test_nor_has_a_page_that_is_read_at_fifty_values_a_second():
    coarse = read_page(PAGE, 50.0, ReadingOptions())
    assert doubts_of_ink(coarse.page, coarse.leads) == ()


def test_another_ecg_over_the_same_rows_is_a_reason_to_check():
    planes = PAGE.probability.copy()
    ink = planes[WAVEFORM]
    other = np.zeros_like(ink)
    other[:, 120:-60] = ink[:, 60:-120]  # the same traces, 60 px later
    planes[WAVEFORM] = np.maximum(ink, other)
    verdict = read_page(replace(PAGE, probability=planes), FS_HZ, ReadingOptions()).verdict
    assert verdict.status == "check"
    assert any("of the ink is beside the traces" in reason for reason in verdict.reasons)


@pytest.mark.parametrize("share", [0.02, 0.05])
def test_the_share_is_that_of_the_ink_between_the_rows_ends(reading, share):
    ink = reading.page.ink.copy()
    inked = (ink[:1600, 120:2080] > 0.5).sum()
    v4 = next(lead.place for lead in reading.leads if lead.place.label == "V4")
    top, left = round(v4.zero_y_px) + 60, round(v4.x0_px) + 10
    ink[top : top + 20, left : left + round(share / (1 - share) * inked / 20)] = 1
    ink[-40:, :] = 1  # below the last row, and left of all
    ink[:, :20] = 1
    doubts = doubts_of_ink(replace(reading.page, ink=ink), reading.leads)
    assert len(doubts) == (share > 0.03)
    for doubt in doubts:
        assert doubt.startswith("5% of the ink is beside the traces that were read, most near lead V4: ")
