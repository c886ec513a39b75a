"""What is hidden of one lead, from the leads that are seen at that moment.

All leads look at one heart. Between limb leads Einthoven's and Goldberger's relations hold exactly; between any two, a
linear relation over neighbouring moments holds well for one rhythm. Which one, the page tells where both are seen. So
what a separator or a name hides of one lead can be drawn from the rhythm strip below it, QRS complexes included, where
a straight line would cut them off.
"""

from collections.abc import Iterator

import numpy as np
from scipy.ndimage import find_objects, label

LAG_S, LAGS = 0.004, 10  # moments on either side of the one that is sought
MIN_SEEN_S = 1.0  # of both leads together, to learn from
RIDGE = 1e-3  # of the mean power of the moments
EDGE_SAMPLES = 2  # on either side of what is hidden, at which what is drawn must join


def fill_hidden(signal_mv: np.ndarray, seen: np.ndarray, fs_hz: float) -> np.ndarray:
    """Signals of leads (leads, samples) in mV, NaN where one is not on the page, with what is hidden drawn from others.

    seen (leads, samples): whether a value was read from ink. A stretch is left as it is where no lead is seen all along
    it, or too little is to learn from. Where leads have nothing in common, the relation is next to nothing, and a
    straight line joins the neighbours.
    """
    filled = signal_mv.copy()
    lags = np.arange(-LAGS, LAGS + 1) * max(round(LAG_S * fs_hz), 1)
    usable = _seen_around(seen, lags)
    for lead in range(len(seen)):
        for hidden in _runs(np.isfinite(signal_mv[lead]) & ~seen[lead]):
            others = [k for k in range(len(seen)) if k != lead and usable[k, hidden].all()]
            learn = seen[lead] & usable[others].all(axis=0) if others else np.zeros(0, bool)
            if learn.sum() >= MIN_SEEN_S * fs_hz:
                moments = _moments(signal_mv[others], lags)
                filled[lead, hidden] = _drawn(moments, signal_mv[lead], np.flatnonzero(learn), hidden)
    return filled


def _seen_around(seen: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """Whether a lead is seen at all lags about each sample."""
    return np.all(_at_lags(seen, lags), axis=0)


def _moments(signal_mv: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """The leads' values at all lags about each sample, and 1 (samples, values)."""
    return np.concatenate([*_at_lags(signal_mv, lags), np.ones((1, signal_mv.shape[1]))]).T


def _at_lags(rows: np.ndarray, lags: np.ndarray) -> list[np.ndarray]:
    """Rows (leads, samples) moved by each lag; beyond their ends they keep their last value."""
    reach = int(lags[-1])
    padded = np.pad(rows, ((0, 0), (reach, reach)), mode="edge")
    return [padded[:, reach + lag : reach + lag + rows.shape[1]] for lag in lags]


def _drawn(moments: np.ndarray, lead_mv: np.ndarray, learn: np.ndarray, hidden: slice) -> np.ndarray:
    """The hidden stretch as the relation has it, moved to join its neighbours."""
    expected = moments @ _relation(moments[learn], lead_mv[learn])
    before, after = learn[learn < hidden.start][-EDGE_SAMPLES:], learn[learn >= hidden.stop][:EDGE_SAMPLES]
    places = [edge.mean() for edge in (before, after) if len(edge)]
    steps = [(lead_mv[edge] - expected[edge]).mean() for edge in (before, after) if len(edge)]
    return expected[hidden] + np.interp(np.arange(hidden.start, hidden.stop), places, steps)


def _relation(moments: np.ndarray, lead_mv: np.ndarray) -> np.ndarray:
    """Least squares with a ridge on all but the constant."""
    power = moments.T @ moments
    ridge = np.full(len(power), RIDGE * np.trace(power[:-1, :-1]) / (len(power) - 1) + 1e-9)
    ridge[-1] = 0
    return np.linalg.solve(power + np.diag(ridge), moments.T @ lead_mv)


def _runs(where: np.ndarray) -> Iterator[slice]:
    """The stretches of samples at which something holds."""
    return (stretch for (stretch,) in find_objects(label(where)[0]))
