"""Measure how well signals were read from a page: the competition's signal-to-noise ratio, RMSE and correlation.

Signals are (leads, samples) in mV, NaN where a lead is not shown. A prediction has values exactly where its truth has.

The metric (Kaggle competition `physionet-ecg-image-digitization`) lays each lead over its truth. Both are centred, the
prediction is moved by at most 0.2 s to where their cross-correlation is highest, and the best vertical offset is taken
off. What then differs is noise. The power of the truth (its mean included) and that of the noise are summed over the 12
leads of a page; samples that the move leaves open count as a prediction of zero. A page's ratio is at most 384, so that
the score, 10 log10 of the mean ratio over the pages, is at most 25.84 dB.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import scipy.fft

MAX_SHIFT_S = 0.2
MAX_RATIO = 384.0
LEAST_DB = -384.0  # the competition gives this for a mean ratio of zero

# Correlations that differ by less than this, relative to the signals' norms, are equal: round-off moves no flat line
_TIE = 1e-12


@dataclass(frozen=True)
class PageScore:
    """The score of a page's leads; each array has one entry per lead. A page that was not read has ratios of 0 and the
    noise of a flat line."""

    samples: np.ndarray  # number of samples that were compared
    signal_mv2: np.ndarray  # sum of the truth's squares
    noise_mv2: np.ndarray  # sum of the noise's squares
    shift: np.ndarray  # samples by which the prediction was moved to the right
    offset_mv: np.ndarray  # what was taken off the prediction
    correlation: np.ndarray  # Pearson's, where both have values; 0 for a flat line
    read: bool = True

    @property
    def ratio(self) -> float:
        """The page's signal-to-noise ratio, 0 to 384."""
        return float(power_ratio(self.signal_mv2.sum(), self.noise_mv2.sum())) if self.read else 0.0

    @property
    def db(self) -> float:
        """The page's own score in dB; 0 if it was not read."""
        return score_db([self.ratio]) if self.read else 0.0

    @property
    def lead_ratios(self) -> np.ndarray:
        """Each lead's own ratio, shape (leads,); NaN for one that the record lacks."""
        ratios = power_ratio(self.signal_mv2, self.noise_mv2) if self.read else np.zeros(len(self.samples))
        return np.where(self.samples > 0, ratios, np.nan)

    @property
    def lead_rmse_mv(self) -> np.ndarray:
        """The root mean square of each lead's noise, shape (leads,); NaN for one that the record lacks."""
        return np.sqrt(np.where(self.samples > 0, self.noise_mv2, np.nan) / np.maximum(self.samples, 1))

    @property
    def rmse_mv(self) -> float:
        """The root mean square of the page's noise."""
        return float(np.sqrt(self.noise_mv2.sum() / self.samples.sum()))


def score_signals(truth_mv: np.ndarray, predicted_mv: np.ndarray, fs_hz: float) -> PageScore:
    """Score the leads of a page by their truth; both are (leads, samples) in mV.

    Raises ValueError if the shapes differ, a value is infinite, a lead has no values, or the prediction does not have
    values at exactly the samples where its truth has some.

    >>> truth_mv = np.sin(np.arange(500) / 8)[None]
    >>> score = score_signals(truth_mv, np.roll(0.9 * truth_mv, 3, axis=1) + 0.2, fs_hz=50.0)
    >>> score.shift.tolist(), score.offset_mv.round(2).tolist(), round(float(score.db), 1)
    ([-3], [0.2], 18.7)
    """
    shown = np.isfinite(truth_mv)
    if truth_mv.shape != predicted_mv.shape or np.isinf(truth_mv).any() or np.isinf(predicted_mv).any():
        raise ValueError("truth and prediction must have one shape and no infinite values")
    if (shown != np.isfinite(predicted_mv)).any() or not shown.any(axis=-1).all():
        raise ValueError("truth and prediction must have values at the same samples, some for every lead")
    shift = best_shift(truth_mv, predicted_mv, int(MAX_SHIFT_S * fs_hz))
    moved_mv = np.where(shown, _move(predicted_mv, shift), np.nan)
    both = np.isfinite(moved_mv)
    offset_mv = _mean(moved_mv - truth_mv, both)
    left_mv = np.where(both, truth_mv - (moved_mv - offset_mv[..., None]), truth_mv)
    return PageScore(
        samples=shown.sum(axis=-1),
        signal_mv2=_power(truth_mv, shown),
        noise_mv2=_power(left_mv, shown),
        shift=shift,
        offset_mv=offset_mv,
        correlation=_correlation(truth_mv, moved_mv, both),
    )


def score_shown_leads(truth_mv: np.ndarray, predicted_mv: np.ndarray, fs_hz: float) -> PageScore:
    """The same where the truth lacks some leads: they have no samples, and NaN for offset and correlation."""
    shown = np.isfinite(truth_mv).any(axis=-1)
    score = score_signals(truth_mv[shown], predicted_mv[shown], fs_hz)
    if shown.all():
        return score
    empty = {
        "samples": 0,
        "signal_mv2": 0.0,
        "noise_mv2": 0.0,
        "shift": 0,
        "offset_mv": np.nan,
        "correlation": np.nan,
    }
    arrays = {name: np.full(len(shown), value) for name, value in empty.items()}
    for name, array in arrays.items():
        array[shown] = getattr(score, name)
    return PageScore(**arrays)


def best_shift(truth_mv: np.ndarray, predicted_mv: np.ndarray, max_shift: int) -> np.ndarray:
    """The shift of each lead, in samples to the right, at which the centred signals correlate most; the least if equal.

    `truth_mv` and `predicted_mv` are (leads, samples), NaN at the same samples.
    """
    length = truth_mv.shape[-1]
    max_shift = min(max_shift, length - 1)
    size = scipy.fft.next_fast_len(length + max_shift, real=True)  # shifts do not wrap around
    spectrum = scipy.fft.rfft(_centred(truth_mv), size)
    spectrum *= scipy.fft.rfft(_centred(predicted_mv), size).conj()
    shifts = np.array(sorted(range(-max_shift, max_shift + 1), key=abs))
    correlation = scipy.fft.irfft(spectrum, size)[..., shifts]
    tie = _TIE * np.sqrt(np.nansum(truth_mv**2, axis=-1) * np.nansum(predicted_mv**2, axis=-1))
    highest = correlation.max(axis=-1) - tie
    return shifts[np.argmax(correlation >= highest[..., None], axis=-1)]


def power_ratio(signal_mv2: np.ndarray, noise_mv2: np.ndarray) -> np.ndarray:
    """Signal over noise, at most 384. It is 384 without noise, and else 0 without a signal."""
    signal_mv2, noise_mv2 = np.asarray(signal_mv2, float), np.asarray(noise_mv2, float)
    ratio = np.divide(signal_mv2, noise_mv2, out=np.full(signal_mv2.shape, MAX_RATIO), where=noise_mv2 > 0)
    return np.minimum(ratio, MAX_RATIO)


def score_db(ratios: Iterable[float]) -> float:
    """The score of pages (or leads) from their ratios: 10 log10 of their mean, at least -384 dB. Ratios that are NaN do
    not count; NaN if no other is there."""
    known = [ratio for ratio in ratios if not np.isnan(ratio)]
    if not known:
        return float("nan")
    mean = float(np.mean(known))
    return max(10 * np.log10(mean), LEAST_DB) if mean > 0 else LEAST_DB


def _move(signal_mv: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Move each lead to the right by its shift; the samples that this leaves open are NaN."""
    source = np.arange(signal_mv.shape[-1]) - shift[..., None]
    inside = (source >= 0) & (source < signal_mv.shape[-1])
    return np.where(inside, np.take_along_axis(signal_mv, np.where(inside, source, 0), axis=-1), np.nan)


def _centred(signal_mv: np.ndarray) -> np.ndarray:
    """Take off the mean; samples without a value become 0."""
    there = np.isfinite(signal_mv)
    return np.where(there, signal_mv - _mean(signal_mv, there)[..., None], 0.0)


def _mean(values: np.ndarray, there: np.ndarray) -> np.ndarray:
    return np.where(there, values, 0.0).sum(axis=-1) / there.sum(axis=-1)


def _power(signal_mv: np.ndarray, there: np.ndarray) -> np.ndarray:
    return (np.where(there, signal_mv, 0.0) ** 2).sum(axis=-1)


def _correlation(truth_mv: np.ndarray, moved_mv: np.ndarray, both: np.ndarray) -> np.ndarray:
    one, other = _centred(np.where(both, truth_mv, np.nan)), _centred(np.where(both, moved_mv, np.nan))
    norm = np.sqrt((one**2).sum(axis=-1) * (other**2).sum(axis=-1))
    flat = norm <= _TIE * np.sqrt(_power(truth_mv, both) * _power(moved_mv, both))
    return np.divide((one * other).sum(axis=-1), norm, out=np.zeros_like(norm), where=~flat)
