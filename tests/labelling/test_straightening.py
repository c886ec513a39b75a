"""Slanted pages are turned straight and cut out of their photo, and planes are laid back where they belong."""

import cv2
import numpy as np
import pytest

from experiment.labelling.straightening import laid_back, straightened

PAPER = np.array([250, 250, 250], np.uint8)


def photo(slant_deg: float) -> tuple[np.ndarray, np.ndarray]:
    """A white page with one thick dark line on a grey table, turned clockwise; and centres of 60 px squares on it."""
    page = np.full((400, 600, 3), 90, np.uint8)
    page[100:300, 150:450] = 250
    page[190:210, 170:430] = 10
    turn = cv2.getRotationMatrix2D((299.5, 199.5), -slant_deg, 1)
    squares = np.stack(np.meshgrid(np.arange(180, 450, 60), np.arange(130, 300, 60)), axis=-1).reshape(-1, 2)
    centres = (squares - 0.5) @ turn[:, :2].T + turn[:, 2] + 0.5
    return cv2.warpAffine(page, turn, (600, 400), borderMode=cv2.BORDER_REPLICATE), centres


@pytest.mark.parametrize("slant_deg", [-17.0, 6.0, 12.0])
def test_a_slanted_page_is_turned_straight_and_cut_out(slant_deg):
    image, centres = photo(slant_deg)
    straight = straightened(image, slant_deg, centres, 60.0, PAPER)
    height, width = straight.image.shape[:2]
    assert straight.inside.shape == (height, width)
    assert 300 <= width < 500 and 200 <= height < 400  # the page, and half a square about it
    rows, columns = np.nonzero((straight.image.max(axis=2) < 60) & straight.inside)
    assert np.ptp(rows) < 26 and np.ptp(columns) > 250
    dark = (straight.image.max(axis=2) < 60).astype(np.float32)
    back = laid_back(dark, straight.to_given, image.shape[:2], outside=0) > 0.5
    line = image.max(axis=2) < 60
    assert (back & line).sum() > 0.9 * (back | line).sum()


def test_a_page_that_lies_straight_keeps_its_pixels():
    image, centres = photo(0.0)
    assert np.array_equal(straightened(image, 0.5, None, 0.0, PAPER).image, image)
    straight = straightened(image, 0.5, centres, 60.0, PAPER)
    left, top, _ = straight.to_given @ [0, 0, 1]
    height, width = straight.image.shape[:2]
    assert np.array_equal(straight.image, image[int(top) : int(top) + height, int(left) : int(left) + width])
    assert height < 400 and width < 600
    back = laid_back(np.ones((height, width), np.float32), straight.to_given, (400, 600), outside=0)
    assert back.sum() == height * width


def test_a_page_with_few_squares_that_show_a_grid_is_not_cut():
    image, centres = photo(0.0)
    assert straightened(image, 0.0, centres[:3], 60.0, PAPER).image.shape == image.shape
