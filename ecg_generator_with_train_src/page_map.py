"""Where the points of a page lie in a scan or photo of it.

The map is defined backwards, from the image to the page, in closed form: first a scanner's feed, then the lens, the
plane's homography, and the paper's own displacement d:

    page point = flat point + d(flat point),    |grad d| < 1.

Images are warped with it directly. Points of the page are placed in the image by inverting it step by step. All
coordinates are canvas coordinates (pixel index = canvas - 0.5); lengths on the paper are in millimetres.
"""

from typing import Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy.ndimage import map_coordinates

LATTICE_PX = 8  # the map is evaluated this densely; interpolation between is exact to 0.02 px
SCALE_STRIDE = 4  # scales are measured at every fourth point of the lattice
MAX_PAGE_PX = 30_000.0  # cv2.remap takes 16-bit coordinates
TOLERANCE_PX = 1e-5  # the inverse is found when points move by less than this
MAX_STEPS = 200

Row = tuple[float, float, float]


class Wave(BaseModel):
    """A wave that curls or ripples the paper: points move along (shift_x_mm, shift_y_mm) by the sine of their place."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    waves_per_mm_x: float
    waves_per_mm_y: float
    phase: float  # 0 to 2 pi
    shift_x_mm: float
    shift_y_mm: float


class Crease(BaseModel):
    """A fold: paper on both sides of a line through (x_mm, y_mm) moves across that line by up to shift_mm."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    x_mm: float
    y_mm: float
    angle_deg: float  # the line's direction, clockwise from the x axis
    width_mm: float
    length_mm: float  # the fold fades out this far from its point
    shift_mm: float
    relief: float  # step of brightness across the fold, in parts of 1; negative: the other side is dark
    reach_mm: float = 25.0  # how far from the line the paper is turned
    # slope of the displacement beside the line, opposite on the other side: printed lines have a corner here
    kink: float = 0.0
    kink_angle_deg: float = 0.0  # direction of that displacement

    def kink_mm(self, x_mm: np.ndarray, y_mm: np.ndarray) -> np.ndarray:
        """Displacement along the kink's direction; it has the shape of a ridge."""
        rounded = np.sqrt(np.square(self.across_mm(x_mm, y_mm)) + self.width_mm**2) - self.width_mm
        height_mm = self.reach_mm * -np.expm1(-rounded / self.reach_mm)
        return self.kink * height_mm * self.presence(x_mm, y_mm)

    def across_mm(self, x_mm: np.ndarray, y_mm: np.ndarray) -> np.ndarray:
        """Signed distance from the line."""
        normal_x, normal_y = self.normal
        return (x_mm - self.x_mm) * normal_x + (y_mm - self.y_mm) * normal_y

    def presence(self, x_mm: np.ndarray, y_mm: np.ndarray) -> np.ndarray:
        """How much of the fold there is: 1 at its point, falling along the line."""
        normal_x, normal_y = self.normal
        along_mm = (x_mm - self.x_mm) * normal_y - (y_mm - self.y_mm) * normal_x
        return np.exp(-np.square(along_mm / self.length_mm))

    @property
    def normal(self) -> tuple[float, float]:
        """Unit vector across the line."""
        angle = np.deg2rad(self.angle_deg)
        return float(-np.sin(angle)), float(np.cos(angle))


class Feed(BaseModel):
    """How the rollers of a sheet-fed scanner moved the paper: some lines of the image skip or repeat a little of it.

    It is piecewise linear between its knots. If these lie on the lattice of LATTICE_PX, the dense tables are exact.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    axis: Literal["x", "y"]  # the image's axis along which the paper moved
    image_px: tuple[float, ...]  # knots, increasing
    even_px: tuple[float, ...]  # where the knots would lie if the paper had moved evenly, increasing

    def even(self, x_px: np.ndarray, y_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where an even feed would have put image points; beyond the knots, the shift stays as at the last one."""
        return self._moved(x_px, y_px, self.image_px, 1)

    def uneven(self, x_px: np.ndarray, y_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The inverse of `even`."""
        return self._moved(x_px, y_px, self.even_px, -1)

    def _moved(self, x_px: np.ndarray, y_px: np.ndarray, knots: tuple[float, ...], sign: int):
        gain = np.array(self.even_px) - np.array(self.image_px)
        if self.axis == "x":
            return x_px + sign * np.interp(x_px, knots, gain), y_px
        return x_px, y_px + sign * np.interp(y_px, knots, gain)


class Bend(BaseModel):
    """A displacement measured on a page: a cubic B-spline with a coefficient every `step_mm`, row by row downwards.

    Beyond its lattice, the displacement stays as at the edge.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    left_mm: float  # the place of the first coefficient
    top_mm: float
    step_mm: float
    shift_x_mm: tuple[tuple[float, ...], ...]
    shift_y_mm: tuple[tuple[float, ...], ...]

    def shift_mm(self, x_mm: np.ndarray, y_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The displacement at points of the flat sheet."""
        place = np.stack([(y_mm - self.top_mm) / self.step_mm, (x_mm - self.left_mm) / self.step_mm])
        return tuple(
            map_coordinates(np.array(shift), place, order=3, mode="nearest", prefilter=False)
            for shift in (self.shift_x_mm, self.shift_y_mm)
        )


class PageMap(BaseModel):
    """Everything that places a page in an image. With a homography alone, paper is flat and the lens has no fault."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    homography: tuple[Row, Row, Row]  # maps flat page px to image px without the lens
    width_px: int = 0  # the image's size
    height_px: int = 0
    lens: float = 0.0  # the lens pulls the image's corners inwards by this share; positive: barrel distortion
    px_per_mm: float = 1.0  # scale of the page's pixels
    waves: tuple[Wave, ...] = ()
    creases: tuple[Crease, ...] = ()
    bends: tuple[Bend, ...] = ()  # registered pages have these
    feed: Feed | None = None  # only scans have one

    def displacement_px(self, x_px: np.ndarray, y_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The displacement d at flat points, in pixels of the page."""
        x_mm, y_mm = x_px / self.px_per_mm, y_px / self.px_per_mm
        shift_x, shift_y = np.zeros_like(x_mm), np.zeros_like(y_mm)
        for wave in self.waves:
            swing = np.sin(2 * np.pi * (wave.waves_per_mm_x * x_mm + wave.waves_per_mm_y * y_mm) + wave.phase)
            shift_x += wave.shift_x_mm * swing
            shift_y += wave.shift_y_mm * swing
        for crease in self.creases:
            across = crease.across_mm(x_mm, y_mm) / crease.width_mm
            step = crease.shift_mm * np.tanh(across) * crease.presence(x_mm, y_mm)
            shift_x += crease.normal[0] * step
            shift_y += crease.normal[1] * step
            if crease.kink:
                ridge = crease.kink_mm(x_mm, y_mm)
                shift_x += np.cos(np.deg2rad(crease.kink_angle_deg)) * ridge
                shift_y += np.sin(np.deg2rad(crease.kink_angle_deg)) * ridge
        for bend in self.bends:
            bend_x, bend_y = bend.shift_mm(x_mm, y_mm)
            shift_x += bend_x
            shift_y += bend_y
        return shift_x * self.px_per_mm, shift_y * self.px_per_mm

    def flat_of_image(self, x_px: np.ndarray, y_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where an image point lies on the sheet before the paper bends it, in pixels of the page."""
        if self.feed:
            x_px, y_px = self.feed.even(x_px, y_px)
        pull = 1 + self.lens * self._radius_square(x_px, y_px)
        free_x = self._centre[0] + (x_px - self._centre[0]) * pull
        free_y = self._centre[1] + (y_px - self._centre[1]) * pull
        return project(np.linalg.inv(np.array(self.homography)), free_x, free_y)

    def page_of_image(self, x_px: np.ndarray, y_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The page point that an image point shows."""
        flat_x, flat_y = self.flat_of_image(x_px, y_px)
        shift_x, shift_y = self.displacement_px(flat_x, flat_y)
        return flat_x + shift_x, flat_y + shift_y

    @property
    def _centre(self) -> tuple[float, float]:
        return self.width_px / 2, self.height_px / 2

    def _radius_square(self, x_px: np.ndarray, y_px: np.ndarray) -> np.ndarray:
        """Squared distance from the image's centre, 1 at its corners."""
        half_diagonal_square = self._centre[0] ** 2 + self._centre[1] ** 2 or 1.0
        return ((x_px - self._centre[0]) ** 2 + (y_px - self._centre[1]) ** 2) / half_diagonal_square


def place_on_image(page_map: PageMap, x_px: np.ndarray, y_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the image points (float64) that show the given page points, exact to 0.001 px.

    `PageMap.model_validate(sample.page_to_image)` is a sample's map. Points may lie outside the image.
    """
    page_x, page_y = np.asarray(x_px, float), np.asarray(y_px, float)
    flat_x, flat_y = _solve(
        lambda x, y: [
            page - shift for page, shift in zip((page_x, page_y), page_map.displacement_px(x, y), strict=True)
        ],
        page_x,
        page_y,
    )
    free_x, free_y = project(np.array(page_map.homography), flat_x, flat_y)
    centre_x, centre_y = page_map._centre

    def towards_centre(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
        pull = 1 + page_map.lens * page_map._radius_square(x, y)
        return [centre_x + (free_x - centre_x) / pull, centre_y + (free_y - centre_y) / pull]

    placed = _solve(towards_centre, free_x, free_y) if page_map.lens else (free_x, free_y)
    return page_map.feed.uneven(*placed) if page_map.feed else placed


def _solve(step, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The fixed point of a contraction."""
    for _ in range(MAX_STEPS):
        next_x, next_y = step(x, y)
        moved = max(np.abs(next_x - x).max(initial=0), np.abs(next_y - y).max(initial=0))
        x, y = next_x, next_y
        if moved < TOLERANCE_PX:
            break
    return x, y


def project(homography: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Map points with a 3x3 homography."""
    (a, b, c), (d, e, f), (g, h, i) = homography
    depth = g * x + h * y + i
    return (a * x + b * y + c) / depth, (d * x + e * y + f) / depth


def lattice(width_px: int, height_px: int) -> tuple[np.ndarray, np.ndarray]:
    """The centres of blocks of LATTICE_PX that cover an image, with one more block on each side."""
    columns, rows = -(-width_px // LATTICE_PX) + 2, -(-height_px // LATTICE_PX) + 2
    x_px = (np.arange(columns) - 0.5) * LATTICE_PX
    y_px = (np.arange(rows) - 0.5) * LATTICE_PX
    return np.meshgrid(x_px, y_px)


def upsample(values: np.ndarray, width_px: int, height_px: int) -> np.ndarray:
    """Interpolate the values of a lattice, (rows, columns[, channels]), at every pixel."""
    rows, columns = values.shape[:2]
    dense = cv2.resize(values, (columns * LATTICE_PX, rows * LATTICE_PX), interpolation=cv2.INTER_LINEAR)
    return dense[LATTICE_PX : LATTICE_PX + height_px, LATTICE_PX : LATTICE_PX + width_px]


def dense_index(page_map: PageMap, scale: float = 1.0, offset_px: float = 0.0) -> np.ndarray:
    """The page's pixel index for every pixel of the image, as cv2.remap takes it: (height, width, 2) float32.

    The page is taken as resized by `scale` and laid at (offset_px, offset_px).
    """
    page_px = np.stack(page_map.page_of_image(*lattice(page_map.width_px, page_map.height_px)), axis=-1)
    index = np.clip(page_px * scale + (offset_px - 0.5), -MAX_PAGE_PX, MAX_PAGE_PX).astype(np.float32)
    return upsample(index, page_map.width_px, page_map.height_px)


def local_scales(page_map: PageMap, page_width_px: int, page_height_px: int) -> np.ndarray:
    """Image pixels per page pixel, measured all over the page's part of the image; 1-D, never empty."""
    x_px, y_px = (
        along[::SCALE_STRIDE, ::SCALE_STRIDE] for along in lattice(page_map.width_px, page_map.height_px)
    )
    step_px = LATTICE_PX * SCALE_STRIDE
    page_x, page_y = page_map.page_of_image(x_px, y_px)
    (x_down, x_right), (y_down, y_right) = np.gradient(page_x, step_px), np.gradient(page_y, step_px)
    area = np.abs(x_right * y_down - x_down * y_right)  # page pixels per image pixel
    inside = (page_x > 0) & (page_x < page_width_px) & (page_y > 0) & (page_y < page_height_px)
    return 1 / np.sqrt(area[inside] if inside.any() else area.ravel())
