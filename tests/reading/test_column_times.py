"""Columns that go on keep the rhythm; columns that show the same moments repeat it."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from experiment.reading.column_times import (
    GOING_ON,
    HIGH,
    LEAST_APART_MM,
    ColumnTimes,
    _beats,
    beats_apart_mm,
    column_times,
)
from experiment.reading.row_traces import STEP_PX

LENGTH_PX = 250 * PX_PER_MM
NO_STRIPS = np.zeros((0, 1))
STEPS = round(LENGTH_PX / STEP_PX)


def rows_with_beats(at_mm: np.ndarray) -> np.ndarray:
    """Three rows whose beats have heights of their own."""
    x_mm = np.arange(STEPS) * STEP_PX / PX_PER_MM
    beat = np.exp(-np.square((x_mm[:, None] - at_mm) / 0.8)).sum(axis=1)
    return np.stack([height * beat for height in (8.0, -5.0, 11.0)])


def times(at_mm: np.ndarray, columns: int) -> ColumnTimes:
    return column_times(rows_with_beats(at_mm), NO_STRIPS, 0.0, LENGTH_PX, columns)


@pytest.mark.parametrize("columns", [2, 3, 4])
@pytest.mark.parametrize("distance_mm", [17.0, 23.3, 29.0])
def test_beats_that_keep_their_distance_go_on(columns, distance_mm):
    assert times(np.arange(7.0, 250, distance_mm), columns) == GOING_ON


@pytest.mark.parametrize("columns", [2, 4])
def test_beats_at_the_same_places_of_all_columns_are_the_same_beats(columns):
    width_mm = 250 / columns
    own = np.array([12.0, 24.0, 36.0])
    at_mm = np.concatenate([own + column * width_mm for column in range(columns)])
    assert times(at_mm, columns) == ColumnTimes(simultaneous=True, uncertain=True)


def test_a_rhythm_that_fits_both_goes_on_and_is_uncertain():
    assert times(np.arange(5.0, 250, 12.5), 4) == ColumnTimes(simultaneous=False, uncertain=True)


def test_a_single_column_goes_on():
    assert times(np.arange(5.0, 250, 12.5), 1) == GOING_ON


def test_a_strip_with_the_same_beats_below_tells_that_columns_go_on():
    block = rows_with_beats(np.arange(5.0, 250, 12.5))
    assert column_times(block, block[:1] / 2, 0.0, LENGTH_PX, 4) == GOING_ON
    elsewhere = rows_with_beats(np.arange(11.0, 250, 12.5))[:1]
    assert column_times(block, elsewhere, 0.0, LENGTH_PX, 4).uncertain


@pytest.mark.parametrize("distance_mm", [15.0, 42.0])
def test_the_distance_of_beats(distance_mm):
    rows = rows_with_beats(np.arange(7.0, 250, distance_mm))
    assert beats_apart_mm(rows, 0.0, LENGTH_PX) == pytest.approx(distance_mm, abs=0.3)
    assert beats_apart_mm(rows_with_beats(np.array([50.0])), 0.0, LENGTH_PX) is None


@pytest.mark.parametrize("seed", range(5))
def test_beats_are_the_peaks_that_scipy_finds(seed):
    activity = gaussian_filter1d(np.abs(np.random.default_rng(seed).normal(size=1500)), 2)
    apart = round(LEAST_APART_MM * PX_PER_MM / STEP_PX)
    expected, _ = find_peaks(activity, height=HIGH * activity.max(), distance=apart)
    assert len(expected) > 10
    np.testing.assert_array_equal(_beats(activity), expected)


@pytest.mark.parametrize("activity", [np.zeros(50), np.ones(50), np.zeros(1), np.zeros(0)])
def test_where_nothing_moves_there_are_no_beats(activity):
    assert len(_beats(activity)) == 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("empty", range(4))
def test_a_column_without_ink_is_like_no_other(empty):
    own = np.array([12.0, 24.0, 36.0])
    block = rows_with_beats(np.concatenate([own + column * 62.5 for column in range(4)]))
    block[:, empty * STEPS // 4 : (empty + 1) * STEPS // 4] = np.nan
    assert column_times(block, NO_STRIPS, 0.0, LENGTH_PX, 4) == GOING_ON
