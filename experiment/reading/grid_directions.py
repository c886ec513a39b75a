"""The first look at a grid: which way its lines run in each part of an image, and the flat sheet, seen in perspective,
that explains them."""

import cv2
import numpy as np
from scipy import fft
from scipy.optimize import least_squares

from ecg_generator_with_train_src.common.threads import in_threads
from ecg_generator_with_train_src.page.geometry import PX_PER_MM

TILE_PX = 256  # tiles in which the direction of the grid is first looked for
REACH = 80  # waves a tile up to which their spectra are kept: more than there are of the closest lines sought
MAX_TURN_DEG = 44.0
PITCH_TOLERANCE = 0.35  # in logs: how far the pitch may be from the one that the network's scale implies
TILT_DEG, TILT_LOGS = 20.0, 0.5  # how far a tile's lines may be from the page's direction and pitch
CLEAR_PEAK = 20.0  # a tile counts if its spectrum's peak is more than this many times the median
WAVE_TOLERANCE = 0.02  # curled paper changes the frequency of a tile's lines by about this share
FLATNESS = 0.02  # weight against perspective where tiles are few


def flat_sheet(grid: np.ndarray, x_px: np.ndarray, y_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Millimetres along and down flat paper in perspective, at points of the image; both but for a constant."""
    centres, spectra = _tile_spectra(grid)
    common = _common_wave_vector(spectra.sum(axis=0))
    waves = np.stack([common, [-common[1], common[0]]])
    found, contrast = _local_wave_vectors(spectra, waves)
    weight = np.sqrt(np.clip(np.log(np.maximum(contrast.min(axis=0), 1e-9) / CLEAR_PEAK), 0, 1))
    height, width = grid.shape
    reach = max(grid.shape) / 2

    def normal(x_px: np.ndarray, y_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return (x_px - width / 2) / reach, (y_px - height / 2) / reach

    x, y = normal(*centres.T)

    def misses(parameters: np.ndarray) -> np.ndarray:
        off = _perspective_slopes(parameters, x, y) / reach - found
        heard = off * weight[:, None] / np.linalg.norm(common)
        return np.concatenate([heard.ravel(), FLATNESS * parameters[6:]])

    start = np.concatenate([*(np.append(wave * reach, 0) for wave in waves), [0, 0]])
    best = least_squares(misses, start, loss="cauchy", f_scale=WAVE_TOLERANCE).x
    return _perspective(best, *normal(x_px, y_px))


def _perspective(parameters: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The (u, v) of image points under a homography of 8 parameters."""
    rows, depth = parameters[:6].reshape(2, 3), 1 + parameters[6] * x + parameters[7] * y
    return tuple((a * x + b * y + c) / depth for a, b, c in rows)


def _perspective_slopes(parameters: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The gradients (2, points, 2) of u and v at those points."""
    tilt, depth = parameters[6:], 1 + parameters[6] * x + parameters[7] * y
    rows = parameters[:6].reshape(2, 3)[:, None, :2]
    return (rows - np.stack(_perspective(parameters, x, y))[..., None] * tilt) / depth[:, None]


def _tile_spectra(grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centres (tiles, 2) in canvas pixels, and power spectra (tiles, 2·REACH, 2·REACH) with 0 in the middle."""
    padded = np.pad(grid, [(0, max(TILE_PX - size, 0)) for size in grid.shape])
    corners = [
        (top, left)
        for top in range(0, padded.shape[0] - TILE_PX + 1, TILE_PX // 2)
        for left in range(0, padded.shape[1] - TILE_PX + 1, TILE_PX // 2)
    ]
    tiles = (padded[top : top + TILE_PX, left : left + TILE_PX] for top, left in corners)
    return np.array(corners)[:, ::-1] + TILE_PX / 2, np.stack(list(in_threads(_power, tiles)))


def _power(tile: np.ndarray) -> np.ndarray:
    """The power spectrum (2·REACH, 2·REACH) of a tile, 0 in the middle."""
    window = np.hanning(TILE_PX).astype(np.float32)
    half = fft.fft(fft.rfft((tile - tile.mean()) * window[:, None] * window)[:, : REACH + 1], axis=0)
    rows = np.concatenate([half[-REACH:], half[: REACH + 1]])
    power = np.square(rows.real) + np.square(rows.imag)
    # the other half of a real plane's spectrum is its mirror image
    whole = np.concatenate([power[::-1, :0:-1], power[:, :-1]], axis=1)
    return cv2.GaussianBlur(whole[:-1], (0, 0), 1.0)


def _common_wave_vector(power: np.ndarray) -> np.ndarray:
    """The wave vector (x, y), in cycles per pixel, of the lines that cross the rows: the sum of the tiles' spectra is
    strong there and at a right angle to it."""
    frequency = np.exp(np.linspace(-PITCH_TOLERANCE, PITCH_TOLERANCE, 61)) / PX_PER_MM
    angle = np.deg2rad(np.arange(-MAX_TURN_DEG, MAX_TURN_DEG + 0.1, 0.5))
    f_x, f_y = np.outer(frequency, np.cos(angle)), np.outer(frequency, np.sin(angle))
    strength = _at(power, f_x, f_y) * _at(power, -f_y, f_x)
    strength = np.sqrt(strength) * np.exp(-np.square(np.log(frequency * PX_PER_MM) / 0.2))[:, None]
    best = np.unravel_index(strength.argmax(), strength.shape)
    return np.array([f_x[best], f_y[best]])


def _local_wave_vectors(spectra: np.ndarray, waves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each tile's strongest wave vectors (2, tiles, 2) near the two common ones, and how far they stand out from their
    neighbourhood (2, tiles)."""
    factor = np.exp(np.linspace(-TILT_LOGS, TILT_LOGS, 81))[:, None]
    turn = np.deg2rad(np.arange(-TILT_DEG, TILT_DEG + 0.1, 0.5))
    found, contrast = [], []
    for f_x, f_y in waves:
        near_x = factor * (f_x * np.cos(turn) - f_y * np.sin(turn))
        near_y = factor * (f_x * np.sin(turn) + f_y * np.cos(turn))
        for power in spectra:
            strength = _at(power, near_x, near_y)
            best = np.unravel_index(strength.argmax(), strength.shape)
            found.append((near_x[best], near_y[best]))
            contrast.append(strength[best] / max(np.median(strength), 1e-9))
    return np.reshape(found, (2, -1, 2)), np.reshape(contrast, (2, -1))


def _at(power: np.ndarray, f_x: np.ndarray, f_y: np.ndarray) -> np.ndarray:
    index = [(f * TILE_PX + REACH).astype(np.float32) for f in (f_x, f_y)]
    return cv2.remap(power, *index, cv2.INTER_LINEAR)
