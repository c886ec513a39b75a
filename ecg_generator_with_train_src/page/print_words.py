"""What may be printed on a page: lead names and scales in their usual spellings, and print that is neither."""

import numpy as np

from ecg_generator_with_train_src.page.records import LEADS

PRINTED_NAMES = (*LEADS, "-aVR", "V3R", "V4R", "V7", "V8", "V9")
PRINTED_SPEEDS_MM_S = (12.5, 25.0, 50.0)
PRINTED_GAINS_MM_MV = (2.5, 5.0, 10.0, 15.0, 20.0)
PART_GAINS_MM_MV = (5.0, 10.0, 20.0)  # gains of the limb or of the chest leads alone
PRINTED_WORDS = (  # what a reader tells apart; weights of PrintNet depend on their order
    *PRINTED_NAMES,
    *(f"{value:g} mm/s" for value in PRINTED_SPEEDS_MM_S),
    *(f"{value:g} mm/mV" for value in PRINTED_GAINS_MM_MV),
    *(f"{value:g} mm/mV {part}" for part in ("limb", "chest") for value in PART_GAINS_MM_MV),
)
Line = list[
    tuple[str, str | None]
]  # the parts of a line of print, each with its word of PRINTED_WORDS, if it is one

_PROSE = (
    *(
        "Sinus rhythm",
        "Normal ECG",
        "Left axis deviation",
        "Atrial fibrillation",
        "Unconfirmed",
        "Name:",
        "Keller",
    ),
    *(
        "ID: 00841",
        "Dr. Novak",
        "Age: 63 yrs",
        "Male",
        "Female",
        "Sex: F",
        "12-lead",
        "Hospital",
        "Room",
        "Technician",
    ),
    *(
        "PR interval",
        "QRS duration",
        "QT/QTc",
        "P-R-T axes",
        "Vent. rate",
        "BPM",
        "bpm",
        "QTcB",
        "RV5",
        "SV1",
        "RV1",
    ),
    *(
        "Mobitz II",
        "Type I",
        "NYHA III",
        "Class IIa",
        "Louis VII",
        "Henry IV",
        "in V1-V3",
        "V5 and V6",
        "VF",
        "VT",
    ),
    *(
        "ST elevation in II, III, aVF",
        "T inversion in aVL",
        "leads I, aVL",
        "V4-V6",
        "Lead",
        "LVH",
        "IVCD",
        "MI",
        "LI",
    ),
    *(
        "1",
        "11",
        "111",
        "l",
        "|",
        "||",
        "7",
        "V",
        "VI",
        "IV",
        "R",
        "a",
        "aV",
        "X",
        "T",
        "P",
        "S1",
        "W1",
        "A1",
        "Y2",
    ),
    *(
        "10 mm",
        "25 mm",
        "1 mV",
        "mm/mV",
        "mm/s",
        "ms",
        "mV",
        "25%",
        "25 kg",
        "50 Hz",
        "60 Hz",
        "100 Hz",
        "5 s",
        "10 s",
    ),
    *(
        "0.05-150 Hz",
        "0.5-40 Hz",
        "F 50~ 0.15-100 Hz",
        "~60",
        "AC 50",
        "ADS",
        "EMG 35 Hz",
        "HR 62",
        "QRS 92 ms",
        "V2.1",
    ),
    *(
        "Ver 1.0",
        "V4.07",
        "Cardiette 312",
        "RX-12",
        "Rhythm 1",
        "SN 25013",
        "QTcF",
        "QTcB",
        "Sequence",
        "Version 2.33",
        "Cart 0",
        "nicht befundet",
        "V1.02",
        "Page 1",
        "1/2",
        "I/II",
        "III/IV",
        "i",
        "ii",
    ),
)
_LETTERS = "ABCDEFGHIKLMNOPRSTUVWXYZabcdefghijklmnoprstuvwz0123456789:.-/"


def drawn_line(rng: np.random.Generator) -> Line:
    """A line of print: mostly a lead's name, else a scale, or something that is neither."""
    kind = rng.random()
    if kind < 0.58:
        return _name(rng)
    return _scales(rng) if kind < 0.74 else [(_other(rng), None)]


def foot_line(rng: np.random.Generator) -> Line:
    """A line of print at the foot or head of a page: mostly scales."""
    kind = rng.random()
    if kind < 0.75:
        return _scales(rng)
    return _name(rng) if kind < 0.85 else [(_other(rng), None)]


def _name(rng: np.random.Generator) -> Line:
    """A lead's name, at times after what it is the name of; in a table of measurements it names no trace."""
    lead = str(rng.choice(PRINTED_NAMES, p=_NAME_SHARES))
    kind = rng.random()
    if kind < 0.04:
        return [(f"{lead}  {rng.normal(0, 1):.2f} mm", None)]
    if kind < 0.07:
        return [(str(rng.choice(["RHYTHM STRIP: ", "Rhythm strip: ", "RHYTHM "])), None), (lead, lead)]
    return [name_as_printed(lead, rng)]


_NAME_SHARES = np.array([1.6 if name in LEADS else 0.7 for name in PRINTED_NAMES])
_NAME_SHARES /= _NAME_SHARES.sum()


def name_as_printed(lead: str, rng: np.random.Generator) -> tuple[str, str]:
    """A usual spelling of a lead's name, and the name."""
    text, spelling = lead, rng.random()
    if lead in ("I", "II", "III"):
        if spelling < 0.08:
            text = "D" + lead
        elif spelling < 0.12:
            text = f"D{len(lead)}"
    elif "aV" in lead:
        if spelling < 0.3:
            text = lead.replace("a", "A")
        elif spelling < 0.4:
            text = lead[:-1] + lead[-1].lower()
        elif spelling < 0.48:
            text = lead.replace("a", "")
    elif spelling < 0.07:
        text = lead.replace("V", "C")
    elif spelling < 0.12:
        text = lead.lower()
    if rng.random() < 0.12:
        text = " ".join(text)
    if rng.random() < 0.05:
        text = rng.choice(["Lead ", "LEAD "]) + text
    if rng.random() < 0.04:
        text += ":"
    return text, lead


def _scales(rng: np.random.Generator) -> Line:
    """Speed, gain or both, in any order, between other print."""
    speed, gain = _speed(rng), _gain(rng)
    parts = [[speed], [*gain], [speed, (_gap(rng), None), *gain], [*gain, (_gap(rng), None), speed]][
        rng.integers(4)
    ]
    if rng.random() < 0.25:
        filter_text = str(
            rng.choice(
                [
                    "0.05-150 Hz",
                    "100Hz",
                    "50~",
                    "F 60~ 0.15-40 Hz",
                    "AC",
                    "40 Hz",
                    "V2.1",
                    "0,5 - 35 Hz",
                    "~ 0.15Hz",
                ]
            )
        )
        parts = (
            [*parts, (_gap(rng) + filter_text, None)]
            if rng.random() < 0.7
            else [(filter_text + _gap(rng), None), *parts]
        )
    return parts


def _gap(rng: np.random.Generator) -> str:
    return str(rng.choice(["  ", "   ", " ", "     ", ", ", " / ", " - ", ";"]))


def _number(value: float, rng: np.random.Generator) -> str:
    return f"{value:.1f}" if rng.random() < 0.25 else f"{value:g}"


def _speed(rng: np.random.Generator) -> tuple[str, str]:
    value = float(rng.choice(PRINTED_SPEEDS_MM_S, p=[0.25, 0.45, 0.3]))
    unit = str(
        rng.choice(
            ["mm/s", "mm/sec", "mm/S", "MM/S", "mm / s", "mm/Sec"], p=[0.6, 0.25, 0.05, 0.03, 0.04, 0.03]
        )
    )
    prefix = str(
        rng.choice(["", "Speed: ", "Speed ", "Speed:", "Paper speed: "], p=[0.7, 0.12, 0.06, 0.06, 0.06])
    )
    return f"{prefix}{_number(value, rng)}{_space(rng)}{unit}", f"{value:g} mm/s"


def _gain(rng: np.random.Generator) -> Line:
    """One gain for all leads, or one for the limb leads and one for the chest leads."""
    unit = str(rng.choice(["mm/mV", "mm/mv", "MM/MV", "mm / mV"], p=[0.85, 0.07, 0.03, 0.05]))
    if rng.random() < 0.3:
        return _parted_gain(unit, rng)
    value = float(rng.choice(PRINTED_GAINS_MM_MV, p=[0.16, 0.2, 0.3, 0.16, 0.18]))
    prefix = str(
        rng.choice(["", "Gain: ", "Gain ", "Sens. ", "Voltage gain: "], p=[0.75, 0.1, 0.05, 0.05, 0.05])
    )
    number = _number(value, rng)
    if rng.random() < 0.08:
        number, unit = _number(value / 10, rng) if value != 2.5 else "0.25", "cm/mV"
    return [(f"{prefix}{number}{_space(rng)}{unit}", f"{value:g} mm/mV")]


def _parted_gain(unit: str, rng: np.random.Generator) -> Line:
    limb, chest = (float(value) for value in rng.choice(PART_GAINS_MM_MV, 2))
    style, space = rng.random(), _space(rng)
    parts = [
        (f"{name}{':' if style < 0.8 else ''}{space}{_number(value, rng)}", f"{value:g} mm/mV {of}")
        for name, value, of in (("Limb", limb, "limb"), ("Chest", chest, "chest"))
    ]
    tail = f"{_space(rng)}{unit}"
    if rng.random() < 0.5:
        parts = [(text + tail, word) for text, word in parts]
        tail = ""
    (first, limb_word), (second, chest_word) = parts
    return [(first, limb_word), (_gap(rng), None), (second, chest_word), (tail, None)]


def _space(rng: np.random.Generator) -> str:
    return " " if rng.random() < 0.6 else ""


def _other(rng: np.random.Generator) -> str:
    kind = rng.random()
    if kind < 0.62:
        return " ".join(str(word) for word in rng.choice(_PROSE, 1 + (rng.random() < 0.3)))
    if kind < 0.82:
        return f"{rng.choice(['PR', 'QRS', 'QT', 'HR', 'QTc', 'Axis', 'ID', 'Date', 'V', 'P'])} {rng.integers(1, 999)}"
    return "".join(rng.choice(list(_LETTERS), rng.integers(1, 9)))
