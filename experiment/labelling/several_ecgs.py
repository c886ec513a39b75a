"""Two ECGs on one image, one beside or below the other: told by their lead names, which all stand on it twice."""

from collections import defaultdict

import numpy as np
from scipy.ndimage import uniform_filter1d

from ecg_generator_with_train_src.common.classes import GRID, WAVEFORM
from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from experiment.labelling.page_probability import PageProbability
from experiment.reading.printed_text import PrintedText

SELDOM_STRIPS = ("I", "III", "aVR", "aVL", "aVF", "V2", "V3", "V4", "V6")  # one ECG names these leads once
ENOUGH_PAIRS = 4  # so many of them stand twice
SAME_MM = 8.0  # equally far apart, but for so much
APART_MM = (120.0, 50.0)  # and at least so far, beside and below one another
LEAST_INK = 0.5  # a column or row of pixels with less ink in all shows no trace
GAP_MM = 4.0  # the space between two pages is about as wide


def ecgs_on(page: PageProbability) -> tuple[PageProbability, ...]:
    """The page itself, or its two parts if it shows two ECGs: the left or upper one first."""
    pairs = _pairs(page.text)
    if len(pairs) < ENOUGH_PAIRS:
        return (page,)
    apart_px = pairs[:, 1] - pairs[:, 0]
    usual_px = np.median(apart_px, axis=0)
    alike = np.hypot(*(apart_px - usual_px).T) < SAME_MM * PX_PER_MM
    axis = int(np.abs(usual_px).argmax())  # 0: beside one another, 1: below
    firsts, seconds = pairs[alike, 0, axis], pairs[alike, 1, axis]
    if (
        alike.sum() < ENOUGH_PAIRS
        or usual_px[axis] < APART_MM[axis] * PX_PER_MM
        or firsts.max() >= seconds.min()
    ):
        return (page,)
    cut_px = _cut(page, axis, int(firsts.max()), int(seconds.min()))
    height, width = page.image.shape[:2]
    if axis == 0:
        return page.part(0, 0, cut_px, height), page.part(cut_px, 0, width, height)
    return page.part(0, 0, width, cut_px), page.part(0, cut_px, width, height)


def _pairs(text: PrintedText) -> np.ndarray:
    """The two places (pairs, 2, 2), x and y in canvas pixels, of each name that stands twice, in the order of the
    direction in which they are farther apart."""
    places = defaultdict(list)
    for name in text.names:
        if name.lead in SELDOM_STRIPS:
            places[name.lead].append((name.x_px, name.y_px))
    twice = [np.array(found) for found in places.values() if len(found) == 2]
    ordered = [pair[np.argsort(pair[:, int(np.abs(pair[1] - pair[0]).argmax())])] for pair in twice]
    return np.array(ordered).reshape(-1, 2, 2)


def _cut(page: PageProbability, axis: int, first_px: int, last_px: int) -> int:
    """Where to cut between two places: within the widest stretch without traces, where there is least of a grid."""
    between = slice(first_px, last_px + 1)
    ink, grid = (page.probability[plane].sum(axis=axis)[between] for plane in (WAVEFORM, GRID))
    edges = np.flatnonzero(np.concatenate([[True], ink >= LEAST_INK, [True]]))
    widest = int(np.diff(edges).argmax())
    start, stop = edges[widest], max(edges[widest + 1] - 1, edges[widest] + 1)
    level = uniform_filter1d(grid, round(GAP_MM * PX_PER_MM), mode="nearest")[start:stop]
    emptiest = np.flatnonzero(level <= level.min() + 0.1 * (level.max() - level.min()))
    return first_px + int(start) + int(np.median(emptiest))
