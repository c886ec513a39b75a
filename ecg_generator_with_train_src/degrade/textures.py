"""Random textures: replayable, and cheap because they are small or drawn once a process."""

from functools import lru_cache

import cv2
import numpy as np

from ecg_generator_with_train_src.common.random_stream import random_stream

TILE_PX = 1021  # prime: no rhythm with 8 px blocks
TILE_UNIT = 64  # the tile's standard deviation


@lru_cache(maxsize=1)
def _noise_tile() -> np.ndarray:
    """White Gaussian noise, standard deviation TILE_UNIT, int16."""
    tile = random_stream(0, "noise tile").standard_normal((TILE_PX, TILE_PX), np.float32)
    return np.rint(np.clip(tile, -5, 5) * TILE_UNIT).astype(np.int16)


def white_noise(rng: np.random.Generator, shape: tuple[int, int], deviation: float) -> np.ndarray:
    """Gaussian noise, (height, width) int16, from one tile at a random place."""
    height, width = shape
    top, left = rng.integers(TILE_PX, size=2)
    scaled = cv2.multiply(np.roll(_noise_tile(), (top, left), (0, 1)), deviation / TILE_UNIT)
    if height <= TILE_PX and width <= TILE_PX:
        return scaled[:height, :width]
    bottom, right = max(height - TILE_PX, 0), max(width - TILE_PX, 0)
    return cv2.copyMakeBorder(scaled, 0, bottom, 0, right, cv2.BORDER_WRAP)[:height, :width]


def clouds(rng: np.random.Generator, shape: tuple[int, int], cells: int, octaves: int = 4) -> np.ndarray:
    """Smooth noise of unit deviation, float32; `cells` of the coarsest octave across the longer side."""
    height, width = shape
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        count = cells * 2**octave
        rows, columns = (max(2, round(count * side / max(shape))) for side in shape)
        coarse = rng.standard_normal((rows, columns), np.float32)
        total += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) / 2**octave
    return total / max(float(total.std()), 1e-6)
