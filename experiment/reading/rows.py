"""Where the rows of a page run, from the ink of all its columns at once.

In each column the ink's runs that are about as high as the pen is wide are where a trace runs level; heights at which
many columns have such a run are rows. Of those heights the set is taken that holds most of the level ink, leaves least
of it aside, and is evenly spaced. A row that is half hidden still has half of its columns.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from experiment.reading.rectify import INKED

LEVEL_MM = 1.5  # height of a run up to which the trace runs level there; longer ones count less
BAND_MM = 5.0  # width of the band around a row's height in which its level ink lies
STEP_MM = 0.5
APART_MM = 9.0  # the least distance of two rows
FAINT = 0.12  # a height may be a row if it has at least this share of the fullest row's ink
MOST_ROWS = 14  # this many heights are looked at, at most
LEAST = 0.35  # a row with less than this share of the fullest row's ink speaks against its set
FURTHER = (
    0.5  # heights with so much of the rows' usual share may be rows of another ECG; up to 0.23 on other pages
)
UNEVEN_FREE, UNEVEN_COST = (
    0.1,
    3.0,
)  # a gap may deviate from the mean by the first at no cost; the second is the cost beyond, in full rows
OUTSTANDING = 2.0  # rows must have this many times the level ink that other places of the same height have
REACH = 0.6  # a run may belong to a row if it is within this share of the rows' distance


@dataclass(frozen=True)
class Runs:
    """Every run of ink in every column: its column, and the canvas heights of its ends."""

    column: np.ndarray
    top_px: np.ndarray
    bottom_px: np.ndarray

    @property
    def centre_px(self) -> np.ndarray:
        return (self.top_px + self.bottom_px) / 2


@dataclass(frozen=True)
class Rows:
    """The rows of a page, from the top."""

    centre_px: np.ndarray  # (columns of the page, rows) canvas heights of the ink; NaN where a row shows none
    outer_px: np.ndarray  # (columns, rows) the end of that ink that is farther from the row, less half a pen
    share: np.ndarray  # (rows,) of the drawing's columns in which it is seen, 0 to 1
    further: int = 0  # how many others seem to run there, which do not belong to the same evenly spaced rows

    @cached_property
    def zero_y_px(self) -> np.ndarray:
        """Each row's usual height."""
        return np.nanmedian(self.centre_px, axis=0)


def runs_of(ink: np.ndarray) -> Runs:
    """The runs of ink (H, W), 0 to 1, column by column."""
    steps = np.diff(np.pad(ink > INKED, ((1, 1), (0, 0))).astype(np.int8), axis=0).T
    column, top = np.nonzero(steps == 1)
    bottom = np.nonzero(steps == -1)[1]
    return Runs(column, top.astype(float), bottom.astype(float))


def find_rows(ink: np.ndarray, possible: Iterable[int]) -> Rows | None:
    """The rows of a page's ink (H, W), of which there is one of the possible numbers; None if there is no such set."""
    runs = runs_of(ink)
    if len(runs.column) == 0:
        return None
    level = _level_ink(runs, len(ink))
    heights_px, share = _candidates(level, runs)
    chosen = _best_set(heights_px, share, possible)
    if chosen is None or not _stand_out(level, heights_px[chosen]):
        return None
    centre_px, outer_px = _course(runs, heights_px[chosen], ink.shape[1])
    if not np.isfinite(centre_px).any(axis=0).all():
        return None
    further = int((np.delete(share, chosen) > FURTHER * np.median(share[chosen])).sum())
    return Rows(centre_px, outer_px, share[chosen], further)


def _level_ink(runs: Runs, height_px: int) -> np.ndarray:
    """In how many columns a trace runs level, at heights STEP_MM apart."""
    step_px = STEP_MM * PX_PER_MM
    level = np.minimum(1, LEVEL_MM * PX_PER_MM / (runs.bottom_px - runs.top_px)) ** 2
    return np.bincount((runs.centre_px / step_px).astype(int), level, minlength=int(height_px / step_px) + 1)


def _stand_out(level: np.ndarray, heights_px: np.ndarray) -> bool:
    """Whether there is clearly more level ink at the rows than elsewhere: else it is noise."""
    away_mm = np.abs((np.arange(len(level)) + 0.5) * STEP_MM - heights_px[:, None] / PX_PER_MM).min(axis=0)
    near = away_mm <= BAND_MM / 2
    return bool(near.all() or level[near].mean() > OUTSTANDING * level[~near].mean())


def _candidates(level: np.ndarray, runs: Runs) -> tuple[np.ndarray, np.ndarray]:
    """Heights at which rows may run, and the share of the drawing's columns that have level ink there."""
    first, last = np.percentile(runs.column, [1, 99])
    around = max(round(BAND_MM / STEP_MM), 1)
    share = uniform_filter1d(level, around, mode="constant") * around / max(last - first, 1)
    smooth = uniform_filter1d(share, around // 2, mode="constant")
    highest = smooth == maximum_filter1d(smooth, 2 * round(APART_MM / 2 / STEP_MM) + 1, mode="constant")
    at = np.flatnonzero(highest & (share > FAINT * share.max()))
    at = _apart(at, smooth)
    at = np.sort(at[np.argsort(-share[at])][:MOST_ROWS])
    return (at + 0.5) * STEP_MM * PX_PER_MM, np.minimum(share[at], 1)


def _apart(at: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The heights less those too near to a fuller one."""
    kept: list[int] = []
    for one in at[np.argsort(-share[at], kind="stable")]:
        if all(abs(one - other) * STEP_MM >= APART_MM for other in kept):
            kept.append(one)
    return np.array(kept, int)


def _best_set(heights_px: np.ndarray, share: np.ndarray, possible: Iterable[int]) -> list[int] | None:
    """Numbers of the candidates that are the page's rows; None if there are too few of them."""
    best, most = None, -np.inf
    worth_of_row = share / share.max() - LEAST
    worth_of_row += np.maximum(worth_of_row, 0)  # what is left aside costs as much again
    for number in possible:
        for chosen in itertools.combinations(range(len(share)), number):
            worth = worth_of_row[list(chosen)].sum() - UNEVEN_COST * _unevenness(heights_px[list(chosen)])
            if worth > most:
                best, most = list(chosen), worth
    return best


def _unevenness(heights_px: np.ndarray) -> float:
    """Deviations of the gaps from their mean, in parts of it, beyond what layouts have, summed."""
    if len(heights_px) < 3:
        return 0.0
    gaps = np.diff(heights_px)
    return float(np.clip(np.abs(gaps / gaps.mean() - 1) - UNEVEN_FREE, 0, None).sum())


def _course(runs: Runs, heights_px: np.ndarray, width_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Centres and outer ends (columns, rows) of the runs that belong to each row; NaN where there is none, or one of
    several rows."""
    distance_px = np.diff(heights_px).min() if len(heights_px) > 1 else np.inf
    away_px = np.maximum(runs.top_px[:, None] - heights_px, heights_px - runs.bottom_px[:, None])
    nearest = away_px.argmin(axis=1)
    several = (away_px <= 0).sum(axis=1) > 1
    own = (away_px.min(axis=1) < REACH * distance_px) & ~several
    order = np.flatnonzero(own)[
        np.argsort(-away_px.min(axis=1)[own], kind="stable")
    ]  # the nearest is written last
    half_pen_px = np.percentile(runs.bottom_px - runs.top_px, 20) / 2
    up = heights_px[nearest] - runs.centre_px > 0
    outer_px = np.where(up, runs.top_px + half_pen_px, runs.bottom_px - half_pen_px)
    courses = []
    for of_run in (runs.centre_px, outer_px):
        course_px = np.full((width_px, len(heights_px)), np.nan)
        course_px[runs.column[order], nearest[order]] = of_run[order]
        courses.append(course_px)
    return courses[0], courses[1]
