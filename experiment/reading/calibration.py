"""At which speed and gain a page was drawn: as told, or as print, calibration pulses, beats and heights speak for it.

Each value in use has a prior; what is printed, a pulse, and whether a heart can have such beats and such heights at it
add their logarithms of odds. A value is told if it is likely enough and is printed or has a pulse; else it is assumed.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from ecg_generator_with_train_src.page.layouts import GAINS_MM_MV, SPEEDS_MM_S
from experiment.reading.printed_text import PrintedScale, PrintedText
from experiment.reading.pulses import FoundPulse

# How usual values are, as logarithms of odds
USUAL_SPEEDS = dict(zip(SPEEDS_MM_S, (0.0, -2.0, -4.0), strict=True))
USUAL_GAINS = dict(zip(GAINS_MM_MV, (0.0, -1.5, -1.5, -3.0, -3.5), strict=True))
MISREAD = 0.015  # the least chance that something else is printed than what was read
PULSE_ODDS = 4.5  # what a pulse says for its value
SURE_PRINT = 0.8  # print of this probability alone tells the gain of chest leads, and contradicts a pulse
SEEN_PRINT = 0.25  # what is read with this probability may be there
ALONE_PRINT = 0.5  # print that is less likely than this is doubted where no pulse confirms it
LIKELY_PRINT, UNPRINTED = (
    0.5,
    0.1,
)  # the first contradicts a pulse whose value is less likely printed than the second
SAME_LINE_MM = 3.0
SOME_PRINT = 0.8  # and so likely must it be that one of the values is there
SOME_BESIDE = 0.45  # or so likely on the line of one that is there
CERTAIN = 0.9  # a likelier value is told
LIKELY = 0.8  # and a value that traces alone make as likely is assumed, in place of the usual one
# Beats a minute, and heights in mV of the traces of a lead: medians, and spreads of their logarithms (PTB-XL)
USUAL_PER_MIN, SPREAD_PER_MIN = 72.0, 0.3
USUAL_MV, SPREAD_MV = 1.0, 0.4
MOST_SPREADS = 3.0  # what is more unusual is as unlikely

Told = Literal["given", "print", "pulse", "assumed"]
Chances = Mapping[float, float]


@dataclass(frozen=True)
class Calibration:
    """Speed in mm/s and gain in mm/mV, where each is from, and what speaks against it.

    `chest_gain_mm_mv` is that of the leads V…, where the page says that it differs.
    """

    paper_speed_mm_s: float
    gain_mm_mv: float
    chest_gain_mm_mv: float | None
    speed_from: Told
    gain_from: Told
    doubts: tuple[str, ...]


@dataclass(frozen=True)
class TraceSizes:
    """How far apart beats are, and how high the traces of a lead are, in mm; None where that is not seen."""

    beats_mm: float | None = None
    height_mm: float | None = None


@dataclass(frozen=True)
class Quantity:
    """Speed or gain, its unit and the flag that says it."""

    name: str
    unit: str
    flag: str


SPEED = Quantity("paper speed", "mm/s", "--paper-speed-mm-s")
GAIN = Quantity("gain", "mm/mV", "--gain-mm-mv")


def calibration(
    speed_mm_s: float | None,
    gain_mm_mv: float | None,
    pulse: FoundPulse,
    text: PrintedText,
    sizes: TraceSizes = TraceSizes(),
) -> Calibration:
    """The scale of a page: what is given, else the likeliest values."""
    beats = {
        speed: usual + _fit(_per_min(sizes.beats_mm, speed), USUAL_PER_MIN, SPREAD_PER_MIN)
        for speed, usual in USUAL_SPEEDS.items()
    }
    heights = {
        gain: usual + _fit(sizes.height_mm and sizes.height_mm / gain, USUAL_MV, SPREAD_MV)
        for gain, usual in USUAL_GAINS.items()
    }
    seen = bool(pulse.clearness)
    speed, speed_from, speed_doubts = _chosen(
        SPEED, speed_mm_s, beats, _printed(text, SPEED, "limb"), pulse.speeds_mm_s if seen else ()
    )
    gain, gain_from, gain_doubts = _chosen(
        GAIN, gain_mm_mv, heights, _printed(text, GAIN, "limb"), (pulse.gain_mm_mv,) if seen else ()
    )
    chest = _printed(text, GAIN, "chest") if gain_mm_mv is None else {}
    chest_gain = max(chest, key=chest.get, default=gain)
    if gain_mm_mv is None and len(gains := _clearly_printed(text, GAIN)) > 1:
        values = " and ".join(f"{value:g}" for value in gains)
        gain_doubts.append(f"gains of {values} mm/mV are printed: limb and chest leads may differ")
    differs = chest_gain != gain and chest[chest_gain] > SURE_PRINT
    return Calibration(
        speed, gain, chest_gain if differs else None, speed_from, gain_from, (*speed_doubts, *gain_doubts)
    )


def _per_min(beats_mm: float | None, speed_mm_s: float) -> float | None:
    return 60 * speed_mm_s / beats_mm if beats_mm else None


def _fit(value: float | None, usual: float, spread: float) -> float:
    """The logarithm of how usual a value is, 0 at most."""
    if not value:
        return 0.0
    return -(min(abs(math.log(value / usual)) / spread, MOST_SPREADS) ** 2) / 2


def _printed(text: PrintedText, quantity: Quantity, of: str) -> dict[float, float]:
    """The values that may be printed for limb leads, or for chest leads alone, and the probability of each; none if
    none is seen clearly."""
    found: dict[float, float] = {}
    there: dict[tuple[float, float], float] = defaultdict(float)
    for scale in _credible(text, quantity):
        there[scale.x_px, scale.y_px] += scale.probability
        if scale.of == of or (of == "limb" and scale.of == "all"):
            found[scale.value] = max(found.get(scale.value, 0.0), scale.probability)
    return found if max(there.values(), default=0.0) > SOME_PRINT else {}


def _clearly_printed(text: PrintedText, quantity: Quantity) -> list[float]:
    """The likeliest value at each place where one of a quantity is clearly printed for all leads, or hardly legibly on
    the line of a clear one; each value once."""
    places: dict[tuple[float, float], dict[float, float]] = defaultdict(dict)
    for scale in _credible(text, quantity):
        if scale.of == "all":
            places[scale.x_px, scale.y_px][scale.value] = scale.probability
    lines_px = [y for (_, y), chances in places.items() if sum(chances.values()) > SOME_PRINT]
    seen = [
        chances
        for (_, y), chances in places.items()
        if sum(chances.values()) > SOME_BESIDE
        and any(abs(y - line) < SAME_LINE_MM * PX_PER_MM for line in lines_px)
    ]
    return sorted({max(chances, key=chances.get) for chances in seen})


def _credible(text: PrintedText, quantity: Quantity) -> list[PrintedScale]:
    """The scales of a quantity: those on one line with the other quantity, if there are such; names and numbers in a
    header are easily taken for a scale."""
    own = [scale for scale in text.scales if scale.quantity == quantity.unit]
    others = [scale for scale in text.scales if scale.quantity != quantity.unit]
    on_line = [
        scale
        for scale in own
        if any(abs(scale.y_px - other.y_px) < SAME_LINE_MM * PX_PER_MM for other in others)
    ]
    return on_line or own


def _chosen(
    quantity: Quantity, given: float | None, usual: Chances, printed: Chances, pulse: tuple[float, ...]
) -> tuple[float, Told, list[str]]:
    """The value to take, where it is from, and why it may be another."""
    if given is not None:
        return given, "given", []
    unread = max(1 - sum(printed.values()), MISREAD) / len(usual)
    odds = {
        value: prior
        + (math.log(printed.get(value, 0.0) + unread) if printed else 0.0)
        + PULSE_ODDS * (value in pulse)
        for value, prior in usual.items()
    }
    best, other = sorted(odds, key=odds.get, reverse=True)[:2]
    chance = 1 / sum(math.exp(value - odds[best]) for value in odds.values())
    if not printed and not pulse and chance < LIKELY:
        best = next(iter(usual))
    source: Told = "print" if printed.get(best, 0.0) > SEEN_PRINT else "pulse" if best in pulse else "assumed"
    return best, source, _doubts(quantity, best, other, source, chance, printed, pulse)


def _doubts(
    quantity: Quantity,
    best: float,
    other: float,
    source: Told,
    chance: float,
    printed: Chances,
    pulse: tuple[float, ...],
) -> list[str]:
    name, unit, flag = quantity.name, quantity.unit, quantity.flag
    clearest = max(printed, key=printed.get, default=best)
    of_pulse = max((printed.get(value, 0.0) for value in pulse), default=0.0)
    other_print = SURE_PRINT if of_pulse > UNPRINTED else LIKELY_PRINT
    if pulse and clearest not in pulse and printed.get(clearest, 0.0) > other_print:
        return [
            f"the print says {clearest:g} {unit}, the calibration pulse {pulse[0]:g}: {best:g} is taken; look which is "
            f"right, {flag} says it"
        ]
    if source == "assumed":
        return [f"nothing clearly tells the {name}: {best:g} {unit} is assumed; {flag} says it"]
    if chance < CERTAIN or (source == "print" and not pulse and printed[best] < ALONE_PRINT):
        return [
            f"the {name} may be {other:g} {unit} instead of {best:g}: look what is printed; {flag} says it"
        ]
    return []
