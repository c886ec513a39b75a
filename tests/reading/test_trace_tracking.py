"""Paths through the rows' ink."""

import numpy as np

from ecg_generator_with_train_src.page.stroke import lay_over, stroke
from experiment.reading.trace_tracking import track_rows

SHAPE = (320, 400)
ZEROS = np.array([100.0, 220.0])
X = np.arange(10, 390, 0.5)


def page(*curves: np.ndarray) -> np.ndarray:
    ink = np.zeros(SHAPE, np.float32)
    for y_px in curves:
        lay_over(ink, stroke(X, y_px, 2.0, SHAPE))
    return ink


def tracks(ink: np.ndarray, breaks=((), ())):
    return track_rows(ink, ZEROS, slice(12, 388), [list(row) for row in breaks], 150, 2.0)


def test_level_traces_are_followed_to_a_fraction_of_a_pixel():
    curves = [zero + 5 * np.sin(X / 20) for zero in ZEROS]
    for track, curve in zip(tracks(page(*curves)), curves, strict=True):
        x_px = track.first_column + np.arange(len(track.y_px)) + 0.5
        assert np.abs(track.y_px - np.interp(x_px, X, curve)).max() < 0.8
        assert track.ink.min() > 0.3


def test_a_spike_across_another_row_is_followed_to_its_tip():
    spike = 160 * np.exp(-np.square((X - 200) / 3))
    upper, lower = ZEROS[0] + 0 * X, ZEROS[1] - spike
    first, second = tracks(page(upper, lower))
    assert abs(second.y_px.min() - (ZEROS[1] - 160)) < 4
    assert (
        np.abs(first.y_px - ZEROS[0]) > 4
    ).sum() <= 4  # beside the crossing the spike's flanks widen its ink


def test_a_row_with_a_gap_stays_at_home_though_another_rows_ink_is_in_reach():
    bridge = 118 * (np.exp(-np.square((X - 120) / 2)) + np.exp(-np.square((X - 260) / 2)))
    ink = page(ZEROS[0] + 0 * X, ZEROS[1] - bridge)
    ink[150:, 125:255] = 0
    _, second = tracks(ink)
    columns = second.first_column + np.arange(len(second.y_px))
    gap = (columns > 130) & (columns < 250)
    assert (second.ink[gap] == 0).all()
    assert np.abs(second.y_px[gap] - ZEROS[1]).max() < 30


def test_a_trace_may_jump_where_a_lead_starts():
    step = np.where(X < 200, 0.0, -60.0)
    ink = np.zeros(SHAPE, np.float32)
    for part in (X < 199, X >= 200):
        lay_over(ink, stroke(X[part], ZEROS[0] + step[part], 2.0, SHAPE))
    lay_over(ink, stroke(X, ZEROS[1] + 0 * X, 2.0, SHAPE))
    first, _ = tracks(ink, ((200,), ()))
    columns = first.first_column + np.arange(len(first.y_px))
    assert np.abs(first.y_px - np.where(columns < 200, 100, 40))[np.abs(columns - 200) > 3].max() < 1


def test_a_spike_is_followed_though_the_rest_of_a_grid_line_leads_straight_on():
    spike = 60 * np.exp(-np.square((X - 200) / 8))
    ink = page(ZEROS[0] - spike, ZEROS[1] + 0 * X)
    ink[99:101, 185:215] = np.maximum(ink[99:101, 185:215], 0.6)
    first, _ = tracks(ink)
    assert abs(first.y_px.min() - (ZEROS[0] - 60)) < 4


def test_handwriting_between_rows_is_no_spike():
    ink = page(*(zero + 0 * X for zero in ZEROS))
    for x_px in range(120, 260, 4):
        ink[145:170, x_px : x_px + 3] = 1
    for track, zero in zip(tracks(ink, ((118,), (118,))), ZEROS, strict=True):
        assert np.abs(track.y_px - zero).max() < 1
