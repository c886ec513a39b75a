"""A page shown on a laptop: screen pixels, colour stripes, the viewer's window and the bezel."""

from dataclasses import dataclass

import cv2
import numpy as np

from .effects import Effects
from .geometry import PaperGeometry

PHASES = 256  # steps of a screen pixel
STRIPES = (1 / 3, 0.0, -1 / 3)  # where red, green and blue stand in a screen pixel
VIEWER_RGB = ((245, 246, 248), (82, 86, 89), (32, 33, 36))
BEZEL_RGB = (14, 14, 15)


@dataclass(frozen=True)
class ShownPage:
    """What a camera sees of a flat picture: `image`, in which the page starts at (offset_px, offset_px)."""

    image: np.ndarray
    scale: float  # pixels of `image` a page pixel
    offset_px: int


def show_on_screen(
    image: np.ndarray, effects: Effects, paper: PaperGeometry, rng: np.random.Generator
) -> ShownPage:
    """The page at the screen's resolution, in its window, in the bezel; beyond is the background (black)."""
    scale = effects.screen_width_px / paper.width_px
    size = effects.screen_width_px, round(paper.height_px * scale)
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    shown = cv2.resize(image, size, interpolation=interpolation)
    px_per_mm = paper.px_per_mm * scale
    viewer, bezel = round(effects.viewer_mm * px_per_mm), round(effects.bezel_mm * px_per_mm)
    colour = VIEWER_RGB[rng.integers(len(VIEWER_RGB))]
    shown = cv2.copyMakeBorder(shown, *[viewer] * 4, cv2.BORDER_CONSTANT, value=colour)
    shown = cv2.copyMakeBorder(shown, *[bezel] * 4, cv2.BORDER_CONSTANT, value=BEZEL_RGB)
    return ShownPage(shown, scale, viewer + bezel)


def lay_raster(image: np.ndarray, screen_px: np.ndarray, effects: Effects) -> np.ndarray:
    """The image seen through the screen's pixels, `screen_px` (height, width, 2) in each image pixel.

    Each image pixel takes the light of the one point that it looks at: what is finer than the image's pixels folds
    back as moire.
    """
    phase = (screen_px * PHASES).astype(np.int32).astype(np.uint8)
    across, down = cv2.split(phase)
    angle = 2 * np.pi * np.arange(PHASES) / PHASES
    stripes = [255 * (1 - effects.subpixels * (0.5 - 0.5 * np.cos(angle - 2 * np.pi * s))) for s in STRIPES]
    rows = np.rint(255 * (1 - effects.scan_lines * (0.5 - 0.5 * np.cos(angle)))).astype(np.uint8)
    stripe_light = cv2.LUT(cv2.merge([across] * 3), np.rint(np.dstack(stripes)).astype(np.uint8))
    lit = cv2.multiply(image, stripe_light, scale=1 / 255)
    gain = 1 / ((1 - effects.subpixels / 2) * (1 - effects.scan_lines / 2))
    return cv2.multiply(lit, cv2.merge([cv2.LUT(down, rows)] * 3), scale=gain / 255)
