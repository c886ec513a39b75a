"""Find the ink of each row's trace: a path through the ink, and heights from which the decoding can start.

The path of a row is the cheapest one from left to right (dynamic programming). It pays for every column that it
passes outside ink and for every pixel that it climbs outside ink. Within ink, climbing costs next to nothing, so that
a path follows spikes wherever they lead, even across other rows. Where two rows share their ink, a mild pull towards
the row's zero line decides. Staying near another row's zero line, or starting a lead far from one's own, costs more:
this keeps a path away from other rows and from names where its own ink is missing.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from ecg_generator_with_train_src.common.pieces import pieces_of
from experiment.reading.compiled import compiled
from experiment.reading.ink_runs import (
    FAINT_INK,
    INK,
    NO_INK,
    START,
    STATE_PX,
    cost_of_climbing,
    ink_of_states,
    run_lengths,
    runs_on,
)
from experiment.reading.trace_knots import untie

SHORT = 0.3  # cost of a column in a run of ink that has next to no height
TALL_PX = 30.0  # runs of ink of this height or more cost nothing
PULL = 0.03  # cost of a column at another row's zero line
ABROAD = 1.0  # further cost of a column near another row's zero line: spikes get there, but do not stay
# The next three are in parts of the distance between rows
NEAR = 0.2  # a path this close to a zero line is near it
NEAR_ROOT = 0.25  # tall ink that comes no closer to any zero line is no spike
HOME = 0.5  # a path this close to its own zero line has ink of its own
OWN_PX = 3  # ink up to this far above and below a path belongs to it
MAX_ALONG_COLUMNS = 12  # a path may go along another row's ink for so many columns
SPIKE_COLUMNS = 5  # a spike's tip is the highest or lowest place among so many columns


@dataclass(frozen=True)
class Track:
    """The trace of one row: arrays (columns,) for the columns of the page from `first_column` on."""

    first_column: int
    y_px: np.ndarray  # canvas heights to start the decoding from
    ink: np.ndarray  # probability of the ink on the path, 0 where there is none


def track_rows(
    ink: np.ndarray,
    zero_y_px: np.ndarray,
    columns: slice,
    breaks: list[list[int]],
    reach_px: float,
    pen_px: float,
) -> list[Track]:
    """Follow each row through the ink (H, W), 0 to 1, within `columns`.

    `zero_y_px` (rows,) is the canvas height of each row's 0 mV. `breaks` gives, for each row, the columns where a new
    lead starts and the trace may jump. A trace may leave its zero line by up to `reach_px`.
    """
    page = ink[:, columns]
    starts = [[at - columns.start for at in row] for row in breaks]
    spacing_px = _spacing(zero_y_px, reach_px)
    rooted = _rooted(page, zero_y_px, spacing_px)
    paths = _paths([page] * len(zero_y_px), rooted, zero_y_px, starts, reach_px)
    at_home = np.abs(paths - zero_y_px[:, None]) < HOME * spacing_px
    if _on_foreign_ink(paths, at_home):
        own = [
            _without(page, np.delete(paths, row, 0), np.delete(at_home, row, 0)) for row in range(len(paths))
        ]
        paths = _paths(own, rooted, zero_y_px, starts, reach_px)
    at_home = np.abs(paths - zero_y_px[:, None]) < HOME * spacing_px
    runs = runs_on(page > FAINT_INK, paths)
    tracks = [_track(page, paths, runs, at_home, row, columns.start, pen_px) for row in range(len(paths))]
    untied_y_px, tied = untie(page, paths, runs, zero_y_px, starts, pen_px)
    return [
        replace(track, y_px=np.where(where, y_px, track.y_px))
        for track, y_px, where in zip(tracks, untied_y_px, tied, strict=True)
    ]


def _spacing(zero_y_px: np.ndarray, reach_px: float) -> float:
    return np.diff(np.sort(zero_y_px)).min() if len(zero_y_px) > 1 else reach_px


def _on_foreign_ink(paths: np.ndarray, at_home: np.ndarray) -> bool:
    """Whether a path, for lack of ink of its own, goes along another one that is where it belongs."""
    along = np.abs(paths[:, None] - paths[None]) <= OWN_PX
    along &= at_home[None] & ~at_home[:, None]
    return bool((along.sum(axis=2) > MAX_ALONG_COLUMNS).any())


def _without(page: np.ndarray, paths: np.ndarray, at_home: np.ndarray) -> np.ndarray:
    """The page without the ink of other rows where these are near their zero lines."""
    left = page.copy()
    columns = np.arange(page.shape[1])
    for path, certain in zip(paths, at_home, strict=True):
        for offset in range(-OWN_PX, OWN_PX + 1):
            left[np.clip(path + offset, 0, len(page) - 1)[certain], columns[certain]] = 0
    return left


def _paths(
    pages: list[np.ndarray],
    rooted: np.ndarray,
    zero_y_px: np.ndarray,
    breaks: list[list[int]],
    reach_px: float,
) -> np.ndarray:
    """The cheapest path of each row through its page, as rows of pixels (rows, columns). Tall ink counts as a spike
    only where it is `rooted`."""
    states = 2 * int(reach_px / STATE_PX) + 1
    first = np.rint(zero_y_px).astype(int) - (states // 2) * STATE_PX
    ink = np.clip(_bands(pages, first, states) / INK, 0, 1)
    y_px = first[:, None] + (np.arange(states) + 0.5) * STATE_PX  # rows, states
    spikes = _bands([rooted] * len(first), first, states) > 0
    stay = NO_INK * (1 - ink) + SHORT * (
        1 - np.minimum(run_lengths(spikes & (ink >= 1)) * STATE_PX / TALL_PX, 1)
    )
    stay += _cost_of_place(y_px, zero_y_px, _spacing(zero_y_px, reach_px))
    climb = np.cumsum(cost_of_climbing(ink), axis=2)
    for row, columns in enumerate(breaks):
        begins = [at for at in columns if 0 <= at < len(climb)]
        climb[begins, row] = 0
        stay[begins, row] += START * np.abs(y_px[row] - zero_y_px[row]).astype(np.float32) / STATE_PX
    state = _cheapest_states(stay, climb)
    upper = np.clip(first[:, None] + state.T * STATE_PX, 0, len(pages[0]) - STATE_PX)
    columns = np.arange(pages[0].shape[1])
    darker = [
        np.stack([page[top + k, columns] for k in range(STATE_PX)]).argmax(axis=0)
        for page, top in zip(pages, upper, strict=True)
    ]
    return upper + np.stack(darker)


def _bands(pages: list[np.ndarray], first: np.ndarray, states: int) -> np.ndarray:
    """The ink of each row's states (columns, rows, states), from its first row of pixels on."""
    bands = [ink_of_states(page, top, states) for page, top in zip(pages, first, strict=True)]
    return np.ascontiguousarray(np.stack(bands).transpose(2, 0, 1))


def _rooted(page: np.ndarray, zero_y_px: np.ndarray, spacing_px: float) -> np.ndarray:
    """Which ink is connected to ink near a zero line: (H, W) bool. Handwriting between rows is not."""
    pieces = pieces_of(page >= INK)
    y_px = np.arange(len(page))[:, None] + 0.5
    near = (np.abs(y_px - zero_y_px) < NEAR_ROOT * spacing_px).any(axis=1)
    rooted = np.zeros(len(pieces.boxes), bool)
    rooted[pieces.numbers[near]] = True
    return pieces.chosen(rooted)


def _cost_of_place(y_px: np.ndarray, zero_y_px: np.ndarray, spacing_px: float) -> np.ndarray:
    """What a column costs each row at the heights of its states, without regard to ink; y_px, costs: (rows, states)."""
    away = np.abs(y_px[:, :, None] - zero_y_px) / spacing_px  # rows, states, zero lines
    rows = np.arange(len(zero_y_px))
    near = away < NEAR
    near[rows, :, rows] = False
    return (PULL * np.square(away[rows, :, rows]) + ABROAD * near.any(axis=2)).astype(np.float32)


@compiled
def _cheapest_states(stay: np.ndarray, climb: np.ndarray) -> np.ndarray:
    """The states (columns, rows) of the cheapest paths. `stay` and `climb` are (columns, rows, states); `climb` rises
    along the states."""
    columns, rows, _ = stay.shape
    cost, path = stay.copy(), np.empty((columns, rows), np.int64)
    for column in range(1, columns):
        for row in range(rows):
            _add_cheapest(cost, climb, column, row)
    for row in range(rows):
        state = path[-1, row] = cost[-1, row].argmin()
        for column in range(columns - 1, 0, -1):
            passed = np.abs(climb[column, row] - climb[column, row, state])
            state = path[column - 1, row] = (cost[column - 1, row] + passed).argmin()
    return path


@compiled
def _add_cheapest(cost: np.ndarray, climb: np.ndarray, column: int, row: int) -> None:
    """Add to each state's cost in a column the least cost of getting there: that of a state of the column before, plus
    that of climbing from it."""
    states = cost.shape[2]
    least = np.full(states, np.float32(np.inf))
    for downward in (False, True):
        cheapest = np.float32(np.inf)
        for number in range(states):
            state = states - 1 - number if downward else number
            height = -climb[column, row, state] if downward else climb[column, row, state]
            cheapest = min(cheapest, cost[column - 1, row, state] - height)
            least[state] = min(least[state], cheapest + height)
    for state in range(states):
        cost[column, row, state] += least[state]


def _track(
    page: np.ndarray,
    paths: np.ndarray,
    runs: tuple[np.ndarray, np.ndarray],
    at_home: np.ndarray,
    row: int,
    first_column: int,
    pen_px: float,
) -> Track:
    """Choose heights in the run of ink on a row's path: its middle, or the tip of the pen at spikes, or the path itself
    where another row's spike crosses it."""
    path = paths[row]
    height, width = page.shape
    others = np.delete(paths, row, axis=0)
    above = np.where(others < path, others, -1).max(axis=0, initial=-1)
    below = np.where(others > path, others, height).min(axis=0, initial=height)
    top, bottom = (ends[row] for ends in runs)
    found = bottom > top
    crossing = ~np.delete(at_home, row, axis=0) & (others >= top) & (others < bottom)
    crossed = at_home[row] & crossing.any(axis=0)
    top = np.where(crossed, path, np.where(above >= 0, np.maximum(top, above + 2), top))
    bottom = np.where(crossed, path + 1, np.where(below < height, np.minimum(bottom, below - 1), bottom))
    columns = np.arange(width)
    if not found.any():
        return Track(first_column, path + 0.5, np.zeros(width))
    top = np.interp(columns, columns[found], top[found])
    bottom = np.interp(columns, columns[found], bottom[found])
    upward = top <= minimum_filter1d(top, SPIKE_COLUMNS)
    downward = bottom >= maximum_filter1d(bottom, SPIKE_COLUMNS)
    tall = bottom - top > 1.5 * pen_px + 1
    y_px = (top + bottom) / 2
    y_px = np.where(tall & upward & ~downward, top + pen_px / 2, y_px)
    y_px = np.where(tall & downward & ~upward, bottom - pen_px / 2, y_px)
    return Track(first_column, y_px, np.where(found, page[path, columns], 0))
