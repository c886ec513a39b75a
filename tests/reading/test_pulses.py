"""Calibration pulses are found where machines set them, and boxes of grid lines are none."""

from dataclasses import replace

import numpy as np
import pytest

from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from experiment.reading.pulses import NO_PULSE, find_pulse
from experiment.reading.rectify import RectifiedPage

ROWS_MM = (60.0, 95.0, 130.0)
START_MM, END_MM, WIDTH_MM, HEIGHT_MM = 45.0, 245.0, 285, 160
INK, LINE = 200.0, 130.0


def px(mm: float) -> int:
    return round(mm * PX_PER_MM)


def page_with(
    boxes: list[tuple[float, float, float, float]], grid: bool = True, rows_mm: tuple[float, ...] = ROWS_MM
) -> RectifiedPage:
    """Flat rows on a grid whose major lines are nearly as dark as ink; boxes are (left, base, width, height) in mm."""
    shape = px(HEIGHT_MM), px(WIDTH_MM)
    darkness, ink, lines = (np.zeros(shape, np.float32) for _ in range(3))
    if grid:
        for mm in range(0, WIDTH_MM, 5):
            lines[:, px(mm)] = 1
        for mm in range(0, HEIGHT_MM, 5):
            lines[px(mm)] = 1
        darkness = LINE * lines
    for row_mm in rows_mm:
        ink[px(row_mm) : px(row_mm) + 2, px(START_MM) : px(END_MM)] = 1
    for left, base, width, height in boxes:
        for side in (left, left + width):
            darkness[px(base - height) : px(base), px(side) : px(side) + 2] = INK
        darkness[px(base - height) : px(base - height) + 2, px(left) : px(left + width)] = INK
    darkness = np.maximum(darkness, INK * ink)
    lines *= darkness == LINE
    return RectifiedPage(ink, lines, darkness, np.zeros((*shape, 3), np.uint8), 0, 0, np.zeros((1, 1, 2)))


def found_on(page: RectifiedPage):
    return find_pulse(page, np.array([px(mm) + 1.0 for mm in ROWS_MM]), px(START_MM), px(END_MM))


@pytest.mark.parametrize("gain", [5, 10, 20])
@pytest.mark.parametrize(("width_mm", "speeds"), [(5, (25,)), (10, (50,)), (3, (25, 12.5))])
@pytest.mark.parametrize(("side", "left_mm"), [("left", 20), ("right", 255)])
def test_height_tells_the_gain_and_width_the_speed_unless_it_is_narrow(side, left_mm, width_mm, speeds, gain):
    pulse = found_on(page_with([(left_mm, row_mm, width_mm, gain) for row_mm in ROWS_MM]))
    assert (pulse.side, pulse.speeds_mm_s, pulse.gain_mm_mv) == (side, speeds, gain)


def test_a_page_may_have_a_single_pulse():
    pulse = found_on(page_with([(20, ROWS_MM[1], 5, 10)]))
    assert (pulse.side, pulse.gain_mm_mv) == ("left", 10)


def test_squares_of_the_grid_are_no_pulses():
    assert found_on(page_with([])) == NO_PULSE


def test_boxes_that_stand_elsewhere_are_no_pulses():
    assert found_on(page_with([(20, row_mm - 12, 5, 10) for row_mm in ROWS_MM])) == NO_PULSE


def under_a_raster(page: RectifiedPage, share: float) -> RectifiedPage:
    """The page photographed from a screen: a raster of slanting dots, before which lines stand out by a share."""
    y, x = np.indices(page.darkness.shape)
    raster = INK / 2 * (1 + np.sin(2 * np.pi * (x + y) / 3.3)) / 2
    return replace(
        page, darkness=(raster + share * page.darkness * (page.ink < 0.5) + INK * page.ink).astype(np.float32)
    )


def test_faint_boxes_of_all_rows_under_a_raster_are_pulses():
    boxes = [(20, row_mm, 5, 10) for row_mm in ROWS_MM]
    pulse = found_on(under_a_raster(page_with(boxes), 0.22))
    assert (pulse.side, pulse.speeds_mm_s, pulse.gain_mm_mv) == ("left", (25,), 10)
    assert pulse.clearness < 0.24


@pytest.mark.parametrize("boxes", [[], [(20, ROWS_MM[1], 5, 10)]])
def test_a_raster_alone_or_with_one_faint_box_is_none(boxes):
    assert found_on(under_a_raster(page_with(boxes), 0.22)) == NO_PULSE


def test_boxes_of_two_rows_are_no_higher_one():
    """Boxes 5 mm high 15 mm above one another have the corners of one 20 mm high."""
    rows_mm = (60.0, 75.0, 90.0, 105.0)
    page = page_with([(20, row_mm, 5, 5) for row_mm in rows_mm], rows_mm=rows_mm)
    zero_y_px = np.array([px(mm) + 1.0 for mm in rows_mm])
    assert find_pulse(page, zero_y_px, px(START_MM), px(END_MM)).gain_mm_mv == 5
    assert find_pulse(under_a_raster(page, 0.65), zero_y_px, px(START_MM), px(END_MM)) == NO_PULSE
