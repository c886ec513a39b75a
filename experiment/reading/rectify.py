"""The page as it was printed: an image and its ink laid flat, by the paper coordinates of each of its points."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from ecg_generator_with_train_src.common.classes import GRID, WAVEFORM
from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from experiment.labelling.page_probability import PageProbability
from experiment.reading.lattice import STEP_PX
from experiment.reading.paper_field import MIN_GRID_SHARE, PaperField
from experiment.reading.spline_fits import SURE

MARGIN_MM = 2.0  # margin of the rectified page around the part that has a grid
INKED = 0.5  # a pixel with more coverage than this belongs to a trace
# The scale of a scanned page, stretched by the feed, changes by 1 to 2.6 %; that of a photo by 3.1 % and more
PHOTO_SPREAD = 0.029
MAP_STEP_PX = 16  # the map from paper to image is computed this densely


@dataclass(frozen=True)
class RectifiedPage:
    """A page as it was printed: upright and flat, PX_PER_MM pixels per millimetre, grid lines at whole millimetres.

    The canvas x of a line at u mm is (u - left_mm) * PX_PER_MM; the same holds for y.
    """

    ink: np.ndarray  # (H, W) float32: the network's coverage of the trace, 0 to 1
    grid: np.ndarray  # (H, W) float32: the network's probability of a grid line, 0 to 1
    darkness: (
        np.ndarray
    )  # (H, W) float32: how dark the image is, 0 to 255, with its light evened out; 0 beyond its edges
    image: np.ndarray  # (H, W, 3) uint8
    left_mm: int  # paper coordinates of the upper left corner
    top_mm: int
    to_image: (
        np.ndarray
    )  # (rows, columns, 2): the image's canvas points (x, y) every MAP_STEP_PX from the corner
    share_aside: float = 0.0  # share of the gridded paper that stands apart and is not on this page

    @cached_property
    def has_lines(self) -> bool:
        """Whether a grid is seen, on whose lines rows start."""
        return bool(self.grid.mean() > MIN_GRID_SHARE)

    @cached_property
    def is_photo(self) -> bool:
        """Whether the paper's scale changes over the page as it does before a camera, and not in a scanner."""
        across, down = (np.linalg.norm(np.diff(self.to_image, axis=axis), axis=-1) for axis in (1, 0))
        scale = np.sqrt(across[:-1] * down[:, :-1])
        rows, columns = (size // 10 for size in scale.shape)  # beyond the grid, the map is extrapolated
        low, middle, high = np.percentile(
            scale[rows : -rows or None, columns : -columns or None], [5, 50, 95]
        )
        return bool(high - low > PHOTO_SPREAD * middle)

    @cached_property
    def darkness_of_ink(self) -> float:
        """The median darkness where there is ink; 0 if there is none."""
        inked = self.ink > INKED
        return float(np.median(self.darkness[inked])) if inked.any() else 0.0


def rectify(probability: np.ndarray, image: np.ndarray, field: PaperField) -> RectifiedPage:
    """Flatten the part of an image (H, W, 3), and of what a network says of it (classes, H, W), that shows the paper
    with the given field.

    >>> from experiment.reading.paper_field import fit_paper
    >>> grid = (np.indices((400, 560)) % PX_PER_MM < 1).any(axis=0).astype(np.float32)
    >>> field = fit_paper(grid)
    >>> u_mm, _ = field.paper_of_image(np.array([100.0, 100.0 + 10 * PX_PER_MM]), np.array([200.0, 200.0]))
    >>> page = rectify(np.stack([1 - grid, grid, 0 * grid]), np.zeros((400, 560, 3), np.uint8), field)
    >>> round(float(u_mm[1] - u_mm[0]), 1), page.ink.shape == page.image.shape[:2]
    (10.0, True)
    """
    sheet = _sheet(field.weight)
    u_mm, v_mm = field.u_mm[sheet], field.v_mm[sheet]
    left, right = int(np.floor(u_mm.min() - MARGIN_MM)), int(np.ceil(u_mm.max() + MARGIN_MM))
    top, bottom = int(np.floor(v_mm.min() - MARGIN_MM)), int(np.ceil(v_mm.max() + MARGIN_MM))
    steps_x, steps_y = (
        int(np.ceil(length * PX_PER_MM / MAP_STEP_PX)) + 1 for length in (right - left, bottom - top)
    )
    u_mm, v_mm = np.meshgrid(
        left + np.arange(steps_x) * MAP_STEP_PX / PX_PER_MM,
        top + np.arange(steps_y) * MAP_STEP_PX / PX_PER_MM,
    )
    to_image = np.stack(field.image_of_paper(u_mm, v_mm), axis=-1)
    index = _index_of(to_image)
    flat_ink = cv2.remap(probability[WAVEFORM], index, None, cv2.INTER_CUBIC)
    flat_grid = cv2.remap(probability[GRID], index, None, cv2.INTER_LINEAR)
    flat_image = cv2.remap(image, index, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    shown = cv2.remap(
        np.ones(image.shape[:2], np.uint8), index, None, cv2.INTER_NEAREST
    )  # 0 beyond its edges
    ink, darkness = np.clip(flat_ink, 0, 1), _darkness(flat_image) * shown
    share_aside = 1 - float(sheet.sum() / max((field.weight > SURE).sum(), 1))
    return RectifiedPage(ink, flat_grid, darkness, flat_image, left, top, to_image, share_aside)


def laid_on_page(plane: np.ndarray, page: RectifiedPage, outside: int) -> np.ndarray:
    """A plane (H, W) of the image that a page was flattened from, laid flat too; `outside` is beyond its edges."""
    index = _index_of(page.to_image)
    return cv2.remap(
        plane, index, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=outside
    )


def shown_in_image(
    page: RectifiedPage, seen: PageProbability, x_px: np.ndarray, y_px: np.ndarray
) -> np.ndarray:
    """Which canvas points (n,) of a page were seen: the others lie beyond the edges of what the network was shown, or
    beyond those of the image that was given."""
    if not len(x_px):
        return np.zeros(0, bool)
    index = [np.float32(at[None] / MAP_STEP_PX) for at in (x_px, y_px)]
    to_image = page.to_image.astype(np.float32)
    points = cv2.remap(to_image, *index, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    given = cv2.perspectiveTransform(points, seen.to_input)
    return _within(points, seen.probability.shape[1:]) & _within(given, seen.input_shape)


def _within(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Which canvas points (1, n, 2) lie on an image (H, W): (n,)."""
    x, y = points[0].T
    return (x > 0) & (x < shape[1]) & (y > 0) & (y < shape[0])


def _sheet(weight: np.ndarray) -> np.ndarray:
    """The largest connected part of the lattice that has a grid, or all parts if they are small pieces."""
    gridded = weight > SURE
    certain = cv2.morphologyEx(gridded.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, parts, boxes, _ = cv2.connectedComponentsWithStats(certain)
    if len(boxes) < 2:
        return gridded
    largest = 1 + np.argmax(boxes[1:, cv2.CC_STAT_AREA])
    return parts == largest if 2 * boxes[largest, cv2.CC_STAT_AREA] > gridded.sum() else gridded


def _index_of(to_image: np.ndarray) -> np.ndarray:
    """The column and row of the image (H, W, 2) float32 that each pixel shows, between the points of the map (rows,
    columns, 2)."""
    height, width = (MAP_STEP_PX * (size - 1) for size in to_image.shape[:2])
    of_pixel = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]]) / MAP_STEP_PX
    index = (to_image - 0.5).astype(np.float32)
    return cv2.warpAffine(index, of_pixel, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def _darkness(image: np.ndarray) -> np.ndarray:
    """How much darker than its surroundings each pixel of an image (H, W, 3) is, in grey levels."""
    red, green, blue = cv2.split(image)
    total = cv2.add(cv2.add(red, green, dtype=cv2.CV_16U), blue, dtype=cv2.CV_16U)
    return darker_than_paper(np.multiply(total, 1 / 3, dtype=np.float32))


def darker_than_paper(grey: np.ndarray) -> np.ndarray:
    """How much darker than its surroundings each pixel of a plane (H, W) float32 is, in grey levels."""
    small = cv2.resize(grey, None, fx=1 / STEP_PX, fy=1 / STEP_PX, interpolation=cv2.INTER_AREA)
    paper = cv2.resize(
        cv2.medianBlur(small.astype(np.uint8), 9), grey.shape[::-1], interpolation=cv2.INTER_LINEAR
    )
    return np.maximum(paper - grey, 0)
