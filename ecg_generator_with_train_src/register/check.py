"""What an image shows where a page is thought to be: traces and grid lines compared with what is beside."""

import itertools
from dataclasses import dataclass

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.page.furniture import PULSE_MV, draw_furniture
from ecg_generator_with_train_src.page.geometry import PaperGeometry
from ecg_generator_with_train_src.page.grid import draw_grid_mask
from ecg_generator_with_train_src.page.layouts import PULSE_S
from ecg_generator_with_train_src.page.page import PageDescription, TracePoints, draw_traces, trace_points
from ecg_generator_with_train_src.page.records import Record
from ecg_generator_with_train_src.page.stroke import lay_over
from ecg_generator_with_train_src.register.refine import FlatPhoto

CHECK_STEP_PX = 3.0  # step along the traces; all lengths are in pixels of the page
ACROSS_PX = np.arange(-8.0, 8.1, 0.25)
MIDDLE_PX, BESIDE_PX = (
    0.5,
    5.0,
)  # within the first a place is on the trace, from the second on it is beside it
RIDGE_REACH_PX, ALONE_PX = 3.0, 2.5
CONTROL_PX = (
    -13.0,
    13.0,
    21.0,
)  # shifts above and below the traces to places for comparison, where these are clear of ink
CONTROL_SHARE = 0.95
CELL_MM = 10.0  # side of the squares in which the grid is looked for
HEADER_CELL_MM = 5.0
MIN_CELL_FILL = 0.02
MIN_CELL_MARGIN = 0.003  # lines must be this much darker than the paper between them
TEXT_MM, LABEL_MM = (
    19.0,
    45.0,
)  # distances from the top within which the header's text, or a label stuck on it, may be
DARK = 0.5  # what is darker than this share of the traces' contrast may be ink
LINE_PX = 5  # width that a printed grid line may have
PRINT_REACH_PX = 11  # width of the neighbourhood of a dark place between the lines
UNSEEN_WINDOW = 9  # number of checks along a trace of which most must see it
UNSEEN_REACH_MM = 1.5
REMAP_ROWS = 32_000  # cv2.remap takes no more than 32,766 at once

MIN_TRACE_INSIDE = 0.3
# measured: 0.09 to 0.20 on other records' pages; 0.49 under the worst moire, 0.8 to 1 elsewhere
MIN_TRACE_SEEN = 0.4
MIN_GRID_SEEN = 0.5
MAX_OFFSET_PX = 1.5


class Quality(BaseModel):
    """What the image shows where the page is thought to be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # share of the traces' length that is darker than what is beside it, more clearly so than 95% of other places
    trace_seen: float
    # share of the page, by squares of 10 mm, where grid lines are darker than the paper between them
    grid_seen: float
    # distances of the traces from the darkest place within 3 px of the page across them, in image pixels
    offset_median_px: float
    offset_p95_px: float
    features: int  # number that agreed on the rough place; 0 for an image that is as drawn


@dataclass(frozen=True)
class Sheet:
    """The page that is searched for: without a pulse. One with a pulse looks the same, 5 mm further right."""

    page: PageDescription
    ink: np.ndarray  # coverage of traces, lead names and separators, (height, width), uint8
    checks: np.ndarray  # (n, 4): points all along the traces, and the unit vector across

    @property
    def paper(self) -> PaperGeometry:
        """The page's size and ruling."""
        return self.page.geometry.paper


@dataclass(frozen=True)
class Sight:
    """A photo straightened to the page, and what it shows."""

    photo: FlatPhoto
    seen: np.ndarray  # (n,) bool: whether each check sees the trace, or lies outside the image
    contrast: float  # median of the traces
    quality: Quality


def draw_sheet(page: PageDescription, record: Record) -> Sheet:
    """The ink of a page without its header and footer. Raises InputError as `draw_traces` does."""
    opacity, _ = draw_traces(page, record)
    ink = opacity.astype(np.float32) / 255
    names = page.furniture.model_copy(update={"texts": ()})
    for strip, _ in draw_furniture(names, page.setup, page.geometry, page.fs_hz, page.style):
        lay_over(ink, strip)
    return Sheet(page, cv2.convertScaleAbs(ink, alpha=255), _checks(trace_points(page, record)))


def _checks(points: TracePoints) -> np.ndarray:
    begins = np.flatnonzero(np.diff(points.lead.astype(int) * 16 + points.row)) + 1
    parts = []
    for x_px, y_px in zip(np.split(points.x_px, begins), np.split(points.y_px, begins), strict=True):
        along = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x_px), np.diff(y_px)))])
        at = np.arange(CHECK_STEP_PX / 2, along[-1], CHECK_STEP_PX)
        x, y = np.interp(at, along, x_px), np.interp(at, along, y_px)
        step_x, step_y = np.gradient(x), np.gradient(y)
        length = np.hypot(step_x, step_y)
        parts.append(np.stack([x, y, -step_y / length, step_x / length], axis=1))
    return np.concatenate(parts)


def look(photo: FlatPhoto, sheet: Sheet, scale: float, features: int) -> Sight:
    """Judge a straightened photo; `scale` is image pixels a page pixel.

    Raises InputError if hardly any of the traces would lie in the image.
    """
    checks = sheet.checks
    inside = _sampled(photo.outside, checks[:, 0], checks[:, 1]) < 0.5
    if inside.mean() < MIN_TRACE_INSIDE:
        raise InputError(f"only {inside.mean():.0%} of the traces' length would lie in the image")
    contrast = _contrast(photo, sheet, checks)
    elsewhere = np.concatenate([checks[inside] + [0, away_px, 0, 0] for away_px in CONTROL_PX])
    elsewhere = elsewhere[_profiles(sheet.ink, elsewhere).max(axis=1) == 0]
    seen = contrast > max(np.quantile(_contrast(photo, sheet, elsewhere), CONTROL_SHARE), 0.0)
    offset_px = _ridge_offsets_px(photo, sheet, checks[inside]) * scale
    clear = cv2.dilate(sheet.ink, np.ones((7, 7))) == 0
    quality = Quality(
        trace_seen=round(float(seen[inside].mean()), 4),
        grid_seen=round(float(np.nanmean(_grid_by_cells(photo, sheet, clear, CELL_MM))), 4),
        offset_median_px=round(float(np.median(offset_px)), 4),
        offset_p95_px=round(float(np.quantile(offset_px, 0.95)), 4),
        features=features,
    )
    return Sight(photo, seen | ~inside, float(np.median(contrast[inside])), quality)


def refuse_misfit(quality: Quality) -> None:
    """Raise InputError unless traces and grid are where they should be."""
    if quality.trace_seen < MIN_TRACE_SEEN:
        raise InputError(f"only {quality.trace_seen:.0%} of the traces' length is seen where it should be")
    if quality.grid_seen < MIN_GRID_SEEN:
        raise InputError(f"the grid is where it should be in {quality.grid_seen:.0%} of the page only")
    if quality.offset_median_px > MAX_OFFSET_PX:
        raise InputError(f"the traces lie {quality.offset_median_px:.1f} px beside what is seen of them")


def pulse_contrast(sheet: Sheet, photo: FlatPhoto) -> float:
    """Contrast of the upper edges of pulses left of the rows, median; their sides would lie on grid lines."""
    starts = [place for place in sheet.page.placements if place.column == 0]
    left_px = PULSE_S * sheet.page.geometry.px_per_s
    x_px = np.concatenate([np.arange(place.x0_px - left_px + 4, place.x0_px - 4, 2.0) for place in starts])
    y_px = np.repeat([place.y_px_of_mv(PULSE_MV) for place in starts], len(x_px) // len(starts))
    checks = np.stack([x_px, y_px, np.zeros_like(x_px), np.ones_like(x_px)], axis=1)
    inside = _sampled(photo.outside, x_px, y_px) < 0.5
    return float(np.median(_contrast(photo, sheet, checks[inside]))) if inside.any() else 0.0


def unknown_paper(sheet: Sheet, sight: Sight) -> np.ndarray:
    """255 where the drawn page's labels hold, 0 where the image may show something else; shape of the page, uint8.

    They do not hold about stretches of the traces that are not seen, nor where print in the header hides a line.
    """
    known = np.full(sheet.ink.shape, 255, np.uint8)
    mostly = np.convolve(sight.seen, np.ones(UNSEEN_WINDOW), "same") > UNSEEN_WINDOW / 2
    reach_px = round(UNSEEN_REACH_MM * sheet.paper.px_per_mm)
    for x_px, y_px in sheet.checks[~mostly, :2]:
        cv2.circle(known, (int(x_px), int(y_px)), reach_px, 0, cv2.FILLED)
    header = round(TEXT_MM * sheet.paper.px_per_mm_y)
    dark = (sight.photo.ink > DARK * sight.contrast) & (draw_grid_mask(sheet.paper) > 0)
    dark &= _near_print(sheet, sight)
    hidden = cv2.dilate(
        dark[:header].astype(np.uint8), np.ones((3, 3))
    )  # a page with a pulse is not shifted by whole pixels
    known[:header][hidden > 0] = 0
    return known


def covered_grid(sheet: Sheet, sight: Sight) -> np.ndarray:
    """255 in squares of the header where no grid is seen (a label is stuck on it), else 0; shape of the page, uint8."""
    clear = ~_near_print(sheet, sight)
    cells = _grid_by_cells(sight.photo, sheet, clear, HEADER_CELL_MM) == 0
    cell_px = round(HEADER_CELL_MM * sheet.paper.px_per_mm)
    covered = np.zeros_like(sheet.ink)
    large = np.kron(cells, np.ones((cell_px, cell_px), bool))[: round(LABEL_MM * sheet.paper.px_per_mm_y)]
    covered[: large.shape[0], : large.shape[1]][large] = 255
    return covered


def _near_print(sheet: Sheet, sight: Sight) -> np.ndarray:
    """Whether something dark that is no grid line is near, as text and labels are; bool, shape of the page.

    Laser printers print major lines as dark as traces, so that darkness alone does not tell print from lines.
    """
    lines = cv2.dilate(draw_grid_mask(sheet.paper), np.ones((LINE_PX, LINE_PX), np.uint8))
    dark = (sight.photo.ink > DARK * sight.contrast) & (lines == 0)
    return cv2.dilate(dark.astype(np.uint8), np.ones((PRINT_REACH_PX, PRINT_REACH_PX), np.uint8)) > 0


def _sampled(layer: np.ndarray, x_px: np.ndarray, y_px: np.ndarray) -> np.ndarray:
    """Values at canvas points, of any shape (n,) or (n, m)."""
    x, y = (np.atleast_2d(along - 0.5).astype(np.float32) for along in (x_px, y_px))
    if np.ndim(x_px) == 1:
        x, y = x.T, y.T
    parts = [
        cv2.remap(layer, x[first:last], y[first:last], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for first, last in itertools.pairwise([*range(0, len(x), REMAP_ROWS), len(x)])
    ]
    return np.concatenate(parts).reshape(np.shape(x_px)) if parts else np.empty(np.shape(x_px), np.float32)


def _profiles(darkness: np.ndarray, checks: np.ndarray) -> np.ndarray:
    """Darkness across the traces, (n, len(ACROSS_PX))."""
    x_px, y_px, across_x, across_y = checks.T[:, :, None]
    return _sampled(darkness, x_px + ACROSS_PX * across_x, y_px + ACROSS_PX * across_y)


def _contrast(photo: FlatPhoto, sheet: Sheet, checks: np.ndarray) -> np.ndarray:
    """How much darker each place is than what is beside it, other ink left out."""
    profiles, drawn = _profiles(photo.ink, checks), _profiles(sheet.ink, checks)
    beside = (np.abs(ACROSS_PX) >= BESIDE_PX) & (drawn == 0)
    level = (profiles * beside).sum(axis=1) / np.maximum(beside.sum(axis=1), 1)
    return profiles[:, np.abs(ACROSS_PX) <= MIDDLE_PX].mean(axis=1) - level


def _ridge_offsets_px(photo: FlatPhoto, sheet: Sheet, checks: np.ndarray) -> np.ndarray:
    """Distance of the darkest place across, where no other ink is drawn within reach that could be taken for it."""
    near = np.abs(ACROSS_PX) <= RIDGE_REACH_PX
    other = (np.abs(ACROSS_PX) > ALONE_PX) & (np.abs(ACROSS_PX) <= RIDGE_REACH_PX + 1)
    alone = checks[_profiles(sheet.ink, checks)[:, other].max(axis=1) == 0]
    return np.abs(ACROSS_PX[near][_profiles(photo.ink, alone)[:, near].argmax(axis=1)])


def _grid_by_cells(photo: FlatPhoto, sheet: Sheet, clear: np.ndarray, cell_mm: float) -> np.ndarray:
    """For squares of the page: 1 where lines are darker than the paper between, 0 where not, NaN where that is not
    known: outside the image, or for want of pixels that are `clear`."""
    lines = draw_grid_mask(sheet.paper) > 0
    clear = clear & (photo.outside < 0.5)
    cell_px = round(cell_mm * sheet.paper.px_per_mm)
    on, off = (_cell_means(photo.luma, clear & chosen, cell_px) for chosen in (lines, ~lines))
    margin = on - off
    return np.where(np.isnan(margin), np.nan, margin > MIN_CELL_MARGIN)


def _cell_means(values: np.ndarray, chosen: np.ndarray, cell_px: int) -> np.ndarray:
    """Mean of the chosen values in each square; NaN where they are too few."""
    rows, columns = (size // cell_px for size in values.shape)
    cells = slice(rows * cell_px), slice(columns * cell_px)
    shape = rows, cell_px, columns, cell_px
    count = chosen[cells].reshape(shape).sum(axis=(1, 3))
    total = np.where(chosen, values, 0)[cells].reshape(shape).sum(axis=(1, 3))
    return np.where(count > MIN_CELL_FILL * cell_px**2, total / np.maximum(count, 1), np.nan)
