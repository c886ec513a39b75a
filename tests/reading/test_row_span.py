"""Where rows start and end: at their ink's ends, on a grid line only where these allow it, and never at a pulse."""

import numpy as np
import pytest

from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from experiment.reading.rectify import RectifiedPage
from experiment.reading.row_span import bars_at, find_span

ZERO_Y_PX = np.array([300.0, 500.0, 700.0])
NO_BARS = np.zeros(2300)


def page_of(start_mm: float, length_mm: float = 250.0, pulse_right_mm: float | None = None) -> RectifiedPage:
    """Three flat rows on a grid, with pulses 10 mm high and 5 mm wide whose right sides stand at `pulse_right_mm`."""
    ink = np.zeros((900, 2300), np.float32)
    grid = np.zeros_like(ink)
    lines = (np.arange(1, 290) * PX_PER_MM).astype(int)
    grid[:, lines], grid[lines[lines < 900]] = 1, 1
    left, right = (round(mm * PX_PER_MM) for mm in (start_mm, start_mm + length_mm))
    dark = ink.copy()
    for zero in ZERO_Y_PX.astype(int):
        ink[zero - 1 : zero + 1, left:right] = 1
        if pulse_right_mm is not None:
            at, wide, high = round(pulse_right_mm * PX_PER_MM), round(5 * PX_PER_MM), round(10 * PX_PER_MM)
            dark[zero - high : zero, [at - wide, at - wide + 1, at, at + 1]] = 1
            dark[zero - high : zero - high + 2, at - wide : at + 2] = 1
    grid *= 1 - np.maximum(ink, dark)
    darkness = 200 * np.maximum(ink, dark)
    return RectifiedPage(ink, grid, darkness, np.zeros((*ink.shape, 3), np.uint8), 0, 0, np.zeros((1, 1, 2)))


def span_mm(page: RectifiedPage, bars: np.ndarray = NO_BARS) -> tuple[float, float]:
    span = find_span(page, ZERO_Y_PX, bars, {1, 2, 4}, None)
    return span.start_px / PX_PER_MM, span.length_px / PX_PER_MM


@pytest.mark.parametrize("start_mm", [20.45, 22.5])
def test_rows_that_start_between_grid_lines_are_not_moved_to_one(start_mm):
    assert span_mm(page_of(start_mm)) == pytest.approx((start_mm, 250.0), abs=0.2)


def test_rows_whose_ink_begins_late_and_ends_early_start_on_the_line():
    start_mm, length_mm = span_mm(page_of(20.25, 249.4))
    assert start_mm == pytest.approx(20 - 0.5 / PX_PER_MM, abs=0.01)
    assert length_mm == 250.0


@pytest.mark.parametrize(("length_mm", "later_mm"), [(249.7, 0.0), (248.2, -1.8), (240.0, 0.0)])
def test_rows_of_which_an_end_is_missing_may_start_earlier(length_mm, later_mm):
    span = find_span(page_of(20.5, length_mm), ZERO_Y_PX, NO_BARS, {1, 2, 4}, None)
    assert span.may_start_later_px / PX_PER_MM == pytest.approx(later_mm, abs=0.4)


def test_rows_may_start_later_if_one_of_them_ends_farther_off():
    page = page_of(20.5)
    end, zero = round(270.5 * PX_PER_MM), int(ZERO_Y_PX[1])
    page.ink[zero - 1 : zero + 1, end : end + round(2.4 * PX_PER_MM)] = 1
    span = find_span(page, ZERO_Y_PX, NO_BARS, {1, 2, 4}, None)
    assert span.start_px / PX_PER_MM == pytest.approx(20.5, abs=0.2)
    assert span.may_start_later_px / PX_PER_MM == pytest.approx(2.4, abs=0.3)


def test_where_the_ink_is_longer_than_a_row_and_pulses_join_it_the_end_tells():
    page = page_of(18.0, 252.5, pulse_right_mm=16.5)
    assert span_mm(page)[0] == pytest.approx(20.5, abs=0.2)


def test_rows_that_stand_apart_from_their_pulses_are_as_long_as_their_ink():
    assert span_mm(page_of(21.4, 255.2, pulse_right_mm=12.0)) == pytest.approx((21.4, 255.2), abs=0.4)


def test_one_dark_line_of_two_is_no_separator():
    bars = np.zeros(2300)
    bars[[600, 1100]] = 1.0
    assert bars_at(bars, 100.0, 1500.0, 3) == 1.0
    bars[600] = 0.05
    assert bars_at(bars, 100.0, 1500.0, 3) == 0.0
    bars[[475, 850, 1225]] = 0.0, 0.9, 0.9
    assert bars_at(bars, 100.0, 1500.0, 4) == pytest.approx(0.6)
