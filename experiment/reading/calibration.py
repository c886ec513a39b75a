"""At which speed and gain a page was drawn: as told, as printed, as its calibration pulses have it, or as is usual."""

from dataclasses import dataclass
from typing import Literal

from ecg_generator_with_train_src.page.layouts import GAINS_MM_MV, SPEEDS_MM_S
from experiment.reading.printed_text import PrintedScale, PrintedText
from experiment.reading.pulses import FoundPulse

LIKELY_PER_MIN = (42.0, 180.0)  # beats a minute
SURE_PRINT = 0.8  # a printed scale of this probability is believed
UNUSUAL, SURE_UNUSUAL = (2.5, 12.5, 15.0), 0.93  # these values are rare, and easily read where others stand
CERTAIN_PRINT = 0.9  # print of this probability is believed before pulses
WORDS = {"print": "print", "pulse": "calibration pulse"}

Told = Literal["given", "print", "pulse", "assumed"]


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


def calibration(
    speed_mm_s: float | None,
    gain_mm_mv: float | None,
    pulse: FoundPulse,
    text: PrintedText,
    beats_mm: float | None = None,
) -> Calibration:
    """The scale of a page. What is given comes first, then print, then pulses, then the usual values.

    The usual speed is the first at which beats that are `beats_mm` apart are those of a heart.
    """
    usual_speed = next((speed for speed in SPEEDS_MM_S if _is_likely(beats_mm, speed)), SPEEDS_MM_S[0])
    printed_speed, printed_gain = _printed(text, "mm/s"), _printed(text, "mm/mV")
    speed, speed_from, speed_doubts = _chosen(
        speed_mm_s, printed_speed, pulse.paper_speed_mm_s if pulse.clearness else None, usual_speed
    )
    gain, gain_from, gain_doubts = _chosen(
        gain_mm_mv, printed_gain, pulse.gain_mm_mv if pulse.clearness else None, GAINS_MM_MV[0]
    )
    chest = _printed(text, "mm/mV", "chest") if gain_mm_mv is None else None
    chest_gain = chest.value if chest and chest.value != gain else None
    contradictions = [*((pair, "mm/s") for pair in speed_doubts), *((pair, "mm/mV") for pair in gain_doubts)]
    doubts = [
        f"the {WORDS[source]} says {used:g} {unit}, the {WORDS[name]} {other:g}: look which is right"
        for (used, source, other, name), unit in contradictions
    ]
    if speed_from == "assumed":
        doubts.append(f"nothing tells the paper speed: {speed:g} mm/s is assumed; --paper-speed-mm-s says it")
    if gain_from == "assumed":
        doubts.append(f"nothing tells the gain: {gain:g} mm/mV is assumed; --gain-mm-mv says it")
    return Calibration(speed, gain, chest_gain, speed_from, gain_from, tuple(doubts))


def _is_likely(beats_mm: float | None, speed_mm_s: float) -> bool:
    return beats_mm is None or LIKELY_PER_MIN[0] <= 60 * speed_mm_s / beats_mm <= LIKELY_PER_MIN[1]


def _printed(text: PrintedText, quantity: str, of: str = "limb") -> PrintedScale | None:
    """The scale that is printed most clearly for limb leads, or for chest leads alone; None if none is clear."""
    fitting = [
        scale for scale in text.scales if _fits(scale, quantity, of) and scale.probability > _least(scale)
    ]
    return max(fitting, key=lambda scale: scale.probability, default=None)


def _least(scale: PrintedScale) -> float:
    return SURE_UNUSUAL if scale.value in UNUSUAL else SURE_PRINT


def _fits(scale: PrintedScale, quantity: str, of: str) -> bool:
    return scale.quantity == quantity and (scale.of == of or (of == "limb" and scale.of == "all"))


def _chosen(
    given: float | None, printed: PrintedScale | None, pulse: float | None, usual: float
) -> tuple[float, Told, list[tuple[float, str, float, str]]]:
    """The value to take, where it is from, and what contradicts it: (taken, its source, other, its source)."""
    if given is not None:
        return given, "given", []
    told: list[tuple[float, Told]] = []
    if printed is not None:
        told.append((printed.value, "print"))
    if pulse is not None:
        told.insert(len(told) if printed and printed.probability > CERTAIN_PRINT else 0, (pulse, "pulse"))
    if not told:
        return usual, "assumed", []
    (value, source), *others = told
    return value, source, [(value, source, other, name) for other, name in others if other != value]
