"""Draw labels over the page, for people to look at."""

import cv2
import numpy as np

from ecg_generator_with_train_src.common.classes import GRID, IGNORED, WAVEFORM

WAVEFORM_RGB = (214, 0, 110)
GRID_RGB = (0, 150, 170)
PAGE_STRENGTH = 0.6  # how strongly the page shows; the rest is white
COLOUR_STRENGTH = 0.4  # how much of the page's colour is kept
GRID_STRENGTH = 0.3


def overlay(image: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Draw the page pale, with the grid lightly tinted, the waveform in full colour and ignored pixels darkened.

    `image` and the result are (H, W, 3) uint8 RGB, `label` is (H, W) uint8.
    """
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    coloured = PAGE_STRENGTH * COLOUR_STRENGTH
    result = cv2.addWeighted(image, coloured, grey, PAGE_STRENGTH - coloured, 255 * (1 - PAGE_STRENGTH))
    tint = (1 - GRID_STRENGTH) * np.arange(256)[:, None] + GRID_STRENGTH * np.array(GRID_RGB)
    tinted = cv2.LUT(result, tint.astype(np.uint8)[None])
    np.copyto(result, tinted, where=(label == GRID)[..., None])
    result[label == WAVEFORM] = WAVEFORM_RGB
    ignored = label == IGNORED
    result[ignored] //= 2
    return result


def side_by_side(image: np.ndarray, truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Put crop, truth and prediction in one row: (H, 3·W + gaps, 3)."""
    gap = np.full((image.shape[0], 8, 3), 255, np.uint8)
    return np.concatenate([image, gap, overlay(image, truth), gap, overlay(image, predicted)], axis=1)
