"""The ruled paper: its picture, and the mask of its lines' cores.

A line is centred on a pixel. On the default page it is a stroke of 0.5 point: one full pixel with a fainter
neighbour on each side; vertical lines stand at whole millimetres from the left edge, horizontal ones from the bottom
edge and over the vertical ones (all measured on pages of the competition).
"""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ecg_generator_with_train_src.page.geometry import (
    DPI,
    MAJOR_MM,
    MINOR_MM,
    MM_PER_INCH,
    PaperGeometry,
    Points,
)

Level = Annotated[int, Field(ge=0, le=255)]
Rgb = tuple[Level, Level, Level]

CORE_MM = MM_PER_INCH / DPI  # width that a mask marks of a line: one pixel of the default page
FRAME_POINTS = 0.8
_LINES_AT_ONCE = 256  # in floating point they are several times as large


class GridStyle(BaseModel):
    """Colours and pens of the paper. Dotted minor lines show where they cross, and nowhere else."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    paper_rgb: Rgb = (255, 255, 255)
    minor_rgb: Rgb = (254, 223, 219)
    major_rgb: Rgb = (255, 0, 0)
    minor_points: Points = 0.5
    major_points: Points = 0.5
    minor: Literal["solid", "dotted"] = "solid"
    frame: bool = True  # a thin black line round the edge of the page


DEFAULT_GRID_STYLE = GridStyle()


@dataclass(frozen=True)
class GridLines:
    """Pixel indices of the lines in one direction."""

    size_px: int
    minor: np.ndarray
    major: np.ndarray


def vertical_lines(geometry: PaperGeometry) -> GridLines:
    """Columns of the vertical lines."""
    return _lines(geometry.width_px, geometry.px_per_mm_x, geometry.major_x_px)


def horizontal_lines(geometry: PaperGeometry) -> GridLines:
    """Rows of the horizontal lines."""
    return _lines(geometry.height_px, geometry.px_per_mm_y, geometry.major_y_px)


def _lines(size_px: int, px_per_mm: float, major_px: float) -> GridLines:
    """Every whole millimetre from the known major line; a line's pixel is the one right of (below) its place."""
    pitch_px = MINOR_MM * px_per_mm
    number = np.arange(math.floor(-major_px / pitch_px), math.ceil((size_px - major_px) / pitch_px) + 1)
    index = np.floor(major_px + number * pitch_px + 0.5).astype(int)
    on_page = (index >= 0) & (index < size_px)
    is_major = number % round(MAJOR_MM / MINOR_MM) == 0
    return GridLines(size_px, index[on_page & ~is_major], index[on_page & is_major])


def draw_grid(geometry: PaperGeometry, style: GridStyle = DEFAULT_GRID_STYLE) -> np.ndarray:
    """The clean paper, shape (height, width, 3), uint8 RGB."""
    page = np.empty((geometry.height_px, geometry.width_px, 3), np.uint8)
    page[:] = style.paper_rgb
    minor_px, major_px = geometry.px_of_points(style.minor_points), geometry.px_of_points(style.major_points)
    columns, rows = vertical_lines(geometry), horizontal_lines(geometry)
    if style.minor == "dotted":
        _dot(
            page,
            _across(rows, rows.minor, minor_px),
            _across(columns, columns.minor, minor_px),
            style.minor_rgb,
        )
    for lines, axis in ((columns, 1), (rows, 0)):
        if style.minor == "solid":
            _rule(page, axis, _across(lines, lines.minor, minor_px), style.minor_rgb)
        _rule(page, axis, _across(lines, lines.major, major_px), style.major_rgb)
    if style.frame:
        _draw_frame(page, geometry)
    return page


def draw_grid_mask(geometry: PaperGeometry, style: GridStyle = DEFAULT_GRID_STYLE) -> np.ndarray:
    """255 on the core of every line, minor and major alike, else 0; shape (height, width), uint8."""
    mask = np.zeros((geometry.height_px, geometry.width_px), bool)
    core_px = max(1.0, CORE_MM * geometry.px_per_mm)
    columns, rows = vertical_lines(geometry), horizontal_lines(geometry)
    minor_columns = _across(columns, columns.minor, core_px) >= 0.5
    minor_rows = _across(rows, rows.minor, core_px) >= 0.5
    if style.minor == "solid":
        mask[:, minor_columns] = True
        mask[minor_rows] = True
    else:
        mask[np.ix_(minor_rows, minor_columns)] = True
    mask[:, _across(columns, columns.major, core_px) >= 0.5] = True
    mask[_across(rows, rows.major, core_px) >= 0.5] = True
    return mask.astype(np.uint8) * 255


def _across(lines: GridLines, indices: np.ndarray, width_px: float) -> np.ndarray:
    """Coverage of each column (row) by lines of a width centred on their pixels; shape (size,), in 1/255."""
    coverage = np.zeros(lines.size_px)
    reach = math.ceil((width_px - 1) / 2)
    for offset in range(-reach, reach + 1):
        beside = indices + offset
        beside = beside[(beside >= 0) & (beside < lines.size_px)]
        coverage[beside] = np.maximum(
            coverage[beside], np.clip((width_px + 1) / 2 - abs(offset), 0, min(width_px, 1))
        )
    return np.rint(coverage * 255) / 255


def _rule(page: np.ndarray, axis: int, coverage: np.ndarray, rgb: Rgb) -> None:
    """Draw lines across the page, over what is there."""
    lines_first = np.moveaxis(page, axis, 0)
    all_inked = np.flatnonzero(coverage)
    for first in range(0, len(all_inked), _LINES_AT_ONCE):
        inked = all_inked[first : first + _LINES_AT_ONCE]
        lines_first[inked] = lay_colour_over(lines_first[inked], rgb, coverage[inked, None, None])


def _dot(page: np.ndarray, rows: np.ndarray, columns: np.ndarray, rgb: Rgb) -> None:
    """Draw a dot where lines cross, over what is there."""
    crossing = np.ix_(np.flatnonzero(rows), np.flatnonzero(columns))
    page[crossing] = lay_colour_over(
        page[crossing], rgb, np.outer(rows[rows > 0], columns[columns > 0])[..., None]
    )


def lay_colour_over(under: np.ndarray, rgb: Rgb, alpha: np.ndarray | float) -> np.ndarray:
    """`rgb` over `under` with an opacity, rounded down as the pages of the competition are."""
    return np.floor(under * (1 - alpha) + np.array(rgb) * alpha + 1e-6).astype(np.uint8)


def _draw_frame(page: np.ndarray, geometry: PaperGeometry) -> None:
    """A black line centred on the page's edge: half of it shows."""
    inside_px = geometry.px_of_points(FRAME_POINTS) / 2
    for axis in (0, 1):
        from_edge = np.moveaxis(page, axis, 0)
        for depth in range(math.ceil(inside_px)):
            alpha = round(min(inside_px - depth, 1) * 255) / 255
            for index in (depth, -1 - depth):
                from_edge[index] = lay_colour_over(from_edge[index], (0, 0, 0), alpha)
