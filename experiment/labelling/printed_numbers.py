"""The number that is printed before a unit, as in "5 mm/mV", by its likeness to numbers in several fonts.

PrintNet finds where a speed or a gain stands, but hardly tells 2.5, 5 and 20. There the unit is sought by its likeness
in fonts that OpenCV and Pillow bring along; what is printed before it, up to the next gap, is the number, which is
compared with all that it may be.
"""

import functools
import itertools
import math
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from ecg_generator_with_train_src.page.print_words import PRINTED_GAINS_MM_MV, PRINTED_SPEEDS_MM_S
from experiment.reading.printed_text import PrintedScale, PrintedText

LETTER_PX = 60  # height of capitals in which glyphs are drawn once
HERSHEY = ((cv2.FONT_HERSHEY_SIMPLEX, 6), (cv2.FONT_HERSHEY_DUPLEX, 8), (cv2.FONT_HERSHEY_TRIPLEX, 6))
FONTS = range(len(HERSHEY) + 1)  # the last one is Pillow's own
CAPITALS_MM = np.geomspace(1.4, 4.2, 12)  # heights of capitals in print
STRETCHES = (0.95, 1.1)  # how wide letters are, relative to these fonts'
LEFT_MM, RIGHT_MM, ABOVE_MM = 26.0, 16.0, 5.0  # what is looked at about the centre of a phrase
UNIT_BEFORE_MM = 3.0  # the unit's centre lies no farther than this before the phrase's
OFF_LINE_MM = 1.5  # nor farther than this above or below it
LIKE_UNIT = 0.5  # the least correlation with a unit
WORD_GAP, UNIT_GAP = 0.5, 1.6  # least gap before a number and most behind it, in heights of capitals
INKED = 0.45  # print is at least so dark, relative to the darkest of the unit
SIZE_PX = (24, 48)  # numbers are compared at this height and width
PER_LIKENESS, PER_SHAPE = 25.0, 6.0  # what correlation and proportions say, as logarithms of odds
CLEAR_NUMBER = 10.0  # from such odds on it is as likely as not that a number is one of the values
TRUST = 0.99  # the most that is believed
# PrintNet tells the usual values by itself; numbers are looked at where it is as likely that another one is printed
USUAL_VALUES = {"mm/s": 25.0, "mm/mV": 10.0}
LIKELY_RARE = 0.6
OVERLOOKED = 0.005  # the least chance of a value that PrintNet does not see at all
FAINTEST = 0.02  # values that are less likely are left out
PRINTED_VALUES = {"mm/s": PRINTED_SPEEDS_MM_S, "mm/mV": PRINTED_GAINS_MM_MV}
# Spellings of a unit, and how many of the usual one it is
UNITS: dict[str, dict[str, float]] = {"mm/s": {"mm/s": 1.0}, "mm/mV": {"mm/mV": 1.0, "cm/mV": 10.0}}


class Unit(NamedTuple):
    """Where a unit's ink begins (x), its capitals' top and foot (y), how many usual units it is, and how much it is
    like one."""

    left: int
    top: int
    foot: int
    times: float
    likeness: float


def chances_of_numbers(
    image: np.ndarray, unit: str, values: tuple[float, ...], x_px: float, y_px: float
) -> np.ndarray | None:
    """How likely each value is printed before a unit, (values,), by the ink alone; None if no number is seen. The
    phrase's centre is at (x_px, y_px) of a page (H, W, 3) uint8 of PX_PER_MM."""
    left, top = (max(round(at - by * PX_PER_MM), 0) for at, by in ((x_px, LEFT_MM), (y_px, ABOVE_MM)))
    right, bottom = (round(at + by * PX_PER_MM) for at, by in ((x_px, RIGHT_MM), (y_px, ABOVE_MM)))
    bright = image[top:bottom, left:right].max(axis=2).astype(np.float32)
    dark = np.maximum(np.median(bright) - bright, 0)
    read = [
        np.array([max(_odds(number, text) for text in _spellings(value / found.times)) for value in values])
        for found in _units_in(dark, UNITS[unit], x_px - left, y_px - top)
        if (number := _number_before(dark, found)) is not None
    ]
    if not read:
        return None
    odds = max(read, key=max)
    share = np.exp(odds - odds.max())
    trust = TRUST / (1 + math.exp(CLEAR_NUMBER - odds.max()))
    return trust * share / share.sum() + (1 - trust) / len(values)


def _units_in(dark: np.ndarray, spellings: dict[str, float], x_px: float, y_px: float) -> list[Unit]:
    """Where a unit may stand on the line of a phrase about (x_px, y_px): for each spelling and font its clearest
    place."""
    half = cv2.resize(dark, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    found = []
    for (unit, times), font in itertools.product(spellings.items(), FONTS):
        best = Unit(0, 0, 0, times, LIKE_UNIT)
        for capitals_mm, stretch in itertools.product(CAPITALS_MM, STRETCHES):
            capitals_px = capitals_mm * PX_PER_MM
            scale = capitals_px / LETTER_PX / 2
            shape = cv2.resize(
                _drawn(unit, font), None, fx=scale * stretch, fy=scale, interpolation=cv2.INTER_AREA
            )
            height, width = shape.shape
            left = max(int((x_px - UNIT_BEFORE_MM * PX_PER_MM - width) / 2), 0)
            top, bottom = ((y_px + off_mm * PX_PER_MM - height) / 2 for off_mm in (-OFF_LINE_MM, OFF_LINE_MM))
            part = half[max(int(top), 0) : int(bottom) + height, left:]
            if part.shape[0] < height or part.shape[1] < width:
                continue
            _, likeness, _, (x, y) = cv2.minMaxLoc(cv2.matchTemplate(part, shape, cv2.TM_CCOEFF_NORMED))
            if likeness > best.likeness:
                y = 2 * (y + max(int(top), 0))
                best = Unit(2 * (x + left), y, round(y + capitals_px), times, likeness)
        found.append(best)
    return [unit for unit in found if unit.foot]


def _number_before(dark: np.ndarray, unit: Unit) -> np.ndarray | None:
    """The print before a unit up to the next gap, cut to its ink; None if there is none."""
    capitals = unit.foot - unit.top
    line = dark[max(unit.top - capitals // 8, 0) : unit.foot + capitals // 8]
    strip = line[:, max(unit.left - capitals // 3, 0) : unit.left + capitals // 3].max(axis=0)
    end = max(unit.left - capitals // 3, 0) + int(strip.argmin())  # between the number and the unit
    ink = line > INKED * np.percentile(line[:, unit.left :], 99)
    inked = np.flatnonzero(ink[:, :end].any(axis=0))
    if not len(inked) or end - inked[-1] > UNIT_GAP * capitals:
        return None
    gaps = np.flatnonzero(np.diff(inked) > WORD_GAP * capitals)
    first, last = inked[gaps[-1] + 1 if len(gaps) else 0], inked[-1]
    rows = np.flatnonzero(ink[:, first : last + 1].any(axis=1))
    if last - first < 2 or len(rows) < capitals / 2:
        return None
    return line[rows[0] : rows[-1] + 1, first : last + 1]


def _odds(number: np.ndarray, text: str) -> float:
    """The logarithm of the odds, but for a constant, that a number's ink (H, W) is a text's."""
    wide = number.shape[1] / number.shape[0]
    found = []
    for font in FONTS:
        shape = _drawn(text, font)
        proportion = math.log(shape.shape[1] / shape.shape[0] / wide)
        found.append(PER_LIKENESS * _likeness(number, shape) - PER_SHAPE * abs(proportion))
    return max(found)


def _likeness(some: np.ndarray, other: np.ndarray) -> float:
    """The correlation of two pieces of print that are made as large as one another."""
    one, two = (cv2.resize(ink, SIZE_PX[::-1], interpolation=cv2.INTER_AREA) for ink in (some, other))
    one, two = one - one.mean(), two - two.mean()
    return float((one * two).sum() / max(np.sqrt(np.square(one).sum() * np.square(two).sum()), 1e-6))


def _spellings(value: float) -> list[str]:
    return sorted({f"{value:g}", f"{value:.1f}"})


@functools.cache
def _drawn(text: str, font: int) -> np.ndarray:
    """A text's coverage (H, W) float32, cut to its ink, its capitals LETTER_PX high."""
    image = np.zeros((3 * LETTER_PX, LETTER_PX * (len(text) + 2)), np.uint8)
    if font < len(HERSHEY):
        face, pen = HERSHEY[font]
        scale = cv2.getFontScaleFromHeight(face, LETTER_PX, pen)
        cv2.putText(image, text, (LETTER_PX // 2, 2 * LETTER_PX), face, scale, 255, pen, cv2.LINE_AA)
    else:
        picture = Image.fromarray(image)
        ImageDraw.Draw(picture).text(
            (LETTER_PX // 2, 2 * LETTER_PX), text, font=_sans(), fill=255, anchor="ls"
        )
        image = np.array(picture)
    rows, columns = (np.flatnonzero(image.any(axis=axis)) for axis in (1, 0))
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32)


@functools.cache
def _sans() -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size=LETTER_PX)
    top, foot = font.getbbox("V", anchor="ls")[1::2]
    return ImageFont.load_default(size=LETTER_PX**2 / (foot - top))


def with_numbers(text: PrintedText, image: np.ndarray) -> PrintedText:
    """The text of a page (H, W, 3) uint8 with the chances of its scales as the ink of their numbers has them too."""
    places = {(scale.quantity, scale.x_px, scale.y_px): [] for scale in text.scales}
    for scale in text.scales:
        places[scale.quantity, scale.x_px, scale.y_px].append(scale)
    scales = [_told_apart(scales, image) for scales in places.values()]
    return replace(text, scales=tuple(itertools.chain(*scales)))


def _told_apart(scales: list[PrintedScale], image: np.ndarray) -> list[PrintedScale]:
    """The scales that may stand at one place, by what they seemed to be and by the ink of the number."""
    first, seemed = scales[0], {scale.value: scale.probability for scale in scales}
    usual = USUAL_VALUES[first.quantity]
    rare = tuple(value for value in PRINTED_VALUES[first.quantity] if value != usual)
    total = sum(seemed.get(value, 0.0) for value in rare)
    if any(scale.of != "all" for scale in scales) or total < LIKELY_RARE:
        return scales
    by_ink = chances_of_numbers(image, first.quantity, rare, first.x_px, first.y_px)
    if by_ink is None:
        return scales
    both = by_ink * [max(seemed.get(value, 0.0), OVERLOOKED) for value in rare]
    both *= total / both.sum()
    chances = zip(rare, both.tolist(), strict=True)
    told = [replace(first, value=value, probability=chance) for value, chance in chances if chance > FAINTEST]
    return [*told, *(scale for scale in scales if scale.value == usual)]
