"""The page-to-image map: its inverse, its dense tables, and its scales."""

import cv2
import numpy as np
import pytest

from ecg_generator_with_train_src.common.random_stream import random_stream
from ecg_generator_with_train_src.degrade.draw_strengths import _feed, sample_degradation
from ecg_generator_with_train_src.degrade.profiles import PROFILES
from ecg_generator_with_train_src.degrade.strengths import Effects
from ecg_generator_with_train_src.page.layouts import PageSetup
from ecg_generator_with_train_src.page_map import (
    LATTICE_PX,
    Bend,
    Crease,
    Feed,
    PageMap,
    Wave,
    dense_index,
    local_scales,
    place_on_image,
)

PAPER = PageSetup().paper()
FLAT = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def maps(profile, count):
    for seed in range(count):
        yield sample_degradation(random_stream(seed, profile), profile, PAPER).page_map


def points_of_page(count=4000):
    rng = np.random.default_rng(0)
    return rng.uniform(0, PAPER.width_px, count), rng.uniform(0, PAPER.height_px, count)


@pytest.mark.parametrize("profile", PROFILES)
def test_placed_points_come_back_to_where_they_were(profile):
    x_px, y_px = points_of_page()
    for page_map in maps(profile, 4):
        there = place_on_image(page_map, x_px, y_px)
        back_x, back_y = page_map.page_of_image(*there)
        assert np.hypot(back_x - x_px, back_y - y_px).max() < 0.001


@pytest.mark.parametrize("profile", PROFILES)
def test_no_part_of_the_page_folds_over(profile):
    x_px, y_px = np.meshgrid(np.arange(0, PAPER.width_px, 5.0), np.arange(0, PAPER.height_px, 5.0))
    for page_map in maps(profile, 4):
        (x_down, x_right), (y_down, y_right) = (
            np.gradient(shift, 5.0) for shift in page_map.displacement_px(x_px, y_px)
        )
        assert np.sqrt(x_down**2 + x_right**2 + y_down**2 + y_right**2).max() < 0.6


def test_a_homography_alone_is_the_clean_samples_map():
    page_map = PageMap.model_validate({"homography": FLAT})
    x_px, y_px = points_of_page(50)
    for placed, given in zip(place_on_image(page_map, x_px, y_px), (x_px, y_px), strict=True):
        np.testing.assert_array_equal(placed, given)


def test_each_part_moves_points_as_it_says():
    """Worked by hand: 2 px/mm; a crease along x = 50 mm pulls 1 mm; a wave of 100 mm along y; a lens of 10%."""
    crease = Crease(x_mm=50, y_mm=0, angle_deg=90, width_mm=2, length_mm=1e6, shift_mm=1, relief=0)
    page_map = PageMap(homography=FLAT, px_per_mm=2.0, creases=(crease,))
    # far to the left of a line that points down, its normal (-1, 0) sees +: the shift is 1 mm = 2 px to the left
    assert page_map.page_of_image(np.array([20.0]), np.array([9.0])) == (pytest.approx(18), pytest.approx(9))
    assert page_map.page_of_image(np.array([180.0]), np.array([9.0])) == (
        pytest.approx(182),
        pytest.approx(9),
    )
    wave = Wave(waves_per_mm_x=0, waves_per_mm_y=0.01, phase=0, shift_x_mm=0, shift_y_mm=3)
    page_map = PageMap(homography=FLAT, px_per_mm=2.0, waves=(wave,))
    assert page_map.page_of_image(np.array([7.0]), np.array([50.0])) == (pytest.approx(7), pytest.approx(56))
    page_map = PageMap(homography=FLAT, width_px=600, height_px=800, lens=0.1)
    # 300 px right of the centre is 0.6 of the half diagonal of 500: pulled by 1 + 0.1 * 0.36
    assert page_map.page_of_image(np.array([600.0]), np.array([400.0]))[0] == pytest.approx(300 + 300 * 1.036)


def test_a_kink_gives_lines_a_corner():
    """Worked by hand: far from a vertical fold at 50 mm, and from where it rises, paper moves by kink * reach."""
    crease = Crease(
        x_mm=50, y_mm=0, angle_deg=90, width_mm=1, length_mm=1e6, shift_mm=0, relief=0, reach_mm=5, kink=0.1
    )
    page_map = PageMap(homography=FLAT, px_per_mm=2.0, creases=(crease,))
    x_px = np.array([20.0, 98.0, 100.0, 102.0, 180.0])
    page_x, page_y = page_map.page_of_image(x_px, np.full(5, 9.0))
    rise = 5 * (1 - np.exp(-(np.sqrt(2) - 1) / 5)) * 0.1 * 2  # 1 mm from the fold
    np.testing.assert_allclose(page_x - x_px, [1, rise, 0, rise, 1], atol=1e-3)
    np.testing.assert_array_equal(page_y, 9)


def test_an_uneven_feed_moves_whole_lines_of_the_image():
    """Worked by hand: of 8 px of the image, 8 px more of the page are gone; beyond, all is 8 px further."""
    feed = Feed(axis="x", image_px=(100, 108), even_px=(100, 116))
    page_map = PageMap(homography=FLAT, width_px=300, height_px=200, feed=feed)
    x_px, y_px = np.array([50.0, 104.0, 108.0, 200.0]), np.array([10.0, 90.0, 90.0, 170.0])
    page_x, page_y = page_map.page_of_image(x_px, y_px)
    np.testing.assert_allclose(page_x, [50, 108, 116, 208])
    np.testing.assert_array_equal(page_y, y_px)
    np.testing.assert_allclose(place_on_image(page_map, page_x, page_y), [x_px, y_px])
    down = PageMap(homography=FLAT, width_px=300, height_px=200, feed=feed.model_copy(update={"axis": "y"}))
    np.testing.assert_allclose(down.page_of_image(y_px, x_px)[1], page_x)


@pytest.mark.parametrize("axis", ["x", "y"])
def test_scans_skip_paper_at_every_turn_of_the_rollers_and_keep_the_pages_length(axis):
    found = [
        page_map.feed for page_map in maps("scan_bw", 40) if page_map.feed and page_map.feed.axis == axis
    ]
    assert len(found) > 3
    for feed in found:
        size_px = 2132 if axis == "x" else 1652
        image_px, even_px = np.array(feed.image_px), np.array(feed.even_px)
        assert image_px[0] <= 0 and image_px[-1] >= size_px
        assert ((image_px / LATTICE_PX + 0.5) % 1 == 0).all()  # on the lattice: dense tables are exact
        np.testing.assert_allclose(even_px[[0, -1]], image_px[[0, -1]])
        pace = np.diff(even_px) / np.diff(image_px)
        assert pace.min() > 0.5 and pace.max() < 1.6
    assert max(np.abs(np.subtract(feed.even_px, feed.image_px)).max() for feed in found) > 1


def test_a_skip_brings_grid_lines_together_as_measured():
    """Gaps of 7.9 px, but for one of some 5.2 and three of 6.7 to 7.2, the same over the page's height."""
    effects = Effects(feed_axis="x", feed_period_mm=1e4, feed_loss_mm=0, feed_skips=1, feed_skip_mm=0.36)
    size = {"width_px": PAPER.width_px, "height_px": PAPER.height_px, "px_per_mm": PAPER.px_per_mm}
    feed = _feed(np.random.default_rng(4), effects, PageMap(homography=FLAT, **size))
    page_map = PageMap(homography=FLAT, **size, feed=feed)
    fine_px = np.arange(0, PAPER.width_px, 1.0)
    lines_px = np.interp(
        np.arange(40, 2160, PAPER.px_per_mm), page_map.page_of_image(fine_px, 0 * fine_px)[0], fine_px
    )
    gaps = np.diff(lines_px)
    usual = np.median(gaps)
    assert 7.87 < usual < 7.91
    short = np.flatnonzero(gaps < usual - 0.15)
    assert 4 <= len(short) <= 6 and np.ptp(short) < 7
    assert 5.0 < gaps.min() < 6.6


@pytest.mark.parametrize("profile", ["scan_color", "photo_damaged"])
def test_dense_tables_are_the_map_at_every_pixel(profile):
    for page_map in maps(profile, 2):
        index = dense_index(page_map)
        assert index.shape == (page_map.height_px, page_map.width_px, 2)
        rng = np.random.default_rng(0)
        row, column = rng.integers(page_map.height_px, size=3000), rng.integers(page_map.width_px, size=3000)
        page_x, page_y = page_map.page_of_image(column + 0.5, row + 0.5)
        found = index[row, column] + 0.5
        assert np.hypot(found[:, 0] - page_x, found[:, 1] - page_y).max() < 0.08


def test_the_scale_is_that_of_the_image():
    half = ((0.5, 0.0, 10.0), (0.0, 0.5, 20.0), (0.0, 0.0, 1.0))
    page_map = PageMap(homography=half, width_px=400, height_px=300)
    np.testing.assert_allclose(local_scales(page_map, 700, 500), 0.5)


def test_an_image_is_warped_to_where_points_are_placed():
    page = np.zeros((PAPER.height_px, PAPER.width_px), np.uint8)
    spots = [(300, 400), (1500, 500), (900, 1300), (2000, 1500)]
    for spot in spots:
        cv2.circle(page, spot, 9, 255, -1)
    for page_map in maps("photo_print", 3):
        seen = cv2.remap(page, dense_index(page_map), None, cv2.INTER_LINEAR)
        for x_px, y_px in zip(*place_on_image(page_map, *(np.array(spots).T + 0.5)), strict=True):
            if not (40 < x_px < page_map.width_px - 40 and 40 < y_px < page_map.height_px - 40):
                continue
            left, top = int(x_px) - 30, int(y_px) - 30
            moments = cv2.moments(seen[top : top + 60, left : left + 60])
            centre = moments["m10"] / moments["m00"] + left + 0.5, moments["m01"] / moments["m00"] + top + 0.5
            assert np.hypot(centre[0] - x_px, centre[1] - y_px) < 0.15


def test_a_bend_moves_points_by_its_spline_and_goes_on_beyond_its_edge():
    """Worked by hand: a lone coefficient of 6 mm weighs 4/6 · 4/6 at its own place and 4/6 · 1/6 one step beside it."""
    shift = np.zeros((7, 7))
    shift[3, 3] = 6
    even = np.ones((7, 7))
    bend = Bend(left_mm=0, top_mm=10, step_mm=10, shift_x_mm=shift.tolist(), shift_y_mm=even.tolist())
    page_map = PageMap(homography=FLAT, px_per_mm=2.0, bends=(bend,))
    x_px, y_px = 2 * np.array([30.0, 40.0, 30.0, -500.0]), 2 * np.array([40.0, 40.0, 60.0, 40.0])
    shift_x, shift_y = page_map.displacement_px(x_px, y_px)
    np.testing.assert_allclose(shift_x, 2 * 6 * np.array([16, 4, 0, 0]) / 36, atol=1e-9)
    np.testing.assert_allclose(shift_y, 2.0)
    back = page_map.page_of_image(*place_on_image(page_map, x_px, y_px))
    np.testing.assert_allclose(back, (x_px, y_px), atol=1e-4)
    assert PageMap.model_validate_json(page_map.model_dump_json()) == page_map
