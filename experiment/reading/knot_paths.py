"""Untie one knot: ink of several rows' traces, or of one, and the paths of these rows through it.

A knot is untied row by row. Each row takes the path of least cost, given the paths of the others (dynamic programming
over height and slope); ink that no path explains costs, too. Paths are stiff at first, which finds the large strokes,
then more supple. In this way calm rows may take the strokes of others, so the knot is also untied in a second way, in
which each row looks for ink near its zero line first. The cheaper result is taken.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.ndimage import uniform_filter1d

from experiment.reading.compiled import compiled
from experiment.reading.ink_runs import NO_INK, START, STATE_PX, cost_of_climbing

_SLOPES = (1, 3, 6, 10, 16, 24, 36, 52)
SLOPES = np.array([*(-slope for slope in reversed(_SLOPES)), 0, *_SLOPES])  # states per column
UNEXPLAINED = 0.1  # cost of a state of ink that no path explains
BEND = 0.04  # cost of a change of slope by one state per column, for supple paths
NEAR_HOME = 0.25  # so near to a zero line, in parts of the distance between rows, a path is near it
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
    """Ink that some rows' strokes must explain, in columns of the page and in states from `top_px` downwards."""

    columns: slice
    rows: tuple[int, ...]
    top_px: int
    ink: np.ndarray  # (columns, states), 0 to 1
    ends: np.ndarray  # (rows, 2) states at which each row enters and leaves the knot
    homes: np.ndarray  # (rows,) states of the zero lines
    starts: np.ndarray  # (rows, columns) whether a new lead starts there
    explained: np.ndarray  # (columns, states) ink that other rows or separators explain
    spacing: float  # states between neighbouring zero lines
    pen: float  # diameter in states
    shared: bool  # whether rows share ink; otherwise, the knot is about strokes that paths have missed

    @cached_property
    def stay(self) -> np.ndarray:
        """The cost (columns, states) of each state that a path takes."""
        return NO_INK * (1 - self.ink)

    def abroad(self, paths: np.ndarray) -> np.ndarray:
        """In how many columns each path (rows, columns) is near the zero line of another of the knot's rows."""
        near = np.abs(paths[:, None] - self.homes[:, None]) < NEAR_HOME * self.spacing
        near[np.arange(len(paths)), np.arange(len(paths))] = False
        return near.any(axis=1).sum(axis=1)

    @cached_property
    def climb(self) -> np.ndarray:
        """The cost (columns, states) of climbing from the first state to the middle of each."""
        return _to_middles(cost_of_climbing(self.ink))


def untied(knot: Knot, paths: np.ndarray) -> np.ndarray:
    """Untie a knot: the states (rows, columns) of its paths, found from first ones."""
    if not knot.shared:
        return _along(NEAR_FIRST, knot, paths)
    large, near = (_along(way, knot, paths) for way in (LARGE_FIRST, NEAR_FIRST))
    return near if _cost_of_all(knot, near) < _cost_of_all(knot, large) - CLEARLY else large


def _along(way: tuple[tuple[float, float], ...], knot: Knot, paths: np.ndarray) -> np.ndarray:
    paths = paths.copy()
    drawn = np.stack([_drawn(knot, path) for path in paths])
    for stiffness, reach in way:
        for _ in range(SWEEPS):
            if not _sweep(knot, paths, drawn, BEND * stiffness, reach):
                break
    return paths


def _sweep(knot: Knot, paths: np.ndarray, drawn: np.ndarray, bend: float, reach: float) -> bool:
    """Give each row in turn a better path, given those of the others, if there is one. Return whether any changed."""
    changed = False
    for row in range(len(paths)):
        explained = np.delete(drawn, row, axis=0).any(axis=0) | knot.explained
        path = _cheapest_path(knot, row, _reward(knot, row, explained, reach), bend)
        now_drawn = _drawn(knot, path)
        before = _cost(knot, row, paths[row], bend) + _unexplained(knot, explained | drawn[row])
        after = _cost(knot, row, path, bend) + _unexplained(knot, explained | now_drawn)
        if after < before - WORTH_WHILE:
            paths[row], drawn[row] = path, now_drawn
            changed = True
    return changed


def _cost_of_all(knot: Knot, paths: np.ndarray) -> float:
    drawn = np.stack([_drawn(knot, path) for path in paths])
    alone = sum(_cost(knot, row, path, BEND) for row, path in enumerate(paths))
    return alone + _unexplained(knot, drawn.any(axis=0) | knot.explained)


def drawn_states(path: np.ndarray, states: int, pen: float) -> np.ndarray:
    """Which states (columns, states) a pen, whose diameter is in states, inks when it follows a path (columns,)."""
    columns = np.arange(len(path))
    reach = 0.5 + pen * STATE_PX / 2 * CHORD
    passed = np.stack([np.interp(columns + at, columns, path) for at in (-reach, -0.5, 0, 0.5, reach)])
    top, bottom = passed.min(axis=0) - pen / 2 - SLACK, passed.max(axis=0) + pen / 2 + SLACK
    return (np.arange(states) >= top[:, None]) & (np.arange(states) <= bottom[:, None])


def _drawn(knot: Knot, path: np.ndarray) -> np.ndarray:
    return drawn_states(path, knot.ink.shape[1], knot.pen)


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
