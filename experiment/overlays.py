"""Pictures for people: what was found, drawn over the page; and the palette of a mask."""

import numpy as np
from ecg_generator_with_train_src.dataset_format import GRID, IGNORED, WAVEFORM
from PIL import Image

WAVEFORM_RGB = (214, 0, 110)
GRID_RGB = (0, 150, 170)
IGNORED_RGB = (128, 128, 128)
PAGE_STRENGTH = 0.55  # how much of the page shows through; the rest is white
GRID_STRENGTH = 0.5


def overlay(image: np.ndarray, label: np.ndarray) -> np.ndarray:
    """The page in pale grey (H, W, 3), grid tinted lightly, waveform strongly, ignored pixels darkened.

    image (H, W, 3) uint8 RGB, label (H, W) uint8.
    """
    grey = image.mean(axis=2, dtype=np.float32)
    pale = 255 - PAGE_STRENGTH * (255 - grey)
    result = np.repeat(pale[..., None].astype(np.uint8), 3, axis=2)
    grid = label == GRID
    tint = (1 - GRID_STRENGTH) * result[grid] + GRID_STRENGTH * np.array(GRID_RGB)
    result[grid] = tint.astype(np.uint8)
    result[label == WAVEFORM] = WAVEFORM_RGB
    result[label == IGNORED] = result[label == IGNORED] // 2
    return result


def side_by_side(image: np.ndarray, truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Crop, truth and prediction in one row, (H, 3·W + gaps, 3)."""
    gap = np.full((image.shape[0], 8, 3), 255, np.uint8)
    return np.concatenate([image, gap, overlay(image, truth), gap, overlay(image, predicted)], axis=1)


def mask_image(label: np.ndarray) -> Image.Image:
    """An 8-bit palette image of classes (H, W)."""
    picture = Image.fromarray(np.ascontiguousarray(label))
    picture.putpalette(_palette())  # makes it a palette image of the same numbers
    return picture


def _palette() -> list[int]:
    colours = np.full((256, 3), 255, np.uint8)
    colours[GRID], colours[WAVEFORM], colours[IGNORED] = GRID_RGB, WAVEFORM_RGB, IGNORED_RGB
    return colours.ravel().tolist()
