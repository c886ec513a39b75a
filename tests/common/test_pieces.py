"""Pieces are those that SciPy finds, and what is chosen of them is theirs alone."""

import numpy as np
import pytest
from scipy import ndimage

from ecg_generator_with_train_src.common.pieces import pieces_of


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6])
def test_pieces_are_what_touches_at_corners_too(share):
    marked = np.random.default_rng(5).random((90, 130)) < share
    pieces = pieces_of(marked)
    expected, number = ndimage.label(marked, np.ones((3, 3)))
    assert len(pieces.boxes) == number + 1
    pairs = set(zip(pieces.numbers.flat, expected.flat, strict=True))
    assert len(pairs) == number + 1  # each has one of the other
    for left, top, width, height, area in pieces.boxes[1:]:
        assert area <= marked[top : top + height, left : left + width].sum()
    assert pieces.boxes[1:, 4].sum() == marked.sum()


def test_what_is_chosen_is_the_wanted_pieces_pixels():
    marked = np.random.default_rng(6).random((60, 80)) < 0.2
    pieces = pieces_of(marked)
    wanted = np.arange(len(pieces.boxes)) % 3 == 0  # piece 0, what is not marked, too
    assert np.array_equal(pieces.chosen(wanted), wanted[pieces.numbers] & marked)


def test_where_nothing_is_marked_there_is_no_piece():
    pieces = pieces_of(np.zeros((20, 30), bool))
    assert len(pieces.boxes) == 1
    assert not pieces.chosen(np.ones(1, bool)).any()
