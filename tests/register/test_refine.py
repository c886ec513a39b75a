"""The smooth field that is fitted to what patches of a photo say."""

import numpy as np

from ecg_generator_with_train_src.page.grid import horizontal_lines, vertical_lines
from ecg_generator_with_train_src.register.refine import Field, Found, Stage, darkness_of_page, fit


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
