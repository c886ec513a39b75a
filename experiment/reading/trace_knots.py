"""Find the way of each row's trace where the ink of several rows runs together.

Where spikes are taller than the distance between rows, strokes of several leads meet in one blot: a knot. Two things
tell them apart. A stroke goes straight on, and all strokes together must explain the ink: if a spike turned before
its ink ends, some ink would remain that no trace has drawn. A knot is untied row by row. Each row takes the path of
least cost, given the paths of the others (dynamic programming over height and slope); paths are stiff at first, which
finds the large strokes, then more supple. In this way calm rows may take the strokes of others, so the knot is also
untied in a second way, in which each row looks for ink near its zero line first. The cheaper result is taken.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.ndimage import (
    binary_dilation,
    binary_opening,
    find_objects,
    label,
    maximum_filter1d,
    minimum_filter1d,
    uniform_filter1d,
)

from experiment.reading.compiled import compiled
from experiment.reading.ink_runs import FAINT_INK, INK, NO_INK, START, STATE_PX, cost_of_climbing, ink_of_states

TALL_PX = 10  # where two rows share a lower run of ink, they just cross: this is no knot
JOIN_COLUMNS = 6  # knots that are no more columns apart are one knot
BEFORE_START, AFTER_START = 6, 24  # columns about the start of a lead in which its path may have missed a stroke
MISSED_PX = 24  # strokes on no path count from this height on; letters are lower
MAX_COLUMNS = 160  # rows that share their ink for longer share all of it: these are no spikes
MARGIN_COLUMNS = 10  # paths begin and end so many columns before and after the shared ink
MARGIN_PX = 8  # paths may go this far above and below the shared ink
_SLOPES = (1, 3, 6, 10, 16, 24, 36, 52)
SLOPES = np.array([*(-slope for slope in reversed(_SLOPES)), 0, *_SLOPES])  # states per column
UNEXPLAINED = 0.1  # cost of a state of ink that no path explains
BEND = 0.04  # cost of a change of slope by one state per column, for supple paths
ANYWHERE = np.inf
# The rounds in which a knot is untied: stiffness of the paths, in units of BEND, and how far from its zero line a row
# looks for ink to explain, in units of the distance between rows
LARGE_FIRST = ((8.0, ANYWHERE), (4.0, ANYWHERE), (2.0, ANYWHERE), (1.0, ANYWHERE))
NEAR_FIRST = ((4.0, 0.5), (4.0, 1.0), (4.0, 2.0), (4.0, ANYWHERE), (2.0, ANYWHERE), (1.0, ANYWHERE))
CLEARLY = 2.0  # the second way's result is taken only if it is cheaper by this much
SWEEPS = 2  # each round goes over all rows so many times
ENDS = 1.0  # cost of each state between a path's end and the place where its row enters or leaves the knot
WORTH_WHILE = 0.05  # a new path is taken only if it is cheaper by this much
CHORD = 0.9  # this share of the pen's width inks a column well
SLACK = 0.6  # a stroke also explains ink up to so many states beyond its edge


@dataclass(frozen=True)
class Knot:
    """Ink that the strokes of some rows share, in columns of the page and in states from `top_px` downwards."""

    columns: slice
    rows: tuple[int, ...]
    top_px: int
    ink: np.ndarray  # (columns, states), 0 to 1
    ends: np.ndarray  # (rows, 2) states at which each row enters and leaves the knot
    homes: np.ndarray  # (rows,) states of the zero lines
    starts: np.ndarray  # (rows, columns) whether a new lead starts there
    pen: float  # diameter in states
    spacing: float  # states between neighbouring zero lines
    others: np.ndarray  # (columns, states) what further rows draw

    @cached_property
    def stay(self) -> np.ndarray:
        """The cost (columns, states) of each state that a path takes."""
        return NO_INK * (1 - self.ink)

    @cached_property
    def climb(self) -> np.ndarray:
        """The cost (columns, states) of climbing from the first state to the middle of each."""
        return _to_middles(cost_of_climbing(self.ink))


def untie(
    page: np.ndarray,
    paths: np.ndarray,
    runs: tuple[np.ndarray, np.ndarray],
    zero_y_px: np.ndarray,
    starts: list[list[int]],
    pen_px: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return better heights (rows, columns) for paths whose ink runs together, and where they were changed.

    `page` (H, columns) is the ink, 0 to 1. `runs` are the first row, and one past the last row, of the ink around each
    path. `starts` gives, for each row, the columns where a new lead starts and the trace may jump.
    """
    heights_px, tied = paths + 0.5, np.zeros(paths.shape, bool)
    for knot in _find_knots(page, paths, runs, zero_y_px, starts, pen_px):
        first, last = knot.columns.start, knot.columns.stop
        states = np.stack([(paths[row, knot.columns] - knot.top_px) // STATE_PX for row in knot.rows])
        for row, path in zip(knot.rows, _untied(knot, states), strict=True):
            heights_px[row, first:last] = knot.top_px + (path + 0.5) * STATE_PX
            tied[row, first:last] = True
    return heights_px, tied


def _find_knots(
    page: np.ndarray,
    paths: np.ndarray,
    runs: tuple[np.ndarray, np.ndarray],
    zero_y_px: np.ndarray,
    starts: list[list[int]],
    pen_px: float,
) -> Iterator[Knot]:
    top, bottom = runs
    spacing_px = np.diff(np.sort(zero_y_px)).min() if len(zero_y_px) > 1 else float(len(page))
    found = [(stretch, rows, None) for stretch, rows in _shared_stretches(top, bottom)]
    for stretch, rows, ends_px in [*found, *_missed_at_starts(page, runs, zero_y_px, starts, spacing_px)]:
        columns = slice(
            max(stretch.start - MARGIN_COLUMNS, 0), min(stretch.stop + MARGIN_COLUMNS, page.shape[1])
        )
        own = list(rows)
        upper, lower = top[own, columns].min(), bottom[own, columns].max()
        if ends_px:
            upper, lower = min(upper, ends_px[0]), max(lower, ends_px[1])
        top_px, states = int(upper) - MARGIN_PX, int(lower - upper + 2 * MARGIN_PX) // STATE_PX + 1
        starting = np.stack([np.isin(np.arange(columns.start, columns.stop), starts[row]) for row in own])
        starting[:, 0] = False
        knot = Knot(
            columns=columns,
            rows=rows,
            top_px=top_px,
            ink=np.ascontiguousarray(np.clip(ink_of_states(page[:, columns], top_px, states).T / INK, 0, 1)),
            ends=(paths[own, columns][:, [0, -1]] - top_px) // STATE_PX,
            homes=(zero_y_px[own] - top_px) / STATE_PX,
            starts=starting,
            pen=pen_px / STATE_PX,
            spacing=spacing_px / STATE_PX,
            others=np.zeros((columns.stop - columns.start, states), bool),
        )
        for row in set(range(len(paths))) - set(rows):
            knot.others[:] |= _drawn_knot(knot, (paths[row, columns] - top_px) / STATE_PX)
        yield knot


def _missed_at_starts(
    page: np.ndarray,
    runs: tuple[np.ndarray, np.ndarray],
    zero_y_px: np.ndarray,
    starts: list[list[int]],
    spacing_px: float,
) -> Iterator[tuple[slice, tuple[int, ...], tuple[int, int]]]:
    """The columns after each start of a lead in which tall strokes lie on no path, the rows that they may belong to,
    and the first and last row of pixels of these strokes."""
    y_px = np.arange(len(page))[:, None]
    for start in sorted({at for row in starts for at in row}):
        columns = slice(max(start - BEFORE_START, 0), start + AFTER_START)
        missed = page[:, columns] > FAINT_INK
        for top, bottom in zip(*(ends[:, columns] for ends in runs), strict=True):
            missed &= (y_px < minimum_filter1d(top, 3)) | (y_px >= maximum_filter1d(bottom, 3))
        strokes = np.flatnonzero(binary_opening(missed, np.ones((MISSED_PX, 1))).any(axis=1))
        if len(strokes):
            first, last = int(strokes[0]), int(strokes[-1]) + 1
            near = (zero_y_px > first - spacing_px) & (zero_y_px < last + spacing_px)
            near &= [start in row for row in starts]
            if near.any():
                yield columns, tuple(np.flatnonzero(near).tolist()), (first, last)


def _shared_stretches(top: np.ndarray, bottom: np.ndarray) -> Iterator[tuple[slice, tuple[int, ...]]]:
    """The columns and rows whose runs of ink, `top` to `bottom` (rows, columns), overlap and are tall."""
    tall = bottom - top > TALL_PX
    shared = (top[:, None] < bottom) & (top < bottom[:, None]) & (tall[:, None] | tall)
    shared &= ~np.eye(len(top), dtype=bool)[:, :, None]
    near = binary_dilation(shared.any(axis=(0, 1)), np.ones(2 * JOIN_COLUMNS + 1))
    for (stretch,) in find_objects(label(near)[0]):
        for rows in _tied_rows(shared[:, :, stretch].any(axis=2)):
            columns = stretch.start + np.flatnonzero(shared[list(rows), :, stretch].any(axis=(0, 1)))
            if len(columns) <= MAX_COLUMNS:
                yield slice(int(columns[0]), int(columns[-1]) + 1), rows


def _tied_rows(shared: np.ndarray) -> Iterator[tuple[int, ...]]:
    """The sets of rows that are linked, directly or through others, by ink that two of them share (rows, rows)."""
    left = set(np.flatnonzero(shared.any(axis=0)).tolist())
    while left:
        found, reached = set(), {min(left)}
        while reached:
            found |= reached
            reached = set(np.flatnonzero(shared[sorted(reached)].any(axis=0)).tolist()) - found
        left -= found
        yield tuple(sorted(found))


def _untied(knot: Knot, paths: np.ndarray) -> np.ndarray:
    """Untie a knot: the states (rows, columns) of its paths, found from first ones."""
    large, near = (_along(way, knot, paths) for way in (LARGE_FIRST, NEAR_FIRST))
    return near if _cost_of_all(knot, near) < _cost_of_all(knot, large) - CLEARLY else large


def _along(way: tuple[tuple[float, float], ...], knot: Knot, paths: np.ndarray) -> np.ndarray:
    paths = paths.copy()
    drawn = np.stack([_drawn_knot(knot, path) for path in paths])
    for stiffness, reach in way:
        for _ in range(SWEEPS):
            if not _sweep(knot, paths, drawn, BEND * stiffness, reach):
                break
    return paths


def _sweep(knot: Knot, paths: np.ndarray, drawn: np.ndarray, bend: float, reach: float) -> bool:
    """Give each row in turn a better path, given those of the others, if there is one. Return whether any changed."""
    changed = False
    for row in range(len(paths)):
        explained = np.delete(drawn, row, axis=0).any(axis=0) | knot.others
        path = _cheapest_path(knot, row, _reward(knot, row, explained, reach), bend)
        now_drawn = _drawn_knot(knot, path)
        before = _cost(knot, row, paths[row], bend) + _unexplained(knot, explained | drawn[row])
        after = _cost(knot, row, path, bend) + _unexplained(knot, explained | now_drawn)
        if after < before - WORTH_WHILE:
            paths[row], drawn[row] = path, now_drawn
            changed = True
    return changed


def _cost_of_all(knot: Knot, paths: np.ndarray) -> float:
    drawn = np.stack([_drawn_knot(knot, path) for path in paths])
    alone = sum(_cost(knot, row, path, BEND) for row, path in enumerate(paths))
    return alone + _unexplained(knot, drawn.any(axis=0) | knot.others)


def _drawn_knot(knot: Knot, path: np.ndarray) -> np.ndarray:
    """Which states (columns, states) the pen inks when it follows a path."""
    columns = np.arange(len(path))
    reach = 0.5 + knot.pen * STATE_PX / 2 * CHORD
    passed = np.stack([np.interp(columns + at, columns, path) for at in (-reach, -0.5, 0, 0.5, reach)])
    top, bottom = passed.min(axis=0) - knot.pen / 2 - SLACK, passed.max(axis=0) + knot.pen / 2 + SLACK
    states = np.arange(knot.ink.shape[1])
    return (states >= top[:, None]) & (states <= bottom[:, None])


def _unexplained(knot: Knot, explained: np.ndarray) -> float:
    return UNEXPLAINED * float(knot.ink[~explained].sum())


def _cost(knot: Knot, row: int, path: np.ndarray, bend: float) -> float:
    """The cost of a path by itself."""
    slopes = np.diff(path)
    slopes[knot.starts[row, 1:]] = 0
    stay = knot.stay[np.arange(len(path)), path].sum()
    climb = knot.climb
    column = np.arange(1, len(path))
    before, after = path[1:] - slopes, path[1:]
    middle = (before + after) // 2
    passed = np.abs(climb[column - 1, middle] - climb[column - 1, before])
    passed += np.abs(climb[column, after] - climb[column, middle])
    return float(stay + passed.sum() + bend * np.abs(np.diff(slopes)).sum())


def _to_middles(cost: np.ndarray) -> np.ndarray:
    """The summed cost from the first state to the middle of each, given the cost of every state (columns, states)."""
    return np.cumsum(cost, axis=1) - cost / 2


def _reward(knot: Knot, row: int, explained: np.ndarray, reach: float) -> np.ndarray:
    """What a steep stroke saves (columns, states) by explaining ink, in its own column and in both next to it.

    Ink that is farther from the row's zero line than `reach`, in units of the distance between rows,
    counts for less.
    """
    away = np.abs(np.arange(knot.ink.shape[1]) - knot.homes[row]) / knot.spacing
    saved = UNEXPLAINED * knot.ink * ~explained / (1 + np.square(away / reach))
    return uniform_filter1d(saved, 3, axis=0, mode="constant") * 3 * (knot.ink > 0)


def _cheapest_path(knot: Knot, row: int, reward: np.ndarray, bend: float) -> np.ndarray:
    """The states (columns,) of a row's cheapest path, when the ink that it explains is counted as saved.

    A path climbs from the middle of one column to that of the next: half of the way in the one, half in the other.
    """
    climb = _to_middles(cost_of_climbing(knot.ink) - reward).astype(np.float32)
    states = np.arange(knot.ink.shape[1])
    start, end = ((ENDS * np.abs(states - at)).astype(np.float32) for at in knot.ends[row])
    home = (START * np.abs(states - knot.homes[row])).astype(np.float32)
    cost = _costs(knot.stay, climb, start, home, knot.starts[row], bend)
    cost[-1] += end
    return _traced_back(cost, knot.starts[row], bend)


@compiled
def _costs(
    stay: np.ndarray,
    climb: np.ndarray,
    start: np.ndarray,
    home: np.ndarray,
    starts: np.ndarray,
    bend: float,
) -> np.ndarray:
    """The cost (columns, slopes, states) of the cheapest path to each state with each slope.

    `stay` and `climb` are (columns, states). `start` and `home` (states,) are the costs of beginning in the first
    column, and of beginning a new lead in the columns `starts`.
    """
    columns, states = stay.shape
    cost = np.full((columns, len(SLOPES), states), np.float32(np.inf))
    turned = np.empty((len(SLOPES), states), np.float32)
    for state in range(states):
        cost[0, :, state] = start[state]
    for column in range(1, columns):
        if starts[column]:
            begun = cost[column - 1].min()
            for state in range(states):
                cost[column, :, state] = begun + stay[column, state] + home[state]
            continue
        _turn(cost, column - 1, bend, turned)
        for number in range(len(SLOPES)):
            slope = SLOPES[number]
            down, half = np.float32(1 if slope >= 0 else -1), -slope // 2
            for state in range(max(slope, 0), min(states + slope, states)):
                before, middle = state - slope, state + half
                passed = climb[column - 1, middle] - climb[column - 1, before]
                passed += climb[column, state] - climb[column, middle]
                cost[column, number, state] = turned[number, before] + down * passed + stay[column, state]
    return cost


@compiled
def _turn(cost: np.ndarray, column: int, bend: float, turned: np.ndarray) -> None:
    """Fill `turned` (slopes, states) with the least cost of each state of a column after a turn to each slope."""
    slopes, states = turned.shape
    turned[:] = cost[column]
    for number in range(1, slopes):
        turn = np.float32(bend * (SLOPES[number] - SLOPES[number - 1]))
        for state in range(states):
            turned[number, state] = min(turned[number, state], turned[number - 1, state] + turn)
    for number in range(slopes - 2, -1, -1):
        turn = np.float32(bend * (SLOPES[number + 1] - SLOPES[number]))
        for state in range(states):
            turned[number, state] = min(turned[number, state], turned[number + 1, state] + turn)


@compiled
def _traced_back(cost: np.ndarray, starts: np.ndarray, bend: float) -> np.ndarray:
    """Trace the cheapest path (columns,) back from its end; cost: (columns, slopes, states)."""
    columns, _, states = cost.shape
    path = np.empty(columns, np.int64)
    slope, state = divmod(cost[-1].argmin(), states)
    for column in range(columns - 1, -1, -1):
        path[column] = state
        if starts[column]:
            slope, state = divmod(cost[column - 1].argmin(), states)
        elif column > 0:
            state -= SLOPES[slope]
            slope = (cost[column - 1, :, state] + bend * np.abs(SLOPES - SLOPES[slope])).argmin()
    return path
