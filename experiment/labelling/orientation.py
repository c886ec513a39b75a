"""Which way up a page stands, from what the network found on it.

Traces run along the paper: a page on which they run down the image lies on its side. Upside down is told by two cues:
a page's header is larger than its footer, and the T wave follows the QRS complex by some 200 to 300 ms, while as long
before it there is little.
"""

import math

import cv2
import numpy as np

from ecg_generator_with_train_src.common.classes import WAVEFORM
from ecg_generator_with_train_src.page.geometry import PX_PER_MM

COARSE_PX = 4  # pieces of trace are found at a quarter of the scale
TRACE_MM = 25.0  # the least length of a piece of trace in which beats are looked for
TEXT_HEIGHT_MM, TEXT_WIDTH_MM = 7.0, 40.0  # the largest pieces of text
MARGIN_MM = 75.0  # how far from the traces text is looked for
DARK = 0.35  # of the paper's brightness: ink
T_WAVE_MM = (4.5, 8.0)  # from the QRS: 180 to 320 ms at 25 mm/s
BEAT_MM = 6.0  # the least distance of two beats
MIN_QRS_MM = 0.8  # the least height of a column of a QRS complex
_TEXT_AREA_MM2 = 3.0  # so much text is half a proof
_TEXT_WEIGHT, _T_WAVE_WEIGHT, _USUAL = 2.0, 14.0, 1.0  # of log odds


def runs_down(waveform: np.ndarray) -> bool:
    """Whether the traces in a waveform probability (H, W) run down the image instead of across it."""
    _, boxes = _pieces(waveform >= 0.5)
    width, height, area = boxes[1:, 2:].T.astype(float)
    return float((area * (width - height)).sum()) < 0


def _pieces(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (H, W) of the pieces of trace, 0 for none, gaps of a millimetre bridged; and their boxes in pixels.

    A box is left, top, width, height and area; box 0 is that of no piece.
    """
    near = cv2.dilate(found.astype(np.uint8), np.ones((2 * COARSE_PX + 1,) * 2, np.uint8))[
        ::COARSE_PX, ::COARSE_PX
    ]
    _, coarse, boxes, _ = cv2.connectedComponentsWithStats(near)
    fine = np.repeat(np.repeat(coarse, COARSE_PX, axis=0), COARSE_PX, axis=1)[
        : found.shape[0], : found.shape[1]
    ]
    return np.where(found, fine, 0), boxes * np.array([COARSE_PX] * 4 + [COARSE_PX**2])


def upside_down(image: np.ndarray, probability: np.ndarray, turned: bool = False) -> float:
    """The chance that a page whose traces run across, of which there are some, stands on its head.

    image (H, W, 3) uint8 at the network's scale, probability (3, H, W). A page that was `turned` from its side is as
    likely to stand on its head as not; one that was not is upright more often than not.
    """
    found = probability[WAVEFORM] >= 0.5
    pieces, boxes = _pieces(found)
    is_trace = (boxes[:, 2] > TRACE_MM * PX_PER_MM) & (boxes[:, 3] > 2 * PX_PER_MM)
    is_trace[0] = False  # the background
    usual = 0.0 if turned else _USUAL
    text = _TEXT_WEIGHT * _text_above(image, is_trace[pieces])
    return 1 / (1 + math.exp(usual + text + _T_WAVE_WEIGHT * _t_wave_after(pieces, boxes, is_trace)))


def _text_above(image: np.ndarray, traces: np.ndarray) -> float:
    """How much more text stands above the traces (H, W) than below them, -1 to 1; 0 without traces."""
    if not traces.any():
        return 0.0
    rows, columns = np.flatnonzero(traces.any(axis=1)), np.flatnonzero(traces.any(axis=0))
    top, bottom = np.percentile(np.repeat(rows, traces[rows].sum(axis=1)), [1, 99])
    _, _, boxes, centres = cv2.connectedComponentsWithStats((_ink(image) & ~traces).astype(np.uint8))
    x, y = centres[1:].T
    width, height, area = (boxes[1:, side] / PX_PER_MM for side in (2, 3, 4))
    is_text = (height < TEXT_HEIGHT_MM) & (height > 0.7) & (width < TEXT_WIDTH_MM)
    is_text &= (x > columns[0]) & (x < columns[-1])
    reach = MARGIN_MM * PX_PER_MM
    above, below = (
        float(area[is_text & (low < y) & (y < high)].sum()) / PX_PER_MM
        for low, high in ((top - reach, top), (bottom, bottom + reach))
    )
    return (above - below) / (above + below + _TEXT_AREA_MM2)


def _ink(image: np.ndarray) -> np.ndarray:
    """Where all colours are dark: coloured lines are not."""
    value = image.max(axis=2).astype(np.float32)
    side = round(8 * PX_PER_MM)
    return value < (1 - DARK) * cv2.blur(value, (side, side))


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
