"""Strokes: the coverage of a drawn curve is its area."""

import itertools
import math

import numpy as np
import pytest

from ecg_generator_with_train_src.page.stroke import lay_over, stroke

PAGE = 60, 80
RNG = np.random.default_rng(0)


def draw(x_px, y_px, pen_px: float, page: tuple[int, int] = PAGE) -> np.ndarray:
    """A page with one stroke on it."""
    coverage = np.zeros(page, np.float32)
    lay_over(coverage, stroke(np.array(x_px, float), np.array(y_px, float), pen_px, page))
    return coverage


def by_brute_force(x_px, y_px, pen_px: float, page: tuple[int, int] = PAGE, steps: int = 8) -> np.ndarray:
    """Share of 8 x 8 points a pixel that are at most half a pen from the polyline."""
    y, x = (np.mgrid[0 : page[0] * steps, 0 : page[1] * steps] + 0.5) / steps
    distance = np.full(x.shape, np.inf)
    points = np.column_stack([x_px, y_px]).astype(float)
    for start, end in itertools.pairwise(points):
        along = end - start
        share = ((x - start[0]) * along[0] + (y - start[1]) * along[1]) / max(along @ along, 1e-12)
        share = np.clip(share, 0, 1)
        distance = np.minimum(
            distance, np.hypot(x - start[0] - share * along[0], y - start[1] - share * along[1])
        )
    inside = distance <= pen_px / 2
    return inside.reshape(page[0], steps, page[1], steps).mean(axis=(1, 3))


def capsule_area(length_px: float, pen_px: float) -> float:
    """A line with its round ends."""
    return length_px * pen_px + math.pi * (pen_px / 2) ** 2


def test_rows_of_a_horizontal_line_by_hand():
    """Pen 2 about y = 20.25 inks 19.25 to 21.25: three quarters of row 19, all of row 20, a quarter of row 21."""
    coverage = draw([10, 70], [20.25, 20.25], 2)
    np.testing.assert_allclose(coverage[18:23, 40], [0, 0.75, 1, 0.25, 0], atol=1e-5)


@pytest.mark.parametrize("pen_px", [1.0, 1.2, 2.083, 3.1, 6.25])
def test_a_horizontal_line_inks_length_times_width_and_its_ends(pen_px):
    area = draw([10.3, 69.8], [30.4, 30.4], pen_px).sum()
    assert area == pytest.approx(capsule_area(59.5, pen_px), rel=0.005)


@pytest.mark.parametrize("slope", [0.1, 0.5, 1, 3, 10, 100, -1, -10])
@pytest.mark.parametrize("pen_px", [1.0, 2.083])
def test_a_sloped_line_is_as_wide_as_a_level_one(slope, pen_px):
    height_px = 40 * np.sign(slope) if abs(slope) > 1 else 40 * slope
    run_px = height_px / slope
    x_px, y_px = [20.3, 20.3 + run_px], [30 - height_px / 2, 30 + height_px / 2]
    area = draw(x_px, y_px, pen_px).sum()
    assert area == pytest.approx(capsule_area(math.hypot(run_px, height_px), pen_px), rel=0.02)


@pytest.mark.parametrize("pen_px", [1.0, 2.083, 5.0])
def test_a_single_point_is_a_disc(pen_px):
    for x_px, y_px in RNG.uniform(20, 40, (20, 2)):
        area = draw([x_px], [y_px], pen_px).sum()
        assert area == pytest.approx(math.pi * (pen_px / 2) ** 2, rel=0.04)


def test_a_vertical_line_is_unbroken_and_its_pixels_by_hand():
    """Pen 2 about x = 30 inks 29 to 31: columns 29 and 30 from one end to the other, and nothing of 28 and 31."""
    coverage = draw([30, 30], [10, 50], 2)
    np.testing.assert_allclose(coverage[12:48, 29:31], 1, atol=0.05)
    assert coverage[:, :28].max() == coverage[:, 32:].max() == 0
    assert coverage[12:48, [28, 31]].max() <= 0.07  # one of sixteen lines a pixel


@pytest.mark.parametrize("fs_hz", [50, 250, 500, 1025, 2000])
def test_a_flank_of_one_sample_is_unbroken(fs_hz):
    step_px = 196.85 / fs_hz
    x_px = 10 + step_px * np.arange(int(60 / step_px))
    y_px = np.where(np.arange(len(x_px)) < len(x_px) // 2, 50, 8)
    label = draw(x_px, y_px, 2.083) >= 0.5
    assert label[8:50].any(axis=1).all()  # every row between the two levels
    assert label[:, 10 : int(x_px[-1])].any(axis=0).all()  # and every column of the trace


def test_nothing_is_inked_beyond_the_pen():
    x_px = np.sort(RNG.uniform(10, 70, 40))
    y_px = RNG.uniform(10, 50, 40)
    coverage = draw(x_px, y_px, 2)
    assert coverage[by_brute_force(x_px, y_px, 2.6) == 0].max() == 0


@pytest.mark.parametrize("pen_px", [1.0, 2.083, 3.125])
def test_coverage_is_that_of_brute_force(pen_px):
    """Random walks, steep and flat: each pixel within a few percent of 64 points counted in it."""
    for step_px in (1.0, 5.0, 25.0):
        x_px = np.linspace(6, 74, 70)
        y_px = np.clip(30 + np.cumsum(RNG.normal(0, step_px, 70)), 5, 55)
        difference = np.abs(draw(x_px, y_px, pen_px) - by_brute_force(x_px, y_px, pen_px))
        inked = by_brute_force(x_px, y_px, pen_px + 1) > 0
        assert difference[inked].mean() < 0.02
        assert np.percentile(difference[inked], 99) < 0.07
        assert difference.max() < 0.16  # where 64 points and 16 lines see an edge differently


def test_samples_closer_than_a_pixel_keep_their_peaks():
    """A spike of one sample in forty a pixel: its tip, 20 px above the rest, is inked."""
    x_px = np.linspace(10, 70, 2401)
    y_px = np.full(2401, 40.0)
    y_px[1201] = 20.0
    coverage = draw(x_px, y_px, 2)
    spike = by_brute_force(x_px[1199:1204], y_px[1199:1204], 2)
    assert coverage[19:21].sum() == pytest.approx(spike[19:21].sum(), rel=0.1)
    assert (coverage[22:39].max(axis=1) > 0.9).all()


def test_ink_off_the_page_is_cut_and_the_rest_is_as_on_a_larger_page():
    for left, top in ((0, 0), (-30, -20), (30, 25), (-30, 25), (30, -20)):
        x_px = np.linspace(2, 78, 200) + left
        y_px = 30 + 25 * np.sin(x_px / 5) + top
        on_large = draw(x_px + 100, y_px + 100, 2.083, (260, 280))[100:160, 100:180]
        np.testing.assert_allclose(draw(x_px, y_px, 2.083), on_large, atol=1e-4)


@pytest.mark.parametrize(("left", "top"), [(-200, 0), (200, 0), (0, -200), (0, 200), (-200, 200)])
def test_a_stroke_wholly_off_the_page_leaves_nothing(left, top):
    x_px = np.linspace(2, 78, 50) + left
    assert stroke(x_px, np.linspace(10, 50, 50) + top, 2.083, PAGE) is None


def test_coverage_is_that_of_one_pass_of_the_pen_however_the_curve_is_sampled():
    few = draw([10, 40, 70], [15, 45, 20], 2.083)
    x_px = np.linspace(10, 70, 1201)
    many = draw(x_px, np.interp(x_px, [10, 40, 70], [15, 45, 20]), 2.083)
    np.testing.assert_allclose(few, many, atol=0.03)


def test_ink_over_ink_covers_what_was_left_of_the_pixel():
    page = np.zeros(PAGE, np.float32)
    lay_over(page, stroke(np.array([10.0, 70]), np.array([20.25, 20.25]), 2, PAGE))
    lay_over(page, stroke(np.array([10.0, 70]), np.array([20.25, 20.25]), 2, PAGE))
    np.testing.assert_allclose(page[19:22, 40], [1 - 0.25**2, 1, 1 - 0.75**2], atol=1e-5)
    lay_over(page, None)
    np.testing.assert_allclose(page[19:22, 40], [1 - 0.25**2, 1, 1 - 0.75**2], atol=1e-5)
