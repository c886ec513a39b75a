"""Numbers of a file as millivolts: gaps that are written as numbers, units, and what no ECG can be in the unit told."""

import argparse

import numpy as np

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.record_files.lead_names import UNITS_MV, plain_unit
from ecg_generator_with_train_src.record_files.signals import FileSignals

# numbers that devices write where a lead has no value
NO_VALUE = (-9999, 9999, -99999, 99999, -32768, 32767, -2147483648, 2147483647)
# between these, the median lead of an ECG spans from its lowest to its highest value
LEAST_SPAN_MV, MOST_SPAN_MV = 0.02, 40.0
_MOST_STEPS = 250.0  # a larger span is rather one of microvolts than of a converter's steps
LEAST_UNIT_MV, MOST_UNIT_MV = 1e-9, 1e3  # a thousandth of a nanovolt, and a volt
USUAL_STEP_MV = 0.005  # of converters that have 200 steps a millivolt


def mv_per_unit(text: str) -> float:
    """Type of `--unit`: mV, uV, V or nV, or how many mV one of the files' numbers is."""
    if (named := UNITS_MV.get(plain_unit(text))) is not None:
        return named
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not LEAST_UNIT_MV <= value <= MOST_UNIT_MV:
        raise argparse.ArgumentTypeError(
            f"{text}: expected mV, uV, V, nV, or how many mV a step is, such as 0.005"
        )
    return value


def signals_in_mv(file: FileSignals, told: float | None) -> tuple[dict[str, np.ndarray], list[str]]:
    """The leads in mV, NaN where a number only stands for a gap, and notes on such gaps.

    `told` is how many mV a unit is where the file does not tell it. Raises InputError naming the file if the file
    tells another unit, or if it is not told and the values cannot be mV.
    """
    signals, gaps = {}, {}
    for lead, values in file.signals.items():
        gap = np.isin(values, NO_VALUE)
        for number in np.unique(values[gap]):
            gaps[number] = gaps.get(number, 0) + int((values == number).sum())
        signals[lead] = np.where(gap, np.nan, values) * _factor(file, lead, told)
    if told is None:
        _refuse_other_units(file, signals)
    return signals, [f"{count} values of {number:g} are gaps" for number, count in sorted(gaps.items())]


def _factor(file: FileSignals, lead: str, told: float | None) -> float:
    own = file.mv_per_unit[lead]
    if own is not None and told is not None and own != told:
        raise InputError(
            f"{file.path}: says that lead {lead} is in units of {own:g} mV, not {told:g} mV; leave out --unit"
        )
    return own or told or 1.0


def _refuse_other_units(file: FileSignals, signals: dict[str, np.ndarray]) -> None:
    spans = [np.ptp(values[np.isfinite(values)]) for values in signals.values() if np.isfinite(values).any()]
    span = float(np.median([span for span in spans if span > 0] or [1.0]))
    if LEAST_SPAN_MV <= span <= MOST_SPAN_MV:
        return
    if span < LEAST_SPAN_MV:
        remedy = "are they volts (--unit V)?"
    elif span > _MOST_STEPS:
        remedy = f"are they microvolts (--unit uV), or a converter's steps (--unit {USUAL_STEP_MV:g}, the mV of one)?"
    else:
        remedy = f"are they a converter's steps (--unit {USUAL_STEP_MV:g}, the mV of one), or microvolts (--unit uV)?"
    raise InputError(f"{file.path}: a lead's values span {span:.4g}, which in mV is no ECG; {remedy}")
