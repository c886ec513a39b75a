"""The ink in a page's columns: its runs, the ink of states (a few pixels each), and what paths through it cost."""

import numpy as np

from experiment.reading.compiled import compiled

INK = 0.35  # a pixel with this coverage or more belongs to a trace
FAINT_INK = 0.2  # runs of ink are followed as far as the coverage is higher than this
STATE_PX = 2  # rows of pixels per state
NO_INK = 1.5  # cost of a column that a path passes outside ink
CLIMB, CLIMB_IN_INK = 0.08, 0.003  # cost of each state that a path climbs, outside and inside ink
START = 0.05  # cost of each state between the start of a lead and its zero line


def ink_of_states(page: np.ndarray, top: int, states: int) -> np.ndarray:
    """The most ink in each STATE_PX rows of pixels from row `top` on: (states, columns), 0 beyond the page."""
    bottom = top + states * STATE_PX
    inside = page[max(top, 0) : max(bottom, 0)]
    missing = max(-top, 0), max(states * STATE_PX - max(-top, 0) - len(inside), 0)
    return np.pad(inside, (missing, (0, 0))).reshape(states, STATE_PX, -1).max(axis=1)


def cost_of_climbing(ink: np.ndarray) -> np.ndarray:
    """The cost of climbing past states whose ink is `ink`, 0 to 1."""
    return CLIMB + (CLIMB_IN_INK - CLIMB) * ink


@compiled
def runs_on(inked: np.ndarray, paths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The run of ink (H, W) around each of `paths` (paths, W) in each column: its first row, and one past its last
    row. Both are equal where a path has no ink."""
    top, bottom = np.empty(paths.shape), np.empty(paths.shape)
    for number, column in np.ndindex(paths.shape):
        first = last = paths[number, column]
        if inked[first, column]:
            while first > 0 and inked[first - 1, column]:
                first -= 1
            while last < len(inked) and inked[last, column]:
                last += 1
        top[number, column], bottom[number, column] = first, last
    return top, bottom


@compiled
def run_lengths(inked: np.ndarray) -> np.ndarray:
    """The length of the run of ink that each place (columns, rows, states) belongs to, along the last axis; 0 if it
    has no ink."""
    lengths = np.zeros(inked.shape, np.float32)
    columns, rows, states = inked.shape
    for column, row in np.ndindex((columns, rows)):
        first = 0
        for state in range(states + 1):
            if state == states or not inked[column, row, state]:
                lengths[column, row, first:state] = state - first
                first = state + 1
    return lengths
