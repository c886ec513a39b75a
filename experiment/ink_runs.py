"""Ink in a page's columns: its runs, how states of a few pixels see it, and what paths through them pay."""

import numpy as np

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


def runs_on(inked: np.ndarray, paths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and one past the last row of the ink (H, W) around each of some paths (paths, W) in each column; equal
    where there is none."""
    columns = np.arange(inked.shape[1])
    last_clear, next_clear = (clear[paths, columns] for clear in _clear_beside(inked))
    top = (last_clear + 1).astype(float)
    return top, np.where(inked[paths, columns], next_clear, top).astype(float)


def run_lengths(inked: np.ndarray) -> np.ndarray:
    """Of how many inked places along the last axis each is one; 0 where there is no ink."""
    last_clear, next_clear = _clear_beside(inked.swapaxes(0, -1))
    return np.where(inked, (next_clear - last_clear - 1).swapaxes(0, -1), 0).astype(np.float32)


def _clear_beside(inked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each place of (H, …) the last and the next along the first axis without ink, itself included; -1 and H where
    there is none."""
    height = len(inked)
    place = np.arange(height, dtype=np.int32).reshape(-1, *[1] * (inked.ndim - 1))
    last_clear = np.maximum.accumulate(np.where(inked, np.int32(-1), place), axis=0)
    next_clear = np.minimum.accumulate(np.where(inked, np.int32(height), place)[::-1], axis=0)[::-1]
    return last_clear, next_clear
