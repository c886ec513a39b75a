"""Find where the traces of rows run together, or leave a stroke of ink to nobody, and trace these places once more.

Where spikes are taller than the distance between rows, strokes of several leads meet in one blot: a knot. Two things
tell them apart. A stroke goes straight on, and all strokes together must explain the ink: if a spike turned before
its ink ends, some ink would remain that no trace has drawn. Where a lead starts within a QRS complex, behind a
separator and beside its name, a path may miss a whole stroke; that ink must be explained, too.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import binary_dilation, find_objects, label

from ecg_generator_with_train_src.common.pieces import pieces_of
from experiment.reading.ink_runs import INK, STATE_PX, ink_of_states
from experiment.reading.knot_paths import Knot, drawn_states, untied

TALL_PX = 10  # where two rows share a lower run of ink, they just cross: this is no knot
JOIN_COLUMNS = 6  # knots that are no more columns apart are one knot
MAX_COLUMNS = 160  # rows that share their ink for longer share all of it: these are no spikes
MARGIN_COLUMNS = 10  # paths begin and end so many columns before and after the shared ink
MARGIN_PX = 8  # paths may go this far above and below the shared ink
BEFORE_START, AFTER_START = 16, 34  # columns about a lead's start in which its path may have missed a stroke
CROSSING_COLUMNS = 3  # a steep stroke crosses another row's trace within so many columns
MISSED_PX = 26  # strokes on no path count from this height on; letters are lower
# A separator stands within so many columns of a lead's start, and as far above and below the zero line
BAR_BEFORE, BAR_AFTER, BAR_HALF_PX = 5, 4, 29


@dataclass(frozen=True)
class TracedRows:
    """The rows of a page: its ink (H, columns), 0 to 1, and what is known of each row."""

    ink: np.ndarray
    paths: np.ndarray  # (rows, columns) rows of pixels
    zero_y_px: np.ndarray  # (rows,)
    starts: list[list[int]]  # columns where a new lead starts and the trace may jump
    pen_px: float

    @property
    def spacing_px(self) -> float:
        """The least distance between zero lines."""
        return (
            float(np.diff(np.sort(self.zero_y_px)).min()) if len(self.zero_y_px) > 1 else float(len(self.ink))
        )


def untie(
    page: np.ndarray,
    paths: np.ndarray,
    runs: tuple[np.ndarray, np.ndarray],
    zero_y_px: np.ndarray,
    starts: list[list[int]],
    pen_px: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return better heights (rows, columns) for paths whose ink runs together or that miss some, and where they were
    changed.

    `page` (H, columns) is the ink, 0 to 1. `runs` are the first row, and one past the last row, of the ink around each
    path. `starts` gives, for each row, the columns where a new lead starts and the trace may jump.
    """
    heights_px, tied = paths + 0.5, np.zeros(paths.shape, bool)
    for knot in _find_knots(TracedRows(page, paths, zero_y_px, starts, pen_px), *runs):
        first, last = knot.columns.start, knot.columns.stop
        states = np.stack([(paths[row, knot.columns] - knot.top_px) // STATE_PX for row in knot.rows])
        better = untied(knot, states)
        if not knot.shared and (knot.abroad(better) > knot.abroad(states) + CROSSING_COLUMNS).any():
            continue  # a stroke that was missed is the row's own; one that goes along another row is that row's
        for row, path in zip(knot.rows, better, strict=True):
            heights_px[row, first:last] = knot.top_px + (path + 0.5) * STATE_PX
            tied[row, first:last] = True
    return heights_px, tied


def _find_knots(traced: TracedRows, top: np.ndarray, bottom: np.ndarray) -> Iterator[Knot]:
    width = traced.ink.shape[1]
    tied = np.zeros(traced.paths.shape, bool)
    for stretch, rows in _shared_stretches(top, bottom):
        columns = slice(max(stretch.start - MARGIN_COLUMNS, 0), min(stretch.stop + MARGIN_COLUMNS, width))
        own = list(rows)
        tied[own, columns] = True
        yield _knot(traced, columns, rows, top[own, columns].min(), bottom[own, columns].max())
    for start in sorted({column for row in traced.starts for column in row}):
        columns = slice(max(start - BEFORE_START, 0), min(start + AFTER_START, width))
        if columns.start >= columns.stop:  # a lead may start outside of what a page shows
            continue
        missed = _missed_strokes(traced, columns)
        if not missed:
            continue
        near = np.abs(np.clip(traced.zero_y_px, *missed) - traced.zero_y_px) < traced.spacing_px
        near &= [start in row for row in traced.starts]
        own = np.flatnonzero(near & ~tied[:, columns].any(axis=1)).tolist()
        if own:
            first = min(missed[0], top[own, columns].min())
            last = max(missed[1], bottom[own, columns].max())
            yield _knot(traced, columns, tuple(own), first, last, _separators(traced))


def _knot(
    traced: TracedRows,
    columns: slice,
    rows: tuple[int, ...],
    first: float,
    last: float,
    separators: np.ndarray | None = None,
) -> Knot:
    """The knot of some rows between two heights. If `separators` (H, columns) are given, it is about missed strokes:
    then these and the page's other rows explain ink as well."""
    own = list(rows)
    top_px, states = int(first) - MARGIN_PX, int(last - first + 2 * MARGIN_PX) // STATE_PX + 1
    paths = (traced.paths[:, columns] - top_px) // STATE_PX
    starting = np.stack([np.isin(np.arange(columns.start, columns.stop), traced.starts[row]) for row in own])
    starting[:, 0] = False
    pen = traced.pen_px / STATE_PX
    explained = np.zeros((columns.stop - columns.start, states), bool)
    if separators is not None:
        explained |= ink_of_states(separators[:, columns], top_px, states).T > 0
        for path in np.delete(paths, own, axis=0):
            explained |= drawn_states(path, states, pen)
    return Knot(
        columns=columns,
        rows=rows,
        top_px=top_px,
        ink=np.ascontiguousarray(
            np.clip(ink_of_states(traced.ink[:, columns], top_px, states).T / INK, 0, 1)
        ),
        ends=paths[own][:, [0, -1]],
        homes=(traced.zero_y_px[own] - top_px) / STATE_PX,
        starts=starting,
        explained=explained,
        spacing=traced.spacing_px / STATE_PX,
        pen=pen,
        shared=separators is None,
    )


def _missed_strokes(traced: TracedRows, columns: slice) -> tuple[int, int] | None:
    """The first row of pixels, and one past the last, of the tall strokes in some columns that no path draws; None if
    there are none."""
    states = -(-len(traced.ink) // STATE_PX)
    pen = traced.pen_px / STATE_PX
    missed = ink_of_states(traced.ink[:, columns], 0, states).T > INK / 2
    missed &= ink_of_states(_separators(traced)[:, columns], 0, states).T == 0
    for path in traced.paths[:, columns] / STATE_PX:
        missed &= ~drawn_states(path, states, pen)
    boxes = pieces_of(missed).boxes
    first, height = boxes[1:, cv2.CC_STAT_LEFT], boxes[1:, cv2.CC_STAT_WIDTH]  # a row of `missed` is a column
    tall = height >= MISSED_PX / STATE_PX
    if not tall.any():
        return None
    return int(first[tall].min()) * STATE_PX, int((first + height)[tall].max()) * STATE_PX


def _separators(traced: TracedRows) -> np.ndarray:
    """Where separators may stand: (H, columns), 0 or 1."""
    bars = np.zeros(traced.ink.shape, np.float32)
    for zero_y_px, starts in zip(traced.zero_y_px.astype(int), traced.starts, strict=True):
        for start in starts:
            height = slice(max(zero_y_px - BAR_HALF_PX, 0), zero_y_px + BAR_HALF_PX)
            bars[height, max(start - BAR_BEFORE, 0) : start + BAR_AFTER] = 1
    return bars


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
