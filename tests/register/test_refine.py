"""The smooth field that is fitted to what patches of a photo say."""

import cv2
import numpy as np
import pytest

from ecg_generator_with_train_src.page.grid import horizontal_lines, vertical_lines
from ecg_generator_with_train_src.register.refine import (
    Field,
    FlatPhoto,
    Found,
    Stage,
    darkness_of_page,
    fit,
    search,
    straighten,
)


def test_a_field_gives_at_its_points_what_its_basis_says(default_page):
    paper = default_page.geometry.paper
    field = Field(paper, 100.0)
    field.coefficients = np.random.default_rng(1).normal(0, 4, field.coefficients.shape)
    rng = np.random.default_rng(2)
    x_px, y_px = rng.uniform(0, paper.width_px, 50), rng.uniform(0, paper.height_px, 50)
    basis = field.basis(x_px, y_px)
    for shift, coefficients in zip(field.at(x_px, y_px), field.coefficients, strict=True):
        np.testing.assert_allclose(shift, basis @ coefficients.ravel(), atol=1e-3)  # in mm it is rounded


def test_the_fitted_field_keeps_to_most_patches_and_to_what_each_is_sure_of(default_page):
    paper = default_page.geometry.paper
    x_px, y_px = (a.ravel() for a in np.meshgrid(np.arange(40, 2180, 40.0), np.arange(40, 1680, 40.0)))
    true = np.stack([5 * np.sin(x_px / 300), 3 * np.cos(y_px / 250)], axis=1)
    rng = np.random.default_rng(3)
    shift = true + rng.normal(0, 0.1, true.shape)
    wild = rng.random(len(shift)) < 0.1
    shift[wild] += rng.normal(0, 6, (wild.sum(), 2))
    certainty = np.tile(np.eye(2), (len(shift), 1, 1))
    blind = rng.random(len(shift)) < 0.5  # along x: a baseline
    certainty[blind, 0, 0] = 1e-6
    shift[blind, 0] += 30
    stage = Stage(1.0, True, 80, 4, 40, 60, 0.02, 0.8, 0.2)
    field = fit(Found(x_px, y_px, shift, certainty), stage, paper)
    found = np.stack(field.at(x_px, y_px), axis=1)
    assert np.quantile(np.abs(found - true), 0.95) < 0.2


def test_nothing_found_leaves_the_page_flat(default_page):
    none = np.empty(0)
    field = fit(
        Found(none, none, np.empty((0, 2)), np.empty((0, 2, 2))),
        Stage(1.0, True, 80, 4, 40, 60, 0.02, 0.8, 0.2),
        default_page.geometry.paper,
    )
    assert not field.coefficients.any()


def test_lines_of_the_grid_are_as_dark_and_as_wide_as_in_a_print(default_page):
    """A line of one pixel is blurred by a Gaussian of 0.7 px: weights exp(-k^2 / 0.98), whose sum is 1.75482."""
    paper = default_page.geometry.paper
    darkness = darkness_of_page(np.zeros((paper.height_px, paper.width_px), np.uint8), paper, True)
    row = int(np.mean(horizontal_lines(paper).minor[50:52]))  # between two lines
    columns = vertical_lines(paper)
    for lines, strength in ((columns.minor, 0.12), (columns.major, 0.35)):
        across = darkness[row, lines[10] - 2 : lines[10] + 3]
        expected = strength * np.exp(-np.square(np.arange(-2, 3)) / 0.98) / 1.75482
        np.testing.assert_allclose(across, expected, atol=2e-4)


SHIFT_PX = np.array([2.3, -1.6])  # what the photo shows at (x, y) stands on the page at (x + 2.3, y - 1.6)
MOVED = Stage(1.0, False, 60, 5, 40, 60, 0.02, 0.8, 0.2)


@pytest.fixture(scope="module")
def speckled(default_page):
    """Smooth dark spots, from 0 to 1, over a whole page."""
    paper = default_page.geometry.paper
    noise = np.random.default_rng(4).random((paper.height_px, paper.width_px), np.float32)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 1, cv2.NORM_MINMAX)


@pytest.fixture(scope="module")
def moved(speckled):
    """A flat photo of it, of which the left 500 columns show nothing."""
    to_photo = np.float32([[1, 0, -SHIFT_PX[0]], [0, 1, -SHIFT_PX[1]]])
    seen = cv2.warpAffine(speckled, to_photo, speckled.shape[::-1], flags=cv2.INTER_CUBIC)
    outside = np.zeros_like(seen)
    outside[:, :500] = 1
    return FlatPhoto(seen, seen, outside)


def inner(found: Found) -> np.ndarray:
    """Whether patches lie away from the page's edges, beyond which there are no spots."""
    return (found.x_px < 2100) & (found.y_px > 100) & (found.y_px < 1600)


@pytest.mark.parametrize("known_px", [(0.0, 0.0), (1.5, -3.0)])
def test_patches_are_found_where_they_stand_on_the_page_whatever_is_known_before(
    default_page, speckled, moved, known_px
):
    field = Field(default_page.geometry.paper, 60.0)
    field.coefficients += np.reshape(known_px, (2, 1, 1))
    found = search(MOVED, moved, speckled, field)
    assert set(np.unique(np.diff(np.unique(found.y_px)))) == {40.0}
    assert found.x_px.min() == 550  # 30, 70, 110 …: the first of which no more than 2 % is outside
    assert (found.x_px.max(), found.y_px.min(), found.y_px.max()) == (2150, 30, 1670)
    assert len(found.x_px) == 41 * 42
    errors_px = np.abs(found.shift_px - SHIFT_PX)[inner(found)]
    assert errors_px.max() < 0.2 and errors_px.mean() < 0.06


def test_a_patch_is_as_sure_as_its_peak_is_sharp_in_each_direction(default_page, moved):
    """Spots that are three times as long as high: the curvature across is a ninth, and 1 on average."""
    paper = default_page.geometry.paper
    noise = np.random.default_rng(5).random((paper.height_px, paper.width_px), np.float32)
    long = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 6, sigmaY=2), None, 0, 1, cv2.NORM_MINMAX)
    found = search(MOVED, FlatPhoto(long, long, moved.outside), long, Field(paper, 60.0))
    across, down = np.median(found.certainty, axis=0).diagonal()
    assert across / down == pytest.approx(1 / 9, rel=0.2)
    assert np.median(np.trace(found.certainty, axis1=1, axis2=2)) == pytest.approx(2)
    assert np.abs(np.median(found.certainty[:, 0, 1])) < 0.05


def test_spots_that_lie_askew_are_as_sure_askew(default_page, moved):
    """Turned by 45 degrees, spots twice as long as wide are four times as sure across their length."""
    paper = default_page.geometry.paper
    noise = np.random.default_rng(6).random((paper.height_px, paper.width_px), np.float32)
    turn = cv2.getRotationMatrix2D((paper.width_px / 2, paper.height_px / 2), -45, 1)  # to the lower right
    spots = cv2.GaussianBlur(noise, (0, 0), 6, sigmaY=3)
    askew = cv2.warpAffine(spots, turn, noise.shape[::-1], borderMode=cv2.BORDER_WRAP)
    askew = cv2.normalize(askew, None, 0, 1, cv2.NORM_MINMAX)
    found = search(MOVED, FlatPhoto(askew, askew, moved.outside), askew, Field(paper, 60.0))
    middle = np.hypot(found.x_px - 1100, found.y_px - 850) < 500
    sure = np.median(found.certainty[middle], axis=0)
    along, across = (np.array(way) @ sure @ np.array(way) / 2 for way in ((1, 1), (1, -1)))
    assert along / across == pytest.approx(1 / 4, rel=0.2)


def test_nothing_is_found_on_blank_paper_or_of_another_page(default_page, speckled, moved):
    field = Field(default_page.geometry.paper, 60.0)
    blank = np.zeros_like(speckled)
    assert len(search(MOVED, moved, blank, field).x_px) == 0
    others = search(Stage(1.0, False, 60, 5, 40, 60, 0.02, 0.8, 0.7), moved, speckled[::-1].copy(), field)
    assert len(others.x_px) == 0


def test_a_photo_is_straightened_by_what_was_found(default_page, speckled, moved):
    paper = default_page.geometry.paper
    field = fit(search(MOVED, moved, speckled, Field(paper, 60.0)), MOVED, paper)
    flat = straighten(moved, field)
    inside = np.s_[100:1600, 700:2100]
    assert np.abs(flat.ink - speckled)[inside].mean() < 0.01 < np.abs(moved.ink - speckled)[inside].mean()
    assert flat.outside[:, :490].all() and not flat.outside[10:-10, 510:-10].any()
