"""Traces of which a part is not to be seen: spikes that leave the picture, or go on under what hides the paper.

A spike that is cut off looks like a lower one. So the ink of a trace must end a little before the picture does, and
beyond the tip of a wave there must be paper: lines of the grid, if there are any at the height of its zero line.
"""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from scipy.signal import find_peaks

from ecg_generator_with_train_src.common.surroundings import mean_around
from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from experiment.labelling.page_probability import PageProbability
from experiment.reading.ink_runs import FAINT_INK, runs_on
from experiment.reading.read_leads import LeadSignal, heights_in_columns
from experiment.reading.rectify import RectifiedPage, shown_in_image
from experiment.reading.spike_tips import LEAST_DARKNESS

FROM_EDGE_PX = 3  # ink that ends nearer to the picture's edge goes on beyond it
LEAST_WAVE_MM = 1.0  # a wave is as high or higher
BEYOND_MM = 3.0  # so far beyond its tip the paper is looked at,
AROUND_PX = 39  # in a square of 5 mm, which shows lines of any grid
GRIDDED = 0.1  # contrast of the network's grid where there are lines; on bare paper it is 0.05 and less
COVER_DARKNESS, COVER_PX = 0.6, (9, 21)  # a bar is as dark, compared with ink, and no lower or narrower
BESIDE_COVER_PX = 6  # a wave whose tip is so near to a bar goes on under it
HIDDEN = 0.35  # with less than this share of it, there is no such paper


def with_cuts(leads: Sequence[LeadSignal], page: RectifiedPage, seen: PageProbability) -> list[LeadSignal]:
    """The leads, those marked whose traces seem to be cut off."""
    inked = page.ink > FAINT_INK
    mean = mean_around(page.grid, AROUND_PX)
    power = mean_around(np.square(page.grid), AROUND_PX)
    contrast = np.sqrt(np.maximum(power - np.square(mean), 0))
    covered = _covered(page)
    return [
        replace(lead, is_cut=_leaves_picture(lead, page, seen, inked) or _goes_under(lead, contrast, covered))
        for lead in leads
    ]


def _leaves_picture(lead: LeadSignal, page: RectifiedPage, seen: PageProbability, inked: np.ndarray) -> bool:
    """Whether a run of ink on the trace ends at the upper or lower edge of the picture."""
    columns, y_px = heights_in_columns(lead, inked.shape[1])
    rows = np.clip(y_px, 0, len(inked) - 1).astype(int)
    top_px, bottom_px = (ends[0] for ends in runs_on(inked[:, columns[0] : columns[-1] + 1], rows[None]))

    def shown(at_px: np.ndarray) -> np.ndarray:
        return shown_in_image(page, seen, columns + 0.5, at_px)

    beyond = shown(top_px - FROM_EDGE_PX) & shown(bottom_px + FROM_EDGE_PX)
    return bool(((bottom_px > top_px) & shown(rows + 0.5) & ~beyond).any())


def _covered(page: RectifiedPage) -> np.ndarray:
    """Which pixels (H, W) lie on or beside something dark that is larger than any stroke or letter."""
    dark = page.darkness > COVER_DARKNESS * max(page.darkness_of_ink, LEAST_DARKNESS)
    large = cv2.morphologyEx(dark.astype(np.uint8), cv2.MORPH_OPEN, np.ones(COVER_PX, np.uint8))
    return cv2.dilate(large, np.ones((2 * BESIDE_COVER_PX + 1, 1), np.uint8)) > 0


def _goes_under(lead: LeadSignal, contrast: np.ndarray, covered: np.ndarray) -> bool:
    """Whether a wave ends where the paper does, or at something dark that lies on it."""
    columns, y_px = heights_in_columns(lead, contrast.shape[1])
    at_zero = contrast[_within(lead.place.zero_y_px, contrast), columns]
    at_zero = np.where(at_zero > GRIDDED, at_zero, 0)
    for sign in (-1, 1):
        tips, _ = find_peaks(sign * y_px, prominence=LEAST_WAVE_MM * PX_PER_MM)
        beyond = contrast[_within(y_px[tips] + sign * BEYOND_MM * PX_PER_MM, contrast), columns[tips]]
        on_cover = covered[_within(y_px[tips], covered), columns[tips]]
        if (on_cover | (beyond < HIDDEN * at_zero[tips])).any():
            return True
    return False


def _within(y_px: float | np.ndarray, plane: np.ndarray) -> np.ndarray:
    return np.clip(y_px, 0, len(plane) - 1).astype(int)
