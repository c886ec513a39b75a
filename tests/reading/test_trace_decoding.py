"""Curves come back from their strokes."""

import numpy as np
import pytest

from ecg_generator_with_train_src.page.stroke import lay_over, stroke
from experiment.reading.trace_decoding import Nodes, decode

SHAPE = (200, 300)
NODES = Nodes(first_x_px=10.3, step_px=0.4, count=680)


def complexes(period_px: float, height_px: float, width_px: float, nodes: Nodes = NODES) -> np.ndarray:
    """A slow wave with spikes: up, then down by half as much."""
    x = nodes.x_px
    beat = (x % period_px) - period_px / 2
    spike = np.exp(-np.square(beat / width_px)) - 0.5 * np.exp(-np.square((beat - 2 * width_px) / width_px))
    return 100 + 4 * np.sin(x / 15) - height_px * spike


def drawn(*curves: np.ndarray, pen_px: float = 2.0833, nodes: Nodes = NODES) -> np.ndarray:
    ink = np.zeros(SHAPE, np.float32)
    for y_px in curves:
        lay_over(ink, stroke(nodes.x_px, y_px, pen_px, SHAPE))
    return ink


def smoothed(y_px: np.ndarray, reach: int = 4) -> np.ndarray:
    """What a tracker knows: the middle of a column's ink, without the spikes' tips."""
    width = 2 * reach + 1
    return np.convolve(np.pad(y_px, reach, mode="edge"), np.ones(width) / width, mode="valid")


@pytest.mark.parametrize("pen_px", [1.2, 2.0833, 3.0])
def test_a_curve_with_narrow_spikes_comes_back(pen_px):
    curve = complexes(period_px=60, height_px=45, width_px=1.5)
    (found,) = decode(
        drawn(curve, pen_px=pen_px), [NODES], [smoothed(curve)], [np.ones(NODES.count, bool)], pen_px
    )
    start_error, error = (np.sqrt(np.mean(np.square(y - curve))) for y in (smoothed(curve), found))
    assert start_error > 3
    assert error < 0.5
    assert np.median(np.abs(found - curve)) < 0.05


def test_strokes_that_cross_come_back_both():
    upper, lower = complexes(60, 45, 2.0) - 10, complexes(75, 40, 2.0) + 15
    ink = drawn(upper, lower)
    assert ((drawn(upper) > 0.5) & (drawn(lower) > 0.5)).sum() > 20
    known = [np.ones(NODES.count, bool)] * 2
    found = decode(ink, [NODES, NODES], [smoothed(upper), smoothed(lower)], known, 2.0833)
    for curve, y_px in zip((upper, lower), found, strict=True):
        assert np.sqrt(np.mean(np.square(y_px - curve))) < 1.0


@pytest.mark.parametrize("apart_px", [1.2, 1.6])
def test_strokes_that_overlap_all_along_come_back_both(apart_px):
    """The pen is wider than they are apart: each explains what the other does not."""
    wave = 100 + 3 * np.sin(NODES.x_px / 25)
    curves, starts = (wave, wave + apart_px), [wave - 0.8, wave + apart_px + 0.8]
    found = decode(drawn(*curves), [NODES, NODES], starts, [np.ones(NODES.count, bool)] * 2, 2.0833)
    for curve, y_px in zip(curves, found, strict=True):
        assert np.abs(y_px - curve)[20:-20].max() < 0.05


def test_nodes_without_ink_stay_where_they_start():
    curve = complexes(60, 20, 2.0)
    ink = drawn(curve)
    ink[:, 100:130] = 0
    x_px = NODES.x_px
    known = (x_px < 99) | (x_px > 131)
    start = np.interp(x_px, x_px[known], curve[known])
    (found,) = decode(ink, [NODES], [start], [known], 2.0833)
    inside = (x_px > 105) & (x_px < 125)
    assert np.abs(found - start)[inside].max() < 1.0
    assert np.median(np.abs(found - curve)[known]) < 0.1


def test_sparse_nodes_follow_a_curve_drawn_through_them():
    nodes = Nodes(first_x_px=10.3, step_px=2.0, count=138)  # 100 Hz at 200 dpi
    curve = complexes(60, 40, 3.0, nodes)
    (found,) = decode(
        drawn(curve, nodes=nodes), [nodes], [smoothed(curve, reach=1)], [np.ones(nodes.count, bool)], 2.0833
    )
    assert np.sqrt(np.mean(np.square(found - curve))) < 0.5


def test_nodes_without_ink_are_smoothed_against_what_holds_them():
    """Where nothing is drawn, a wave of period 3 nodes is a compromise: its squared second difference is 9 times its
    square, at a weight of 0.01, and staying weighs 0.3. So 0.3 / (0.3 + 0.09) of its height is left."""
    nodes = Nodes(first_x_px=10.0, step_px=0.4, count=600)
    wave = np.cos(2 * np.pi / 3 * np.arange(nodes.count))
    blank, inkless = np.zeros(SHAPE, np.float32), np.zeros(nodes.count, bool)
    (found,) = decode(blank, [nodes], [100 + 8 * wave], [inkless], 2.0833)
    left = (found - 100)[50:-50] / (8 * wave)[50:-50]
    np.testing.assert_allclose(left, 0.3 / 0.39, rtol=1e-3)
