"""The grid's pitch and slant, found on what was drawn with a known one."""

import math

import cv2
import numpy as np
import pytest

from ecg_generator_with_train_src.common.image_files import read_rgb
from ecg_generator_with_train_src.dataset.format import read_manifest
from ecg_generator_with_train_src.page.geometry import PaperGeometry
from ecg_generator_with_train_src.page.grid import draw_grid
from experiment.labelling.grid_scale import find_grid


def ruled(px_per_mm: float, width_mm: float = 250, height_mm: float = 100) -> np.ndarray:
    """A ruled sheet (H, W, 3)."""
    return draw_grid(
        PaperGeometry(
            width_px=round(width_mm * px_per_mm),
            height_px=round(height_mm * px_per_mm),
            px_per_mm_x=px_per_mm,
            px_per_mm_y=px_per_mm,
            major_x_px=3.0,
            major_y_px=5.0,
        )
    )


def turned(image: np.ndarray, clockwise_deg: float) -> np.ndarray:
    """On grey, of the same size, turned about its centre."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -clockwise_deg, 1)
    return cv2.warpAffine(image, matrix, (width, height), borderValue=(120, 115, 110))


@pytest.mark.parametrize("px_per_mm", [3.937, 5.3, 7.874, 15.0])
def test_the_pitch_of_a_ruled_sheet(px_per_mm):
    grid = find_grid(ruled(px_per_mm))
    assert grid.pitch_px == pytest.approx(px_per_mm, rel=0.02)
    assert abs(grid.slant_deg) < 0.5


@pytest.mark.parametrize("clockwise_deg", [-30, -7, 4, 20, 44])
def test_pitch_and_slant_of_a_turned_sheet(clockwise_deg):
    grid = find_grid(turned(ruled(6.0), clockwise_deg))
    assert grid.pitch_px == pytest.approx(6.0, rel=0.03)
    assert grid.slant_deg == pytest.approx(clockwise_deg, abs=1)


def test_a_sheet_on_its_side_has_the_same_pitch():
    sheet = ruled(6.0)
    assert find_grid(np.rot90(sheet)).pitch_px == pytest.approx(find_grid(sheet).pitch_px, rel=0.01)


def test_lines_5_mm_apart_alone_are_not_taken_for_lines_1_mm_apart():
    sheet = np.full((400, 1100, 3), 240, np.uint8)
    for line in np.arange(0, 1100, 21):
        sheet[:, line] = sheet[line : line + 1, :] = 120
    assert find_grid(sheet).pitch_px == pytest.approx(21 / 5, rel=0.03)


def test_a_raster_on_which_paper_would_be_larger_than_paper_is_gives_way_to_lines_twice_as_far_apart():
    """The raster of a black-and-white scanner lies over a sheet 270 mm long."""
    y, x = np.indices((1650, 2130)) + 0.5
    grey = np.random.default_rng(0).normal(245, 6, y.shape)
    for along in (x + 0.02 * y, y - 0.02 * x):
        grey -= 30 * (along % 3.937 < 1) + 6 * (along % 7.874 < 1)
    sheet = np.clip(grey, 0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)
    assert find_grid(sheet).pitch_px == pytest.approx(7.874, rel=0.02)


def test_pages_with_traces_in_colour_and_grey_and_in_a_slanting_light(tiny_dataset):
    sample = read_manifest(tiny_dataset)[0]
    page = cv2.resize(
        read_rgb(tiny_dataset / sample.image), None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA
    )
    grey = cv2.cvtColor(cv2.cvtColor(page, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    shadow = np.linspace(0.35, 1, page.shape[1])[None, :, None]
    for image in (page, grey, (page * shadow).astype(np.uint8)):
        assert find_grid(image).pitch_px == pytest.approx(0.6 * sample.px_per_mm, rel=0.02)


def photographed(sheet: np.ndarray, corners: list[list[int]]) -> tuple[np.ndarray, float]:
    """On a table, its corners seen there, clockwise from the upper left; and how large it is seen on the whole."""
    height, width = sheet.shape[:2]
    flat, seen = np.float32([[0, 0], [width, 0], [width, height], [0, height]]), np.float32(corners)
    matrix = cv2.getPerspectiveTransform(flat, seen)
    photo = cv2.warpPerspective(sheet, matrix, (width, height), borderValue=(90, 60, 40))
    return photo, math.sqrt(cv2.contourArea(seen) / (width * height))


def test_a_sheet_in_perspective_has_its_mean_pitch():
    sheet = ruled(6.0)
    height, width = sheet.shape[:2]
    seen = [[150, 40], [width - 150, 60], [width - 20, height - 20], [10, height - 40]]
    photo, mean_scale = photographed(sheet, seen)
    assert find_grid(photo).pitch_px == pytest.approx(6.0 * mean_scale, rel=0.05)


def test_a_sheet_steeply_tilted_has_its_mean_pitch():
    sheet = ruled(7.0, 270, 210)
    height, width = sheet.shape[:2]
    seen = [[60, 250], [width - 40, 20], [width - 70, height - 30], [480, height - 160]]
    photo, mean_scale = photographed(sheet, seen)
    assert find_grid(photo).pitch_px == pytest.approx(7.0 * mean_scale, rel=0.07)


@pytest.mark.parametrize("seed", range(4))
def test_grainy_pictures_have_no_grid(seed):
    noise = np.random.default_rng(seed).normal(0, 40, (900, 1200, 3))
    assert find_grid(np.clip(128 + cv2.GaussianBlur(noise, (0, 0), 1), 0, 255).astype(np.uint8)) is None


@pytest.mark.parametrize("kind", ["noise", "white", "tiny", "stripes"])
def test_where_no_grid_is_none_is_found(kind):
    images = {
        "noise": np.random.default_rng(0).integers(0, 256, (600, 800, 3), dtype=np.uint8),
        "white": np.full((600, 800, 3), 255, np.uint8),
        "tiny": ruled(6.0)[:50, :50],
        "stripes": np.repeat(np.linspace(0, 255, 800, dtype=np.uint8)[None, :, None], 600, axis=0).repeat(
            3, 2
        ),
    }
    assert find_grid(images[kind]) is None


def test_the_squares_that_show_the_grid_are_those_of_the_sheet():
    table = np.random.default_rng(0).normal(120, 12, (1200, 2000, 3))
    table = cv2.GaussianBlur(table, (0, 0), 2)
    photo = np.clip(table, 0, 255).astype(np.uint8)
    sheet = turned(ruled(6.0), 10.0)[:800, :900]
    photo[200 : 200 + sheet.shape[0], 700 : 700 + sheet.shape[1]] = sheet
    grid = find_grid(photo)
    low, high = grid.sheet_px.min(axis=0), grid.sheet_px.max(axis=0)
    assert (low > np.array([700, 200]) - grid.patch_px / 2).all()
    assert (high < np.array([1600, 1000]) + grid.patch_px / 2).all()
    assert (high - low > [700, 600]).all()
    assert grid.patch_px < 2000 / 8 * 0.6  # the sheet's edge is told by squares of half the side
