"""Traces of which a part is not to be seen: spikes that leave the picture, or go on under what hides the paper.

A spike that is cut off looks like a lower one. So the ink of a trace must end a little before the picture does, and
beyond the tip of a wave there must be paper: lines of the grid, if there are any at the height of its zero line; as
uneven as beyond other tips; and not black.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
from scipy.signal import find_peaks

from ecg_generator_with_train_src.common.surroundings import REDUCED, small_mean_around
from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from experiment.labelling.page_probability import PageProbability
from experiment.reading.ink_runs import FAINT_INK, runs_on
from experiment.reading.read_leads import LeadSignal, heights_in_columns
from experiment.reading.rectify import RectifiedPage, shown_in_image
from experiment.reading.spike_tips import LEAST_DARKNESS

FROM_EDGE_PX = 3  # ink that ends nearer to the picture's edge goes on beyond it
LEAST_WAVE_MM = 1.0  # a wave is as high or higher
BEYOND_MM = 4.0  # so far beyond its tip lines are sought: a network goes on with them for 2 mm beside paper
AROUND_PX = 24  # in a square of 3 mm, which shows lines of 1 mm
GRIDDED = 0.1  # contrast of the network's grid where there are lines; on bare paper it is 0.05 and less
NO_LINES = 0.4  # with less than this share of it, there is no such paper
# In a square of SQUARE_PX that begins STROKE_PX beyond a tip, the picture varies by FLAT or more of what it does beyond
# the MANY flattest of all tips, where lines are so near to one another that one is in each square
STROKE_PX, SQUARE_PX, MANY, FLAT = 4, 9, 0.15, 0.1
COVER_DARKNESS = 0.6  # a bar is as dark, compared with ink,
COVERS_PX = ((9, 21), (21, 15))  # and as high and wide as one of these
SPOT_PX = 8  # of a trace are hidden at most by what is no bar
BESIDE_COVER_PX = 6  # a wave whose tip is so near to a bar goes on under it

Shown = Callable[
    [np.ndarray, np.ndarray], np.ndarray
]  # whether columns (n,) are in the picture at canvas heights (n,)


class Tips(NamedTuple):
    """The tips of a lead's waves: their columns, canvas heights, and -1 for those that point up, 1 for down; (n,)."""

    columns: np.ndarray
    y_px: np.ndarray
    signs: np.ndarray


def with_cuts(leads: Sequence[LeadSignal], page: RectifiedPage, seen: PageProbability) -> list[LeadSignal]:
    """The leads, those marked whose traces seem to be cut off."""

    def shown(columns: np.ndarray, y_px: np.ndarray) -> np.ndarray:
        return shown_in_image(page, seen, columns + 0.5, y_px)

    inked, covered, contrast = page.ink > FAINT_INK, _covered(page), _contrast(page.grid)
    tips = [_tips(lead, page.ink.shape[1]) for lead in leads]
    uneven = [_unevenness(page.image, each) for each in tips]
    usual = float(np.quantile(np.concatenate(uneven), MANY)) if any(map(len, uneven)) else 0.0
    cut = [
        _leaves_picture(lead, inked, shown)
        or _meets(lead, covered)
        or _beside_cover(own, covered)
        or _without_lines(lead, own, contrast, shown)
        or bool((flatness < FLAT * usual).any())
        for lead, own, flatness in zip(leads, tips, uneven, strict=True)
    ]
    return [replace(lead, is_cut=is_cut) for lead, is_cut in zip(leads, cut, strict=True)]


def _tips(lead: LeadSignal, width_px: int) -> Tips:
    columns, y_px = heights_in_columns(lead, width_px)
    up, down = (find_peaks(sign * y_px, prominence=LEAST_WAVE_MM * PX_PER_MM)[0] for sign in (-1, 1))
    both = np.concatenate([up, down])
    return Tips(columns[both], y_px[both], np.repeat([-1, 1], [len(up), len(down)]))


def _leaves_picture(lead: LeadSignal, inked: np.ndarray, shown: Shown) -> bool:
    """Whether a run of ink on the trace ends at the upper or lower edge of the picture."""
    columns, y_px = heights_in_columns(lead, inked.shape[1])
    rows = _within(y_px, inked)
    top_px, bottom_px = (ends[0] for ends in runs_on(inked[:, columns[0] : columns[-1] + 1], rows[None]))
    beyond = shown(columns, top_px - FROM_EDGE_PX) & shown(columns, bottom_px + FROM_EDGE_PX)
    return bool(((bottom_px > top_px) & shown(columns, rows + 0.5) & ~beyond).any())


def _covered(page: RectifiedPage) -> np.ndarray:
    """Which pixels (H, W) lie on something dark that is larger than any stroke or letter: 1 and 0."""
    dark = page.darkness > COVER_DARKNESS * max(page.darkness_of_ink, LEAST_DARKNESS)
    bars = [
        cv2.morphologyEx(dark.astype(np.uint8), cv2.MORPH_OPEN, np.ones(sides_px, np.uint8))
        for sides_px in COVERS_PX
    ]
    return np.maximum(*bars)


def _meets(lead: LeadSignal, covered: np.ndarray) -> bool:
    """Whether a trace goes over or under a bar. Smaller spots, as of mould, hide little of it."""
    columns, y_px = heights_in_columns(lead, covered.shape[1])
    return int(covered[_within(y_px, covered), columns].sum()) > SPOT_PX


def _beside_cover(tips: Tips, covered: np.ndarray) -> bool:
    steps = range(BESIDE_COVER_PX + 1)
    return any(covered[_within(tips.y_px + k * tips.signs, covered), tips.columns].any() for k in steps)


def _contrast(grid: np.ndarray) -> np.ndarray:
    """How much a plane (H, W) varies around each pixel: its standard deviation (H / REDUCED, W / REDUCED)."""
    power, mean = small_mean_around(np.square(grid), AROUND_PX), small_mean_around(grid, AROUND_PX)
    return np.sqrt(np.maximum(power - np.square(mean), 0))


def _without_lines(lead: LeadSignal, tips: Tips, contrast: np.ndarray, shown: Shown) -> bool:
    """Whether the picture goes on beyond a tip, but without the lines that are at the height of the zero line."""
    columns = np.minimum(tips.columns // REDUCED, contrast.shape[1] - 1)
    at_zero = contrast[_within(lead.place.zero_y_px / REDUCED, contrast), columns]
    y_px = tips.y_px + tips.signs * BEYOND_MM * PX_PER_MM
    bare = contrast[_within(y_px / REDUCED, contrast), columns] < NO_LINES * at_zero
    return bool((bare & (at_zero > GRIDDED) & shown(tips.columns, y_px + tips.signs * AROUND_PX / 2)).any())


def _unevenness(image: np.ndarray, tips: Tips) -> np.ndarray:
    """How much the picture (H, W, 3) varies in a square beyond each tip: the standard deviation (n,) of its grey."""
    away = STROKE_PX + np.arange(SQUARE_PX)
    rows = tips.y_px[:, None] + tips.signs[:, None] * away
    columns = tips.columns[:, None] + np.arange(SQUARE_PX) - SQUARE_PX // 2
    columns = np.clip(columns, 0, image.shape[1] - 1)
    squares = image[_within(rows, image)[:, :, None], columns[:, None, :]]
    return squares.mean(axis=3).std(axis=(1, 2))


def _within(y_px: float | np.ndarray, plane: np.ndarray) -> np.ndarray:
    return np.clip(y_px, 0, len(plane) - 1).astype(int)
