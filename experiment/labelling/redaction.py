"""What is blacked out in pictures of a page so that nobody's name stands in them: all but the traces and their grid."""

import cv2
import numpy as np

from ecg_generator_with_train_src.common.classes import GRID, WAVEFORM
from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from experiment.labelling.page_probability import PageProbability
from experiment.labelling.straightening import laid_back

INKED = 0.05  # a square millimetre with at least so much ink belongs to a trace, or to a letter
GAP_MM = (6, 3)  # pieces of a trace are apart by less, across and down
LEAST_TRACE_MM = 30  # a shorter piece of ink may be a word, or a line under one
REACH_MM = (7, 9)  # what is shown beside a trace, and above and below it
BETWEEN_MM = 26  # rows that leave less between them show what stands there too
GRIDDED = 0.3  # there is paper with a grid where this share of the usual density of lines is seen
GRID_WINDOW_MM, GRID_HOLE_MM = 7, 11
LEAST_DENSITY = 0.02  # a page with fewer lines has no grid that could be told from chance


def hidden_part(page: PageProbability) -> np.ndarray:
    """The pixels (H, W) bool of the upright page that are to be blacked out.

    Shown is what stands near traces and between rows of them, as far as there is a grid; of a page without traces,
    nothing.
    """
    height, width = page.probability.shape[1:]
    shown = _near_traces(page.probability[WAVEFORM]) & _on_grid(page.probability[GRID])
    return cv2.resize(shown.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) == 0


def _near_traces(ink: np.ndarray) -> np.ndarray:
    """The millimetres (rows, columns) bool around the traces and between them, of a plane (H, W) of ink."""
    inked = (_millimetres(ink) >= INKED).astype(np.uint8)
    _, pieces, boxes, _ = cv2.connectedComponentsWithStats(_closed(inked, *GAP_MM))
    long = boxes[:, cv2.CC_STAT_WIDTH] >= LEAST_TRACE_MM
    long[0] = False  # the background
    traces = inked * long[pieces]
    near = cv2.dilate(traces, np.ones((2 * REACH_MM[1] + 1, 2 * REACH_MM[0] + 1), np.uint8))
    return _closed(near, 1, BETWEEN_MM) > 0


def _closed(cells: np.ndarray, across: int, down: int) -> np.ndarray:
    """Cells (rows, columns) uint8 with the gaps between them filled that are narrower than so many cells."""
    margin = max(across, down)  # what lies beyond the edge is no cell
    padded = cv2.copyMakeBorder(cells, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=0)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, np.ones((down, across), np.uint8))
    return closed[margin:-margin, margin:-margin]


def _on_grid(grid: np.ndarray) -> np.ndarray:
    """The millimetres (rows, columns) bool of the paper that has a grid; all of them if none is seen."""
    density = cv2.blur(_millimetres(grid), (GRID_WINDOW_MM, GRID_WINDOW_MM))
    usual = np.percentile(density, 80)
    if usual < LEAST_DENSITY:
        return np.ones(density.shape, bool)
    gridded = (density > GRIDDED * usual).astype(np.uint8)
    return _closed(gridded, GRID_HOLE_MM, GRID_HOLE_MM) > 0


def _millimetres(plane: np.ndarray) -> np.ndarray:
    """The mean of a plane (H, W) float32 over each square millimetre."""
    height, width = (max(round(size / PX_PER_MM), 1) for size in plane.shape)
    return cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA)


def hidden_in_image(page: PageProbability) -> np.ndarray:
    """The same (H, W) bool in the image that was given, with all that the page does not cover."""
    hidden = 255 * hidden_part(page).astype(np.uint8)
    return laid_back(hidden, page.to_input, page.input_shape, outside=255) > 0


def blacked_out(image: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """A copy of an image (H, W, 3) uint8 that is black where `hidden` (H, W) bool says so."""
    return np.where(hidden[..., None], np.uint8(0), image)
