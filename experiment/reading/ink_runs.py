"""Ink in a page's columns: its runs, how states of a few pixels see it, and what paths through them pay."""

import numpy as np

from experiment.reading.compiled import compiled

INK = 0.35  # coverage from which a pixel belongs to a trace
FAINT_INK = 0.2  # to which its run in a column is followed
STATE_PX = 2  # rows of pixels a state
NO_INK = 1.5  # cost of a column outside ink
CLIMB, CLIMB_IN_INK = 0.08, 0.003  # cost of a state passed outside and inside ink
START = 0.05  # cost of each state between where a lead starts and its zero line


def ink_of_states(page: np.ndarray, top: int, states: int) -> np.ndarray:
    """The most ink of each STATE_PX rows of pixels from `top` on (states, columns); none beyond the page."""
    bottom = top + states * STATE_PX
    inside = page[max(top, 0) : max(bottom, 0)]
    missing = max(-top, 0), max(states * STATE_PX - max(-top, 0) - len(inside), 0)
    return np.pad(inside, (missing, (0, 0))).reshape(states, STATE_PX, -1).max(axis=1)


def cost_of_climbing(ink: np.ndarray) -> np.ndarray:
    """Cost of passing each state, of which so much is ink, 0 to 1."""
    return CLIMB + (CLIMB_IN_INK - CLIMB) * ink


@compiled
def runs_on(inked: np.ndarray, paths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and one past the last row of the ink (H, W) around each of some paths (paths, W) in each column; equal
    where there is none."""
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
    """Of how many inked places along the last axis of (columns, rows, states) each is one; 0 where there is no ink."""
    lengths = np.zeros(inked.shape, np.float32)
    columns, rows, states = inked.shape
    for column, row in np.ndindex((columns, rows)):
        first = 0
        for state in range(states + 1):
            if state == states or not inked[column, row, state]:
                lengths[column, row, first:state] = state - first
                first = state + 1
    return lengths
