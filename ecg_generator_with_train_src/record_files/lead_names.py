"""What the columns of a record's file are called: leads, with the prefixes and units that devices add, and times."""

import re
from dataclasses import dataclass

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
LONGEST_HEADING = 200  # characters
UNITS_MV = {"v": 1e3, "mv": 1.0, "uv": 1e-3, "nv": 1e-6}  # millivolts of a unit

_SPELLINGS = {
    **{lead.lower(): lead for lead in LEADS},
    **{f"d{lead.lower()}": lead for lead in LEADS[:3]},  # DI, DII, DIII: Romance languages
    **{f"d{number}": lead for number, lead in enumerate(LEADS[:3], start=1)},
    **{f"c{number}": f"V{number}" for number in range(1, 7)},  # the electrodes' names
    "mlii": "II",  # modified for Holter recorders
}
_NUMBERED = {str(number): lead for number, lead in enumerate(LEADS[:3], start=1)}  # of "Lead 1" only
_PREFIX = re.compile(
    r"(?:(?:mdc|ecg|ekg|lead|channel|chan|ch|signal|derivation)(?:[\s_.:-]+|$|(?=[iad]|v\d)))+"
)
_UNIT = re.compile(
    r"[\s_/]*[(\[]\s*(?P<inside>[a-zµμ]*)\s*[)\]]$|[\s_/]+(?P<after>[mnuµμ]?v|m?s|[uµμ]s|sec|seconds)$"
)
_TIMES = (
    "time",
    "t",
    "sec",
    "second",
    "seconds",
    "elapsed",
    "elapsed time",
    "zeit",
    "tiempo",
    "temps",
    "tempo",
)
_IN_NAME = {"sec": "s", "second": "s", "seconds": "s"}


@dataclass(frozen=True)
class ColumnName:
    """What a column's heading says: the lead, None for any other column; whether it is upside down (-aVR); the unit."""

    lead: str | None
    upside_down: bool = False
    unit: str = ""  # in lower case with u for µ; empty where the heading has none
    is_time: bool = False


def read_column_name(heading: str) -> ColumnName:
    """What a heading says.

    >>> [read_column_name(name).lead for name in ("AVR", "Lead I", "MDC_ECG_LEAD_aVR", "V 1", "DII", "lead 3", "x")]
    ['aVR', 'I', 'aVR', 'V1', 'II', 'III', None]
    >>> read_column_name("V1 (µV)"), read_column_name("time_ms").unit
    (ColumnName(lead='V1', upside_down=False, unit='uv', is_time=False), 'ms')
    """
    if len(heading) > LONGEST_HEADING:
        return ColumnName(None)
    text = heading.strip().strip("\"'").strip().lower()
    unit = _UNIT.search(text)
    name = text[: unit.start()] if unit else text
    unit_word = plain_unit(unit["inside"] or unit["after"] or "") if unit else ""
    if name in _TIMES:
        return ColumnName(None, unit=unit_word or _IN_NAME.get(name, ""), is_time=True)
    bare = _PREFIX.sub("", name, count=1)
    known = _SPELLINGS | (_NUMBERED if "lead" in name else {})
    lead = known.get(re.sub(r"[\s_.+-]", "", bare))
    return ColumnName(lead, bare.startswith("-"), unit_word) if lead else ColumnName(None)


def plain_unit(word: str) -> str:
    """A unit in lower case, with u for µ and without brackets.

    >>> plain_unit("[µV]")
    'uv'
    """
    return word.strip().strip("()[]\"' ").lower().translate(str.maketrans("µμ", "uu"))
