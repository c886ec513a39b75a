"""Runs of ink in columns."""

import numpy as np

from experiment.reading.ink_runs import ink_of_states, run_lengths, runs_on


def test_the_length_of_a_run_is_counted_along_the_last_axis():
    inked = np.array([[[1, 1, 0, 1, 1, 1], [0, 0, 1, 0, 0, 1]]], bool)
    assert run_lengths(inked).tolist() == [[[2, 2, 0, 3, 3, 3], [0, 0, 1, 0, 0, 1]]]


def test_the_run_around_a_path_ends_where_the_ink_does():
    inked = np.array([[0, 1, 1, 0], [1, 1, 0, 0], [1, 0, 1, 1]], bool)
    top, bottom = runs_on(inked, np.array([[1, 1, 1, 2]]))
    assert top.tolist() == [[1, 0, 1, 2]]
    assert bottom.tolist() == [[3, 2, 1, 3]]


def test_states_hold_the_most_ink_of_their_pixels_and_none_beyond_the_page():
    page = np.arange(6, dtype=np.float32)[:, None] + 1
    assert ink_of_states(page, -2, 5)[:, 0].tolist() == [0, 2, 4, 6, 0]
