"""What a picture is like around each of its pixels."""

import cv2
import numpy as np

# Surroundings are smooth: they are found at an eighth of the scale, in a quarter of the time
REDUCED = 8


def mean_around(plane: np.ndarray, side_px: int) -> np.ndarray:
    """The mean of a plane (H, W) float32 in a square of about `side_px` around each pixel; the plane is mirrored at its
    edges.

    >>> stripes = np.tile(np.float32([0, 0, 1, 1]), (64, 32))
    >>> around = mean_around(stripes, 41)
    >>> around.shape, float(around.min()), float(around.max())
    ((64, 128), 0.5, 0.5)
    """
    around = small_mean_around(plane, side_px)
    return cv2.resize(around, plane.shape[::-1], interpolation=cv2.INTER_LINEAR)


def small_mean_around(plane: np.ndarray, side_px: int) -> np.ndarray:
    """The same at an eighth of the scale: (H / REDUCED, W / REDUCED) float32."""
    height, width = plane.shape
    size = max(round(width / REDUCED), 1), max(round(height / REDUCED), 1)
    small, side = cv2.resize(plane, size, interpolation=cv2.INTER_AREA), max(side_px / REDUCED, 1.0)
    odd = 2 * int((side - 1) // 2) + 1
    share = (side - odd) / 2  # of the next larger square that has a middle
    return cv2.addWeighted(
        cv2.blur(small, (odd,) * 2), 1 - share, cv2.blur(small, (odd + 2,) * 2), share, 0.0
    )
