"""Where the rows of a page start and how long they are, from the ends of their ink, separators, pulses and the grid."""

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter1d

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.page.geometry import MINOR_MM, PX_PER_MM
from ecg_generator_with_train_src.page.layouts import ROW_LENGTH_MM
from experiment.reading.pulses import find_pulse
from experiment.reading.rectify import INKED, RectifiedPage

END_WINDOW_MM = 4.0  # a row starts where its ink goes on for at least this long
END_SHARE = 0.6
SNAP_MM = 0.45  # a start this close to a grid line is taken to lie on it
BEYOND_INK_MM = 0.2  # if that is no farther beyond where the ink's ends have it
LINE_OFFSET_MM = 0.5 / PX_PER_MM  # a drawn line's pixel is the one right of its place
LENGTH_TOLERANCE_MM = 4.0
LENGTHS_MM = (62.5, 125.0, ROW_LENGTH_MM)  # usual lengths of rows
CUT_MM = 12.0  # rows that end this near to the page's edge may be cut off
TIME_ZERO_MM = 2.0  # ink may start or end this far from where its row does
AGREE_MM = 0.75  # ink that is longer than a row by more than this has a pulse at one of its ends
BEFORE_JOINED_MM = 5.0  # pulses that are seen so far before the ink's start do not join it
SEARCH_MM = 6.0  # time zero is looked for up to this far from where ink starts or should start
CLEAR_BARS = 0.4
SEEN_BAR = 0.2  # and how clear most of them must be, each by itself
DISTANCE_COST = 0.02  # what each millimetre from there costs, in clearness of the separators
DISTANCE_COST_OF_WHOLE = 0.1  # the same where the ink is as long as a row, so that both its ends are seen


@dataclass(frozen=True)
class RowSpan:
    """Canvas x where a page's rows start and where they are seen to end, and their length in pixels; and how much later
    they may start (earlier, if negative), as the ink is missing at one of its ends, or the last one is farther off."""

    start_px: float
    end_px: float
    length_px: float
    may_start_later_px: float = 0.0


def find_span(
    page: RectifiedPage,
    zero_y_px: np.ndarray,
    bars: np.ndarray,
    columns: set[int],
    time_zero_px: float | None,
) -> RowSpan:
    """Where rows run that have one of these numbers of columns and start at `time_zero_px`, if that is known.

    `bars` (columns of pixels,) is how clear separators stand there. Raises InputError if no row shows a trace.
    """
    seen_start_px, end_px, latest_px = _extent(page.ink, zero_y_px)
    lengths_px = _lengths(seen_start_px, end_px, page.ink.shape[1])
    if time_zero_px is not None:
        return RowSpan(time_zero_px, end_px, lengths_px[0])
    clear = [_between_bars(bars, columns, seen_start_px, end_px, length_px) for length_px in lengths_px]
    told_by_bars = max(score for score, _ in clear) > CLEAR_BARS
    if told_by_bars:
        (_, start_px), length_px = max(zip(clear, lengths_px, strict=True), key=lambda each: each[0][0])
    else:
        extent_px = seen_start_px, end_px, latest_px
        start_px, length_px = _without_bars(page, zero_y_px, extent_px, lengths_px)
    start_px = _on_line(page, start_px, seen_start_px, end_px - length_px)
    cut = end_px > page.ink.shape[1] - CUT_MM * PX_PER_MM
    later_px = latest_px - length_px - start_px
    doubtful = AGREE_MM * PX_PER_MM < abs(later_px) < LENGTH_TOLERANCE_MM * PX_PER_MM
    return RowSpan(start_px, end_px, length_px, later_px if doubtful and not (told_by_bars or cut) else 0.0)


def _on_line(page: RectifiedPage, start_px: float, seen_start_px: float, seen_end_px: float) -> float:
    """On the grid line beside it, unless that is not between where both ends of the ink have the start, or a little
    before the ink's end has it: ink seldom reaches beyond its row, and rows need not start on a line."""
    line_px, beyond_px = snapped(start_px), BEYOND_INK_MM * PX_PER_MM
    earliest_px, latest_px = sorted((seen_start_px, seen_end_px))
    between = earliest_px - beyond_px <= line_px <= latest_px + beyond_px
    too_early = beyond_px < seen_end_px - line_px < TIME_ZERO_MM * PX_PER_MM
    return line_px if page.has_lines and between and not too_early else start_px


def _lengths(start_px: float, end_px: float, width_px: int) -> list[float]:
    """The lengths that rows may have whose ink starts and ends there, likeliest first: a usual one if it is near, or if
    part of the rows is cut off; else that of the ink, and the usual one if the ends are faint. Ink longer than usual
    rows has a pulse at one of its ends, or its rows are longer."""
    seen_mm = (end_px - start_px) / PX_PER_MM
    for usual_mm in LENGTHS_MM:
        if abs(seen_mm - usual_mm) <= LENGTH_TOLERANCE_MM:
            return [usual_mm * PX_PER_MM]
    if seen_mm > ROW_LENGTH_MM:
        return [ROW_LENGTH_MM * PX_PER_MM, seen_mm * PX_PER_MM]
    if min(start_px, width_px - end_px) < CUT_MM * PX_PER_MM:
        return [ROW_LENGTH_MM * PX_PER_MM]
    return [seen_mm * PX_PER_MM, ROW_LENGTH_MM * PX_PER_MM]


def _extent(ink: np.ndarray, zero_y_px: np.ndarray) -> tuple[float, float, float]:
    """Canvas x where most rows' ink starts and ends, and where the last row's ends."""
    ends = []
    bounds = np.concatenate([[-np.inf], (zero_y_px[1:] + zero_y_px[:-1]) / 2, [np.inf]])
    bounds = np.clip(np.nan_to_num(bounds, neginf=0, posinf=len(ink)), 0, len(ink)).astype(int)
    reach = int(END_WINDOW_MM * PX_PER_MM)
    for top, bottom in itertools.pairwise(bounds):
        has_ink = ink[top:bottom].max(axis=0, initial=0)
        ends.append((_first(has_ink, reach), len(has_ink) - _first(has_ink[::-1], reach)))
    starts, stops = np.array(ends).T
    if np.isnan(starts).all():
        raise InputError("no row shows a trace that goes on: where the rows start is not seen")
    pen_px = 1.0  # its round end
    return tuple(
        float(px)
        for px in (np.nanmedian(starts) + pen_px, np.nanmedian(stops) - pen_px, np.nanmax(stops) - pen_px)
    )


def _between_bars(
    bars: np.ndarray, columns: set[int], start_px: float, end_px: float, length_px: float
) -> tuple[float, float]:
    """How clearly separators tell where the rows start, and the canvas x of that: near where their ink does, or near a
    row's length before it ends, the place that has separators behind it where rows of one of these numbers of columns
    have them.

    Pulses that were taken for traces move the ink's start, a page cut on the right its end, and faint traces both.
    """
    seen = np.array([start_px, end_px - length_px])
    reach = np.array([seen.min(), seen.max()]) + np.array([-SEARCH_MM, SEARCH_MM]) * PX_PER_MM
    lines = (np.arange(*(reach / PX_PER_MM).round()) - LINE_OFFSET_MM) * PX_PER_MM
    candidates = np.concatenate([seen, lines])
    scores = np.array([max(bars_at(bars, at, length_px, number) for number in columns) for at in candidates])
    away_mm = np.abs(candidates[:, None] - seen).min(axis=1) / PX_PER_MM
    whole = abs(seen[1] - seen[0]) < TIME_ZERO_MM * PX_PER_MM
    scores -= (DISTANCE_COST_OF_WHOLE if whole else DISTANCE_COST) * away_mm
    return float(scores.max()), float(candidates[scores.argmax()])


def _without_bars(
    page: RectifiedPage,
    zero_y_px: np.ndarray,
    extent_px: tuple[float, float, float],
    lengths_px: list[float],
) -> tuple[float, float]:
    """Canvas x where the rows start if no separators tell, and their length: where their ink does, unless it is longer
    than a row and pulses join it there; then a row's length before the last of its ends. Ink with pulses apart from it
    is as long as its rows are."""
    (start_px, end_px, latest_px), length_px = extent_px, lengths_px[0]
    if latest_px - end_px > TIME_ZERO_MM * PX_PER_MM:  # ink that is no trace
        latest_px = end_px
    if latest_px - length_px - start_px < AGREE_MM * PX_PER_MM:
        return start_px, length_px

    def clearness(first_px: float, last_px: float) -> float:
        return find_pulse(page, zero_y_px, first_px, last_px).clearness

    before_px = start_px - BEFORE_JOINED_MM * PX_PER_MM
    first_px = snapped(before_px)
    if clearness(first_px, first_px + length_px):
        return start_px, lengths_px[-1] if clearness(before_px, latest_px) else length_px
    first_px = snapped(latest_px - length_px)
    if clearness(first_px, first_px + length_px):
        return latest_px - length_px, length_px
    cut = end_px > page.ink.shape[1] - CUT_MM * PX_PER_MM
    longer_px = end_px - length_px - start_px
    if cut or longer_px < TIME_ZERO_MM * PX_PER_MM:
        return start_px, length_px
    return end_px - length_px, length_px


def bars_at(bars: np.ndarray, start_px: float, length_px: float, columns: int) -> float:
    """How clear separators stand between the columns of rows that start there, 0 to 1; 0 for rows of one column, and
    where half of them or more are missing: a pacemaker's spike may stand at one of their places by chance."""
    if columns == 1:
        return 0.0
    at = start_px + length_px * np.arange(1, columns) / columns
    near = sorted(bars[max(round(x) - 2, 0) : round(x) + 2].max(initial=0) for x in at)
    return float(np.mean(near)) if near[(len(near) - 1) // 2] > SEEN_BAR else 0.0


def _first(has_ink: np.ndarray, reach: int) -> float:
    """Where ink starts that goes on, from the share of the first pixel that is covered."""
    going_on = uniform_filter1d((has_ink > INKED).astype(float), reach, origin=-(reach // 2), mode="constant")
    starts = np.flatnonzero((has_ink > INKED) & (going_on > END_SHARE))
    return float(starts[0]) if len(starts) else np.nan


def snapped(start_px: float, within_mm: float = SNAP_MM) -> float:
    """On the grid line beside it, if that is close."""
    line_mm = round(start_px / PX_PER_MM / MINOR_MM + LINE_OFFSET_MM) - LINE_OFFSET_MM
    return line_mm * PX_PER_MM if abs(line_mm - start_px / PX_PER_MM) <= within_mm else start_px
