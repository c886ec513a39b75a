"""What is hidden: the header, what is below the last row, and what has no grid; all between the traces stays."""

from dataclasses import replace

import numpy as np
import pytest

from ecg_generator_with_train_src.common.classes import GRID, WAVEFORM
from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from ecg_generator_with_train_src.page.layouts import PageSetup, parse_layout
from experiment.labelling.page_probability import PageProbability, input_of_upright
from experiment.labelling.redaction import blacked_out, hidden_in_image, hidden_part
from known_pages import page_of

HEADER_PX = 400  # all print above the traces of a page of the default layout is above this
FOOTER_PX = 1660


@pytest.fixture(scope="module")
def whole() -> PageProbability:
    return page_of(PageSetup())


def planes(ink: np.ndarray, grid_width_px: int) -> PageProbability:
    """A page of which the network says where ink is, with a grid as far as some width."""
    y, x = np.indices(ink.shape)
    grid = ((x % PX_PER_MM < 1) | (y % PX_PER_MM < 1)) & (x < grid_width_px) & (ink == 0)
    probability = np.stack([1 - grid - ink, grid, ink]).astype(np.float32)
    image = np.full((*ink.shape, 3), 255, np.uint8)
    return PageProbability(probability, image, np.eye(3), ink.shape, PX_PER_MM, 0, 0.0, 1.0, ())


@pytest.mark.parametrize("layout", ["3x4+II", "6x2", "12x1"])
def test_traces_and_what_is_between_their_rows_are_shown(layout):
    page = page_of(PageSetup(layout=parse_layout(layout)))
    hidden = hidden_part(page)
    ink = page.probability[WAVEFORM] > 0.5
    assert not hidden[ink].any()
    top, bottom = np.flatnonzero(ink.any(axis=1))[[0, -1]]
    column = ink.shape[1] // 2
    rows = np.flatnonzero(ink[:, column - 200 : column + 200].any(axis=1))
    assert not hidden[rows[0] : rows[-1], column].any()
    assert hidden[: top - 90].all() and hidden[bottom + 90 :].all()


def test_the_print_of_the_header_and_of_the_foot_is_hidden(whole):
    hidden = hidden_part(whole)
    dark = whole.image.max(axis=2) < 100
    assert dark[:HEADER_PX].sum() > 500 and dark[FOOTER_PX:].sum() > 100  # there is print
    assert hidden[:HEADER_PX].all() and hidden[FOOTER_PX:].all()
    shown = blacked_out(whole.image, hidden)
    assert shown[:HEADER_PX].max() == 0
    np.testing.assert_array_equal(shown[~hidden], whole.image[~hidden])


def test_print_that_the_network_takes_for_ink_is_hidden_all_the_same(whole):
    probability = whole.probability.copy()
    for word in range(5):  # words of 15 mm, 8 mm apart, and a line under one of them
        left = round((20 + 23 * word) * PX_PER_MM)
        probability[WAVEFORM, 100:120, left : left + round(15 * PX_PER_MM) : 9] = 1
    probability[WAVEFORM, 200:203, 160 : 160 + round(25 * PX_PER_MM)] = 1
    assert hidden_part(replace(whole, probability=probability))[:HEADER_PX].all()


def test_what_has_no_grid_is_hidden():
    ink = np.zeros((800, 1200), bool)
    ink[400:403, 100:990] = True
    hidden = hidden_part(planes(ink, 1000))
    assert not hidden[400, 100:990].any()
    assert hidden[:, 1000 + 24 :].all()
    without_grid = hidden_part(planes(ink, 0))
    assert not without_grid[400, 100:1030].any() and without_grid[:, 1070:].all()


def test_gaps_of_a_faint_trace_do_not_hide_it():
    ink = np.zeros((800, 1200), bool)
    ink[400:403, 100:1100] = True
    ink[:, ::80] = ink[:, 1::80] = False
    ink[:, 500:540] = False  # 5 mm
    assert not hidden_part(planes(ink, 1200))[400, 100:1100].any()


def test_of_a_page_without_traces_nothing_is_shown(whole):
    empty = whole.probability.copy()
    empty[WAVEFORM] = 0
    assert hidden_part(replace(whole, probability=empty)).all()
    ink = np.zeros((40, 30), bool)
    assert hidden_part(planes(ink, 30)).all()


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_the_same_is_hidden_in_the_image_that_was_given(whole, turns):
    height, width = whole.probability.shape[1:]
    given = (width // 2, height // 2) if turns % 2 else (height // 2, width // 2)
    page = replace(whole, to_input=input_of_upright((height, width), given, turns), input_shape=given)
    upright = np.rot90(hidden_in_image(page), turns)
    wanted = hidden_part(whole)[::2, ::2]
    assert upright.shape == wanted.shape
    assert (upright | ~wanted).all()  # all of it, and hardly more
    assert (upright & ~wanted).mean() < 0.01


def test_what_the_page_does_not_cover_is_hidden(whole):
    height, width = whole.probability.shape[1:]
    moved = np.array([[1.0, 0.0, 150.0], [0.0, 1.0, 60.0], [0.0, 0.0, 1.0]])
    hidden = hidden_in_image(replace(whole, to_input=moved, input_shape=(height + 100, width + 300)))
    assert hidden[:60].all() and hidden[:, :150].all() and hidden[-40:].all() and hidden[:, -150:].all()
    np.testing.assert_array_equal(hidden[60:-40, 150:-150], hidden_part(whole))


def test_a_grid_alone_shows_nothing(whole):
    only_grid = np.zeros_like(whole.probability)
    only_grid[GRID] = whole.probability[GRID]
    assert hidden_part(replace(whole, probability=only_grid)).all()
