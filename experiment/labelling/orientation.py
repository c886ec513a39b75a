"""Which way up a page stands, from what the network found on it.

Traces run along the paper: a page on which they run down the image lies on its side. Whether it is upside down is
put to the vote, for each cue fails on some page:
- the T wave follows the QRS complex by some 200 to 300 ms, while as long before it there is little;
- in most leads QRS complexes and T waves point up more than down;
- calibration pulses stand on the rows, at their ends, and most often at their left ends;
- each row has a lead's name where it starts, and none where it ends;
- more of the paper is left free above the rows than below;
- a page's header is larger than its footer.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np
from scipy.ndimage import median_filter, uniform_filter1d

from ecg_generator_with_train_src.common.classes import GRID, WAVEFORM
from ecg_generator_with_train_src.common.pieces import pieces_of
from ecg_generator_with_train_src.common.surroundings import mean_around
from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from experiment.reading.rows import Rows, find_rows

COARSE_PX = 4  # pieces of trace are found at a quarter of the scale
TRACE_MM = 25.0  # the least length of a piece of trace in which beats are looked for
TEXT_HEIGHT_MM, TEXT_WIDTH_MM = 7.0, 40.0  # the largest pieces of text
LEAST_TEXT_MM = 0.7  # lower pieces are no text
MARGIN_MM = 110.0  # how far from the rows text is looked for
# Of the pieces' extent, by which they are higher than wide: 0.35 to 0.77 in the middle of 23 real pages on their sides,
# -0.9 to -0.6 when they stand
CLEARLY_DOWN = 0.3
PAPER_PX = round(8 * PX_PER_MM)  # width of the surroundings with which darkness is compared
DARK = 0.35  # a pixel is ink if it is darker than the paper by this share
T_WAVE_MM = (4.5, 8.0)  # distance of the T wave from the QRS: 180 to 320 ms at 25 mm/s
BEAT_MM = 6.0  # the least distance of two beats
MIN_QRS_MM = 0.8  # the least height of a column of a QRS complex
_TEXT_AREA_MM2 = 3.0  # this much more text on one side is half a proof
DEFLECTION_FROM_MM = 1.5  # distance from the level of a trace at which a deflection begins
LEVEL_MM = 24.0  # length of trace over whose median its level is taken
HALF_PROOF_PX = 20.0  # this sum of deflections over all columns is half a proof
PULSE_FROM_MM, PULSE_TO_MM = 1.0, 9.0  # heights above a row that a pulse's flanks cover without a gap
PULSE_REACH_MM = 14.0  # pulses may stand this far beyond the ends of a row
FLANK_INK = 0.6  # at least this share of a flank's height must be ink
HALF_PROOF_FLANKS_PX = 6.0  # this many columns of flanks are half a proof
NAME_MM = 12.0  # a lead's name may stand this far above, below and inside a row's end
NAME_HEIGHT_MM = 5.0
HALF_PROOF_NAMES_MM2 = 4.0
ROWS = range(2, 13)
LEAST_ROW_MM = 12.0  # the ends of a row with less ink than this say nothing
END_MM = 4.0  # a row's ink goes on for at least this long from its end
WEIGHTS = {  # log odds that a cue of 1 adds; cues are -1 to 1, positive for an upright page
    "t waves": 8.0,
    "deflections": 1.5,
    "pulses": 5.0,
    "pulses' side": 1.5,
    "names": 2.0,
    "free paper": 2.0,
    "text": 1.2,
}
USUAL = 1.0  # log odds that a page which was not turned from its side stands upright


def runs_down(waveform: np.ndarray, clearly: bool = False) -> bool:
    """Whether the traces in a waveform probability (H, W) run down the image instead of across it; or clearly so."""
    _, boxes = _pieces(waveform >= 0.5)
    width, height, area = boxes[1:, 2:].T.astype(float)
    least = CLEARLY_DOWN * float((area * (width + height)).sum()) if clearly else 0.0
    return float((area * (height - width)).sum()) > least


def _pieces(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (H, W) of the pieces of trace, 0 for none, gaps of a millimetre bridged; and their boxes in pixels.

    A box is left, top, width, height and area; box 0 is that of no piece.
    """
    near = cv2.dilate(found.astype(np.uint8), np.ones((2 * COARSE_PX + 1,) * 2, np.uint8))[
        ::COARSE_PX, ::COARSE_PX
    ]
    _, coarse, boxes = pieces_of(near > 0)
    fine = np.repeat(np.repeat(coarse, COARSE_PX, axis=0), COARSE_PX, axis=1)[
        : found.shape[0], : found.shape[1]
    ]
    return np.where(found, fine, 0), boxes * np.array([COARSE_PX] * 4 + [COARSE_PX**2])


def upside_down(image: np.ndarray, probability: np.ndarray, turned: bool = False) -> float:
    """The chance that a page whose traces run across, of which there are some, is upside down.

    image (H, W, 3) uint8 at the network's scale, probability (3, H, W). A page that was `turned` from its side is as
    likely to stand upside down as not; one that was not is upright more often than not.
    """
    for_upright = sum(WEIGHTS[cue] * value for cue, value in votes(image, probability).items())
    return 1 / (1 + math.exp(np.clip(for_upright + (0.0 if turned else USUAL), -50, 50)))


def votes(image: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """What each cue of WEIGHTS says, -1 to 1: positive for a page that stands upright, 0 where it says nothing."""
    found = probability[WAVEFORM] >= 0.5
    pieces, boxes = _pieces(found)
    is_trace = (boxes[:, 2] > TRACE_MM * PX_PER_MM) & (boxes[:, 3] > 2 * PX_PER_MM)
    is_trace[0] = False  # the background
    said = {
        "t waves": _t_wave_after(pieces, boxes, is_trace),
        "deflections": _deflected_up(pieces, boxes, is_trace),
    }
    if rows := find_rows(probability[WAVEFORM], ROWS):
        print_ink = _ink(image) & ~found
        printed = _pieces_of_print(print_ink)
        said |= _at_ends(print_ink, printed, _ends(rows))
        said["free paper"] = _free_above(probability[GRID], rows)
        said["text"] = _text_above(printed, rows)
    return said


def _ends(rows: Rows) -> list[tuple[float, float, float]]:
    """Where the rows start, and where they end: column, height there, and the side, -1 or 1, on which no row is."""
    ends, reach = [], round(END_MM * PX_PER_MM)
    for height_px in rows.centre_px.T:
        seen = np.isfinite(height_px)
        going_on = np.flatnonzero(seen & (uniform_filter1d(seen.astype(float), 2 * reach) > 0.5))
        if len(going_on) < LEAST_ROW_MM * PX_PER_MM:
            continue
        for side, column in ((-1, going_on[0]), (1, going_on[-1])):
            near = going_on[np.abs(going_on - column) < 3 * reach]
            ends.append((float(column), float(np.median(height_px[near])), side))
    return ends


class _Print(NamedTuple):
    """Pieces of ink that is no trace: centres (n, 2), widths and heights in pixels, and areas in square pixels."""

    centre_px: np.ndarray
    width_px: np.ndarray
    height_px: np.ndarray
    area_px2: np.ndarray


def _pieces_of_print(ink: np.ndarray) -> _Print:
    _, _, boxes, centres = cv2.connectedComponentsWithStats(ink.astype(np.uint8))
    return _Print(centres[1:], *boxes[1:, 2:].T)


def _at_ends(ink: np.ndarray, printed: _Print, ends: list[tuple[float, float, float]]) -> dict[str, float]:
    """What pulses and names at the rows' ends say, from ink (H, W) that is no trace, and its pieces."""
    flanks = {(side, up): 0.0 for side in (-1, 1) for up in (True, False)}
    names = {-1: 0.0, 1: 0.0}
    pieces, areas_mm2 = _texts(printed)
    for column, height, side in ends:
        beyond = sorted((column - side * PX_PER_MM, column + side * PULSE_REACH_MM * PX_PER_MM))
        for up in (True, False):
            flanks[side, up] += _flanks(ink, beyond, height, up)
        x, y = pieces.T
        inside = abs(x - column - side * (PULSE_REACH_MM - NAME_MM) / 2 * PX_PER_MM)
        near = inside < (PULSE_REACH_MM + NAME_MM) / 2 * PX_PER_MM
        names[side] += float(areas_mm2[near & (abs(y - height) < NAME_MM * PX_PER_MM)].sum())
    up, down = (flanks[-1, above] + flanks[1, above] for above in (True, False))
    left, right = (flanks[side, True] + flanks[side, False] for side in (-1, 1))
    return {
        "pulses": _balance(up, down, HALF_PROOF_FLANKS_PX),
        "pulses' side": _balance(left, right, HALF_PROOF_FLANKS_PX),
        "names": _balance(names[-1], names[1], HALF_PROOF_NAMES_MM2),
    }


def _balance(one: float, other: float, half_proof: float) -> float:
    """How much more there is of one thing than of another, -1 to 1."""
    return (one - other) / (one + other + half_proof)


def _flanks(ink: np.ndarray, columns: list[float], height: float, up: bool) -> float:
    """Columns that are ink over the height of a calibration pulse above, or below, a row."""
    near, far = (distance * PX_PER_MM * (-1 if up else 1) for distance in (PULSE_FROM_MM, PULSE_TO_MM))
    top, bottom = sorted((round(height + near), round(height + far)))
    left, right = max(round(columns[0]), 0), max(round(columns[1]), 0)
    if top < 0 or bottom > len(ink) or left >= min(right, ink.shape[1]):
        return 0.0
    return float((ink[top:bottom, left:right].mean(axis=0) > FLANK_INK).sum())


def _texts(printed: _Print) -> tuple[np.ndarray, np.ndarray]:
    """Centres (n, 2) in pixels and areas (n,) in mm² of pieces as large as a lead's name."""
    height_mm = printed.height_px / PX_PER_MM
    is_text = (height_mm > LEAST_TEXT_MM) & (height_mm < NAME_HEIGHT_MM)
    is_text &= printed.width_px < 2 * NAME_HEIGHT_MM * PX_PER_MM
    return printed.centre_px[is_text], printed.area_px2[is_text] / PX_PER_MM**2


def _free_above(grid: np.ndarray, rows: Rows) -> float:
    """How much more of the ruled paper is free above the rows than below, in parts of its height."""
    ruled = (grid > 0.5).mean(axis=1)
    on_paper = np.flatnonzero(ruled > 0.5 * np.percentile(ruled, 80))
    if len(on_paper) < 2:
        return 0.0
    top, bottom = on_paper[[0, -1]]
    heights_px = rows.zero_y_px
    return float(np.clip((heights_px[0] - top - (bottom - heights_px[-1])) / (bottom - top), -1, 1))


def _deflected_up(pieces: np.ndarray, boxes: np.ndarray, is_trace: np.ndarray) -> float:
    """How much more the pieces of trace leave their levels upwards than downwards, -1 to 1."""
    up = down = 0.0
    for number in np.flatnonzero(is_trace):
        left, top, width, height, _ = boxes[number]
        piece = pieces[top : top + height, left : left + width] == number
        piece = piece[:, piece.any(axis=0)]
        first, last = piece.argmax(axis=0), len(piece) - 1 - piece[::-1].argmax(axis=0)
        level = median_filter(
            (first + last) / 2, min(round(LEVEL_MM * PX_PER_MM), piece.shape[1]), mode="nearest"
        )
        free = DEFLECTION_FROM_MM * PX_PER_MM
        up += float(np.clip(level - first - free, 0, None).sum())
        down += float(np.clip(last - level - free, 0, None).sum())
    return _balance(up, down, HALF_PROOF_PX * PX_PER_MM)


def _text_above(printed: _Print, rows: Rows) -> float:
    """How much more text stands above the rows than below them, -1 to 1."""
    columns = np.flatnonzero(np.isfinite(rows.centre_px).any(axis=1))
    top, bottom = rows.zero_y_px[[0, -1]]
    x, y = printed.centre_px.T
    width, height, area = (side / PX_PER_MM for side in printed[1:])
    is_text = (height < TEXT_HEIGHT_MM) & (height > LEAST_TEXT_MM) & (width < TEXT_WIDTH_MM)
    is_text &= (x > columns[0]) & (x < columns[-1])
    reach = MARGIN_MM * PX_PER_MM
    above, below = (
        float(area[is_text & (low < y) & (y < high)].sum()) / PX_PER_MM
        for low, high in ((top - reach, top), (bottom, bottom + reach))
    )
    return _balance(above, below, _TEXT_AREA_MM2)


def _ink(image: np.ndarray) -> np.ndarray:
    """Where all colours are dark: coloured lines are not."""
    red, green, blue = cv2.split(image)
    value = cv2.max(cv2.max(red, green), blue).astype(np.float32)
    return value < (1 - DARK) * mean_around(value, PAPER_PX)


def _t_wave_after(pieces: np.ndarray, boxes: np.ndarray, is_trace: np.ndarray) -> float:
    """Where the T waves stand: mean deflection after the beats less that before, over their sum; -1 to 1.

    `pieces` (H, W) numbers the connected pieces, `boxes` are theirs, and `is_trace` says which to look at.
    """
    after = before = 0.0
    for number in np.flatnonzero(is_trace):
        left, top, width, height, _ = boxes[number]
        found = _deflections(pieces[top : top + height, left : left + width] == number)
        after, before = after + found[0], before + found[1]
    return (after - before) / (after + before) if after + before else 0.0


def _deflections(piece: np.ndarray) -> tuple[float, float]:
    """Summed over the beats of a piece of trace, mean distance in mm from its baseline after and before them."""
    count = piece.sum(axis=0)
    height = cv2.blur(count[None].astype(np.float32), (round(PX_PER_MM), 1))[0]
    inked, middle = np.flatnonzero(count), (piece * np.arange(len(piece))[:, None]).sum(axis=0)
    if len(inked) == 0:
        return 0.0, 0.0
    centre = np.interp(np.arange(len(count)), inked, middle[inked] / count[inked])
    window = np.ones((1, 2 * round(BEAT_MM / 2 * PX_PER_MM) + 1), np.uint8)
    steep = max(0.5 * float(np.percentile(height, 98)), MIN_QRS_MM * PX_PER_MM)
    beats = np.flatnonzero((height >= steep) & (height == cv2.dilate(height[None], window)[0]))
    near, far = (round(distance * PX_PER_MM) for distance in T_WAVE_MM)
    after = before = 0.0
    for beat in beats[(beats >= far) & (beats + far < len(centre))]:
        away = np.abs(centre - np.median(centre[beat - far : beat + far])) / PX_PER_MM
        after += float(away[beat + near : beat + far].mean())
        before += float(away[beat - far : beat - near].mean())
    return after, before
