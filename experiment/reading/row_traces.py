"""The traces of a page's rows at a fixed low rate, as they can be told before the layout is known, and what two
stretches of them have in common.

A column's run of ink says where the trace was: its end that lies farther from the row's usual height is the peak of a
steep stroke, or half a pen from the trace where it runs level. At two values a millimetre that is near enough to tell
leads apart, and it hangs neither on noise nor on a sampling rate.
"""

import itertools
from collections.abc import Sequence

import numpy as np

from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from experiment.reading.rows import Rows

STEP_PX = 4  # half a millimetre: 20 ms at 25 mm/s
MOST_MISSING = 0.6  # stretches of which more shows no ink are not compared
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
    lags = [
        _difference(one[max(lag, 0) :][: len(one) - abs(lag)], other[max(-lag, 0) :][: len(one) - abs(lag)], MOST_MM)
        for lag in range(-LAG_STEPS, LAG_STEPS + 1)
    ]  # fmt: skip
    known = [value for value in lags if value is not None]
    return min(known) if known else None


def change(before: np.ndarray, after: np.ndarray) -> float | None:
    """How different the beats of two neighbouring stretches (steps,) of a row are: about 0 if one lead goes on, 1 and
    more if another begins. None if no beat can be compared."""
    length = round(BEAT_MM * PX_PER_MM / STEP_PX)
    length = min(length, len(after), len(before))
    if length < 4:
        return None
    beat = after[_liveliest(after, length)]
    found = [_difference(before[at : at + length], beat) for at in range(len(before) - length + 1)]
    known = [value for value in found if value is not None]
    return min(known) if known else None


def _liveliest(trace: np.ndarray, length: int) -> slice:
    """The stretch of a length in which the trace moves most."""
    power = np.square(np.nan_to_num(np.diff(trace, prepend=trace[:1])))
    total = np.convolve(power, np.ones(length), mode="valid")
    return slice(int(total.argmax()), int(total.argmax()) + length)


def _difference(one: np.ndarray, other: np.ndarray, most_mm: float = np.inf) -> float | None:
    pair = _deviations(np.stack([one, other]))
    if pair is None:
        return None
    floor = pair.size * LEAST_MM**2 / 2
    if np.square(pair).sum() < LEAST_POWER * floor:
        return None
    apart, heights = (np.clip(values, -most_mm, most_mm) for values in (pair[0] - pair[1], pair))
    return float((np.square(apart).sum() + floor) / (np.square(heights).sum() + floor))


def _deviations(traces: np.ndarray) -> np.ndarray | None:
    """The traces (n, steps) where all are seen, each less its median; None if that is too little."""
    seen = np.isfinite(traces).all(axis=0)
    if seen.mean() < 1 - MOST_MISSING or seen.sum() < 4:
        return None
    return traces[:, seen] - np.median(traces[:, seen], axis=1, keepdims=True)
