"""Draw the hidden stretches of one lead from the leads that are visible at the same time.

All leads look at one heart. Between limb leads, Einthoven's and Goldberger's relations hold exactly. Between any two
leads, some linear relation over neighbouring moments holds well as long as the rhythm stays the same; it is learnt
where both are visible. So the stretch that a separator or a name hides can be drawn from the rhythm strip below it,
QRS complexes included, which a straight line would cut off.
"""

from collections.abc import Iterator

import numpy as np
from scipy.ndimage import find_objects, label

from ecg_generator_with_train_src.page.records import LEADS
from experiment.reading.row_traces import LIMB_LEADS

LAG_S, LAGS = 0.004, 10  # a moment is told from so many moments on either side, this far apart
MIN_VISIBLE_S = 1.0  # a relation is learnt from at least this much time in which all its leads are visible
RIDGE = 1e-3  # ridge of the least squares, in parts of the mean power
MOST_MISFIT = 0.1  # limb leads that leave more of their power unexplained are misread, or under wrong names
EDGE_SAMPLES = 2  # the drawn stretch joins the mean of so many samples on either side


def fill_hidden(signal_mv: np.ndarray, visible: np.ndarray, fs_hz: float) -> np.ndarray:
    """Return the signals (leads, samples) in mV with their hidden stretches drawn from other leads.

    `signal_mv` is NaN where a lead is not on the page; `visible` (leads, samples) says which values were read from ink.
    A stretch stays as it is if no other lead is visible all along it, or if too little is left to learn from. If leads
    have nothing in common, the relation is nearly zero, and a straight line joins the neighbours.
    """
    filled = signal_mv.copy()
    lags = np.arange(-LAGS, LAGS + 1) * max(round(LAG_S * fs_hz), 1)
    usable = _visible_around(visible, lags)
    for lead in range(len(visible)):
        for hidden in _runs(np.isfinite(signal_mv[lead]) & ~visible[lead]):
            others = [k for k in range(len(visible)) if k != lead and usable[k, hidden].all()]
            learn = visible[lead] & usable[others].all(axis=0) if others else np.zeros(0, bool)
            if learn.sum() >= MIN_VISIBLE_S * fs_hz:
                moments = _moments(signal_mv[others], lags)
                filled[lead, hidden] = _drawn_from_others(
                    moments, signal_mv[lead], np.flatnonzero(learn), hidden
                )
    return filled


def blend_limb_leads(signal_mv: np.ndarray) -> np.ndarray:
    """Return the signals (samples, 12) in mV with limb leads that stand together, three or more at a time, moved to the
    nearest ones that obey Einthoven's and Goldberger's relations; each keeps its level.

    Their errors partly cancel so. Leads that do not nearly obey them stay as they are.
    """
    blended = signal_mv.copy()
    columns = [LEADS.index(lead) for lead in LIMB_LEADS]
    patterns, of_sample = np.unique(np.isfinite(signal_mv[:, columns]), axis=0, return_inverse=True)
    for number, there in enumerate(patterns):
        if there.sum() < 3:
            continue
        places = np.ix_(of_sample.ravel() == number, np.array(columns)[there])
        level_mv = np.median(signal_mv[places], axis=0)
        read_mv = signal_mv[places] - level_mv
        parts = np.array(list(LIMB_LEADS.values()))[there]
        nearest_mv = read_mv @ (parts @ np.linalg.pinv(parts)).T
        if np.square(read_mv - nearest_mv).sum() <= MOST_MISFIT * np.square(read_mv).sum():
            blended[places] = nearest_mv + level_mv
    return blended


def _visible_around(visible: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """Whether a lead is visible at all lags about each sample."""
    return np.all(_at_lags(visible, lags), axis=0)


def _moments(signal_mv: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """The leads' values at all lags about each sample, and a constant 1: (samples, values)."""
    return np.concatenate([*_at_lags(signal_mv, lags), np.ones((1, signal_mv.shape[1]))]).T


def _at_lags(rows: np.ndarray, lags: np.ndarray) -> list[np.ndarray]:
    """The rows (leads, samples) moved by each lag. Beyond its ends, a row keeps its last value."""
    reach = int(lags[-1])
    padded = np.pad(rows, ((0, 0), (reach, reach)), mode="edge")
    return [padded[:, reach + lag : reach + lag + rows.shape[1]] for lag in lags]


def _drawn_from_others(
    moments: np.ndarray, lead_mv: np.ndarray, learn: np.ndarray, hidden: slice
) -> np.ndarray:
    """The hidden stretch as the relation predicts it, moved so that it joins its neighbours."""
    expected = moments @ _relation(moments[learn], lead_mv[learn])
    before, after = learn[learn < hidden.start][-EDGE_SAMPLES:], learn[learn >= hidden.stop][:EDGE_SAMPLES]
    places = [edge.mean() for edge in (before, after) if len(edge)]
    steps = [(lead_mv[edge] - expected[edge]).mean() for edge in (before, after) if len(edge)]
    return expected[hidden] + np.interp(np.arange(hidden.start, hidden.stop), places, steps)


def _relation(moments: np.ndarray, lead_mv: np.ndarray) -> np.ndarray:
    """Fit least squares with a ridge on all coefficients except the constant."""
    power = moments.T @ moments
    ridge = np.full(len(power), RIDGE * np.trace(power[:-1, :-1]) / (len(power) - 1) + 1e-9)
    ridge[-1] = 0
    return np.linalg.solve(power + np.diag(ridge), moments.T @ lead_mv)


def _runs(where: np.ndarray) -> Iterator[slice]:
    """The stretches of samples where the condition holds."""
    return (stretch for (stretch,) in find_objects(label(where)[0]))
