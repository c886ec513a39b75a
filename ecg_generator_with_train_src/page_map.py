"""Where a page's points lie in a scan or photo of it.

The map is defined backwards, from the image to the page, in closed form: a scanner's feed, lens, then the plane's
homography, then the paper's own displacement

    page point = flat point + d(flat point),    |grad d| < 1.

Images are warped with it directly; points of the page are placed by inverting it one step after the other. All
coordinates are canvas coordinates (pixel index = canvas - 0.5), lengths of the paper are millimetres.
"""

from typing import Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy.ndimage import map_coordinates

LATTICE_PX = 8  # the map is evaluated this densely and interpolated between: within 0.02 px
SCALE_STRIDE = 4  # stride over the lattice where only scales are asked for
MAX_PAGE_PX = 30_000.0  # cv2.remap takes 16-bit coordinates
TOLERANCE_PX = 1e-5
MAX_STEPS = 200

Row = tuple[float, float, float]


class Wave(BaseModel):
    """Curl and ripple: points move along (shift_x_mm, shift_y_mm) by the sine of their place."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    waves_per_mm_x: float
    waves_per_mm_y: float
    phase: float  # from 0 to 2 pi
    shift_x_mm: float
    shift_y_mm: float


class Crease(BaseModel):
    """A fold: paper on either side of a line through (x_mm, y_mm) moves across it by up to shift_mm."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    x_mm: float
    y_mm: float
    angle_deg: float  # direction of the line, clockwise from the x axis
    width_mm: float
    length_mm: float  # it fades out this far from its point
    shift_mm: float
    relief: float  # brightness step across it, in parts of 1; negative: dark on the other side
    reach_mm: float = 25.0  # how far from the line the paper is turned
    kink: float = (
        0.0  # slope of the displacement beside the line, opposite on the other side: lines have a corner here
    )
    kink_angle_deg: float = 0.0  # direction of that displacement

    def kink_mm(self, x_mm: np.ndarray, y_mm: np.ndarray) -> np.ndarray:
        """Displacement along the kink's direction: a ridge seen from the side."""
        rounded = np.sqrt(np.square(self.across_mm(x_mm, y_mm)) + self.width_mm**2) - self.width_mm
        height_mm = self.reach_mm * -np.expm1(-rounded / self.reach_mm)
        return self.kink * height_mm * self.presence(x_mm, y_mm)

    def across_mm(self, x_mm: np.ndarray, y_mm: np.ndarray) -> np.ndarray:
        """Signed distance from the line."""
        normal_x, normal_y = self.normal
        return (x_mm - self.x_mm) * normal_x + (y_mm - self.y_mm) * normal_y

    def presence(self, x_mm: np.ndarray, y_mm: np.ndarray) -> np.ndarray:
        """1 at its point, falling along the line."""
        normal_x, normal_y = self.normal
        along_mm = (x_mm - self.x_mm) * normal_y - (y_mm - self.y_mm) * normal_x
        return np.exp(-np.square(along_mm / self.length_mm))

    @property
    def normal(self) -> tuple[float, float]:
        """Unit vector across the line."""
        angle = np.deg2rad(self.angle_deg)
        return float(-np.sin(angle)), float(np.cos(angle))


class Feed(BaseModel):
    """How a sheet-fed scanner's rollers moved the paper: lines of the image that skipped or repeated some of it.

    Piecewise linear between its knots. Where these are LATTICE_PX apart on the lattice, the dense tables are exact.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    axis: Literal["x", "y"]  # of the image, along which the paper moved
    image_px: tuple[float, ...]  # knots, increasing
    even_px: tuple[float, ...]  # where they would lie had the paper moved evenly, increasing

    def even(self, x_px: np.ndarray, y_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Image points as an even feed would have put them; beyond the knots it goes on as at the last one."""
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
    """A displacement measured on a page: a cubic B-spline whose coefficients stand `step_mm` apart, rows downwards.

    Beyond its lattice it goes on as at its edge.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    left_mm: float  # place of the first coefficient
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
    """All that places a page in an image. With a homography alone, the paper is flat and the lens straight."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    homography: tuple[Row, Row, Row]  # flat page px -> image px before the lens
    width_px: int = 0  # size of the image
    height_px: int = 0
    lens: float = 0.0  # image point = (lens-free point) pulled by this share at the corners; positive: barrel
    px_per_mm: float = 1.0  # scale of the page
    waves: tuple[Wave, ...] = ()
    creases: tuple[Crease, ...] = ()
    bends: tuple[Bend, ...] = ()  # registered pages have them
    feed: Feed | None = None  # scans have one

    def displacement_px(self, x_px: np.ndarray, y_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """d at flat points, in pixels of the page."""
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
        """Page point that an image point shows."""
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
    """Image points (float64) that show the given page points: exact to 0.001 px.

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
    """Points through a 3x3 homography."""
    (a, b, c), (d, e, f), (g, h, i) = homography
    depth = g * x + h * y + i
    return (a * x + b * y + c) / depth, (d * x + e * y + f) / depth


def lattice(width_px: int, height_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Centres of blocks of LATTICE_PX that cover an image and one block more on each side."""
    columns, rows = -(-width_px // LATTICE_PX) + 2, -(-height_px // LATTICE_PX) + 2
    x_px = (np.arange(columns) - 0.5) * LATTICE_PX
    y_px = (np.arange(rows) - 0.5) * LATTICE_PX
    return np.meshgrid(x_px, y_px)


def upsample(values: np.ndarray, width_px: int, height_px: int) -> np.ndarray:
    """A lattice's values, shape (rows, columns[, channels]), at every pixel."""
    rows, columns = values.shape[:2]
    dense = cv2.resize(values, (columns * LATTICE_PX, rows * LATTICE_PX), interpolation=cv2.INTER_LINEAR)
    return dense[LATTICE_PX : LATTICE_PX + height_px, LATTICE_PX : LATTICE_PX + width_px]


def dense_index(page_map: PageMap, scale: float = 1.0, offset_px: float = 0.0) -> np.ndarray:
    """For every pixel of the image the pixel index, as cv2.remap takes it, in the page resized by `scale` and laid at
    (offset_px, offset_px); shape (height, width, 2), float32."""
    page_px = np.stack(page_map.page_of_image(*lattice(page_map.width_px, page_map.height_px)), axis=-1)
    index = np.clip(page_px * scale + (offset_px - 0.5), -MAX_PAGE_PX, MAX_PAGE_PX).astype(np.float32)
    return upsample(index, page_map.width_px, page_map.height_px)


def local_scales(page_map: PageMap, page_width_px: int, page_height_px: int) -> np.ndarray:
    """Image pixels a page pixel, at points of the page all over the image; 1-D, never empty."""
    x_px, y_px = (
        along[::SCALE_STRIDE, ::SCALE_STRIDE] for along in lattice(page_map.width_px, page_map.height_px)
    )
    step_px = LATTICE_PX * SCALE_STRIDE
    page_x, page_y = page_map.page_of_image(x_px, y_px)
    (x_down, x_right), (y_down, y_right) = np.gradient(page_x, step_px), np.gradient(page_y, step_px)
    area = np.abs(x_right * y_down - x_down * y_right)  # page pixels for each image pixel
    inside = (page_x > 0) & (page_x < page_width_px) & (page_y > 0) & (page_y < page_height_px)
    return 1 / np.sqrt(area[inside] if inside.any() else area.ravel())
