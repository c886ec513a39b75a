"""Calibration pulses beside the rows: a box 1 mV high and 0.2 s wide, from which paper speed and gain follow.

Machines set them close to the traces or some way off, left or right, beside every row or beside one of them, so that a
box is looked for within SEARCH_MM of the rows' ends, at every place, at all usual speeds and gains.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from ecg_generator_with_train_src.page.furniture import PULSE_MV
from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from ecg_generator_with_train_src.page.layouts import GAINS_MM_MV, Pulse
from experiment.reading.rectify import RectifiedPage

SEARCH_MM = 30.0
OVERLAP_MM = (
    1.5  # a pulse may reach this far into the rows: its last corner is often drawn as part of the trace
)
CLEAR = 0.24  # how dark a pulse's faintest line must be against the traces, if most rows have one
CLEAR_ALONE = 0.5  # the same for a page on which fewer rows have one
OUTSTANDING = 1.4  # and how many times as dark as that of the clearest box of another height
# The same for boxes of most rows that a screen's raster nearly hides; those higher than rows are apart would be made of
# the boxes of several rows
FAINT, OUTSTANDING_FAINT = 0.12, 3.0
LETTER_MM = 6.0  # letters are lower; of boxes as low as they are, most rows must have one that is so dark:
CLEAR_LETTERS = 0.45
SHIFT_PX = 24  # pulses may stand this far above or below their row's zero line
CORNER_PX = 4  # corners are rounded by the pen: this much of a side is not looked at
BESIDE_PX = 5  # a line is compared with the paper this far on either side


# Widths, by the speeds that they may be of: narrow ones are 0.2 s at 12.5 mm/s, or less at 25, as machines draw them
WIDTHS_MM = {
    (25.0,): np.arange(4.0, 5.6, 0.5),
    (50.0,): np.arange(9.0, 10.6, 0.5),
    (25.0, 12.5): np.arange(2.0, 3.6, 0.5),
}


@dataclass(frozen=True)
class FoundPulse:
    """The pulses of a page: where they stand, what they say, and how dark they are against the traces (0: none)."""

    side: Pulse
    speeds_mm_s: tuple[float, ...]  # paper speeds that they may be of
    gain_mm_mv: float
    clearness: float


NO_PULSE = FoundPulse("none", (), GAINS_MM_MV[0], 0.0)


def find_pulse(page: RectifiedPage, zero_y_px: np.ndarray, start_px: float, end_px: float) -> FoundPulse:
    """The clearest pulses left of `start_px` or right of `end_px`; NO_PULSE if none is clear."""
    found = [NO_PULSE]
    reach, overlap = SEARCH_MM * PX_PER_MM, OVERLAP_MM * PX_PER_MM
    sides = {"left": (start_px - reach, start_px + overlap), "right": (end_px - overlap, end_px + reach)}
    for side, (left, right) in sides.items():
        columns = slice(max(int(left), 0), max(min(int(right), page.darkness.shape[1]), 0))
        boxes = Boxes(page, zero_y_px, columns)
        for gain in GAINS_MM_MV:
            height = round(PULSE_MV * gain * PX_PER_MM)
            uprights = boxes.uprights(height)
            for speeds, widths_mm in WIDTHS_MM.items():
                widths = (round(width_mm * PX_PER_MM) for width_mm in widths_mm)
                clearness = max(boxes.clearness(uprights, width, height) for width in widths)
                found.append(FoundPulse(side, speeds, gain, clearness))
    clearest = max(found, key=lambda pulse: pulse.clearness)
    rivals = [pulse.clearness for pulse in found if pulse.gain_mm_mv != clearest.gain_mm_mv]
    if clearest.clearness > CLEAR:
        least = OUTSTANDING * max((rival for rival in rivals if rival > CLEAR), default=0.0)
    else:
        least = OUTSTANDING_FAINT * max(rivals, default=0.0)
    return clearest if clearest.clearness > least else NO_PULSE


class Uprights(NamedTuple):
    """Lines up and down at the heights (tops,) at which boxes of a row may end."""

    top: np.ndarray
    side: np.ndarray  # (tops, columns): how dark such a line is
    below: np.ndarray  # the same just below the box
    darkest: np.ndarray  # (columns,) of `side`, of all tops


class Boxes:
    """Boxes that stand on the rows' zero lines in some columns of a page."""

    def __init__(self, page: RectifiedPage, zero_y_px: np.ndarray, columns: slice):
        usual = max(page.darkness_of_ink, 1.0)
        dark = np.minimum(page.darkness[:, columns] / usual, 1.0) * (1 - page.grid[:, columns])
        self.zero_y_px = np.rint(zero_y_px).astype(int)
        self.rows_apart_px = float(np.diff(zero_y_px).min(initial=np.inf))
        across, down = gaussian_filter1d(dark, 0.7, axis=1), gaussian_filter1d(dark, 0.7, axis=0)
        # how much darker each pixel is than the paper on both sides, for lines up and down, and along
        self.upright = np.cumsum(np.pad(_standing_out(across, 1), ((1, 0), (0, 0))), axis=0)
        self.level = np.cumsum(np.pad(_standing_out(down, 0), ((0, 0), (1, 0))), axis=1)

    def uprights(self, height: int) -> list[Uprights]:
        """The left and right sides that boxes of this height may have, for each row that has room for them."""
        if height <= 2 * CORNER_PX:
            return []
        found = []
        for zero in self.zero_y_px:
            base = np.arange(zero - SHIFT_PX, zero + SHIFT_PX + 1, 2)
            base = base[(base - height >= 2) & (base + 2 * CORNER_PX < len(self.upright))]
            lower = height // 2 - CORNER_PX
            upper = height - 2 * CORNER_PX - lower
            halves = (
                self._mean_upright(base - height + CORNER_PX, upper),
                self._mean_upright(base - height // 2, lower),
            )
            below = self._mean_upright(base + CORNER_PX, CORNER_PX)
            side = _widened(np.minimum(*halves))
            found.append(Uprights(base - height, side, _widened(below), side.max(axis=0, initial=0.0)))
        return found

    def clearness(self, uprights: list[Uprights], width: int, height: int) -> float:
        """How dark the faintest side of the clearest box of this size is: of most rows, or else of one of them; 0 if
        that is not clear."""
        size = self.upright.shape[1]
        if size <= width + 2 or width <= 2 * CORNER_PX or not uprights:
            return 0.0
        fainter = [np.minimum(sides.darkest[:-width], sides.darkest[width:]).max() for sides in uprights]
        if np.median(fainter) <= FAINT and max(fainter) <= CLEAR_ALONE:
            return 0.0  # no box is darker than the fainter of its sides
        rows = [self._row(sides, width) for sides in uprights]
        common = np.median(np.stack([maximum_filter1d(row, 2 * BESIDE_PX) for row in rows]), axis=0).max()
        letters = height < LETTER_MM * PX_PER_MM
        least = CLEAR_LETTERS if letters else FAINT if height < self.rows_apart_px else CLEAR
        if len(rows) > 1 and common > least:
            return float(common)
        alone = max(row.max() for row in rows)
        return float(alone) if alone > CLEAR_ALONE and not letters else 0.0

    def _mean_upright(self, top: np.ndarray, length: int) -> np.ndarray:
        """How dark lines up and down of this length are (tops, columns), on average."""
        return (self.upright[top + length] - self.upright[top]) / length

    def _row(self, sides: Uprights, width: int) -> np.ndarray:
        """How clear a box of a row is whose left side stands in each column."""
        left, right = slice(0, -width), slice(width, None)
        going_on = np.minimum(sides.below[:, left], sides.below[:, right])  # the lower part of a higher box
        shown = self.upright.shape[1] - width
        level = self.level[:, width - CORNER_PX :][:, :shown] - self.level[:, CORNER_PX:][:, :shown]
        roof = np.max([level[sides.top + up] for up in range(-2, 3)], axis=0) / (width - 2 * CORNER_PX)
        lines = np.minimum(np.minimum(sides.side[:, left], sides.side[:, right]), roof)
        return np.max(lines - np.maximum(going_on, 0), axis=0, initial=0.0).astype(float)


def _widened(lines: np.ndarray) -> np.ndarray:
    """The darkest (heights, columns) of each column and its two neighbours."""
    wide = lines.copy()
    np.maximum(wide[:, 1:], lines[:, :-1], out=wide[:, 1:])
    np.maximum(wide[:, :-1], lines[:, 1:], out=wide[:, :-1])
    return wide


def _standing_out(dark: np.ndarray, axis: int) -> np.ndarray:
    before, after = np.roll(dark, BESIDE_PX, axis), np.roll(dark, -BESIDE_PX, axis)
    return dark - np.maximum(before, after)
