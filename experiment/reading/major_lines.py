"""Where the paper lies when a page shows its major grid lines alone, as black-and-white scans and screens often do.

A network that was trained on pages with both kinds of lines fills in minor ones that it does not see, and may fill in
too many or too few, or take the raster of a screen for them. The major lines, 5 mm apart, are then sought in the image
itself: at a fifth of the resolution they lie as far apart as minor lines do otherwise. The field that explains the
image's dark lines better is believed.
"""

import cv2
import numpy as np

from ecg_generator_with_train_src.common.classes import GRID, WAVEFORM
from ecg_generator_with_train_src.common.image_files import darkest_channel
from ecg_generator_with_train_src.common.surroundings import mean_around, small_mean_around
from ecg_generator_with_train_src.page.geometry import MAJOR_MM
from experiment.labelling.page_probability import PageProbability
from experiment.reading.lattice import STEP_PX, lattice_px, turned_back
from experiment.reading.mended_field import mended
from experiment.reading.paper_field import PaperField, fit_paper, refitted

CLEAR = 0.06  # a right field explains more of the dark lines: 0.15 to 0.29 on real pages; a wrong one explained 0.02
PLAIN = 0.2  # where it explains so much, it is not doubted
# A field of major lines that explains so many times as much is believed. It is 0.99 to 1.13, once 1.15, on paper, where
# it reaches beyond the minor lines that are seen, and 1.14 to 1.72 where a screen's raster was taken for minor lines
CLEARER = 1.14
AS_CLEAR = 0.95  # and fitted to minor lines after that, it must explain nearly as much
INK, NEAR_INK_PX = 0.15, 5  # what is dark this near to more ink than this is none of the grid
PAPER_PX = 41  # width of the surroundings with which darkness is compared
FULL_CONTRAST = 128.0  # grey levels of a line that is as dark as lines get
DARKEST_PERCENT = 95  # where lines cross and go on, at a fifth of the resolution


def fit_page(seen: PageProbability) -> PaperField | None:
    """The paper coordinates of a page from the grid that a network saw, or from the major lines that its image shows
    where the network's grid does not fit together. None if there is no grid."""
    grid = seen.probability[GRID]
    field = fit_paper(grid)
    if field is None:
        return None
    dark = _dark_lines(seen.image, seen.probability[WAVEFORM])
    level = dark - mean_around(dark, 2 * PAPER_PX)
    clear = clearness(level, field)
    if clear > CLEAR:
        field = mended(field, grid, dark)
    if clear > PLAIN:
        return field
    of_majors = fit_major_lines(dark)
    clearest = clearness(level, of_majors) if of_majors else 0.0
    if clearest < max(CLEAR, CLEARER * clearness(level, field)):
        return field
    of_all = mended(refitted(of_majors, grid), grid, dark)
    return of_all if clearness(level, of_all) > AS_CLEAR * clearest else of_majors


def fit_major_lines(dark: np.ndarray) -> PaperField | None:
    """The paper coordinates of an image from dark lines (H, W), 0 to 1, of which the major ones stand out. None if
    there are none.

    >>> from ecg_generator_with_train_src.page.geometry import PX_PER_MM
    >>> lines = (np.indices((1100, 1500)) % (5 * PX_PER_MM) < 2).any(axis=0).astype(np.float32)
    >>> field = fit_major_lines(lines)
    >>> u_mm, _ = field.paper_of_image(np.array([300.0, 300.0 + 100 * PX_PER_MM]), np.array([500.0, 500.0]))
    >>> round(float(u_mm[1] - u_mm[0]), 1)
    100.0
    """
    height, width = dark.shape
    times = round(MAJOR_MM)
    small = cv2.resize(dark, (-(-width // times), -(-height // times)), interpolation=cv2.INTER_AREA)
    field = fit_paper(np.clip(small / max(np.percentile(small, DARKEST_PERCENT), 1e-6), 0, 1))
    if field is None:
        return None
    x_px, y_px = lattice_px(dark.shape)
    small_x, small_y = x_px * small.shape[1] / width, y_px * small.shape[0] / height
    u_mm, v_mm = (times * along(small_y, small_x) for along in field.splines)
    weight = cv2.resize(field.weight, (len(x_px), len(y_px)), interpolation=cv2.INTER_LINEAR)
    return PaperField(u_mm, v_mm, weight, times * field.residual_mm)


def clearness(level: np.ndarray, field: PaperField) -> float:
    """How much of the dark lines of an image, less their surroundings (H, W), a field explains as major lines, 0 to 1,
    along the worse axis."""
    waves = [turned_back(level, along_mm / MAJOR_MM).sum() for along_mm in (field.u_mm, field.v_mm)]
    return float(min(map(abs, waves)) * STEP_PX**2 / max(np.abs(level).sum(), 1e-9))


def _dark_lines(image: np.ndarray, ink: np.ndarray) -> np.ndarray:
    """How much darker than the paper around it each pixel of an image (H, W, 3) is, 0 to 1; 0 near ink (H, W)."""
    grey = darkest_channel(image).astype(np.float32)
    inked = cv2.dilate((ink > INK).astype(np.uint8), np.ones((NEAR_INK_PX, NEAR_INK_PX)))
    free = (inked == 0).astype(np.float32)
    paper = small_mean_around(grey * free, PAPER_PX) / np.maximum(small_mean_around(free, PAPER_PX), 0.05)
    paper = cv2.resize(paper, grey.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.clip((paper - grey) / FULL_CONTRAST, 0, 1) * free
