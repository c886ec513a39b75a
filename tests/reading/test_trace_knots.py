"""Spikes of neighbouring rows that run together."""

import numpy as np
import pytest

from ecg_generator_with_train_src.page.stroke import lay_over, stroke
from experiment.reading.ink_runs import FAINT_INK, runs_on
from experiment.reading.trace_knots import untie
from experiment.reading.trace_tracking import track_rows

SHAPE = (420, 300)
ZEROS = np.array([110.0, 240.0])
X = np.arange(10, 290, 0.4)
PEN_PX = 2.1
STARTS: list[list[int]] = [[], []]


def spike(height_px: float, at: float, width_px: float) -> np.ndarray:
    """Upwards, as canvas heights go down."""
    return -height_px * np.exp(-np.square((X - at) / width_px))


def page(*curves: np.ndarray) -> np.ndarray:
    ink = np.zeros(SHAPE, np.float32)
    for y_px in curves:
        lay_over(ink, stroke(X, y_px, PEN_PX, SHAPE))
    return ink


def columns_of(curve: np.ndarray) -> np.ndarray:
    return np.interp(np.arange(SHAPE[1]) + 0.5, X, curve)


@pytest.mark.parametrize("shift_px", [0.0, 6.0, -6.0])
def test_two_spikes_through_each_other_keep_to_their_rows(shift_px):
    """The upper row's spike goes down beyond the lower row's zero line, that one's up beyond the upper row's."""
    curves = ZEROS[0] - spike(180, 150, 4), ZEROS[1] + spike(190, 150 + shift_px, 4)
    columns = slice(12, 288)
    tracks = track_rows(page(*curves), ZEROS, columns, STARTS, 250, PEN_PX)
    for track, tip, curve in zip(tracks, (np.max, np.min), curves, strict=True):
        assert abs(tip(track.y_px) - tip(curve)) < 12
        away = np.abs(track.y_px - columns_of(curve)[columns])
        assert (away > 60).sum() == 0  # steep flanks are some columns wide, and another row is 130 px away


def test_a_spike_goes_on_through_another_rows_though_it_could_turn_there():
    """Both spikes go up; the lower one ends within the upper one's stroke only if it turns before its ink does."""
    curves = ZEROS[0] + spike(60, 144, 4), ZEROS[1] + spike(185, 152, 4)
    columns = slice(12, 288)
    upper, lower = track_rows(page(*curves), ZEROS, columns, STARTS, 250, PEN_PX)
    assert abs(lower.y_px.min() - curves[1].min()) < 12
    assert abs(upper.y_px.min() - curves[0].min()) < 12


def test_a_calm_row_does_not_take_the_large_strokes_of_those_below():
    """Four rows' complexes in one blot; looked at row by row, the topmost could explain most of the ink."""
    zeros = 150 + 114 * np.arange(4.0)
    up_px, down_px, at = (10, 89, 83, 130), (50, 80, 157, 127), (150.4, 150.2, 150.5, 150.0)
    curves = [
        zero + spike(up, middle, 3) - spike(down, middle + 5, 2.5)
        for zero, up, down, middle in zip(zeros, up_px, down_px, at, strict=True)
    ]
    ink = np.zeros((700, SHAPE[1]), np.float32)
    for curve in curves:
        lay_over(ink, stroke(X, curve, PEN_PX, ink.shape))
    for track, curve in zip(
        track_rows(ink, zeros, slice(12, 288), [[]] * 4, 300, PEN_PX), curves, strict=True
    ):
        assert abs(track.y_px.min() - curve.min()) < 16
        assert abs(track.y_px.max() - curve.max()) < 16


def test_rows_that_share_no_ink_are_left_alone():
    paths = np.stack([np.full(SHAPE[1], int(zero)) for zero in ZEROS])
    ink = page(*(zero + 0 * X for zero in ZEROS))
    heights_px, tied = untie(ink, paths, runs_on(ink > FAINT_INK, paths), ZEROS, STARTS, PEN_PX)
    assert not tied.any()
    assert (heights_px == paths + 0.5).all()


def test_a_row_may_jump_within_a_knot_where_a_lead_starts():
    """The lower row's first lead ends in a spike through the upper row; its second one starts elsewhere."""
    ends = X < 150
    ink = page(ZEROS[0] - spike(170, 146, 4))
    lower = np.where(ends, ZEROS[1] + spike(180, 144, 4), ZEROS[1] + 50)
    for part in (X < 149.5, X >= 150):
        lay_over(ink, stroke(X[part], lower[part], PEN_PX, SHAPE))
    _, second = track_rows(ink, ZEROS, slice(12, 288), [[], [150]], 250, PEN_PX)
    x = second.first_column + np.arange(len(second.y_px))
    assert np.abs(second.y_px[x > 153] - (ZEROS[1] + 50)).max() < 3
    assert abs(second.y_px.min() - 60) < 14


def test_a_stroke_that_a_path_misses_is_traced_where_a_lead_starts_and_only_there():
    """The lower row's second lead starts deep in an S wave; a stroke of its name leads on to the wave's far flank."""
    second = ZEROS[1] - spike(150, 152, 5)
    ink = page(ZEROS[0] + 0 * X)
    for part, curve in ((X < 149.5, ZEROS[1] + 0 * X), (X >= 150, second)):
        lay_over(ink, stroke(X[part], curve[part], PEN_PX, SHAPE))
    lay_over(
        ink, stroke(np.array([147.0, 150.0, 157.0]), ZEROS[1] + np.array([0.0, 25.0, 50.0]), PEN_PX, SHAPE)
    )
    for starts, reaches in (([[], [150]], True), ([[], []], False)):
        _, lower = track_rows(ink, ZEROS, slice(12, 288), starts, 250, PEN_PX)
        x = lower.first_column + np.arange(len(lower.y_px)) + 0.5
        left = lower.y_px[(x > 150) & (x < 152)]
        assert (left.min() > ZEROS[1] + 110) == reaches


@pytest.mark.parametrize("start", [-60, SHAPE[1] + 60])
def test_leads_that_start_outside_of_the_page_tie_nothing(start):
    paths = np.stack([np.full(SHAPE[1], int(zero)) for zero in ZEROS])
    ink = page(ZEROS[0] + spike(60, 144, 4), ZEROS[1] + 0 * X)  # the path misses the spike
    _, tied = untie(ink, paths, runs_on(ink > FAINT_INK, paths), ZEROS, [[start], []], PEN_PX)
    assert not tied.any()
