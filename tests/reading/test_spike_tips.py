"""The tips of spikes that a network did not see are taken from the picture, and nothing else is."""

import numpy as np
import pytest

from ecg_generator_with_train_src.page.geometry import Placement
from ecg_generator_with_train_src.page.layouts import DEFAULT_SETUP
from experiment.reading.find_layout import FoundLayout
from experiment.reading.rectify import RectifiedPage
from experiment.reading.spike_tips import whole_strokes, with_tips

SHAPE = (300, 400)
SEEN, DRAWN = slice(100, 201), slice(60, 201)  # rows of a spike, as the network sees it, and as it is drawn
BLACK = 150.0


def page(ink: np.ndarray, darkness: np.ndarray) -> RectifiedPage:
    white = np.full((*SHAPE, 3), 255, np.uint8)
    return RectifiedPage(ink, np.zeros(SHAPE, np.float32), darkness, white, 0, 0, np.zeros((20, 26, 2)))


def spike(column: int = 200, tip: float = BLACK) -> RectifiedPage:
    """A level trace with a spike, the tip of which is so dark."""
    ink, darkness = np.zeros((2, *SHAPE), np.float32)
    for rows, columns in ((slice(199, 202), slice(50, 350)), (SEEN, slice(column - 1, column + 2))):
        ink[rows, columns], darkness[rows, columns] = 1, BLACK
    darkness[DRAWN.start : SEEN.start, column - 1 : column + 2] = tip
    return page(ink, darkness)


def beside_a_line() -> RectifiedPage:
    """A spike on a line of the grid, which goes on where it ends."""
    seen = spike(tip=BLACK / 2)
    seen.darkness[:, 199:202] = np.maximum(seen.darkness[:, 199:202], BLACK / 2)
    return seen


def below_a_bar() -> RectifiedPage:
    """A spike that ends where a bar begins."""
    seen = spike(tip=0.0)
    seen.darkness[SEEN.start - 24 : SEEN.start, 150:250] = BLACK
    return seen


def layout(start_px: float = 50.0) -> FoundLayout:
    place = Placement("II", "II", 0, 0, 0.0, 10.0, start_px, 200.0, 196.85, 78.74)
    return FoundLayout(DEFAULT_SETUP, (place,), np.array([200.0]), start_px, 350.0, 0.0, ())


def tip_of(ink: np.ndarray) -> int:
    return int(np.flatnonzero((ink > 0.5).any(axis=1))[0])


def test_a_spike_goes_on_as_far_as_it_is_dark():
    ink = with_tips(spike(), layout())
    assert tip_of(ink) == DRAWN.start
    assert (ink[DRAWN, 199:202] == 1).all()
    np.testing.assert_array_equal(ink[SEEN.start :], spike().ink[SEEN.start :])


def test_a_spike_goes_on_downwards_too():
    upside_down = page(spike().ink[::-1].copy(), spike().darkness[::-1].copy())
    np.testing.assert_array_equal(with_tips(upside_down, layout()), with_tips(spike(), layout())[::-1])


def test_a_pale_stroke_is_followed_where_it_is_darker_than_its_row_and_column():
    seen = spike(tip=BLACK / 2)
    seen.darkness[::8] = np.maximum(seen.darkness[::8], BLACK / 3)  # level lines
    ink = with_tips(seen, layout())
    assert (ink[DRAWN, 200] > 0.4).all() and not ink[: DRAWN.start - 1].any()


def test_pale_writing_that_begins_at_a_spike_is_not():
    seen = spike(tip=0.0)
    for row in range(DRAWN.start, SEEN.start):
        seen.darkness[row, 200 + SEEN.start - row : 203 + SEEN.start - row] = BLACK / 2
    np.testing.assert_array_equal(with_tips(seen, layout()), seen.ink)


def pale_spike(pale: float) -> np.ndarray:
    """The ink of a spike that is as pale in two of eight rows."""
    ink = spike().ink
    for row in (*range(104, 170, 8), *range(105, 170, 8)):
        ink[row, 199:202] = pale
    return ink


def test_a_stroke_that_pales_where_it_crosses_lines_is_whole():
    ink = whole_strokes(pale_spike(0.12))
    assert (ink[SEEN, 199:202] == 1).all()
    np.testing.assert_array_equal(
        np.delete(ink, range(199, 202), 1), np.delete(spike().ink, range(199, 202), 1)
    )


@pytest.mark.parametrize(
    "aside_px", [None, 7], ids=["bare paper between strokes", "a dashed line beside a stroke"]
)
def test_what_is_no_pale_stroke_stays_as_it_is(aside_px: int | None):
    ink = pale_spike(0.0 if aside_px is None else 0.12)
    if aside_px is not None:
        ink[100:200, 200 + aside_px] = 1
    np.testing.assert_array_equal(whole_strokes(ink)[:, 199:202], ink[:, 199:202])


@pytest.mark.parametrize(
    ("seen", "found"),
    [(beside_a_line(), layout()), (spike(), layout(start_px=200.0)), (below_a_bar(), layout())],
    ids=["a grid line", "a separator at a lead's start", "a dark bar"],
)
def test_what_else_may_be_dark_there_is_no_tip(seen: RectifiedPage, found: FoundLayout):
    np.testing.assert_array_equal(with_tips(seen, found), seen.ink)


def test_the_gap_between_two_strokes_is_no_tip():
    seen = spike()
    seen.ink[SEEN.start : 160, 199:202] = 0  # the network sees the lower part
    seen.ink[90:160, 204:207] = 1  # and a stroke beside the upper one
    ink = with_tips(seen, layout())
    assert (ink[120:155, 199:202] == 0).all()
