"""How a scanner's feed skipped and stretched a page: a displacement that all lines across the feed have in common.

Along one axis of the image, the phase of the grid lines against a smooth field is averaged over the other axis, band by
band. What the bands agree on is the feed; what they do not agree on says how uncertain it is, and by that much the
displacement is shrunk, so that bent or crumpled paper, whose bands differ, is left as it is.

Lines that were drawn in whole pixels of PX_PER_MM, as the competition's pages are, are up to half a pixel off their
place, in a wave over RASTER_MM that goes on over the whole page. It is in the drawing, and the traces do not have it;
so it is fitted and left aside.
"""

import math

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from experiment.reading.lattice import on_every_pixel

RASTER_MM = 1 / (math.ceil(PX_PER_MM) - PX_PER_MM)  # lines PX_PER_MM apart fall on whole pixels this often
RASTER_WAVES = 3  # so many harmonics describe the rounding to whole pixels
BANDS = 8
SMOOTHING_PX = 3.0  # standard deviation of the average along the axis: about a third of a line's distance
ROUNDING_PX = 1.0  # standard deviation by which the displacement itself is smoothed
EDGE_PX = 12  # this near to the image's edge, part of what is averaged is missing
NEIGHBOURHOOD_PX = (
    14.0  # standard deviation over which a displacement's uncertainty and strength are measured
)
LEAST_DOUBT_MM = 0.02  # a displacement is not taken to be more certain than this (0.8 ms at 25 mm/s)
LEAST_BANDS = 2.5  # fewer bands, by their weights, say nothing
GRIDDED = 0.3  # a band has a grid where the averaged wave is at least this part of what it usually is
OUTLIER_MM = 0.12  # phases farther from the raster's wave do not count in fitting it
REWEIGHTINGS = 4


def feed_profile(level: np.ndarray, field_mm: np.ndarray) -> np.ndarray:
    """The displacement in mm of grid lines that cross the x axis, in each column of pixels (W,).

    `level` (H, W) float32 is the grid plane less its local mean, and `field_mm` the millimetres across the lines on its
    lattice. For lines that cross the y axis, give both transposed.

    >>> x = np.arange(800.0) + 0.5
    >>> jump = np.where(x > 400, 0.1, 0.0)  # the scanner skipped 0.1 mm
    >>> lines = np.tile(np.cos(2 * np.pi * (x / PX_PER_MM + jump)), (160, 1)).astype(np.float32)
    >>> profile = feed_profile(lines, np.tile((np.arange(100) * 8 + 4) / PX_PER_MM, (20, 1)))
    >>> round(float(profile[700] - profile[100]), 1)
    0.1
    """
    height, width = level.shape
    nearby_mm = field_mm - np.floor(field_mm.min())  # single precision is enough for what is above it
    dense_mm = on_every_pixel(nearby_mm.astype(np.float32))[:height, :width]
    level, dense_mm = level[::2], dense_mm[::2]  # every other row tells as much of a band
    turn = 2 * np.pi * (dense_mm - np.floor(dense_mm))
    across, down = map(_bands, cv2.polarToCart(np.ascontiguousarray(level), turn))
    waves, place_mm = across - 1j * down, _bands(dense_mm)
    place_mm /= _bands(np.ones_like(dense_mm))
    size = np.abs(waves)
    size = np.clip(size / max(np.percentile(size, 80), 1e-9), 0, 1)
    weight = np.square(size) * (size > GRIDDED)
    weight[:, :EDGE_PX] = weight[:, -EDGE_PX:] = 0
    mean = np.angle(waves.sum())
    ahead_mm = np.angle(waves * np.exp(-1j * mean)) / (2 * np.pi)
    return _agreed(ahead_mm - _raster_wave(place_mm, ahead_mm, weight), weight)


def _bands(plane: np.ndarray) -> np.ndarray:
    """Sums of a plane (H, W) over each band of rows, averaged along it: (BANDS, W)."""
    sums = np.stack([band.sum(axis=0, dtype=np.float64) for band in np.array_split(plane, BANDS)])
    return gaussian_filter1d(sums, SMOOTHING_PX, axis=1)


def _raster_wave(place_mm: np.ndarray, ahead_mm: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The part of phases (bands, W) at places on the paper that is the rounding of lines to whole pixels."""
    turns = [2 * np.pi * number * place_mm / RASTER_MM for number in range(1, RASTER_WAVES + 1)]
    waves = np.stack([function(turn) for turn in turns for function in (np.cos, np.sin)], axis=-1)
    parts = np.concatenate([waves, np.ones((*place_mm.shape, 1))], axis=-1)
    kept = weight
    for _ in range(REWEIGHTINGS):
        normal = np.einsum("bx,bxi,bxj->ij", kept, parts, parts)
        normal += 1e-6 * (kept.sum() + 1) * np.eye(len(normal))
        shares = np.linalg.solve(normal, np.einsum("bx,bxi,bx->i", kept, parts, ahead_mm))
        off = np.abs(ahead_mm - parts @ shares) / OUTLIER_MM
        kept = weight * np.square(np.clip(1 - np.square(off), 0, 1))
    return waves @ shares[:-1]


def _agreed(ahead_mm: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The mean (W,) of phases over the bands (bands, W), shrunk by its uncertainty."""
    total = weight.sum(axis=0) + 1e-9
    mean_mm = (weight * ahead_mm).sum(axis=0) / total
    spread = (weight * np.square(ahead_mm - mean_mm)).sum(axis=0) / total
    bands = np.square(total) / (np.square(weight).sum(axis=0) + 1e-9)
    doubt = gaussian_filter1d(spread / np.maximum(bands - 1, 1), NEIGHBOURHOOD_PX) + LEAST_DOUBT_MM**2
    power = gaussian_filter1d(np.square(mean_mm), NEIGHBOURHOOD_PX)
    believed = np.clip(1 - doubt / np.maximum(power, 1e-12), 0, 1) * (bands > LEAST_BANDS)
    return gaussian_filter1d(mean_mm * believed, ROUNDING_PX)
