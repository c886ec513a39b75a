"""Measure what clinicians measure on the leads of a page: heart rate, PR, QRS and QT, R and S, and the ST level.

NeuroKit2 finds the beats, and where their waves begin and end, in one lead: the longest of those that are shown all the
while that the measured lead is, thus in the rhythm strip where there is one. The heart rate and the durations are those
of the page's longest lead. The heights are those of each lead, about its level just before the QRS complex. Each value
is the median over the beats, and NaN if it cannot be measured.
"""

import warnings
from dataclasses import dataclass

import numpy as np

from ecg_generator_with_train_src.page.records import LEADS

# Of leads of one length, beats are found in the first of these: those with tall, upright R waves come first
BEAT_LEADS = ("II", "V5", "V4", "V6", "I", "aVF", "V3", "V2", "III", "aVL", "V1", "aVR")
SHORTEST_S = 5.0  # a shorter lead is mirrored at its ends: NeuroKit2 needs several beats
DELINEATION = "prominence"  # on PTB-XL, NeuroKit2's other methods find QRS complexes of 180 ms, or none
LEVEL_S = 0.02  # a beat's level is the median over so much time before its QRS complex
ST_AFTER_S, ST_WINDOW_S = (
    0.06,
    0.02,
)  # the ST level is the mean over so much time, about so long after the complex

TIMES = {"heart rate": "1/min", "PR": "ms", "QRS": "ms", "QT": "ms"}  # measures of a page, and their units
HEIGHTS = {"R": "mV", "S": "mV", "ST level": "mV"}  # measures of a lead
UNITS = {**TIMES, **HEIGHTS}
WHOLE_PAGE = "page"  # the lead of a measure of a page


class NoBeatsError(Exception):
    """NeuroKit2 finds no beats in a lead; the text says why."""


@dataclass(frozen=True)
class Beats:
    """The beats of a lead: places (beats,) in samples from the record's start, NaN where they are not known."""

    p_start: np.ndarray
    qrs_start: np.ndarray
    r_peak: np.ndarray
    qrs_end: np.ndarray
    t_end: np.ndarray


@dataclass(frozen=True)
class Measured:
    """What was measured on a page."""

    values: dict[tuple[str, str], float]  # by lead, or WHOLE_PAGE, and measure; in the measure's unit
    failures: dict[str, str]  # the leads in which NeuroKit2 found no beats, and why


def nothing_measured() -> Measured:
    """What is measured on a page without signals: NaN everywhere."""
    names = [(WHOLE_PAGE, name) for name in TIMES] + [(lead, name) for lead in LEADS for name in HEIGHTS]
    return Measured(dict.fromkeys(names, np.nan), {})


def measure(signal_mv: np.ndarray, shown: np.ndarray, fs_hz: float) -> Measured:
    """Measure the signals (12, samples) in mV where their leads are `shown`, a mask of that shape.

    NaN within a lead is bridged by a straight line. At least one lead is shown.
    """
    spans = {lead: _span(row) for lead, row in zip(LEADS, shown, strict=True) if row.any()}
    leads_mv = {lead: _bridged(signal_mv[LEADS.index(lead), span]) for lead, span in spans.items()}
    source = {lead: _beat_lead(spans, span) for lead, span in spans.items()}
    found, failures = {}, {}
    for lead in sorted(set(source.values())):
        try:
            found[lead] = find_beats(leads_mv[lead], spans[lead].start, fs_hz)
        except NoBeatsError as error:
            failures[lead] = str(error)
    values = nothing_measured().values
    longest = max(source.values(), key=lambda lead: spans[lead].stop - spans[lead].start)
    if longest in found:
        values |= {(WHOLE_PAGE, name): value for name, value in _times(found[longest], fs_hz).items()}
    for lead, span in spans.items():
        if source[lead] in found:
            heights = _heights(leads_mv[lead], span.start, found[source[lead]], fs_hz)
            values |= {(lead, name): value for name, value in heights.items()}
    return Measured(values, failures)


def _span(shown: np.ndarray) -> slice:
    """From the first sample that is shown to the last."""
    there = np.flatnonzero(shown)
    return slice(int(there[0]), int(there[-1]) + 1)


def _bridged(signal_mv: np.ndarray) -> np.ndarray:
    """A lead with straight lines over its gaps; 0 mV if it has no values."""
    there = np.isfinite(signal_mv)
    number = np.arange(len(signal_mv))
    return np.interp(number, number[there], signal_mv[there]) if there.any() else np.zeros(len(signal_mv))


def _beat_lead(spans: dict[str, slice], span: slice) -> str:
    """The lead that tells the beats within a span: the longest that is shown all along it."""
    along = [lead for lead in BEAT_LEADS if lead in spans and spans[lead].start <= span.start]
    along = [lead for lead in along if spans[lead].stop >= span.stop]
    return max(along, key=lambda lead: spans[lead].stop - spans[lead].start)


def find_beats(signal_mv: np.ndarray, first_sample: int, fs_hz: float) -> Beats:
    """Find the beats of a lead (samples,) that begins at `first_sample`. Raises NoBeatsError if NeuroKit2 fails."""
    length = len(signal_mv)
    margin = max(-(-(round(SHORTEST_S * fs_hz) - length) // 2), 0)
    points = _delineate(np.pad(signal_mv, min(margin, length - 1), mode="reflect"), fs_hz)
    points -= min(margin, length - 1)
    points[(points < 0) | (points >= length)] = np.nan
    inside = np.isfinite(points[:, 2])
    if not inside.any():
        raise NoBeatsError("no beats were found")
    return Beats(*(points[inside] + first_sample).T)


def _delineate(signal_mv: np.ndarray, fs_hz: float) -> np.ndarray:
    """The points of Beats as NeuroKit2 finds them, (beats, 5). Raises NoBeatsError for whatever NeuroKit2 raises: it
    meets signals without beats with errors of all kinds."""
    import neurokit2  # loads matplotlib and pandas: only who measures waits for it

    rate = round(fs_hz)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            cleaned = neurokit2.ecg_clean(signal_mv, sampling_rate=rate)
            peaks = neurokit2.ecg_peaks(cleaned, sampling_rate=rate)[1]["ECG_R_Peaks"]
            waves = neurokit2.ecg_delineate(cleaned, peaks, sampling_rate=rate, method=DELINEATION)[1]
        except Exception as error:
            raise NoBeatsError(f"NeuroKit2: {type(error).__name__}: {error}") from error
    starts, ends = (
        (waves["ECG_P_Onsets"], waves["ECG_R_Onsets"]),
        (waves["ECG_R_Offsets"], waves["ECG_T_Offsets"]),
    )
    return np.array([*starts, peaks, *ends], float).T


def _times(beats: Beats, fs_hz: float) -> dict[str, float]:
    """Heart rate (1/min) and durations (ms)."""
    to_ms = 1000 / fs_hz
    values = (
        60_000 / (to_ms * _median(np.diff(beats.r_peak))),
        to_ms * _median(beats.qrs_start - beats.p_start),
        to_ms * _median(beats.qrs_end - beats.qrs_start),
        to_ms * _median(beats.t_end - beats.qrs_start),
    )
    return dict(zip(TIMES, values, strict=True))


def _heights(lead_mv: np.ndarray, first_sample: int, beats: Beats, fs_hz: float) -> dict[str, float]:
    """R, S and ST level (mV) of a lead (samples,) that begins at `first_sample`, from the beats wholly within it."""
    rows = []
    for qrs_start, qrs_end in zip(beats.qrs_start - first_sample, beats.qrs_end - first_sample, strict=True):
        level_from, st = qrs_start - LEVEL_S * fs_hz, qrs_end + ST_AFTER_S * fs_hz
        st_from, st_to = st - ST_WINDOW_S / 2 * fs_hz, st + ST_WINDOW_S / 2 * fs_hz
        if not (level_from >= 0 and st_to < len(lead_mv) and qrs_end > qrs_start):  # this holds for NaN, too
            continue
        level_mv = np.median(lead_mv[round(level_from) : int(qrs_start) + 1])
        complex_mv = lead_mv[int(qrs_start) : int(qrs_end) + 1] - level_mv
        peak = int(complex_mv.argmax())
        st_mv = lead_mv[round(st_from) : round(st_to) + 1].mean() - level_mv
        rows.append((complex_mv[peak], complex_mv[peak:].min(), st_mv))
    values = np.median(rows, axis=0).tolist() if rows else [np.nan] * len(HEIGHTS)
    return dict(zip(HEIGHTS, values, strict=True))


def _median(values: np.ndarray) -> float:
    """The median of what is known, NaN for nothing."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else np.nan
