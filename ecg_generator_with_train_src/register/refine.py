"""Where a known page lies in a photo of it, exactly: patches of the flattened photo found again in the drawn page.

The photo is laid flat by the coarse homography. In each of a few stages, from coarse to fine, small patches of it are
searched for near the place where the drawn page is thought to have them (normalized correlation, peaks between
pixels), and one smooth field is fitted to what they say: a cubic B-spline with a thin plate's stiffness. A patch
weighs as much in each direction as its peak is sharp in it (a baseline says nothing along itself), and less the more
it disagrees with the field that the others agree on: patches on stains, tape and handwriting do.
The first stages look at the ink alone, since the grid looks the same a millimetre on.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve

from ecg_generator_with_train_src.page.geometry import PaperGeometry
from ecg_generator_with_train_src.page.grid import horizontal_lines, vertical_lines
from ecg_generator_with_train_src.page_map import Bend, PageMap, lattice, place_on_image, upsample
from ecg_generator_with_train_src.register.coarse import PAPER_LEVEL, flattened

INK, MAJOR, MINOR = 0.85, 0.35, 0.12  # rough darkness of a print
GRID_BLUR_PX = 0.7
MAX_PATCH_OUTSIDE = 0.02
MIN_INK_DEVIATION = 0.02  # patches with less contrast say nothing
ROBUST_STEPS = 4
BEYOND_PAGE_PX = 80.0


@dataclass(frozen=True)
class Stage:
    """One pass over the page; lengths in pixels of the page."""

    scale: float  # at which the patches are compared
    with_grid: bool
    patch_px: int
    reach_px: int  # how far a patch is searched for
    spacing_px: int  # distance between the patches
    field_step_px: int  # distance between the spline's coefficients
    stiffness: float
    tolerance_px: float  # disagreement that halves a patch's weight
    min_correlation: float


STAGES = (
    Stage(0.25, False, 256, 48, 64, 160, 0.3, 6.0, 0.15),
    Stage(0.5, False, 160, 20, 48, 120, 0.1, 3.0, 0.2),
    Stage(0.5, True, 128, 12, 48, 80, 0.05, 2.0, 0.2),
    Stage(1.0, True, 80, 4, 40, 60, 0.02, 0.8, 0.2),
    Stage(1.0, True, 56, 3, 28, 40, 0.01, 0.5, 0.2),
)


@dataclass(frozen=True)
class FlatPhoto:
    """A photo laid on the page by a homography: darkness above the paper around, shape of the page, float32."""

    ink: np.ndarray  # darkness in the brightest channel, where a coloured grid is pale
    luma: np.ndarray
    outside: np.ndarray  # 1 where the image shows nothing, else 0


@dataclass(frozen=True)
class Found:
    """What patches say: at (x, y) of the flat photo, the page's point (x + shift_x, y + shift_y) shows."""

    x_px: np.ndarray
    y_px: np.ndarray
    shift_px: np.ndarray  # (n, 2): x, y
    certainty: np.ndarray  # (n, 2, 2): the peak's curvature, 1 on average


class Field:
    """A displacement over the page: coefficients of a cubic B-spline, (2, rows, columns), in pixels."""

    def __init__(self, paper: PaperGeometry, step_px: float, coefficients: np.ndarray | None = None):
        self.paper, self.step_px = paper, step_px
        self.shape = tuple(
            int(np.ceil((size + 2 * BEYOND_PAGE_PX) / step_px)) + 4
            for size in (paper.height_px, paper.width_px)
        )
        self.coefficients = np.zeros((2, *self.shape)) if coefficients is None else coefficients

    @property
    def first_px(self) -> float:
        """Canvas x and y of the first coefficient."""
        return -BEYOND_PAGE_PX - self.step_px

    def bend(self) -> Bend:
        """The same in millimetres."""
        scale = self.paper.px_per_mm
        across, down = (
            tuple(tuple(row) for row in np.round(shift / scale, 5).tolist()) for shift in self.coefficients
        )
        first_mm = self.first_px / scale
        return Bend(
            left_mm=first_mm,
            top_mm=first_mm,
            step_mm=self.step_px / scale,
            shift_x_mm=across,
            shift_y_mm=down,
        )

    def at(self, x_px: np.ndarray, y_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Shifts in pixels."""
        scale = self.paper.px_per_mm
        return tuple(shift * scale for shift in self.bend().shift_mm(x_px / scale, y_px / scale))

    def basis(self, x_px: np.ndarray, y_px: np.ndarray) -> sparse.csr_matrix:
        """Points by coefficients: what each contributes."""
        across, columns = _spline_weights((x_px - self.first_px) / self.step_px)
        down, rows = _spline_weights((y_px - self.first_px) / self.step_px)
        weights = down[:, :, None] * across[:, None, :]
        index = rows[:, :, None] * self.shape[1] + columns[:, None, :]
        point = np.broadcast_to(np.arange(len(x_px))[:, None, None], index.shape)
        size = len(x_px), self.shape[0] * self.shape[1]
        return sparse.csr_matrix((weights.ravel(), (point.ravel(), index.ravel())), size)

    def plate(self) -> sparse.csr_matrix:
        """The energy of bending, as a quadratic form of the coefficients."""
        rows, columns = self.shape
        second = [
            sparse.diags([1.0, -2.0, 1.0], [0, 1, 2], shape=(size - 2, size)) for size in (rows, columns)
        ]
        first = [sparse.diags([-1.0, 1.0], [0, 1], shape=(size - 1, size)) for size in (rows, columns)]
        parts = [
            sparse.kron(second[0], sparse.identity(columns)),
            sparse.kron(sparse.identity(rows), second[1]),
            np.sqrt(2) * sparse.kron(first[0], first[1]),
        ]
        return sum(part.T @ part for part in parts).tocsr()


def _spline_weights(place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The four coefficients about each place and their weights, (n, 4) each."""
    first = np.floor(place).astype(int) - 1
    t = place - np.floor(place)
    weights = np.stack(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1
    )
    return weights / 6, first[:, None] + np.arange(4)


def refine(photo: FlatPhoto, ink: np.ndarray, paper: PaperGeometry) -> Field:
    """How a flat photo differs from the page whose ink has the coverage `ink`, (height, width) uint8.

    The photo may be off by some 40 px of the page.
    """
    page = {with_grid: darkness_of_page(ink, paper, with_grid) for with_grid in (False, True)}
    field = Field(paper, STAGES[0].field_step_px)
    for stage in STAGES:
        field = fit(search(stage, photo, page[stage.with_grid], field), stage, paper)
    return field


def lay_flat(image_rgb: np.ndarray, paper: PaperGeometry, homography: np.ndarray) -> FlatPhoto:
    """Undo the homography."""
    size = paper.width_px, paper.height_px
    shrink = min(1.0, 1.25 / mean_scale(homography, paper))
    if shrink < 1:
        image_rgb = cv2.resize(image_rgb, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    of_index = np.linalg.inv(half) @ np.diag([shrink, shrink, 1]) @ homography @ half
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    flat = cv2.warpPerspective(image_rgb, of_index, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpPerspective(np.ones(image_rgb.shape[:2], np.float32), of_index, size, flags=flags)
    return FlatPhoto(
        ink=_darkness(flat.max(axis=2)),
        luma=_darkness(cv2.cvtColor(flat, cv2.COLOR_RGB2GRAY)),
        outside=1 - inside,
    )


def mean_scale(homography: np.ndarray, paper: PaperGeometry) -> float:
    """Image pixels a page pixel, about."""
    corners = np.array([[0, 0], [paper.width_px, 0], [paper.width_px, paper.height_px], [0, paper.height_px]])
    seen = cv2.perspectiveTransform(corners[None].astype(float), homography)[0]
    return float(np.sqrt(cv2.contourArea(seen.astype(np.float32)) / (paper.width_px * paper.height_px)))


def _darkness(grey: np.ndarray) -> np.ndarray:
    return 1 - flattened(grey).astype(np.float32) / PAPER_LEVEL


def darkness_of_page(ink: np.ndarray, paper: PaperGeometry, with_grid: bool) -> np.ndarray:
    """Roughly what a print of the page shows, as darkness of 0 to 1, float32."""
    darkness = ink.astype(np.float32) * (INK / 255)
    if not with_grid:
        return darkness
    grid = np.zeros_like(darkness)
    columns, rows = vertical_lines(paper), horizontal_lines(paper)
    for strength, across, down in ((MINOR, columns.minor, rows.minor), (MAJOR, columns.major, rows.major)):
        grid[:, across] = strength
        grid[down] = np.maximum(grid[down], strength)
    return np.maximum(darkness, cv2.GaussianBlur(grid, (0, 0), GRID_BLUR_PX))


def search(stage: Stage, photo: FlatPhoto, page: np.ndarray, field: Field) -> Found:
    """Find patches of the flat photo in the page, bent as the field says."""
    shown, bent, outside = (
        cv2.resize(layer, None, fx=stage.scale, fy=stage.scale, interpolation=cv2.INTER_AREA)
        for layer in (photo.luma if stage.with_grid else photo.ink, _bent(page, field), photo.outside)
    )
    half, reach = round(stage.patch_px * stage.scale / 2), round(stage.reach_px * stage.scale)
    spacing = round(stage.spacing_px * stage.scale)
    bent = cv2.copyMakeBorder(bent, *[reach] * 4, cv2.BORDER_CONSTANT, value=0)
    height, width = shown.shape
    places, surfaces = [], []
    for row in range(half, height - half + 1, spacing):
        for column in range(half, width - half + 1, spacing):
            window = slice(row - half, row + half), slice(column - half, column + half)
            if outside[window].mean() > MAX_PATCH_OUTSIDE:
                continue
            near = bent[row - half : row + half + 2 * reach, column - half : column + half + 2 * reach]
            if cv2.meanStdDev(near)[1][0, 0] < MIN_INK_DEVIATION:
                continue
            places.append((column, row))
            surfaces.append(cv2.matchTemplate(near, shown[window], cv2.TM_CCOEFF_NORMED))
    return _read_peaks(stage, np.array(places, float).reshape(-1, 2), np.array(surfaces), reach, field)


def _bent(page: np.ndarray, field: Field) -> np.ndarray:
    """The page as the flat photo would show it."""
    height, width = page.shape
    x_px, y_px = lattice(width, height)
    shift_x, shift_y = field.at(x_px, y_px)
    index = np.stack([x_px + shift_x, y_px + shift_y], axis=-1).astype(np.float32) - 0.5
    return cv2.remap(page, upsample(index, width, height), None, cv2.INTER_LINEAR)


def straighten(photo: FlatPhoto, field: Field) -> FlatPhoto:
    """The flat photo as the page would show it."""
    height, width = photo.ink.shape
    bent = PageMap(homography=np.eye(3).tolist(), px_per_mm=field.paper.px_per_mm, bends=(field.bend(),))
    place = np.stack(place_on_image(bent, *lattice(width, height)), axis=-1).astype(np.float32) - 0.5
    tables = cv2.convertMaps(upsample(place, width, height), None, cv2.CV_16SC2)
    return FlatPhoto(
        *(cv2.remap(layer, *tables, cv2.INTER_LINEAR) for layer in (photo.ink, photo.luma)),
        outside=cv2.remap(photo.outside, *tables, cv2.INTER_LINEAR, borderValue=1),
    )


def _read_peaks(stage: Stage, places: np.ndarray, surfaces: np.ndarray, reach: int, field: Field) -> Found:
    """Peaks between pixels, by the parabola through the nine values about the highest."""
    if len(places) == 0:
        return Found(places[:, 0], places[:, 1], places, np.empty((0, 2, 2)))
    size = 2 * reach + 1
    highest = surfaces.reshape(len(surfaces), -1).argmax(axis=1)
    row, column = highest // size, highest % size
    value = surfaces.reshape(len(surfaces), -1).max(axis=1)
    inner = (
        (row > 0) & (row < size - 1) & (column > 0) & (column < size - 1) & (value > stage.min_correlation)
    )
    places, surfaces, row, column, value = (part[inner] for part in (places, surfaces, row, column, value))
    gradient, curvature = _parabola(surfaces, row, column)
    within = -np.einsum("nij,nj->ni", np.linalg.inv(curvature), gradient)
    peak = np.stack([column, row], axis=1) - reach + np.clip(within, -1, 1)
    shift = peak / stage.scale
    x_px, y_px = (places / stage.scale).T
    there = field.at(x_px + shift[:, 0], y_px + shift[:, 1])
    certainty = -curvature / (1.02 - value)[:, None, None]
    certainty /= np.median(np.trace(certainty, axis1=1, axis2=2)) / 2 if len(value) else 1
    return Found(x_px, y_px, shift + np.stack(there, axis=1), certainty)


def _parabola(surfaces: np.ndarray, row: np.ndarray, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slope (n, 2) and curvature (n, 2, 2), negative definite, at the highest pixel of each surface."""
    number = np.arange(len(surfaces))[:, None, None]
    steps = np.arange(-1, 2)
    near = surfaces[number, (row[:, None] + steps)[:, :, None], (column[:, None] + steps)[:, None, :]]
    slope_x, slope_y = (near[:, 1, 2] - near[:, 1, 0]) / 2, (near[:, 2, 1] - near[:, 0, 1]) / 2
    bend_x = near[:, 1, 2] + near[:, 1, 0] - 2 * near[:, 1, 1]
    bend_y = near[:, 2, 1] + near[:, 0, 1] - 2 * near[:, 1, 1]
    twist = (near[:, 2, 2] + near[:, 0, 0] - near[:, 0, 2] - near[:, 2, 0]) / 4
    values, vectors = np.linalg.eigh(
        np.stack([bend_x, twist, twist, bend_y], axis=1).reshape(-1, 2, 2).astype(float)
    )
    values = np.minimum(values, -1e-6)
    return np.stack([slope_x, slope_y], axis=1), (vectors * values[:, None, :]) @ vectors.transpose(0, 2, 1)


def fit(found: Found, stage: Stage, paper: PaperGeometry) -> Field:
    """The stiff field that most patches agree on."""
    field = Field(paper, stage.field_step_px)
    if len(found.x_px) == 0:
        return field
    basis = field.basis(found.x_px, found.y_px)
    plate = sparse.block_diag([field.plate()] * 2).tocsr() * (
        stage.stiffness * len(found.x_px) / plate_size(field)
    )
    weights = np.ones(len(found.x_px))
    for _ in range(ROBUST_STEPS):
        certainty = found.certainty * weights[:, None, None]
        blocks = [[basis.T @ sparse.diags(certainty[:, i, j]) @ basis for j in range(2)] for i in range(2)]
        pull = np.einsum("nij,nj->in", certainty, found.shift_px)
        right = np.concatenate([basis.T @ pull[0], basis.T @ pull[1]])
        system = sparse.bmat(blocks).tocsr() + plate + 1e-6 * sparse.identity(len(right))
        field.coefficients = spsolve(system.tocsc(), right).reshape(2, *field.shape)
        left = found.shift_px - np.stack([basis @ part.ravel() for part in field.coefficients], axis=1)
        square = np.einsum("ni,nij,nj->n", left, found.certainty, left) / np.trace(
            found.certainty, axis1=1, axis2=2
        )
        weights = 1 / (1 + square / stage.tolerance_px**2)
    return field


def plate_size(field: Field) -> int:
    """Number of coefficients."""
    return field.shape[0] * field.shape[1]
