"""Random textures. They can be replayed, and are cheap: they are small, or drawn once per process."""

from functools import lru_cache

import cv2
import numpy as np

from ecg_generator_with_train_src.common.random_stream import random_stream

TILE_PX = 1021  # a prime number, so that tiles do not line up with blocks of 8 px
TILE_UNIT = 64  # standard deviation of the tile of noise
TONER_UNIT = 128  # amplitude of a toner screen
# Angle in degrees and pitch in px of what is left of a printer's screen of dots on a page of 200 dpi
TONER_SCREENS = ((15.0, 2.7), (37.0, 3.1), (45.0, 2.4), (71.0, 3.6))


@lru_cache(maxsize=1)
def _noise_tile() -> np.ndarray:
    """White Gaussian noise, standard deviation TILE_UNIT, int16."""
    tile = random_stream(0, "noise tile").standard_normal((TILE_PX, TILE_PX), np.float32)
    return np.rint(np.clip(tile, -5, 5) * TILE_UNIT).astype(np.int16)


def white_noise(rng: np.random.Generator, shape: tuple[int, int], deviation: float) -> np.ndarray:
    """Gaussian noise, (height, width) int16, from one tile at a random place."""
    return _tiled(rng, cv2.multiply(_noise_tile(), deviation / TILE_UNIT), shape)


def paper_grain(rng: np.random.Generator, shape: tuple[int, int], deviation: float) -> np.ndarray:
    """The grain of paper fibres: like white_noise, but smooth over about 2 px."""
    return _tiled(rng, cv2.multiply(_grain_tile(), deviation / TILE_UNIT), shape)


def toner_screen(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """A laser printer's screen of dots, (height, width) int16, from about -TONER_UNIT to about TONER_UNIT."""
    return _tiled(rng, _screen_tile(*TONER_SCREENS[rng.integers(len(TONER_SCREENS))]), shape)


@lru_cache(maxsize=1)
def _grain_tile() -> np.ndarray:
    tile = cv2.GaussianBlur(_noise_tile().astype(np.float32), (0, 0), 1.1, borderType=cv2.BORDER_REFLECT)
    return np.rint(tile * (TILE_UNIT / tile.std())).astype(np.int16)


@lru_cache(maxsize=4)
def _screen_tile(angle_deg: float, cell_px: float) -> np.ndarray:
    y, x = np.mgrid[:TILE_PX, :TILE_PX].astype(np.float32) * (2 * np.pi / cell_px)
    cos, sin = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    dots = 0.5 * (np.cos(cos * x + sin * y) + np.cos(cos * y - sin * x))
    return np.rint(dots * TONER_UNIT + _noise_tile() * (0.25 * TONER_UNIT / TILE_UNIT)).astype(np.int16)


def _tiled(rng: np.random.Generator, tile: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Cut an area out of the repeated tile, from a random place."""
    height, width = shape
    scaled = np.roll(tile, tuple(rng.integers(TILE_PX, size=2)), (0, 1))
    if height <= TILE_PX and width <= TILE_PX:
        return scaled[:height, :width]
    bottom, right = max(height - TILE_PX, 0), max(width - TILE_PX, 0)
    return cv2.copyMakeBorder(scaled, 0, bottom, 0, right, cv2.BORDER_WRAP)[:height, :width]


def clouds(rng: np.random.Generator, shape: tuple[int, int], cells: int, octaves: int = 4) -> np.ndarray:
    """Smooth noise with a standard deviation of 1, float32. The coarsest octave has `cells` along the longer side."""
    height, width = shape
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        count = cells * 2**octave
        rows, columns = (max(2, round(count * side / max(shape))) for side in shape)
        coarse = rng.standard_normal((rows, columns), np.float32)
        total += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) / 2**octave
    return total / max(float(total.std()), 1e-6)
