"""Mix traces, furniture and grid into a page and its labels."""

from dataclasses import dataclass

import numpy as np

from ecg_generator_with_train_src.common.classes import BACKGROUND, GRID, WAVEFORM
from ecg_generator_with_train_src.page.furniture import draw_furniture
from ecg_generator_with_train_src.page.page import PageDescription
from ecg_generator_with_train_src.page.stroke import Strip


@dataclass(frozen=True)
class ComposedPage:
    """A page and its labels, all of shape (height, width, …), uint8."""

    image: np.ndarray  # RGB
    classes: np.ndarray  # 0 background, 1 grid, 2 waveform
    coverage: np.ndarray  # coverage by the traces, 255 = wholly covered
    furniture: np.ndarray  # coverage by everything else that is printed on the grid
    grid_mask: np.ndarray  # 255 on the core of every line, also where something lies on it


def compose(
    page: PageDescription, ink_opacity: np.ndarray, grid_rgb: np.ndarray, grid_mask: np.ndarray
) -> ComposedPage:
    """Lay furniture and traces on the grid.

    `ink_opacity` and `grid_mask` have shape (height, width), `grid_rgb` (height, width, 3), all uint8. Precedence of
    labels: waveform (half covered by the trace) over furniture (half covered; background) over grid (core of a line)
    over background.

    >>> from ecg_generator_with_train_src.page.grid import draw_grid, draw_grid_mask
    >>> from ecg_generator_with_train_src.page.layouts import PageSetup
    >>> from ecg_generator_with_train_src.page.page import PageRequest, describe_page
    >>> paper = PageSetup().paper()
    >>> request = PageRequest("17", PageSetup(), varied=False, variant="default")
    >>> page = describe_page(request, "17", "", 500.0, (None, paper), seed=0)
    >>> ink = np.zeros((1700, 2200), np.uint8)
    >>> ink[800, 500:600] = 255
    >>> composed = compose(page, ink, draw_grid(paper), draw_grid_mask(paper))
    >>> composed.image.shape, int(np.count_nonzero(composed.classes == WAVEFORM))
    ((1700, 2200, 3), 100)
    """
    image = grid_rgb.copy()
    classes = np.where(grid_mask > 0, np.uint8(GRID), np.uint8(BACKGROUND))
    furniture = np.zeros_like(ink_opacity)
    pieces = draw_furniture(page.furniture, page.setup, page.geometry, page.fs_hz, page.style)
    for strip, rgb in pieces:
        _paint(image, strip, rgb)
        classes[strip.window][strip.coverage >= 0.5] = BACKGROUND
        covered = np.rint(strip.coverage * 255).astype(np.uint8)
        np.maximum(furniture[strip.window], covered, out=furniture[strip.window])
    _paint_ink(image, ink_opacity, page.style.ink_rgb)
    np.copyto(classes, np.uint8(WAVEFORM), where=ink_opacity >= 128)
    return ComposedPage(image, classes, ink_opacity, furniture, grid_mask)


def _paint(image: np.ndarray, strip: Strip, rgb: tuple[int, int, int]) -> None:
    under = image[strip.window]
    alpha = strip.coverage[..., None]
    under[:] = np.rint(under * (1 - alpha) + np.array(rgb, np.float32) * alpha).astype(np.uint8)


def _paint_ink(image: np.ndarray, opacity: np.ndarray, rgb: tuple[int, int, int]) -> None:
    """Blend only where ink is: a few percent of the page."""
    inked = np.flatnonzero(opacity)
    alpha = (opacity.ravel()[inked] / np.float32(255))[:, None]
    pixels = image.reshape(-1, 3)
    pixels[inked] = np.rint(pixels[inked] * (1 - alpha) + np.array(rgb, np.float32) * alpha).astype(np.uint8)
