"""Read a page of a PDF that holds the traces themselves: as curves, which are sampled and not seen.

The layout is found as on any page, from planes on which the curves are drawn. Each lead's values are then those of its
curve at the samples' times, so that neither drawing nor network comes between them and the file's own numbers.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.page_files import is_pdf
from ecg_generator_with_train_src.common.pdf_drawing import Drawing
from ecg_generator_with_train_src.common.pdf_process import bounded_drawing
from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from experiment.labelling.page_probability import PageProbability
from experiment.reading.curve_page import CurvePage, curve_page
from experiment.reading.doubt import verdict_of
from experiment.reading.find_layout import FoundLayout, ReadingOptions, find_layout
from experiment.reading.read_leads import LeadSignal, without_gaps
from experiment.reading.read_page import CURVES, PICTURE, PageReading, put_together, read_page

START_MM = 1.5  # rows start where curves do that start this near
LINE_MM = 0.15  # else at a line of the grid that is this near, and so do zero lines
END_MM = 0.2  # a curve holds its ends' values for this much beyond them
CLOSE_PX = 1e-3
LEAST_SHOWN = 0.5  # a lead's curve covers this share of its place, or more
FEWEST_NAMES = 3  # so many lead names, a grid or a pulse tell that curves are an ECG's
NO_SIZE = "neither grid nor pulse tells how large the page is drawn: the PDF's own size is taken"


def with_drawing(seen: PageProbability, path: Path, number: int = 0) -> PageProbability:
    """What was seen on page `number` of a file, counted from 0; with what that page draws if the file is a PDF."""
    return replace(seen, drawing=bounded_drawing(path, number)) if is_pdf(path) else seen


def read_any_page(seen: PageProbability, fs_hz: float, options: ReadingOptions) -> PageReading:
    """Read a page at `fs_hz` from the curves of its PDF, or as it was seen if that is no PDF or holds no curves.

    Raises InputError, naming no file, if neither can be read.
    """
    if seen.drawing is None:
        return read_page(seen, fs_hz, options)
    try:
        return read_drawing(seen.drawing, seen, fs_hz, options)
    except InputError as error:
        return replace(read_page(seen, fs_hz, options), traces_from=f"{PICTURE}, for {error}")


def read_drawing(
    drawing: Drawing, seen: PageProbability, fs_hz: float, options: ReadingOptions
) -> PageReading:
    """Read the leads of a PDF's page at `fs_hz` from its curves; `seen` is what was seen of the page as it is drawn.

    Raises InputError, naming no file, if the page holds no curves that are traces of an ECG, or if no layout is found.
    """
    page = curve_page(drawing, seen)
    found = find_layout(page.flat, options, page.text)
    by_pulse = "pulse" in (found.speed_from, found.gain_from)
    if not (page.size_known or by_pulse or len(page.text.names) >= FEWEST_NAMES):
        raise InputError(
            "its curves have neither grid nor pulse nor lead names: they may be of something else"
        )
    if not (page.size_known or by_pulse):
        found = replace(found, doubts=(*found.doubts, NO_SIZE))
    rows = _curves_of_rows(page.curves, found)
    found = _at_own_places(found, page, rows, start_is_told=options.time_zero_px is not None)
    leads = _sampled_leads(rows, found, fs_hz)
    verdict = verdict_of(page.seen, found, leads, residual_mm=0.0)
    signal_mv = put_together(leads, fs_hz)
    return PageReading(
        page.seen, fs_hz, signal_mv, tuple(leads), found, page.flat, 0.0, verdict, traces_from=CURVES
    )


def _curves_of_rows(curves: Sequence[np.ndarray], found: FoundLayout) -> list[list[np.ndarray]]:
    """The curves of each row, the longest first: each belongs to the row that runs nearest to its usual height."""
    rows: list[list[np.ndarray]] = [[] for _ in found.zero_y_px]
    for curve in sorted(curves, key=lambda curve: curve[0, 0] - curve[-1, 0]):
        rows[np.abs(found.zero_y_px - _usual_height([curve])).argmin()].append(curve)
    return rows


def _usual_height(curves: Sequence[np.ndarray]) -> float:
    """The median height of curves, each pixel along them counting once."""
    return float(
        np.median([y for curve in curves for y in np.interp(np.arange(*curve[[0, -1], 0]), *curve.T)])
    )


def _at_own_places(
    found: FoundLayout, page: CurvePage, rows: Sequence[Sequence[np.ndarray]], start_is_told: bool
) -> FoundLayout:
    """The layout with its rows starting where curves do, or at a line of the grid, if one of these is near. Its zero
    lines lie on the grid if the layout has them there, else at the rows' usual heights."""
    start_px = found.start_x_px if start_is_told else _start(found, page)
    if found.setup.layout.zero_lines:
        zero_y_px = [_on_line(y_px) if page.ruled else y_px for y_px in found.zero_y_px]
    else:
        zero_y_px = [
            _usual_height(row) if row else y_px for row, y_px in zip(rows, found.zero_y_px, strict=True)
        ]
    placements = tuple(
        replace(
            place,
            x0_px=place.x0_px + start_px - found.start_x_px,
            zero_y_px=float(zero_y_px[place.row]),
        )
        for place in found.placements
    )
    return replace(found, placements=placements, start_x_px=start_px, zero_y_px=np.array(zero_y_px))


def _start(found: FoundLayout, page: CurvePage) -> float:
    starts_px = np.array([curve[0, 0] for curve in page.curves])
    near = np.abs(starts_px - found.start_x_px) < START_MM * PX_PER_MM
    if near.any():
        return float(np.median(starts_px[near]))
    return _on_line(found.start_x_px) if page.ruled else found.start_x_px


def _on_line(at_px: float) -> float:
    """The grid line beside it, if that is close."""
    line_px = round(at_px / PX_PER_MM) * PX_PER_MM
    return line_px if abs(line_px - at_px) < LINE_MM * PX_PER_MM else at_px


def _sampled_leads(
    rows: Sequence[Sequence[np.ndarray]], found: FoundLayout, fs_hz: float
) -> list[LeadSignal]:
    """The signals of all places. Raises InputError if a place has no curve."""
    leads, visible = [], []
    for place in found.placements:
        samples = place.samples(fs_hz)
        y_px = _heights(rows[place.row], place.x_px_of_s(np.arange(samples.start, samples.stop) / fs_hz))
        shown = np.isfinite(y_px)
        if shown.mean() < LEAST_SHOWN:
            layout = found.setup.layout.name
            raise InputError(f"its curves do not show lead {place.label} where layout {layout} has it")
        y_px = np.interp(np.arange(len(y_px)), np.flatnonzero(shown), y_px[shown])
        leads.append(LeadSignal(place, place.mv_of_y_px(y_px), y_px, 1.0, ()))
        visible.append(shown)
    return without_gaps(leads, visible, fs_hz)


def _heights(curves: Sequence[np.ndarray], x_px: np.ndarray) -> np.ndarray:
    """The heights at each x of the first curve that is there, else of one that begins or ends near it; else NaN."""
    y_px = np.full(len(x_px), np.nan)
    reach_px = END_MM * PX_PER_MM
    for before_px, behind_px in (
        (CLOSE_PX, -CLOSE_PX),
        (reach_px, reach_px),
    ):  # where one ends, the next may begin
        for curve in curves:
            left, right = curve[[0, -1], 0]
            own = np.isnan(y_px) & (x_px >= left - before_px) & (x_px < right + behind_px)
            y_px[own] = np.interp(x_px[own], *curve.T)
    return y_px
