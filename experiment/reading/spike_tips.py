"""The tips of tall spikes, which a network may miss, or hardly see, though they are plain to see.

Far from the rest of its trace, a thick upright stroke looks like a separator. So where tall ink ends, but the image
goes on as dark as ink, above or below, with no other ink beside it, the stroke is followed as far as it is dark. A thin
stroke pales in steps where it crosses the grid's lines: what is seen of it between these goes for the whole of it.
"""

import cv2
import numpy as np

from ecg_generator_with_train_src.common.surroundings import mean_around
from experiment.reading.compiled import compiled
from experiment.reading.find_layout import FoundLayout
from experiment.reading.rectify import INKED, RectifiedPage

TALL_PX = 9  # only runs of ink of this height or more may go on
AS_DARK = 0.9  # a tip is at least this share as dark as the ink around it; grid lines are half as dark
AROUND_PX = 161  # width of the surroundings in which ink is about equally dark
FEW = 1e-4  # where this share of them is ink, that of the whole page counts as much
LEAST_DARKNESS = 20.0  # grey levels; ink that is lighter tells nothing
ALONE_PX = 5  # a tip has no other ink within so many columns
LONGEST_PX = 160  # 20 mm
SHORTEST_PX = 5  # shorter tips are blur
WIDE_PX = 13  # what is so wide is no stroke
PALE_PX = 8  # a stroke is pale for so many rows at most: lines are 8 px apart
STROKE_PX = 21  # strokes of this height or more are mended
ASIDE_PX = (5, 9)  # such strokes have no other ink so many columns aside; flanks of one spike are nearer
PALE, STRONG = 0.08, 0.35  # ink of a stroke where it is pale, and between such places
FURNITURE_PX = 6  # within so many columns of a lead's start there are separators and pulses
BARE, FULL = 0.1, 0.95  # share of the ink's darkness at which a pixel is taken to be bare, and covered


def with_tips(page: RectifiedPage, found: FoundLayout) -> np.ndarray:
    """The ink (H, W) of a page of this layout, 0 to 1, with the tips of spikes that the network did not see."""
    inked = page.ink > INKED
    if not inked.any():
        return page.ink
    share = _share_of_ink(page, inked)
    beside = cv2.dilate(inked.astype(np.uint8), np.ones((1, 2 * ALONE_PX + 1))) > 0
    dark = _narrow(share > AS_DARK) & ~beside
    for place in found.placements:
        start = round(place.x0_px)
        dark[:, max(start - FURNITURE_PX, 0) : max(start + FURNITURE_PX + 1, 0)] = False
    tall = cv2.morphologyEx(inked.astype(np.uint8), cv2.MORPH_OPEN, np.ones((TALL_PX, 1))) > 0
    tips = _long(_going_on(tall, dark) | _going_on(tall[::-1], dark[::-1])[::-1])
    near = cv2.dilate(tips.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))) > 0
    ink = page.ink.copy()
    ink[near] = np.maximum(ink[near], np.clip((share[near] - BARE) / (FULL - BARE), 0, 1))
    return ink


def _narrow(dark: np.ndarray) -> np.ndarray:
    """The dark pixels (H, W) that are no part of a bar or another wide thing."""
    wide = cv2.morphologyEx(dark.astype(np.uint8), cv2.MORPH_OPEN, np.ones((1, WIDE_PX))) > 0
    return dark & ~wide


def whole_strokes(ink: np.ndarray) -> np.ndarray:
    """The ink (H, W) with upright strokes that pale in steps as strong as they are between these, to follow them by.

    Where a stroke has other ink a little aside, it may be a dashed line of the grid, and stays as it is.
    """
    between = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((PALE_PX + 1, 1)))
    near, far = ASIDE_PX
    aside = np.ones((1, 2 * far + 1), np.uint8)
    aside[:, far - near + 1 : far + near] = 0
    alone = cv2.dilate((ink > STRONG).astype(np.uint8), aside) == 0
    stroke = ((between > STRONG) & (ink > PALE) & alone).astype(np.uint8)
    upright = cv2.morphologyEx(stroke, cv2.MORPH_OPEN, np.ones((STROKE_PX, 1))) > 0
    return np.where(upright & (ink < STRONG), between, ink)


def _share_of_ink(page: RectifiedPage, inked: np.ndarray) -> np.ndarray:
    """How dark each pixel is, compared with the ink around it."""
    number = mean_around(inked.astype(np.float32), AROUND_PX)
    darkness = mean_around(page.darkness * inked, AROUND_PX)
    darkness = (darkness + FEW * page.darkness_of_ink) / (number + FEW)
    return page.darkness / np.maximum(darkness, LEAST_DARKNESS)


@compiled
def _going_on(tall: np.ndarray, dark: np.ndarray) -> np.ndarray:
    """Which dark pixels (H, W) a tall run of ink goes on into downwards, moving at most a column aside in each row."""
    height, width = dark.shape
    reached = np.zeros(dark.shape, np.bool_)
    above = np.zeros(width + 2, np.int64)  # how far a stroke may still go on in each column
    here = np.zeros_like(above)
    for row in range(height):
        for column in range(width):
            left = max(above[column], above[column + 1], above[column + 2])
            reached[row, column] = dark[row, column] and left > 0
            here[column + 1] = LONGEST_PX if tall[row, column] else left - 1 if reached[row, column] else 0
        above, here = here, above
    return reached


def _long(tips: np.ndarray) -> np.ndarray:
    """The tips that are not too short to tell."""
    _, pieces, boxes, _ = cv2.connectedComponentsWithStats(tips.astype(np.uint8), connectivity=8)
    long = boxes[:, cv2.CC_STAT_HEIGHT] >= SHORTEST_PX
    long[0] = False
    return long[pieces]
