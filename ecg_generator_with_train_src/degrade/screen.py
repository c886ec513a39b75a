"""Show a page on a laptop: screen pixels, their colour stripes, the viewer's window and the bezel."""

from dataclasses import dataclass

import cv2
import numpy as np

from ecg_generator_with_train_src.degrade.strengths import Effects
from ecg_generator_with_train_src.page.geometry import PaperGeometry

PHASES = 32  # cv2.convertMaps divides a screen pixel into so many steps
STRIPES = (1 / 3, 0.0, -1 / 3)  # the places of red, green and blue within a screen pixel
VIEWER_RGB = ((245, 246, 248), (82, 86, 89), (32, 33, 36))
BEZEL_RGB = (14, 14, 15)


@dataclass(frozen=True)
class ShownPage:
    """The flat picture that a camera takes: in `image`, the page starts at (offset_px, offset_px)."""

    image: np.ndarray
    scale: float  # pixels of `image` per page pixel
    offset_px: int


def show_on_screen(
    image: np.ndarray, effects: Effects, paper: PaperGeometry, rng: np.random.Generator
) -> ShownPage:
    """Draw the page at the screen's resolution, within the viewer's window and the bezel."""
    scale = effects.screen_width_px / paper.width_px
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    # fx and fy keep the exact scale, which a size in pixels would round
    shown = cv2.resize(image, None, fx=scale, fy=scale, interpolation=interpolation)
    px_per_mm = paper.px_per_mm * scale
    viewer, bezel = round(effects.viewer_mm * px_per_mm), round(effects.bezel_mm * px_per_mm)
    colour = VIEWER_RGB[rng.integers(len(VIEWER_RGB))]
    shown = cv2.copyMakeBorder(shown, *[viewer] * 4, cv2.BORDER_CONSTANT, value=colour)
    shown = cv2.copyMakeBorder(shown, *[bezel] * 4, cv2.BORDER_CONSTANT, value=BEZEL_RGB)
    return ShownPage(shown, scale, viewer + bezel)


def lay_raster(image: np.ndarray, place: np.ndarray, effects: Effects) -> np.ndarray:
    """Lay the screen's pixels over the image.

    `place` (height, width) uint16 says which point of a screen pixel each image pixel shows, as PHASES * row + column:
    the second table of cv2.convertMaps. An image pixel takes the light of that single point, so that whatever is finer
    than the image's pixels becomes moire.
    """
    swing = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(PHASES)[:, None] / PHASES - np.array(STRIPES)))
    stripes, rows = 1 - effects.subpixels * swing, 1 - effects.scan_lines * swing[:, 1]
    light = np.zeros((PHASES, PHASES, 4), np.uint8)
    light[..., :3] = np.rint(255 * rows[:, None, None] * stripes[None])
    raster = np.take(light.view(np.uint32).ravel(), place).view(np.uint8).reshape(*place.shape, 4)
    gain = 1 / ((1 - effects.subpixels / 2) * (1 - effects.scan_lines / 2))
    return cv2.multiply(image, cv2.cvtColor(raster, cv2.COLOR_RGBA2RGB), scale=gain / 255)
