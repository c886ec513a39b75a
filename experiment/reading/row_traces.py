"""The traces of a page's rows at a fixed low rate, as they can be told before the layout is known, and what two
stretches of them have in common.

A column's run of ink says where the trace was: its end that lies farther from the row's usual height is the peak of a
steep stroke, or half a pen from the trace where it runs level. At two values a millimetre that is near enough to tell
leads apart, and it hangs neither on noise nor on a sampling rate.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from experiment.reading.rows import Rows

STEP_PX = 4  # half a millimetre: 20 ms at 25 mm/s
MOST_MISSING = 0.6  # stretches of which more shows no ink are not compared
LEAST_STEPS = 4  # fewer that are seen of both are not compared
LAG_STEPS = 2  # rows that show the same moment may stand this far beside each other
LEAD_MM = 60.0  # length of a stretch in which at least one beat stands, and seldom more than one lead
BEAT_MM = 25.0  # length of the stretch, about a beat's, that is looked for in another
# What leads I and II, in this order, have to do with each limb lead (Einthoven, Goldberger)
LIMB_LEADS = {
    "I": (1.0, 0.0),
    "II": (0.0, 1.0),
    "III": (-1.0, 1.0),
    "aVR": (-0.5, -0.5),
    "aVL": (1.0, -0.5),
    "aVF": (-0.5, 1.0),
}
MOST_MM = 1.5  # higher deviations count as this where copies are sought: spikes often run into other rows
LEAST_MM = 0.15  # deviations below this are noise
LEAST_POWER = 6.0  # traces that have less power than this many times the noise say nothing


def row_traces(rows: Rows) -> np.ndarray:
    """Heights in mm, upwards, above each row's usual height (rows, steps of STEP_PX); NaN where a row has no ink."""
    height_px = rows.zero_y_px - rows.outer_px  # (columns, rows)
    steps = len(height_px) // STEP_PX
    cut = height_px[: steps * STEP_PX].reshape(steps, STEP_PX, -1)
    seen = np.isfinite(cut)
    mean_px = np.where(seen, cut, 0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    return np.where(seen.any(axis=1), mean_px, np.nan).T / PX_PER_MM


def stretch(traces: np.ndarray, left_px: float, right_px: float) -> np.ndarray:
    """The part (rows, steps) of the traces between two canvas x; what lies beyond the page is missing."""
    first, last = round(left_px / STEP_PX), round(right_px / STEP_PX)
    part = np.full((len(traces), max(last - first, 0)), np.nan)
    inside = slice(max(first, 0), min(last, traces.shape[1]))
    if inside.stop > inside.start:
        part[:, inside.start - first : inside.stop - first] = traces[:, inside]
    return part


def height_mm(traces: np.ndarray, start_px: float, length_px: float) -> float | None:
    """How high the traces (rows, steps) are in about the time of some beats: the median over such stretches of all
    rows, in mm; None if none is seen."""
    number = max(int(length_px / (LEAD_MM * PX_PER_MM)), 1)
    edges_px = start_px + np.arange(number + 1) * length_px / number
    parts = [part for ends in itertools.pairwise(edges_px) for part in stretch(traces, *ends)]
    heights = [
        np.nanmax(part) - np.nanmin(part) for part in parts if np.isfinite(part).mean() > 1 - MOST_MISSING
    ]
    return float(np.median(heights)) if heights else None


def limb_leads(labels: Sequence[str]) -> list[int]:
    """Which of the labels are of limb leads."""
    return [k for k, label in enumerate(labels) if label.removeprefix("-") in LIMB_LEADS]


def limb_misfit(traces: np.ndarray, labels: Sequence[str]) -> float | None:
    """What Einthoven's and Goldberger's relations leave of the power of limb leads (n, steps) that show the same time.

    0 is nothing, 1 what leads that have nothing in common would leave. None for fewer than three limb leads.
    """
    known = limb_leads(labels)
    if len(known) < 3:
        return None
    signs = np.array([-1.0 if labels[k].startswith("-") else 1.0 for k in known])
    deviation = _deviations(traces[known])
    if deviation is None:
        return None
    parts = np.array([LIMB_LEADS[labels[k].removeprefix("-")] for k in known]) * signs[:, None]
    explained = parts @ np.linalg.pinv(parts) @ deviation
    by_chance = (len(known) - 2) / len(known)
    floor = deviation.size * LEAST_MM**2
    return float(
        (np.square(deviation - explained).sum() + floor) / (np.square(deviation).sum() + floor) / by_chance
    )


def unlikeness(one: np.ndarray, other: np.ndarray) -> float | None:
    """How different two stretches (steps,) are that may show the same moments of the same lead: 0 for copies, 1 for
    leads that have nothing in common. None if too little of one is seen."""
    lags = range(-LAG_STEPS, LAG_STEPS + 1)
    found = [
        _least_difference(
            one[None, max(lag, 0) : len(one) + min(lag, 0)],
            other[None, max(-lag, 0) : len(one) - max(lag, 0)],
            MOST_MM,
        )
        for lag in lags
    ]
    return min((value for value in found if value is not None), default=None)


def change(before: np.ndarray, after: np.ndarray) -> float | None:
    """How different the beats of two neighbouring stretches (steps,) of a row are: about 0 if one lead goes on, 1 and
    more if another begins. None if no beat can be compared."""
    length = round(BEAT_MM * PX_PER_MM / STEP_PX)
    length = min(length, len(after), len(before))
    if length < 4:
        return None
    beat = after[_liveliest(after, length)]
    return _least_difference(sliding_window_view(before, length), np.broadcast_to(beat, (1, length)))


def _liveliest(trace: np.ndarray, length: int) -> slice:
    """The stretch of a length in which the trace moves most."""
    power = np.square(np.nan_to_num(np.diff(trace, prepend=trace[:1])))
    total = np.convolve(power, np.ones(length), mode="valid")
    return slice(int(total.argmax()), int(total.argmax()) + length)


def _least_difference(some: np.ndarray, others: np.ndarray, most_mm: float = np.inf) -> float | None:
    """How different those stretches (n, steps) are from the others (n or 1, steps), one by one, that differ least; None
    if none of them can be compared. Deviations above `most_mm` count as this."""
    seen = np.isfinite(some) & np.isfinite(others)
    number = seen.sum(axis=1)
    enough = (seen.mean(axis=1) >= 1 - MOST_MISSING) & (number >= LEAST_STEPS)
    seen, number = seen[enough], number[enough]
    pairs = [
        _less_median(np.broadcast_to(each, enough.shape + each.shape[1:])[enough], seen)
        for each in (some, others)
    ]
    floor = number * LEAST_MM**2
    alive = _power(pairs, np.inf) >= LEAST_POWER * floor
    power, apart = _power(pairs, most_mm), _power([pairs[0] - pairs[1]], most_mm)
    return float(((apart + floor) / (power + floor))[alive].min()) if alive.any() else None


def _power(traces: list[np.ndarray], most_mm: float) -> np.ndarray:
    return sum(np.square(np.clip(each, -most_mm, most_mm)).sum(axis=1) for each in traces)


def _less_median(traces: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The traces (n, steps) less their medians where they are seen, and 0 elsewhere."""
    number, each = seen.sum(axis=1), np.arange(len(traces))
    ordered = np.sort(np.where(seen, traces, np.inf), axis=1)
    median = (ordered[each, (number - 1) // 2] + ordered[each, number // 2]) / 2
    return np.where(seen, traces - median[:, None], 0.0)


def _deviations(traces: np.ndarray) -> np.ndarray | None:
    """The traces (n, steps) where all are seen, each less its median; None if that is too little."""
    seen = np.isfinite(traces).all(axis=0)
    if seen.mean() < 1 - MOST_MISSING or seen.sum() < LEAST_STEPS:
        return None
    return traces[:, seen] - np.median(traces[:, seen], axis=1, keepdims=True)
