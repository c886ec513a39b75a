"""Coverages of thin lines, as rasters."""

import cv2
import numpy as np


def widened(coverage: np.ndarray, by_px: float) -> np.ndarray:
    """Coverage (height, width) uint8 of lines that reach `by_px` further to each side; itself up to 0."""
    if by_px <= 0:
        return coverage
    whole = int(by_px)
    if whole:
        coverage = cv2.dilate(coverage, np.ones((2 * whole + 1,) * 2, np.uint8))
    wider = cv2.dilate(coverage, np.ones((3, 3), np.uint8))
    return cv2.addWeighted(coverage, 1 - (by_px - whole), wider, by_px - whole, 0)
