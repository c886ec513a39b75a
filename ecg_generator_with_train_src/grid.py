"""The ruled paper: its picture, and the mask of its lines' cores.

A line is a stroke of 0.5 point, centred on one pixel, with a fainter neighbour on each side. Vertical
lines stand at whole millimetres from the left edge, horizontal ones from the bottom edge; horizontal
lines are drawn over vertical ones (all measured on pages of the competition).
"""

import math
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict

from .geometry import MAJOR_MM, MINOR_MM, PaperGeometry

Rgb = tuple[int, int, int]


class GridStyle(BaseModel):
    """Colours and pens of the paper."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    paper_rgb: Rgb = (255, 255, 255)
    minor_rgb: Rgb = (254, 223, 219)
    major_rgb: Rgb = (255, 0, 0)
    line_points: float = 0.5
    frame: bool = True  # a thin black line round the edge of the page


DEFAULT_GRID_STYLE = GridStyle()


@dataclass(frozen=True)
class GridLines:
    """Pixel indices of the lines' cores in one direction."""

    minor: np.ndarray
    major: np.ndarray


def vertical_lines(geometry: PaperGeometry) -> GridLines:
    """Columns of the vertical lines."""
    return _lines(geometry.width_px, geometry.px_per_mm_x, geometry.major_x_px)


def horizontal_lines(geometry: PaperGeometry) -> GridLines:
    """Rows of the horizontal lines."""
    return _lines(geometry.height_px, geometry.px_per_mm_y, geometry.major_y_px)


def _lines(size_px: int, px_per_mm: float, major_px: float) -> GridLines:
    """Every whole millimetre from the known major line; a line's core is the pixel right of (below) its place."""
    pitch_px = MINOR_MM * px_per_mm
    number = np.arange(math.floor(-major_px / pitch_px), math.ceil((size_px - major_px) / pitch_px) + 1)
    index = np.floor(major_px + number * pitch_px + 0.5).astype(int)
    on_page = (index >= 0) & (index < size_px)
    is_major = number % round(MAJOR_MM / MINOR_MM) == 0
    return GridLines(index[on_page & ~is_major], index[on_page & is_major])


def draw_grid(geometry: PaperGeometry, style: GridStyle = DEFAULT_GRID_STYLE) -> np.ndarray:
    """The clean paper, shape (height, width, 3), uint8 RGB."""
    page = np.empty((geometry.height_px, geometry.width_px, 3), np.uint8)
    page[:] = style.paper_rgb
    side_alpha = _side_alpha(geometry.px_of_points(style.line_points))
    for lines, axis in ((vertical_lines(geometry), 1), (horizontal_lines(geometry), 0)):
        _rule(page, lines.minor, axis, style.minor_rgb, side_alpha)
        _rule(page, lines.major, axis, style.major_rgb, side_alpha)
    if style.frame:
        _draw_frame(page, geometry)
    return page


def draw_grid_mask(geometry: PaperGeometry) -> np.ndarray:
    """255 on the core of every line, minor and major alike, else 0; shape (height, width), uint8."""
    mask = np.zeros((geometry.height_px, geometry.width_px), np.uint8)
    columns, rows = vertical_lines(geometry), horizontal_lines(geometry)
    for lines in (columns.minor, columns.major):
        mask[:, lines] = 255
    for lines in (rows.minor, rows.major):
        mask[lines] = 255
    return mask


def _side_alpha(width_px: float) -> float:
    """Coverage of each neighbour of a one-pixel core, in steps of 1/255."""
    return round((width_px - 1) / 2 * 255) / 255


def _rule(page: np.ndarray, cores: np.ndarray, axis: int, rgb: Rgb, side_alpha: float) -> None:
    """Draw lines across the page: sides blended over what is there, cores opaque."""
    lines_first = np.moveaxis(page, axis, 0)
    for side in (cores - 1, cores + 1):
        side = side[(side >= 0) & (side < len(lines_first))]
        lines_first[side] = blend(lines_first[side], rgb, side_alpha)
    lines_first[cores] = rgb


def blend(under: np.ndarray, rgb: Rgb, alpha: float) -> np.ndarray:
    """`rgb` over `under` with one opacity, rounded down as the pages of the competition are."""
    return np.floor(under * (1 - alpha) + np.array(rgb) * alpha + 1e-6).astype(np.uint8)


FRAME_POINTS = 0.8


def _draw_frame(page: np.ndarray, geometry: PaperGeometry) -> None:
    """A black line centred on the page's edge: half of it shows."""
    inside_px = geometry.px_of_points(FRAME_POINTS) / 2
    alpha = round((inside_px - 1) * 255) / 255
    for axis in (0, 1):
        from_edge = np.moveaxis(page, axis, 0)
        for core, side in ((0, 1), (-1, -2)):
            from_edge[side] = blend(from_edge[side], (0, 0, 0), alpha)
            from_edge[core] = 0
