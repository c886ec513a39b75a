"""Flatten a page: find from the grid alone where on the paper, in millimetres, each pixel of an image lies.

Grid lines 1 mm apart are a wave in each direction. Multiplied by a carrier of the expected pitch and smoothed, the
network's grid plane becomes a complex field. Its phase says how far the lines run ahead of the carrier, and its size
how much of a grid there is. Slopes of the phase need no unwrapping, so a smooth field (a cubic B-spline) is fitted to
them first. What it leaves of the phase is a fraction of a line; this is measured against the field and fitted in turn.
Stains, tears and text count little: the complex field is small there, and the fit is robust and smooth across them.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from scipy import fft
from scipy.interpolate import BSpline, RectBivariateSpline
from scipy.optimize import least_squares

from ecg_generator_with_train_src.page.geometry import PX_PER_MM

STEP_PX = 8  # phases are measured this densely
KNOT_PX = 160  # spacing of the field's knots: 20 mm
SURE = 0.3  # a grid is certain where the measured field has at least this size
TILE_PX = 256  # tiles in which the direction of the grid is first looked for
MAX_TURN_DEG = 44.0
PITCH_TOLERANCE = 0.35  # in logs: how far the pitch may be from the one that the network's scale implies
TILT_DEG, TILT_LOGS = 20.0, 0.5  # how far a tile's lines may be from the page's direction and pitch
CLEAR_PEAK = 20.0  # a tile counts if its spectrum's peak is more than this many times the median
WAVE_TOLERANCE = 0.02  # curled paper changes the frequency of a tile's lines by about this share
FLATNESS = 0.02  # weight against perspective where tiles are few
SOUND_MM = 0.08  # a field fits if its residual is below this
REWEIGHTINGS = 4
MIN_GRID_SHARE = 0.02  # at least this share of the plane must be grid
MARGIN_MM = 2.0  # margin of the rectified page around the part that has a grid
INKED = 0.5  # a pixel with more coverage than this belongs to a trace
CLOSE_MM = 1e-4  # points of the paper are found in the image to this accuracy
MAP_STEP_PX = 16  # the map from paper to image is computed this densely


@dataclass(frozen=True)
class Stiffness:
    """How a field is fitted: the weight of its second differences relative to the data, and the standard deviations,
    in lattice steps, by which measured phases are smoothed in each round of fitting slopes and of fitting phases."""

    bending: float
    slopes: tuple[float, ...]
    phases: tuple[float, ...]


# Smoothing is weak at first, when the carrier may be far off, then goes over several lines, as some are hidden
BENT = Stiffness(bending=0.003, slopes=(0.8, 0.8, 2.5), phases=(2.5, 0.8))
# The paper is taken to be nearly flat if a bent field does not fit, as when only major lines are left
NEARLY_FLAT = Stiffness(bending=30.0, slopes=(5.0, 5.0), phases=(5.0, 2.5))


@dataclass(frozen=True)
class PaperField:
    """The paper coordinates, in millimetres, of each point of an image. Grid lines are at whole numbers.

    `u` runs along the rows of a page and `v` downwards; both are smooth functions of canvas coordinates.
    """

    u: RectBivariateSpline  # a function of (y, x)
    v: RectBivariateSpline
    weight: np.ndarray  # (rows, columns) every STEP_PX: how much of a grid there is, 0 to 1
    residual_mm: float  # median distance of visible lines from whole numbers

    def paper_of_image(self, x_px: np.ndarray, y_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The paper coordinates (u, v), in mm, of canvas points."""
        return self.u.ev(y_px, x_px), self.v.ev(y_px, x_px)

    def image_of_paper(self, u_mm: np.ndarray, v_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The canvas points that show (u, v): Newton's method, started where they would be on flat paper."""
        height, width = (STEP_PX * size for size in self.weight.shape)
        image_px = np.mgrid[0:width:9j, 0:height:9j].reshape(2, -1)
        paper_mm = np.stack([*self.paper_of_image(*image_px), np.ones(image_px.shape[1])])
        affine, *_ = np.linalg.lstsq(paper_mm.T, image_px.T)
        x_px, y_px = np.moveaxis(np.stack([u_mm, v_mm, np.ones(u_mm.shape)], axis=-1) @ affine, -1, 0)
        for _ in range(8):
            # beyond the lattice, the paper is taken to be flat
            in_x_px = np.clip(x_px, STEP_PX / 2, width - STEP_PX / 2)
            in_y_px = np.clip(y_px, STEP_PX / 2, height - STEP_PX / 2)
            u_x, u_y = self.u.ev(in_y_px, in_x_px, dy=1), self.u.ev(in_y_px, in_x_px, dx=1)
            v_x, v_y = self.v.ev(in_y_px, in_x_px, dy=1), self.v.ev(in_y_px, in_x_px, dx=1)
            out_x_px, out_y_px = x_px - in_x_px, y_px - in_y_px
            miss_u = u_mm - self.u.ev(in_y_px, in_x_px) - u_x * out_x_px - u_y * out_y_px
            miss_v = v_mm - self.v.ev(in_y_px, in_x_px) - v_x * out_x_px - v_y * out_y_px
            if max(np.abs(miss_u).max(), np.abs(miss_v).max()) < CLOSE_MM:
                break
            area = u_x * v_y - u_y * v_x
            x_px = np.clip(x_px + (miss_u * v_y - miss_v * u_y) / area, -width, 2 * width)
            y_px = np.clip(y_px + (miss_v * u_x - miss_u * v_x) / area, -height, 2 * height)
        return x_px, y_px


@dataclass(frozen=True)
class RectifiedPage:
    """A page as it was printed: upright and flat, PX_PER_MM pixels per millimetre, grid lines at whole millimetres.

    The canvas x of a line at u mm is (u - left_mm) * PX_PER_MM; the same holds for y.
    """

    ink: np.ndarray  # (H, W) float32: the network's coverage of the trace, 0 to 1
    darkness: np.ndarray  # (H, W) float32: how dark the image is, 0 to 255, with its light evened out
    image: np.ndarray  # (H, W, 3) uint8
    left_mm: int  # paper coordinates of the upper left corner
    top_mm: int
    to_image: (
        np.ndarray
    )  # (rows, columns, 2): the image's canvas points (x, y) every MAP_STEP_PX from the corner

    @cached_property
    def darkness_of_ink(self) -> float:
        """The median darkness where there is ink; 0 if there is none."""
        inked = self.ink > INKED
        return float(np.median(self.darkness[inked])) if inked.any() else 0.0


def rectify(ink: np.ndarray, image: np.ndarray, field: PaperField) -> RectifiedPage:
    """Flatten the part of an image (H, W, 3) and of its ink (H, W) that shows the paper with the given field.

    >>> grid = (np.indices((400, 560)) % PX_PER_MM < 1).any(axis=0).astype(np.float32)
    >>> field = fit_paper(grid)
    >>> u_mm, _ = field.paper_of_image(np.array([100.0, 100.0 + 10 * PX_PER_MM]), np.array([200.0, 200.0]))
    >>> page = rectify(np.zeros_like(grid), np.zeros((400, 560, 3), np.uint8), field)
    >>> round(float(u_mm[1] - u_mm[0]), 1), page.ink.shape == page.image.shape[:2]
    (10.0, True)
    """
    rows, columns = np.nonzero(_sheet(field.weight))
    u_mm, v_mm = field.paper_of_image((columns + 0.5) * STEP_PX, (rows + 0.5) * STEP_PX)
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
    index = _dense(to_image) - 0.5
    flat_ink = cv2.remap(ink, index, None, cv2.INTER_CUBIC)
    flat_image = cv2.remap(image, index, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return RectifiedPage(np.clip(flat_ink, 0, 1), _darkness(flat_image), flat_image, left, top, to_image)


def _sheet(weight: np.ndarray) -> np.ndarray:
    """The largest connected part of the lattice that has a grid, or all parts if they are small pieces."""
    gridded = weight > SURE
    certain = cv2.morphologyEx(gridded.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, parts, boxes, _ = cv2.connectedComponentsWithStats(certain)
    if len(boxes) < 2:
        return gridded
    largest = 1 + np.argmax(boxes[1:, cv2.CC_STAT_AREA])
    return parts == largest if 2 * boxes[largest, cv2.CC_STAT_AREA] > gridded.sum() else gridded


def _dense(to_image: np.ndarray) -> np.ndarray:
    """Interpolate the map (rows, columns, 2) at the centre of every pixel."""
    rows, columns = to_image.shape[:2]
    y, x = (
        ((np.arange((size - 1) * MAP_STEP_PX) + 0.5) / MAP_STEP_PX).astype(np.float32)
        for size in (rows, columns)
    )
    x, y = np.meshgrid(x, y)
    return cv2.remap(to_image.astype(np.float32), x, y, cv2.INTER_LINEAR)


def _darkness(image: np.ndarray) -> np.ndarray:
    """How much darker than its surroundings each pixel is, in grey levels."""
    grey = image.mean(axis=2, dtype=np.float32)
    small = cv2.resize(grey, None, fx=1 / STEP_PX, fy=1 / STEP_PX, interpolation=cv2.INTER_AREA)
    paper = cv2.resize(
        cv2.medianBlur(small.astype(np.uint8), 9), grey.shape[::-1], interpolation=cv2.INTER_LINEAR
    )
    return np.maximum(paper - grey, 0)


def fit_paper(grid: np.ndarray) -> PaperField | None:
    """Find the paper coordinates of an image from its grid plane (H, W), 0 to 1, that has about PX_PER_MM pixels per
    millimetre and is turned by less than MAX_TURN_DEG. Return None if there is no grid."""
    if grid.mean() < MIN_GRID_SHARE:
        return None
    x_px, y_px = (STEP_PX * (np.arange(-(-size // STEP_PX)) + 0.5) for size in grid.shape[::-1])
    first = _first_fields(grid, *np.meshgrid(x_px, y_px))
    level = grid - cv2.blur(grid, (31, 31))
    for stiffness in (BENT, NEARLY_FLAT):
        splines = _Splines(x_px, y_px, stiffness)
        fields, weights, residuals = zip(*(_fit_field(level, field, splines) for field in first), strict=True)
        if max(residuals) < SOUND_MM:
            break
    u, v = (RectBivariateSpline(y_px, x_px, field) for field in fields)
    return PaperField(u, v, np.minimum(*weights), float(max(residuals)))


def _first_fields(grid: np.ndarray, x_px: np.ndarray, y_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Millimetres along and down flat paper in perspective, at points of the image; both but for a constant."""
    centres, spectra = _tile_spectra(grid)
    common = _common_wave_vector(spectra.sum(axis=0))
    waves = np.stack([common, [-common[1], common[0]]])
    found, contrast = _local_wave_vectors(spectra, waves)
    weight = np.sqrt(np.clip(np.log(contrast.min(axis=0) / CLEAR_PEAK), 0, 1))
    height, width = grid.shape
    reach = max(grid.shape) / 2

    def normal(x_px: np.ndarray, y_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return (x_px - width / 2) / reach, (y_px - height / 2) / reach

    x, y = normal(*centres.T)

    def misses(parameters: np.ndarray) -> np.ndarray:
        off = _perspective_slopes(parameters, x, y) / reach - found
        heard = off * weight[:, None] / np.linalg.norm(common)
        return np.concatenate([heard.ravel(), FLATNESS * parameters[6:]])

    start = np.concatenate([*(np.append(wave * reach, 0) for wave in waves), [0, 0]])
    best = least_squares(misses, start, loss="cauchy", f_scale=WAVE_TOLERANCE).x
    return _perspective(best, *normal(x_px, y_px))


def _perspective(parameters: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The (u, v) of image points under a homography of 8 parameters."""
    rows, depth = parameters[:6].reshape(2, 3), 1 + parameters[6] * x + parameters[7] * y
    return tuple((a * x + b * y + c) / depth for a, b, c in rows)


def _perspective_slopes(parameters: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The gradients (2, points, 2) of u and v at those points."""
    tilt, depth = parameters[6:], 1 + parameters[6] * x + parameters[7] * y
    rows = parameters[:6].reshape(2, 3)[:, None, :2]
    return (rows - np.stack(_perspective(parameters, x, y))[..., None] * tilt) / depth[:, None]


def _tile_spectra(grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centres (tiles, 2) in canvas pixels, and power spectra (tiles, TILE_PX, TILE_PX) with 0 in the middle."""
    window = np.outer(np.hanning(TILE_PX), np.hanning(TILE_PX)).astype(np.float32)
    padded = np.pad(grid, [(0, max(TILE_PX - size, 0)) for size in grid.shape])
    corners = [
        (top, left)
        for top in range(0, padded.shape[0] - TILE_PX + 1, TILE_PX // 2)
        for left in range(0, padded.shape[1] - TILE_PX + 1, TILE_PX // 2)
    ]
    spectra = []
    for top, left in corners:
        tile = padded[top : top + TILE_PX, left : left + TILE_PX]
        power = np.abs(fft.fftshift(fft.fft2((tile - tile.mean()) * window))) ** 2
        spectra.append(cv2.GaussianBlur(power, (0, 0), 1.0))
    return np.array(corners)[:, ::-1] + TILE_PX / 2, np.stack(spectra)


def _common_wave_vector(power: np.ndarray) -> np.ndarray:
    """The wave vector (x, y), in cycles per pixel, of the lines that cross the rows: the sum of the tiles' spectra is
    strong there and at a right angle to it."""
    frequency = np.exp(np.linspace(-PITCH_TOLERANCE, PITCH_TOLERANCE, 61)) / PX_PER_MM
    angle = np.deg2rad(np.arange(-MAX_TURN_DEG, MAX_TURN_DEG + 0.1, 0.5))
    f_x, f_y = np.outer(frequency, np.cos(angle)), np.outer(frequency, np.sin(angle))
    strength = _at(power, f_x, f_y) * _at(power, -f_y, f_x)
    strength = np.sqrt(strength) * np.exp(-np.square(np.log(frequency * PX_PER_MM) / 0.2))[:, None]
    best = np.unravel_index(strength.argmax(), strength.shape)
    return np.array([f_x[best], f_y[best]])


def _local_wave_vectors(spectra: np.ndarray, waves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each tile's strongest wave vectors (2, tiles, 2) near the two common ones, and how far they stand out from their
    neighbourhood (2, tiles)."""
    factor = np.exp(np.linspace(-TILT_LOGS, TILT_LOGS, 81))[:, None]
    turn = np.deg2rad(np.arange(-TILT_DEG, TILT_DEG + 0.1, 0.5))
    found, contrast = [], []
    for f_x, f_y in waves:
        near_x = factor * (f_x * np.cos(turn) - f_y * np.sin(turn))
        near_y = factor * (f_x * np.sin(turn) + f_y * np.cos(turn))
        for power in spectra:
            strength = _at(power, near_x, near_y)
            best = np.unravel_index(strength.argmax(), strength.shape)
            found.append((near_x[best], near_y[best]))
            contrast.append(strength[best] / max(np.median(strength), 1e-9))
    return np.reshape(found, (2, -1, 2)), np.reshape(contrast, (2, -1))


def _at(power: np.ndarray, f_x: np.ndarray, f_y: np.ndarray) -> np.ndarray:
    index = [(f * TILE_PX + TILE_PX // 2).astype(np.float32) for f in (f_x, f_y)]
    return cv2.remap(power, *index, cv2.INTER_LINEAR)


class _Splines:
    """Least squares fits of tensor products of cubic B-splines on a lattice of points."""

    def __init__(self, x_px: np.ndarray, y_px: np.ndarray, stiffness: Stiffness):
        self.stiffness = stiffness
        self.x_px, self.y_px = x_px, y_px
        self.across, self.across_slope = _basis(x_px)
        self.down, self.down_slope = _basis(y_px)
        self.shape = len(self.down.T), len(self.across.T)
        bend_x, bend_y = (np.diff(np.eye(size), 2, axis=0) for size in self.shape[::-1])
        along_rows = np.kron(np.eye(self.shape[0]), bend_x.T @ bend_x)
        down_columns = np.kron(bend_y.T @ bend_y, np.eye(self.shape[1]))
        self.bending = stiffness.bending * (along_rows + down_columns)

    def fit(self, targets: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]) -> np.ndarray:
        """Fit coefficients to measurements; each kind gives (basis down, basis across, values, weights)."""
        size = self.shape[0] * self.shape[1]
        normal, right, total = np.zeros((size, size)), np.zeros(size), 0.0
        for down, across, values, weights in targets:
            # the sum over points of weight * (down ⊗ across)(down ⊗ across)', one direction after the other
            pairs = np.einsum("xk,xl->xkl", across, across).reshape(len(across), -1)
            rows = weights @ pairs
            block = np.einsum("yi,yj,yk->ijk", down, down, rows, optimize=True)
            n_y, n_x = self.shape
            normal += block.reshape(n_y, n_y, n_x, n_x).transpose(0, 2, 1, 3).reshape(size, size)
            right += (down.T @ (weights * values) @ across).ravel()
            total += weights.sum()
        normal += total / size * self.bending + 1e-9 * total * np.eye(size)
        return np.linalg.solve(normal, right).reshape(self.shape)

    def values(self, coefficients: np.ndarray) -> np.ndarray:
        """The field (rows, columns) on the lattice."""
        return self.down @ coefficients @ self.across.T


def _basis(at_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values, and slopes per knot, (points, splines) of cubic B-splines over the span of the points."""
    length = at_px[-1] + STEP_PX / 2
    pieces = max(round(length / KNOT_PX), 2)
    knots = np.linspace(0, length, pieces + 1)
    knots = np.concatenate(
        [knots[0] + (knots[1] - knots[0]) * np.arange(-3, 0), knots, length * (1 + np.arange(1, 4) / pieces)]
    )
    spline = BSpline(knots, np.eye(pieces + 3), 3)
    return spline(at_px), spline.derivative()(at_px) * KNOT_PX


def _fit_field(
    level: np.ndarray, field: np.ndarray, splines: _Splines
) -> tuple[np.ndarray, np.ndarray, float]:
    """Improve a first guess of the millimetres across one family of lines on the lattice. Return them, the weights
    there, and the median residual in mm."""
    for smoothing in splines.stiffness.slopes:
        field = field + _from_slopes(_demodulate(level, field, smoothing), splines)
    for smoothing in splines.stiffness.phases:
        measured = _demodulate(level, field, smoothing)
        mean = np.angle(measured.sum())
        ahead = (mean + np.angle(measured * np.exp(-1j * mean))) / (2 * np.pi)
        targets = [(splines.down, splines.across, ahead, _size(measured) ** 2)]
        field = field + splines.values(_reweighted(splines, targets))
    measured = _demodulate(level, field, splines.stiffness.phases[-1])
    size = _size(measured)
    residual = np.median(np.abs(np.angle(measured[size > SURE]))) / (2 * np.pi)
    return field, size, float(residual)


def _demodulate(level: np.ndarray, field: np.ndarray, smoothing: float) -> np.ndarray:
    """How far the lines run ahead of the field, on the lattice: the angle of complex numbers, positive if ahead."""
    height, width = level.shape
    size = field.shape[1] * STEP_PX, field.shape[0] * STEP_PX
    dense = cv2.resize(field, size, interpolation=cv2.INTER_LINEAR)
    turn = ((dense - np.floor(dense)) * (2 * np.pi)).astype(np.float32)
    padded = np.zeros(size[::-1], np.float32)
    padded[:height, :width] = level
    parts = [
        cv2.resize(part, field.shape[::-1], interpolation=cv2.INTER_AREA)
        for part in cv2.polarToCart(padded, turn)
    ]
    across, down = (cv2.GaussianBlur(part, (0, 0), smoothing) for part in parts)
    return across - 1j * down


def _size(measured: np.ndarray) -> np.ndarray:
    """How much of a grid there is, 0 to 1, compared with most of the page."""
    size = np.abs(measured)
    return np.clip(size / max(np.percentile(size, 80), 1e-9), 0, 1)


def _from_slopes(measured: np.ndarray, splines: _Splines) -> np.ndarray:
    """Fit a smooth phase (in cycles, but for a constant) to the slopes of a measured phase."""
    targets = []
    for axis, bases in ((1, (splines.down, splines.across_slope)), (0, (splines.down_slope, splines.across))):
        moved = np.moveaxis(measured, axis, 0)
        turn = moved[1:] * moved[:-1].conj()
        both = np.zeros_like(moved)
        both[1:] += turn
        both[:-1] += turn
        both = np.moveaxis(both, 0, axis)
        weight = np.sqrt(np.abs(both))
        slope = np.angle(both) / (2 * np.pi * STEP_PX) * KNOT_PX  # cycles per knot, like the bases
        targets.append((*bases, slope, weight / np.percentile(weight, 80)))
    return splines.values(_reweighted(splines, targets))


def _reweighted(splines: _Splines, targets: list) -> np.ndarray:
    """Fit coefficients robustly: measurements far off the fit are left aside (Tukey's weights)."""
    weights = [np.clip(weight, 0, 1) for *_, weight in targets]
    for _ in range(REWEIGHTINGS):
        fitted = [(*target[:3], weight) for target, weight in zip(targets, weights, strict=True)]
        coefficients = splines.fit(fitted)
        for k, (down, across, values, weight) in enumerate(targets):
            off = np.abs(values - down @ coefficients @ across.T)
            sure = weight > SURE
            scale = 4 * 1.48 * np.median(off[sure]) + 1e-6 if sure.any() else np.inf
            weights[k] = np.clip(weight, 0, 1) * np.square(np.clip(1 - np.square(off / scale), 0, 1))
    return coefficients
