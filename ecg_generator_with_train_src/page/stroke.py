"""Exact area coverage of a drawn curve.

A pen of diameter d that follows a curve y(x) inks, in the vertical line at x, the interval from
min(y(x + s) - h(s)) to max(y(x + s) + h(s)) over |s| <= d/2, with h(s) = sqrt(d²/4 - s²): the Minkowski sum of the
curve and a disk, whose vertical slices are unbroken because the curve is. The interval is evaluated in
SUBCOLUMNS vertical lines a pixel; along each, a pixel's share of the interval is exact.
"""

from dataclasses import dataclass

import numpy as np

SUBCOLUMNS = 16


@dataclass(frozen=True)
class Strip:
    """A rectangle of coverage: `coverage` (height, width), float32 of 0 to 1, its corner at (top_px, left_px)."""

    top_px: int
    left_px: int
    coverage: np.ndarray

    @property
    def window(self) -> tuple[slice, slice]:
        """The rows and columns of the page that the strip covers."""
        height, width = self.coverage.shape
        return slice(self.top_px, self.top_px + height), slice(self.left_px, self.left_px + width)


def stroke(x_px: np.ndarray, y_px: np.ndarray, pen_px: float, page_shape: tuple[int, int]) -> Strip | None:
    """Coverage of the polyline through (x_px, y_px), drawn with a round pen of diameter pen_px.

    x_px must not decrease; coordinates are canvas coordinates. What leaves the page is cut; None if nothing is left.
    """
    first, top, bottom = _inked_intervals(np.asarray(x_px, float), np.asarray(y_px, float), pen_px)
    height, width = page_shape
    on_page = slice(max(-first, 0), max(width * SUBCOLUMNS - first, 0))
    first, top, bottom = max(first, 0), np.clip(top[on_page], 0, height), np.clip(bottom[on_page], 0, height)
    if len(top) == 0 or not (bottom > top).any():
        return None
    return _fill(first, top, bottom, height)


def _inked_intervals(x_px: np.ndarray, y_px: np.ndarray, pen_px: float) -> tuple[int, np.ndarray, np.ndarray]:
    """The first subcolumn, and each subcolumn's inked interval (top, bottom), empty where top > bottom."""
    radius = pen_px / 2
    reach = int(radius * SUBCOLUMNS)
    first = int(np.floor(x_px[0] * SUBCOLUMNS)) - reach
    last = int(np.floor(x_px[-1] * SUBCOLUMNS)) + reach
    centre_px = (np.arange(first, last + 1) + 0.5) / SUBCOLUMNS
    top, bottom = _curve_in_subcolumns(x_px, y_px, centre_px, first)
    inked_top, inked_bottom = np.full_like(top, np.inf), np.full_like(bottom, -np.inf)
    count = len(top)
    for shift in range(-reach, reach + 1):
        half_chord = np.float32(np.sqrt(radius**2 - (shift / SUBCOLUMNS) ** 2))
        to, source = slice(max(shift, 0), count + min(shift, 0)), slice(max(-shift, 0), count - max(shift, 0))
        np.minimum(inked_top[to], top[source] - half_chord, out=inked_top[to])
        np.maximum(inked_bottom[to], bottom[source] + half_chord, out=inked_bottom[to])
    # where the pen just touches the curve; without these, steep flanks would be too narrow
    for edge in (centre_px - radius, centre_px + radius):
        touched = _curve_at(x_px, y_px, edge)
        np.fmin(inked_top, touched, out=inked_top)
        np.fmax(inked_bottom, touched, out=inked_bottom)
    return first, inked_top, inked_bottom


def _curve_in_subcolumns(
    x_px: np.ndarray, y_px: np.ndarray, centre_px: np.ndarray, first: int
) -> tuple[np.ndarray, np.ndarray]:
    """Highest and lowest point of the curve in each subcolumn: at its centre and at the vertices within."""
    at_centre = _curve_at(x_px, y_px, centre_px)
    outside = np.isnan(at_centre)
    top, bottom = (
        np.where(outside, np.float32(np.inf), at_centre),
        np.where(outside, np.float32(-np.inf), at_centre),
    )
    subcolumn = np.floor(x_px * SUBCOLUMNS).astype(int) - first
    np.minimum.at(top, subcolumn, y_px.astype(np.float32))
    np.maximum.at(bottom, subcolumn, y_px.astype(np.float32))
    return top, bottom


def _curve_at(x_px: np.ndarray, y_px: np.ndarray, at_px: np.ndarray) -> np.ndarray:
    """The curve's height, float32; NaN before its start and after its end."""
    return np.interp(at_px, x_px, y_px, left=np.nan, right=np.nan).astype(np.float32)


def _fill(first: int, top: np.ndarray, bottom: np.ndarray, page_height: int) -> Strip:
    """Coverage of the intervals: their pixel-wise lengths, summed over the subcolumns of each pixel."""
    inked = np.flatnonzero(bottom > top)
    top, bottom = top[inked].astype(float), bottom[inked].astype(float)
    column = (inked + first) // SUBCOLUMNS
    left, right = column[0], column[-1] + 1
    upper, lower = int(top.min()), min(int(np.ceil(bottom.max())), page_height)
    width, height = right - left, lower - upper
    # Below a point at fraction f of row r lie 1 - f of that row's height and the whole height of every later row.
    steps = np.zeros((height + 2) * width)
    for edge, sign in ((top, 1.0), (bottom, -1.0)):
        row = np.floor(edge)
        fraction = edge - row
        cell = (row.astype(int) - upper) * width + column - left
        steps += np.bincount(cell, sign * (1 - fraction), len(steps))
        steps += np.bincount(cell + width, sign * fraction, len(steps))
    coverage = np.cumsum(steps.reshape(height + 2, width), axis=0)[:height] / SUBCOLUMNS
    return Strip(upper, int(left), np.clip(coverage, 0, 1).astype(np.float32))


def lay_over(page_coverage: np.ndarray, strip: Strip | None) -> None:
    """Add a strip to a page's coverage (float32, in place) as ink over ink: 1 - (1 - a)(1 - b)."""
    if strip is not None:
        under = page_coverage[strip.window]
        under += strip.coverage * (1 - under)
