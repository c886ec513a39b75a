"""Paper coordinates from a grid's lines."""

import cv2
import numpy as np
import pytest

from ecg_generator_with_train_src.page.geometry import PX_PER_MM, PaperGeometry
from ecg_generator_with_train_src.page.grid import GridStyle, draw_grid_mask
from ecg_generator_with_train_src.page_map import Crease, Feed, PageMap, Wave, dense_index, place_on_image
from experiment.reading.paper_field import fit_paper
from experiment.reading.rectify import rectify

PAPER = PaperGeometry(
    width_px=1000, height_px=760, px_per_mm_x=PX_PER_MM, px_per_mm_y=PX_PER_MM, major_x_px=0, major_y_px=0
)
FLAT = {"width_px": 1000, "height_px": 760, "px_per_mm": PX_PER_MM}
TURNED = ((0.985, -0.09, 40.0), (0.10, 0.99, -20.0), (2e-5, 3e-5, 1.0))
TILTED = ((1.0, -0.05, 40.0), (0.10, 1.05, 10.0), (4e-4, 5e-5, 1.0))  # at its right edge half as large
STRAIGHT = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
WAVES = (
    Wave(waves_per_mm_x=0.006, waves_per_mm_y=0.002, phase=1.0, shift_x_mm=0.5, shift_y_mm=1.2),
    Wave(waves_per_mm_x=-0.002, waves_per_mm_y=0.007, phase=0.0, shift_x_mm=0.8, shift_y_mm=0.3),
)
CREASE = Crease(x_mm=60, y_mm=40, angle_deg=30, width_mm=5, length_mm=100, shift_mm=0.15, relief=0.0)

FEED = Feed(
    axis="x", image_px=(0, 480, 504, 1000), even_px=(0, 480, 507, 1003)
)  # 0.4 mm were skipped within 3 mm


def seen(page_map: PageMap, grid: np.ndarray) -> np.ndarray:
    return cv2.remap(grid, dense_index(page_map), None, cv2.INTER_LINEAR)


def grid_plane(minor: str = "solid") -> np.ndarray:
    return draw_grid_mask(PAPER, GridStyle(minor=minor)).astype(np.float32) / 255


def errors_px(page_map: PageMap, grid: np.ndarray) -> np.ndarray:
    """How far the field is off at points all over the page, but for whole millimetres."""
    field = fit_paper(grid)
    u_mm, v_mm = np.meshgrid(np.arange(10, 120, 4.0), np.arange(10, 88, 4.0))
    x_px, y_px = place_on_image(page_map, u_mm * PX_PER_MM + 0.5, v_mm * PX_PER_MM + 0.5)
    inside = (x_px > 8) & (x_px < 992) & (y_px > 8) & (y_px < 752)
    found = field.paper_of_image(x_px[inside], y_px[inside])
    off = [at - true[inside] for at, true in zip(found, (u_mm, v_mm), strict=True)]
    return np.concatenate([np.abs(each - round(np.median(each))) for each in off]) * PX_PER_MM


@pytest.mark.parametrize(
    ("page_map", "limit_px"),
    [
        (PageMap(homography=STRAIGHT, **FLAT), 0.3),
        (PageMap(homography=TURNED, **FLAT), 0.4),
        (PageMap(homography=TURNED, waves=WAVES, lens=0.02, **FLAT), 1.0),
        (PageMap(homography=TURNED, creases=(CREASE,), **FLAT), 1.5),
        (PageMap(homography=TILTED, waves=WAVES, **FLAT), 1.0),
        (PageMap(homography=TURNED, waves=WAVES, feed=FEED, **FLAT), 1.0),
    ],
    ids=["flat", "photographed", "bent", "creased", "tilted", "fed"],
)
def test_points_of_the_paper_are_found(page_map, limit_px):
    off = errors_px(page_map, seen(page_map, grid_plane()))
    assert np.median(off) < 0.15
    assert off.max() < limit_px


def test_paper_that_was_never_bent_is_flat():
    page_map = PageMap(homography=TURNED, **FLAT)
    x_px, y_px = np.meshgrid(np.linspace(60, 940, 23), np.linspace(60, 700, 17))
    paper_mm = np.stack(fit_paper(seen(page_map, grid_plane())).paper_of_image(x_px, y_px))
    true_px = np.stack(page_map.page_of_image(x_px, y_px))
    off_px = paper_mm * PX_PER_MM - true_px
    off_px -= np.median(off_px, axis=(1, 2), keepdims=True)
    assert np.abs(off_px).max() < 0.08


def test_the_map_reaches_the_images_border_and_beyond():
    field = fit_paper(seen(PageMap(homography=STRAIGHT, **FLAT), grid_plane()))
    x_px, y_px = np.meshgrid(np.linspace(40, 960, 24), np.linspace(40, 720, 18))
    u_mm, v_mm = field.paper_of_image(x_px, y_px)
    at_zero = np.median(u_mm - x_px / PX_PER_MM), np.median(v_mm - y_px / PX_PER_MM)
    border_px = np.array([-6.0, 0.5, 2.0, 4.0, 996.0, 998.5, 1006.0])
    found = field.image_of_paper(border_px / PX_PER_MM + at_zero[0], np.full(7, 300 / PX_PER_MM + at_zero[1]))
    assert np.abs(found[0] - border_px).max() < 0.8
    assert np.abs(found[1] - 300).max() < 0.3


def test_dotted_minor_lines_will_do():
    page_map = PageMap(homography=STRAIGHT, waves=WAVES, **FLAT)
    assert np.percentile(errors_px(page_map, seen(page_map, grid_plane("dotted"))), 99) < 1


def test_a_hole_and_false_lines_are_bridged():
    page_map = PageMap(homography=TURNED, waves=WAVES, **FLAT)
    grid = seen(page_map, grid_plane())
    grid[250:450, 300:520] = 0
    grid[100:180, 600:800] = np.random.default_rng(0).random((80, 200)) < 0.2
    assert errors_px(page_map, grid).max() < 3


def test_no_grid_gives_none():
    assert fit_paper(np.zeros((300, 400), np.float32)) is None


def test_a_rectified_page_has_upright_lines_at_whole_millimetres():
    page_map = PageMap(homography=TURNED, waves=WAVES, **FLAT)
    grid = seen(page_map, grid_plane())
    image = np.repeat((255 * (1 - grid)).astype(np.uint8)[..., None], 3, axis=2)
    page = rectify(np.stack([1 - grid, grid, 0 * grid]), image, fit_paper(grid))
    across = page.grid[100:-100].mean(axis=0)
    lines = np.arange(12, page.grid.shape[1] / PX_PER_MM - 12) * PX_PER_MM
    on = np.interp(lines - 0.5, np.arange(len(across)), across)
    between = np.interp(lines + PX_PER_MM / 2 - 0.5, np.arange(len(across)), across)
    assert on.min() > 2 * between.max()


@pytest.mark.parametrize(
    ("page_map", "is_photo"),
    [
        (PageMap(homography=STRAIGHT, **FLAT), False),
        (
            PageMap(homography=((0.99, -0.03, 20.0), (0.03, 0.99, 0.0), (0.0, 0.0, 1.0)), feed=FEED, **FLAT),
            False,
        ),
        (PageMap(homography=TILTED, **FLAT), True),
    ],
    ids=["drawn", "scanned askew", "photographed"],
)
def test_a_photo_is_told_by_its_perspective(page_map, is_photo):
    grid = seen(page_map, grid_plane())
    white = np.full((*grid.shape, 3), 255, np.uint8)
    assert rectify(np.stack([1 - grid, grid, 0 * grid]), white, fit_paper(grid)).is_photo == is_photo


def test_a_stroke_that_runs_into_the_pictures_edge_is_not_dark_beyond_it():
    grid = grid_plane()
    image = np.full((*grid.shape, 3), 255, np.uint8)
    image[:, 500:503] = 0
    page = rectify(np.stack([1 - grid, grid, 0 * grid]), image, fit_paper(grid))
    middle = int(np.flatnonzero((page.darkness > 100).any(axis=0)).mean())
    dark = np.flatnonzero(page.darkness[:, middle] > 100)
    assert len(dark) == 760 and dark[0] > 8 and dark[-1] < len(page.darkness) - 8  # the margin is 2 mm
