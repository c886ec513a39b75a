"""Calibration pulses beside the rows: a box 1 mV high and 0.2 s wide, from which paper speed and gain follow.

Machines set them close to the traces or some way off, left or right, beside every row or beside one of them, so that a
box is looked for within SEARCH_MM of the rows' ends, at every place, at all usual speeds and gains.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from ecg_generator_with_train_src.page.furniture import PULSE_MV
from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from ecg_generator_with_train_src.page.layouts import GAINS_MM_MV, SPEEDS_MM_S, Pulse
from experiment.reading.rectify import RectifiedPage

SEARCH_MM = 30.0
OVERLAP_MM = (
    1.5  # a pulse may reach this far into the rows: its last corner is often drawn as part of the trace
)
CLEAR = 0.24  # how dark a pulse's faintest line must be against the traces, if most rows have one
CLEAR_ALONE = 0.5  # the same for a page on which fewer rows have one
OUTSTANDING = 1.4  # and how many times as dark as that of the clearest box of another height
LETTER_MM = 6.0  # letters are lower; of boxes as low as they are, most rows must have one that is so dark:
CLEAR_LETTERS = 0.45
SHIFT_PX = 24  # pulses may stand this far above or below their row's zero line
CORNER_PX = 4  # corners are rounded by the pen: this much of a side is not looked at
BESIDE_PX = 5  # a line is compared with the paper this far on either side


# Widths at 25 mm/s, of which 5 mm is the usual one, though machines also draw 2 to 4 mm; and at 50 mm/s
WIDTHS_MM = {25.0: np.arange(2.0, 5.6, 0.5), 50.0: np.arange(9.0, 10.6, 0.5)}


@dataclass(frozen=True)
class FoundPulse:
    """The pulses of a page: where they stand, what they say, and how dark they are against the traces (0: none)."""

    side: Pulse
    paper_speed_mm_s: float
    gain_mm_mv: float
    clearness: float


NO_PULSE = FoundPulse("none", SPEEDS_MM_S[0], GAINS_MM_MV[0], 0.0)


def find_pulse(page: RectifiedPage, zero_y_px: np.ndarray, start_px: float, end_px: float) -> FoundPulse:
    """The clearest pulses left of `start_px` or right of `end_px`; NO_PULSE if none is clear."""
    found = [NO_PULSE]
    reach, overlap = SEARCH_MM * PX_PER_MM, OVERLAP_MM * PX_PER_MM
    sides = {"left": (start_px - reach, start_px + overlap), "right": (end_px - overlap, end_px + reach)}
    for side, (left, right) in sides.items():
        columns = slice(max(int(left), 0), max(min(int(right), page.darkness.shape[1]), 0))
        boxes = Boxes(page, zero_y_px, columns)
        for gain in GAINS_MM_MV:
            for speed, widths_mm in WIDTHS_MM.items():
                sizes = [(width_mm * PX_PER_MM, PULSE_MV * gain * PX_PER_MM) for width_mm in widths_mm]
                clearness = max(boxes.clearness(*size) for size in sizes)
                found.append(FoundPulse(side, speed, gain, clearness))
    clearest = max(found, key=lambda pulse: pulse.clearness)
    rivals = [pulse.clearness for pulse in found if pulse.gain_mm_mv != clearest.gain_mm_mv]
    stands_out = clearest.clearness > max(CLEAR, OUTSTANDING * max(rivals, default=0.0))
    return clearest if stands_out else NO_PULSE


class Boxes:
    """Boxes that stand on the rows' zero lines in some columns of a page."""

    def __init__(self, page: RectifiedPage, zero_y_px: np.ndarray, columns: slice):
        usual = max(page.darkness_of_ink, 1.0)
        dark = np.minimum(page.darkness[:, columns] / usual, 1.0) * (1 - page.grid[:, columns])
        self.zero_y_px = np.rint(zero_y_px).astype(int)
        across, down = gaussian_filter1d(dark, 0.7, axis=1), gaussian_filter1d(dark, 0.7, axis=0)
        # how much darker each pixel is than the paper on both sides, for lines up and down, and along
        self.upright = np.cumsum(np.pad(_standing_out(across, 1), ((1, 0), (0, 0))), axis=0)
        self.level = np.cumsum(np.pad(_standing_out(down, 0), ((0, 0), (1, 0))), axis=1)

    def clearness(self, width_px: float, height_px: float) -> float:
        """How dark the faintest side of the clearest box of this size is: of most rows, or else of one of them; 0 if
        that is not clear."""
        width, height = round(width_px), round(height_px)
        rows = [row for row in self._rows(width, height) if len(row)]
        if not rows:
            return 0.0
        common = np.median(np.stack([maximum_filter1d(row, 2 * BESIDE_PX) for row in rows]), axis=0).max()
        letters = height < LETTER_MM * PX_PER_MM
        if len(rows) > 1 and common > (CLEAR_LETTERS if letters else CLEAR):
            return float(common)
        alone = max(row.max() for row in rows)
        return float(alone) if alone > CLEAR_ALONE and not letters else 0.0

    def _mean_upright(self, top: int, bottom: int) -> np.ndarray:
        """How dark a line up and down is in each column, on average from one height to the other."""
        return (self.upright[bottom] - self.upright[top]) / (bottom - top)

    def _rows(self, width: int, height: int) -> Iterator[np.ndarray]:
        """For each row, how clear a box is whose left side stands in each column."""
        size = self.upright.shape[1]
        if size <= width + 2 or width <= 2 * CORNER_PX or height <= 2 * CORNER_PX:
            return
        for zero in self.zero_y_px:
            best = np.zeros(size - width)
            for base in range(zero - SHIFT_PX, zero + SHIFT_PX + 1, 2):
                top = base - height
                if top < 2 or base + 2 * CORNER_PX >= len(self.upright):
                    continue
                middle, ends = base - height // 2, (top + CORNER_PX, base - CORNER_PX)
                halves = [self._mean_upright(ends[0], middle), self._mean_upright(middle, ends[1])]
                side = maximum_filter1d(np.minimum(*halves), 3)
                below = self._mean_upright(base + CORNER_PX, base + 2 * CORNER_PX)
                below = maximum_filter1d(below, 3)
                going_on = np.minimum(below[:-width], below[width:])  # the lower part of a higher box
                level = self.level[top - 2 : top + 3]
                roof = (
                    level[:, width - CORNER_PX :][:, : size - width] - level[:, CORNER_PX:][:, : size - width]
                )
                roof = roof.max(axis=0) / (width - 2 * CORNER_PX)
                lines = np.minimum(np.minimum(side[:-width], side[width:]), roof)
                best = np.maximum(best, lines - np.maximum(going_on, 0))
            yield best


def _standing_out(dark: np.ndarray, axis: int) -> np.ndarray:
    before, after = np.roll(dark, BESIDE_PX, axis), np.roll(dark, -BESIDE_PX, axis)
    return dark - np.maximum(before, after)
