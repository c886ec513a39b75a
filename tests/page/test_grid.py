"""The ruled paper: where its lines are, what they look like, and that the committed files are what the code draws."""

import tracemalloc

import numpy as np
import pytest

from ecg_generator_with_train_src.common.image_files import read_grey, read_rgb
from ecg_generator_with_train_src.export_clean_grid import main as export_clean_grid
from ecg_generator_with_train_src.page.geometry import PaperGeometry
from ecg_generator_with_train_src.page.grid import draw_grid, draw_grid_mask
from ecg_generator_with_train_src.page.grid_file import read_grid

from conftest import GRID, MASK
from helpers import files_below

PX_PER_MM = 200 / 25.4
WHITE = (255, 255, 255)


@pytest.fixture(scope="module")
def geometry() -> PaperGeometry:
    return read_grid(GRID).geometry


def test_the_committed_grid_and_mask_are_redrawn_pixel_for_pixel(tmp_path):
    export_clean_grid(["--output-dir", str(tmp_path)])
    np.testing.assert_array_equal(read_rgb(tmp_path / GRID.name), read_rgb(GRID))
    np.testing.assert_array_equal(read_grey(tmp_path / MASK.name), read_grey(MASK))
    assert (tmp_path / "clean_ecg_grid.json").read_bytes() == GRID.with_suffix(".json").read_bytes()
    assert list(files_below(tmp_path)) == ["clean_ecg_grid.json", "clean_ecg_grid.png", "complete_mask.png"]


def test_the_sidecar_states_the_default_sheet(geometry):
    assert (geometry.width_px, geometry.height_px) == (2200, 1700)
    assert geometry.px_per_mm_x == geometry.px_per_mm_y == pytest.approx(PX_PER_MM, abs=1e-12)
    major_px = 5 * PX_PER_MM
    assert (geometry.major_x_px / major_px) % 1 == pytest.approx(0, abs=1e-9)
    assert ((1700 - geometry.major_y_px) / major_px) % 1 == pytest.approx(0, abs=1e-9)


def test_the_mask_marks_one_pixel_a_millimetre_minor_and_major_alike():
    """Line k is k * 7.874 px from the left or the bottom edge; it takes the pixel right of (below) the nearest edge."""
    columns = [int(k * PX_PER_MM + 0.5) for k in range(280)]
    rows = [int(1700 - k * PX_PER_MM + 0.5) for k in range(1, 216)]
    assert columns[:7] == [0, 8, 16, 24, 31, 39, 47]
    assert columns[-1] == 2197
    assert rows[:5] == [1692, 1684, 1676, 1669, 1661]
    assert rows[-1] == 7
    expected = np.zeros((1700, 2200), np.uint8)
    expected[:, columns] = 255
    expected[rows] = 255
    np.testing.assert_array_equal(read_grey(MASK), expected)


def colours_across(image: np.ndarray, row, column) -> list[tuple[int, ...]]:
    return [tuple(map(int, rgb)) for rgb in image[row, column].reshape(-1, 3)]


def test_lines_have_one_full_pixel_and_a_fainter_one_on_each_side():
    """Between two horizontal minor lines (rows 1684 and 1692), across columns 8 (minor) and 39 (major)."""
    grid = read_rgb(GRID)
    minor, faint_minor = (254, 223, 219), (254, 248, 247)
    major, faint_major = (255, 0, 0), (255, 205, 205)
    assert colours_across(grid, 1688, slice(6, 11)) == [WHITE, faint_minor, minor, faint_minor, WHITE]
    assert colours_across(grid, 1688, slice(37, 42)) == [WHITE, faint_major, major, faint_major, WHITE]
    assert colours_across(grid, slice(1682, 1687), 12) == [WHITE, faint_minor, minor, faint_minor, WHITE]
    assert colours_across(grid, slice(1659, 1664), 12) == [WHITE, faint_major, major, faint_major, WHITE]


def test_horizontal_lines_lie_over_vertical_ones_and_a_black_frame_over_both():
    grid = read_rgb(GRID)
    assert colours_across(grid, 1684, 8) == [(254, 223, 219)]
    assert colours_across(grid, 1661, 8) == [(255, 0, 0)]
    assert colours_across(grid, 1692, 39) == [
        (254, 223, 219)
    ]  # a horizontal minor over a vertical major line
    for edge in (grid[0], grid[-1], grid[:, 0], grid[:, -1]):
        assert not edge.any()
    assert colours_across(grid, 1688, slice(2198, 2200))[1] == (0, 0, 0)


@pytest.mark.parametrize("px_per_mm", [3.937, 5.0, 7.3, 11.811])
def test_any_sheet_has_its_lines_at_its_own_pitch(px_per_mm):
    sheet = PaperGeometry(
        width_px=600,
        height_px=400,
        px_per_mm_x=px_per_mm,
        px_per_mm_y=px_per_mm * 1.1,
        major_x_px=100.3,
        major_y_px=50.2,
    )
    mask = draw_grid_mask(sheet) > 0
    columns, rows = np.flatnonzero(mask.all(axis=0)), np.flatnonzero(mask.all(axis=1))
    for cores, first_px, pitch_px, size_px in (
        (columns, 100.3, px_per_mm, 600),
        (rows, 50.2, px_per_mm * 1.1, 400),
    ):
        places = first_px + pitch_px * np.arange(-200, 200) + 0.5
        places = places[(places >= 1) & (places < size_px - 1)]
        assert set(np.floor(places).astype(int)) <= set(cores)
        nearest = np.abs(cores[:, None] - (places - 0.5)[None]).min(axis=1)
        assert nearest[1:-1].max() <= 1.0  # of lines wider than a pixel, the neighbour is core too
    np.testing.assert_array_equal(mask, mask.all(axis=0)[None] | mask.all(axis=1)[:, None])


def test_the_mask_marks_the_darkest_pixels_of_the_picture(geometry):
    grid, mask = draw_grid(geometry), draw_grid_mask(geometry) > 0
    inner = np.zeros_like(mask)
    inner[3:-3, 3:-3] = True
    blue = grid[..., 2].astype(int)
    assert blue[inner & mask].max() <= 219
    assert blue[inner & ~mask].min() >= 164  # the fainter neighbours: 205, and 205² / 255 where two cross
    assert (blue[inner & ~mask] == 205).sum() > 0


def test_a_sheet_that_is_lines_alone_takes_little_more_memory_than_its_picture():
    """Half a pixel apart, the lines ink every row and column."""
    sheet = PaperGeometry(
        width_px=2000, height_px=2000, px_per_mm_x=0.5, px_per_mm_y=0.5, major_x_px=0, major_y_px=0
    )
    tracemalloc.start()
    try:
        picture = draw_grid(sheet)
        assert tracemalloc.get_traced_memory()[1] < 6 * picture.nbytes
    finally:
        tracemalloc.stop()
