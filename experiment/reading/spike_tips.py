"""The tips of tall spikes, which a network may miss, or hardly see, though they are plain to see.

Far from the rest of its trace, a thick upright stroke looks like a separator, and a thin one that runs beside lines of
the grid like one of these. So where tall ink ends, but the image goes on as dark as ink, above or below, with no other
ink beside it, the stroke is followed as far as it is dark; or, if it is pale, as far as it is darker than the lines and
the paper of its row and column.
"""

import cv2
import numpy as np

from ecg_generator_with_train_src.common.pieces import pieces_of
from ecg_generator_with_train_src.common.surroundings import small_mean_around
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
BAR_PX = 25  # what is so wide is no stroke, but a bar or a line
LETTER_PX = 9  # and what is so wide may be a letter: pale strokes end there
SPECK_PX = (5, 14)  # ink of a pale stroke is seen in pieces no wider and higher, between two lines
# A pale stroke is darker, by PALE_STROKE of the ink's darkness, than OF_ROW of its row, where lines are level or dots,
# and OF_COLUMN of its column, where they may be dashed; every seventh pixel is looked at
SAMPLED, OF_ROW, OF_COLUMN = 7, 0.7, 0.85
PALE_STROKE = 0.25
UPRIGHT_PX, STEEP = 5, 8.0  # it is no wider than this and its height over this
LINE_PX = 7  # lines that it crosses are narrower
LEVELS = 255.0
BETWEEN_PX = 9  # within so many rows of a stroke
STRONG, FAINT = 0.35 * LEVELS, 0.08 * LEVELS  # there is somewhere so much of its ink, and everywhere so much
STROKE_PX = 21  # strokes whose ink is mended are of this height or more
ASIDE_PX = (5, 9)  # and have no other ink so many columns aside; the flanks of one spike are nearer
FURNITURE_PX = 6  # within so many columns of a lead's start there are separators and pulses
BARE, FULL = 0.1, 0.95  # share of the ink's darkness at which a pixel is taken to be bare, and covered


def with_tips(page: RectifiedPage, found: FoundLayout) -> np.ndarray:
    """The ink (H, W) of a page of this layout, 0 to 1, with the tips of spikes that the network did not see."""
    inked = page.ink > INKED
    if not inked.any():
        return page.ink
    share = _share_of_ink(page, inked)
    black = _without_bars(share > AS_DARK) & ~_beside(inked)
    dark = black | (_pale_strokes(share, page.ink) & ~_beside(_without_specks(inked)))
    for place in found.placements:
        start = round(place.x0_px)
        dark[:, max(start - FURNITURE_PX, 0) : max(start + FURNITURE_PX + 1, 0)] = False
    tips = _like_tips(_beyond(_tall(_joined(inked)), dark), _beyond(_tall(inked), dark & black))
    near = cv2.dilate(tips.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))) > 0
    ink = page.ink.copy()
    ink[near] = np.maximum(ink[near], np.clip((share[near] - BARE) / (FULL - BARE), 0, 1))
    return ink


def _beside(inked: np.ndarray) -> np.ndarray:
    return cv2.dilate(inked.astype(np.uint8), np.ones((1, 2 * ALONE_PX + 1))) > 0


def _without_specks(inked: np.ndarray) -> np.ndarray:
    """The ink (H, W) without its small pieces."""
    pieces = pieces_of(inked)
    return pieces.chosen((pieces.boxes[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]] > SPECK_PX).any(axis=1))


def _wide(dark: np.ndarray, width_px: int) -> np.ndarray:
    """The dark pixels (H, W) of runs along a row that are so wide."""
    return cv2.morphologyEx(dark.astype(np.uint8), cv2.MORPH_OPEN, np.ones((1, width_px))) > 0


def _without_bars(dark: np.ndarray) -> np.ndarray:
    return dark & ~_wide(dark, BAR_PX)


def _pale_strokes(share: np.ndarray, ink: np.ndarray) -> np.ndarray:
    """Which pixels (H, W) may be of upright strokes: darker than what their row and their column mostly show."""
    of_row = _usual(share[:, ::SAMPLED], OF_ROW)
    beside_ink = (share[::SAMPLED] - of_row[::SAMPLED]) * (ink[::SAMPLED] < BARE)
    of_column = _usual(beside_ink.T, OF_COLUMN).T
    dark = share > of_row + (of_column + PALE_STROKE)
    across = _wide(dark, BAR_PX)
    letters = _wide(dark, LETTER_PX) & ~across
    strokes = cv2.morphologyEx((dark & ~across).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((LINE_PX, 1))) > 0
    return strokes & ~letters


def _usual(share: np.ndarray, part: float) -> np.ndarray:
    """How dark this part of each line (lines, n) is at most: (lines, 1)."""
    place = round(part * (share.shape[1] - 1))
    return np.partition(np.ascontiguousarray(share), place, axis=1)[:, place : place + 1]


def whole_strokes(ink: np.ndarray) -> np.ndarray:
    """The ink (H, W) to follow traces by: where upright strokes pale in steps, it is as strong as between these.

    Where a stroke has other ink a little aside, it may be a dashed line of the grid, and stays as it is.
    """
    levels = cv2.convertScaleAbs(ink, alpha=LEVELS)
    between = cv2.morphologyEx(levels, cv2.MORPH_CLOSE, np.ones((BETWEEN_PX, 1)))
    near, far = ASIDE_PX
    aside = np.ones((1, 2 * far + 1), np.uint8)
    aside[:, far - near + 1 : far + near] = 0
    alone = cv2.dilate((levels > STRONG).astype(np.uint8), aside) == 0
    stroke = ((between > STRONG) & (levels > FAINT) & alone).astype(np.uint8)
    upright = cv2.morphologyEx(stroke, cv2.MORPH_OPEN, np.ones((STROKE_PX, 1))) > 0
    pale = np.flatnonzero(upright & (levels <= STRONG))
    whole = ink.copy()
    whole.flat[pale] = between.flat[pale] / LEVELS
    return whole


def _share_of_ink(page: RectifiedPage, inked: np.ndarray) -> np.ndarray:
    """How dark each pixel is, compared with the ink around it."""
    number = small_mean_around(inked.astype(np.float32), AROUND_PX)
    darkness = small_mean_around(page.darkness * inked, AROUND_PX)
    usual = np.maximum((darkness + FEW * page.darkness_of_ink) / (number + FEW), LEAST_DARKNESS)
    return page.darkness / cv2.resize(usual, inked.shape[::-1], interpolation=cv2.INTER_LINEAR)


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


def _joined(inked: np.ndarray) -> np.ndarray:
    return cv2.morphologyEx(inked.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((BETWEEN_PX, 1)))


def _tall(inked: np.ndarray) -> np.ndarray:
    return cv2.morphologyEx(inked.astype(np.uint8), cv2.MORPH_OPEN, np.ones((TALL_PX, 1))) > 0


def _beyond(tall: np.ndarray, dark: np.ndarray) -> np.ndarray:
    """Which dark pixels (H, W) tall ink goes on into, up or down."""
    return _going_on(tall, dark) | _going_on(tall[::-1], dark[::-1])[::-1]


def _like_tips(strokes: np.ndarray, black: np.ndarray) -> np.ndarray:
    """The strokes (H, W) that are not too short to tell, and run straight up or down: writing does not. Of others what
    is `black` ink that goes on."""
    pieces = pieces_of(strokes | black)
    height, width = pieces.boxes[:, [cv2.CC_STAT_HEIGHT, cv2.CC_STAT_WIDTH]].T
    long = height >= SHORTEST_PX
    upright = long & (width <= UPRIGHT_PX + height / STEEP)
    return pieces.chosen(upright) | (pieces.chosen(long) & black)
