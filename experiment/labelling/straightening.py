"""The page of a photo, cut out and turned until its lines run along the axes.

The network tells a trace by how it runs; a page that lies askew by more than a few degrees it hardly reads. So it is
shown the page straight, without most of the table that it lies on, and what it says is laid back over the image.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

STRAIGHT_DEG = 5.0  # a page that slants less is left as it is: the network has learned on such pages
MARGIN_SHARE = 1.25  # how much is kept around the centres of patches that show the grid, in sides of a patch
MIN_PATCHES = 4  # at least this many patches must show the grid before anything is cut off
EDGE_PX = 5  # the picture's edge looks like a line; this much beside it is not looked at


@dataclass(frozen=True)
class Straight:
    """A page whose lines run along the axes, and where it is from.

    `to_given` (3, 3) maps its canvas coordinates to those of the image that was given.
    """

    image: np.ndarray  # (H, W, 3) uint8
    inside: np.ndarray  # (H, W) bool: what the given image shows
    to_given: np.ndarray


def straightened(
    image: np.ndarray, slant_deg: float, sheet_px: np.ndarray | None, patch_px: float, fill: np.ndarray
) -> Straight:
    """The page of an image (H, W, 3) whose lines slant clockwise by so much.

    `sheet_px` (n, 2) are centres of the squares of `patch_px` that show its grid; without them nothing is cut off.
    `fill` (3,) is the colour of what the image does not show.
    """
    height, width = image.shape[:2]
    turn = _turn(slant_deg if abs(slant_deg) > STRAIGHT_DEG else 0.0)
    corners = _moved(turn, np.array([[0, 0], [width, 0], [0, height], [width, height]], float))
    low, high = corners.min(axis=0), corners.max(axis=0)
    if sheet_px is not None and len(sheet_px) >= MIN_PATCHES:
        centres, reach = _moved(turn, sheet_px), MARGIN_SHARE * patch_px
        low = np.maximum(low, centres.min(axis=0) - reach)
        high = np.minimum(high, centres.max(axis=0) + reach)
    low, high = np.floor(low).astype(int), np.ceil(high).astype(int)
    to_given = np.linalg.inv(turn) @ [[1.0, 0.0, low[0]], [0.0, 1.0, low[1]], [0.0, 0.0, 1.0]]
    if turn[0, 1] == 0:
        inside = np.ones((high[1] - low[1], high[0] - low[0]), bool)
        return Straight(np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]]), inside, to_given)
    size = (int(high[0] - low[0]), int(high[1] - low[1]))
    moved = _warp(image, _by_index(to_given), size, cv2.INTER_CUBIC, fill.tolist())
    shown = _warp(np.ones((height, width), np.uint8), _by_index(to_given), size, cv2.INTER_NEAREST, 0)
    shown = cv2.erode(shown, np.ones((2 * EDGE_PX + 1,) * 2, np.uint8), borderValue=1)
    return Straight(moved, shown > 0, to_given)


def laid_back(plane: np.ndarray, to_image: np.ndarray, shape: tuple[int, int], outside: float) -> np.ndarray:
    """A plane (H, W) as it lies in an image of (height, width); `to_image` (3, 3) maps canvas coordinates there."""
    index = _by_index(np.linalg.inv(to_image))
    return _warp(plane, index, (shape[1], shape[0]), cv2.INTER_LINEAR, outside)


def _warp(plane: np.ndarray, index: np.ndarray, size: tuple[int, int], how: int, outside) -> np.ndarray:
    return cv2.warpAffine(plane, index[:2], size, flags=how | cv2.WARP_INVERSE_MAP, borderValue=outside)


def _turn(slant_deg: float) -> np.ndarray:
    """The turn (3, 3) about the origin that undoes a clockwise slant."""
    cosine, sine = math.cos(math.radians(slant_deg)), math.sin(math.radians(slant_deg))
    return np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def _moved(by: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ by[:2, :2].T + by[:2, 2]


def _by_index(canvas_map: np.ndarray) -> np.ndarray:
    """A map of canvas coordinates as one of pixel indices, which are half a pixel less."""
    half = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
    return np.linalg.inv(half) @ canvas_map @ half
