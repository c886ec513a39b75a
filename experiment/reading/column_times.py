"""What beats tell of time: how far apart they are, and whether columns go on or all show the same moments.

In all leads, beats stand at the same moments. Columns that go on keep the rhythm where one meets the next, and have
their beats where a strip below has them; columns that show the same moments have their beats at the same places. A
rhythm may by chance do both: then columns go on, as they do on nearly all pages, and it is said.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from experiment.reading.row_traces import STEP_PX, stretch

BEAT_WIDTH_STEPS = 2.0  # about half the width of a QRS complex
LEAST_APART_MM = 6.0  # two beats are at least so far apart: 250 a minute at 25 mm/s
HIGH = 0.35  # a beat's activity is at least this share of the highest
ALIKE = 0.8  # correlation of the activity of columns that show the same moments
ALIKE_BELOW = 0.5  # and of a strip below columns that go on
OFF_BEAT = 0.15  # beats that keep their rhythm are off by no more than this share of their distance
FEWEST_BEATS = 4


@dataclass(frozen=True)
class ColumnTimes:
    """How the columns show time, and whether that is uncertain."""

    simultaneous: bool
    uncertain: bool


GOING_ON = ColumnTimes(simultaneous=False, uncertain=False)


def column_times(
    block: np.ndarray, strips: np.ndarray, start_px: float, length_px: float, columns: int
) -> ColumnTimes:
    """How `columns` show time on a page whose block and strips have these traces (rows, steps) in mm."""
    if columns == 1:
        return GOING_ON
    edges_px = start_px + np.arange(columns + 1) * length_px / columns
    windows = list(itertools.pairwise(edges_px))
    activity = [_activity(stretch(block, *window)) for window in windows]
    if not min(itertools.starmap(_alike, itertools.pairwise(activity))) > ALIKE:
        return GOING_ON
    below = [_activity(stretch(strips, *window)) for window in windows] if len(strips) else []
    if below and min(map(_alike, activity, below)) > ALIKE_BELOW:
        return GOING_ON
    return ColumnTimes(simultaneous=not _keeps_rhythm(activity), uncertain=True)


def _alike(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of two columns' activity; 0 if one of them is even, as where no ink is seen."""
    size = min(len(one), len(other))
    both = np.stack([one[:size], other[:size]])
    return float(np.corrcoef(both)[0, 1]) if both.std(axis=1).all() else 0.0


def _activity(traces: np.ndarray) -> np.ndarray:
    """How much all rows move at each step, so that beats stand out."""
    moves = np.abs(np.diff(traces, axis=1, prepend=traces[:, :1]))
    return gaussian_filter1d(np.nan_to_num(moves).mean(axis=0), BEAT_WIDTH_STEPS)


def beats_apart_mm(traces: np.ndarray, start_px: float, length_px: float) -> float | None:
    """The usual distance of beats on rows with these traces (rows, steps) in mm; None if too few beats are seen."""
    beats = _beats(_activity(stretch(traces, start_px, start_px + length_px)))
    if len(beats) < FEWEST_BEATS:
        return None
    return float(np.median(np.diff(beats))) * STEP_PX / PX_PER_MM


def _beats(activity: np.ndarray) -> np.ndarray:
    """The peaks of the activity, the higher of two that are close. SciPy's find_peaks takes half a second to load."""
    inner = activity[1:-1]
    high = inner >= HIGH * activity.max(initial=0.0)
    peaks = 1 + np.flatnonzero(high & (inner > activity[:-2]) & (inner > activity[2:]))
    apart = round(LEAST_APART_MM * PX_PER_MM / STEP_PX)
    kept: list[int] = []
    for peak in peaks[np.argsort(-activity[peaks], kind="stable")]:
        if all(abs(peak - other) >= apart for other in kept):
            kept.append(peak)
    return np.array(sorted(kept), int)


def _keeps_rhythm(activity: list[np.ndarray]) -> bool:
    """Whether beats are as far apart across the columns' edges as within the columns."""
    whole = np.concatenate(activity)
    edges = np.cumsum([len(column) for column in activity])[:-1]
    beats = _beats(whole)
    if len(beats) < FEWEST_BEATS:
        return True
    intervals = np.diff(beats)
    across = ((beats[:-1, None] < edges) & (beats[1:, None] >= edges)).any(axis=1)
    if across.all() or not across.any():
        return True
    usual = np.median(intervals[~across])
    off = np.abs(intervals[across] / usual - np.rint(intervals[across] / usual))
    return bool(np.median(off) <= OFF_BEAT)
