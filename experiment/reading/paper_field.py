"""Where on the paper, in millimetres, each pixel of an image lies, from the grid alone.

Grid lines 1 mm apart are a wave in each direction. Multiplied by a carrier of the expected pitch and smoothed, the
network's grid plane becomes a complex field. Its phase says how far the lines run ahead of the carrier, and its size
how much of a grid there is. Slopes of the phase need no unwrapping, so a smooth field (a cubic B-spline) is fitted to
them first. What it leaves of the phase is a fraction of a line; this is measured against the field and fitted in turn.
Stains, tears and text count little: the complex field is small there, and the fit is robust and smooth across them.
Crumpled paper, told by what the fit leaves, gets knots that are closer; what is left of the phase after that is
averaged over a few lines and added, shrunk where few lines are visible. Where a scanner's feed skipped or stretched the
whole page, that is added too (feed_profile). A page that was never paper is flat, and all that a field finds beyond the
perspective of a plane is noise, which is left aside.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from scipy.interpolate import RectBivariateSpline

from ecg_generator_with_train_src.common.threads import in_threads
from experiment.reading.feed_profile import feed_profile
from experiment.reading.grid_directions import flat_sheet
from experiment.reading.lattice import STEP_PX, lattice_px, pointers, turned_back
from experiment.reading.spline_fits import SURE, FieldValues, SplineFits

SOUND_MM = 0.08  # a field fits if its residual is below this
BENT_MM = 0.027  # smooth paper has residuals below this; crumpled paper has 0.03 to 0.06 with the knots of smooth paper
LOCAL_DOUBT = 0.1  # the power of the measured field at which half of what the fit leaves is believed
FLAT_MM = 0.025  # 95 % of a fit to flat paper lie within this of the plane (1 ms at 25 mm/s)
MIN_GRID_SHARE = 0.02  # at least this share of the plane must be grid
# Width of the surroundings that lines are compared with: four of them. All pixels count: means at an eighth of the
# scale, as of other surroundings, cost one real scan 0.35 dB
LEVEL_PX = 31
MIN_SIDE_PX = 64  # a smaller image shows too few lines
CLOSE_MM = 1e-4  # points of the paper are found in the image to this accuracy
LEAST_STEPS, MOST_STEPS = 1, 8


@dataclass(frozen=True)
class Stiffness:
    """How a field is fitted: the distance of its knots, the weight of its second differences relative to the data, and
    the standard deviations, in lattice steps, by which measured phases are smoothed in each round of fitting slopes and
    of fitting phases, and by which what the fit leaves is averaged before it is added; None if it is left aside."""

    knot_px: float
    bending: float
    slopes: tuple[float, ...]
    phases: tuple[float, ...]
    local: float | None = None


# Smoothing is weak at first, when the carrier may be far off, then goes over several lines, as some are hidden
BENT = Stiffness(knot_px=160.0, bending=0.003, slopes=(0.8, 0.8, 2.5), phases=(2.5, 0.8))
# Facets of crumpled paper and folds are about 10 mm wide
CRUMPLED = Stiffness(knot_px=80.0, bending=0.003, slopes=(0.8, 0.8, 2.5), phases=(2.5, 0.8), local=4.0)
# A field that is right but for a millimetre or less
REFITTED = replace(CRUMPLED, slopes=())
# The paper is taken to be nearly flat if no bent field fits, as when only major lines are left
NEARLY_FLAT = Stiffness(knot_px=160.0, bending=30.0, slopes=(5.0, 5.0), phases=(5.0, 2.5))


@dataclass(frozen=True)
class PaperField:
    """The paper coordinates, in millimetres, of each point of an image. Grid lines are at whole numbers.

    `u` runs along the rows of a page and `v` downwards; both are smooth functions of canvas coordinates.
    """

    u_mm: np.ndarray  # (rows, columns) on the lattice, every STEP_PX
    v_mm: np.ndarray
    weight: np.ndarray  # (rows, columns): how much of a grid there is, 0 to 1
    residual_mm: float  # median distance of visible lines from whole numbers

    @property
    def shape_px(self) -> tuple[int, int]:
        """Height and width of the lattice's cells together."""
        rows, columns = self.weight.shape
        return STEP_PX * rows, STEP_PX * columns

    @cached_property
    def splines(self) -> tuple[RectBivariateSpline, RectBivariateSpline]:
        """u and v, in mm, as functions of (y, x)."""
        x_px, y_px = lattice_px(self.shape_px)
        return tuple(RectBivariateSpline(y_px, x_px, along_mm) for along_mm in (self.u_mm, self.v_mm))

    def paper_of_image(self, x_px: np.ndarray, y_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The paper coordinates (u, v), in mm, of canvas points."""
        return tuple(along.ev(y_px, x_px) for along in self.splines)

    def image_of_paper(self, u_mm: np.ndarray, v_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The canvas points that show (u, v): Newton's method, started where they would be on flat paper."""
        height, width = self.shape_px
        image_px = np.mgrid[0:width:9j, 0:height:9j].reshape(2, -1)
        paper_mm = np.stack([*self.paper_of_image(*image_px), np.ones(image_px.shape[1])])
        affine, *_ = np.linalg.lstsq(paper_mm.T, image_px.T)
        found_px = np.stack([u_mm.ravel(), v_mm.ravel(), np.ones(u_mm.size)], axis=-1) @ affine
        size_px, unsettled = np.array([width, height]), np.arange(u_mm.size)
        for step in range(MOST_STEPS):
            wanted_mm = np.stack([u_mm.flat[unsettled], v_mm.flat[unsettled]], axis=-1)
            steps_px, far = self._steps(found_px[unsettled], wanted_mm, size_px)
            found_px[unsettled] = np.clip(found_px[unsettled] + steps_px, -size_px, 2 * size_px)
            unsettled = unsettled[far] if step >= LEAST_STEPS else unsettled
        return tuple(found_px.T.reshape(2, *u_mm.shape))

    def _steps(
        self, at_px: np.ndarray, wanted_mm: np.ndarray, size_px: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Newton's steps (n, 2) from canvas points to those that show paper coordinates, and which of them have far to
        go. Beyond the lattice, the paper is taken to be flat, and no point has."""
        inside_px = np.clip(at_px, STEP_PX / 2, size_px - STEP_PX / 2)
        x_px, y_px = inside_px.T
        out_px = at_px - inside_px
        (u_x, u_y), (v_x, v_y) = slopes = [
            (along.ev(y_px, x_px, dy=1), along.ev(y_px, x_px, dx=1)) for along in self.splines
        ]
        there_mm = np.stack(self.paper_of_image(x_px, y_px), axis=-1)
        miss_mm = wanted_mm - there_mm - np.einsum("asn,ns->na", slopes, out_px)
        far = (np.abs(miss_mm) > CLOSE_MM).any(axis=1) & (out_px == 0).all(axis=1)
        miss_u, miss_v = miss_mm.T
        steps_px = np.stack([miss_u * v_y - miss_v * u_y, miss_v * u_x - miss_u * v_x], axis=-1)
        return steps_px / (u_x * v_y - u_y * v_x)[:, None], far


@dataclass(frozen=True)
class LinesSeen:
    """The lines of one family in each cell of the lattice, as waves (rows, columns) against a field that is near them.

    Against other fields near it they are turned cell by cell, which takes no look at the pixels.
    """

    waves: np.ndarray
    field: np.ndarray

    @classmethod
    def near(cls, level: np.ndarray, field: np.ndarray) -> "LinesSeen":
        """The lines of a plane (H, W), which are a wave about zero."""
        return cls(turned_back(level, field), field)

    def ahead_of(self, field: np.ndarray, smoothing: float) -> np.ndarray:
        """How far the lines run ahead of a field: the angle of complex numbers (rows, columns), positive if ahead."""
        waves = self.waves * pointers(field - self.field)
        real, imaginary = (cv2.GaussianBlur(part, (0, 0), smoothing) for part in (waves.real, waves.imag))
        return real + 1j * imaginary


def fit_paper(grid: np.ndarray) -> PaperField | None:
    """Find the paper coordinates of an image from its grid plane (H, W), 0 to 1, that has about PX_PER_MM pixels per
    millimetre and is turned by less than MAX_TURN_DEG. Return None if there is no grid."""
    if min(grid.shape) < MIN_SIDE_PX or grid.mean() < MIN_GRID_SHARE:
        return None
    x_px, y_px = lattice_px(grid.shape)
    first = flat_sheet(grid, *np.meshgrid(x_px, y_px))
    level = level_of(grid)
    for stiffness, sound_mm in ((BENT, BENT_MM), (CRUMPLED, SOUND_MM), (NEARLY_FLAT, np.inf)):
        if fits := _fit_both(level, first, stiffness, sound_mm):
            break
    fields, weights, residuals = zip(*fits, strict=True)
    weight = np.minimum(*weights)
    fields = _if_flat(np.stack(fields), weight) or _with_feed(level, *fields)
    return PaperField(*fields, weight, float(max(residuals)))


def refitted(field: PaperField, grid: np.ndarray) -> PaperField:
    """A field that is right but for a millimetre or less, fitted to the lines of a grid plane (H, W), 0 to 1."""
    near = field.u_mm, field.v_mm
    fields, weights, residuals = zip(*_fit_both(level_of(grid), near, REFITTED, np.inf), strict=True)
    return PaperField(*fields, np.minimum(*weights), max(residuals))


def _fit_both(
    level: np.ndarray, first: tuple[np.ndarray, np.ndarray], stiffness: Stiffness, sound_mm: float
) -> list[tuple[np.ndarray, np.ndarray, float]] | None:
    """The fields of both families of lines; None as soon as one leaves more than is sound."""
    splines = splines_of(level.shape, stiffness)
    fits = []
    for fit in in_threads(lambda field: fit_along(level, field, splines, stiffness), first):
        fits.append(fit)
        if fit[-1] >= sound_mm:
            return None
    return fits


def _if_flat(fields: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The fields (2, rows, columns) of flat paper seen in perspective that are nearest to the given ones; None if these
    are off by more than a fit to flat paper leaves by chance, as those of all real paper are."""
    rows, columns = weight.shape
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    points, zero = np.stack([x, y, np.ones_like(x)], axis=-1), np.zeros((rows, columns, 3))
    depth = np.stack([x, y], axis=-1)
    u, v = fields - fields[:, rows // 2, columns // 2][:, None, None]
    across = np.concatenate([points, zero, -u[..., None] * depth], axis=-1)
    down = np.concatenate([zero, points, -v[..., None] * depth], axis=-1)
    seen = weight > SURE
    if seen.sum() < across.shape[-1]:
        return None
    flat, *_ = np.linalg.lstsq(np.concatenate([across[seen], down[seen]]), np.concatenate([u[seen], v[seen]]))
    scale = 1 + depth @ flat[6:]
    found = points @ flat[:3] / scale, points @ flat[3:6] / scale
    off_mm = np.maximum(np.abs(found[0] - u), np.abs(found[1] - v))[seen]
    if np.percentile(off_mm, 95) > FLAT_MM:
        return None
    return found[0] + fields[0][rows // 2, columns // 2], found[1] + fields[1][rows // 2, columns // 2]


def _with_feed(level: np.ndarray, across: np.ndarray, down: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both fields (rows, columns) with what a scanner's feed did along either axis of the image."""
    height, width = level.shape
    profile_x, profile_y = in_threads(feed_profile, (level, level.T), (across, down.T))
    x_px, y_px = lattice_px(level.shape)
    return (
        across + np.interp(x_px, np.arange(width) + 0.5, profile_x),
        down + np.interp(y_px, np.arange(height) + 0.5, profile_y)[:, None],
    )


def flat_paper(shape_px: tuple[int, int], px_per_mm: float) -> PaperField:
    """The field of a flat picture of a height and width without a grid, from its upper left corner.

    >>> field = flat_paper((80, 160), 8.0)
    >>> [round(float(at_mm), 6) for at_mm in field.paper_of_image(40.0, 16.0)], field.weight.shape
    ([5.0, 2.0], (10, 20))
    """
    x_px, y_px = (STEP_PX * (np.arange(max(-(-size // STEP_PX), 4)) + 0.5) for size in shape_px[::-1])
    return PaperField(
        *np.meshgrid(x_px / px_per_mm, y_px / px_per_mm), np.ones((len(y_px), len(x_px))), residual_mm=0.0
    )


def splines_of(shape: tuple[int, int], stiffness: Stiffness) -> SplineFits:
    """Fits on the lattice of an image (height, width)."""
    return SplineFits(*lattice_px(shape), stiffness.knot_px, stiffness.bending)


def level_of(grid: np.ndarray) -> np.ndarray:
    """A grid plane (H, W) less its surroundings, so that lines are a wave about zero."""
    return grid - cv2.blur(grid, (LEVEL_PX, LEVEL_PX))


def fit_along(
    level: np.ndarray, field: np.ndarray, splines: SplineFits, stiffness: Stiffness
) -> tuple[np.ndarray, np.ndarray, float]:
    """Improve a first guess of the millimetres across one family of lines on the lattice. Return them, the weights
    there, and the median residual in mm."""
    lines = LinesSeen.near(level, field)
    for smoothing in stiffness.slopes:
        field = field + _from_slopes(lines.ahead_of(field, smoothing), splines, stiffness.knot_px)
    if stiffness.slopes:
        lines = LinesSeen.near(level, field)
    for smoothing in stiffness.phases:
        measured = lines.ahead_of(field, smoothing)
        mean = np.angle(measured.sum())
        ahead = (mean + np.angle(measured * np.exp(-1j * mean))) / (2 * np.pi)
        phases = FieldValues(splines.down, splines.across, ahead, grid_share(measured) ** 2)
        field = field + splines.values(splines.robust([phases]))
    if stiffness.local:
        field = field + _what_is_left(lines.ahead_of(field, stiffness.local))
    measured = lines.ahead_of(field, stiffness.phases[-1])
    size = grid_share(measured)
    residual = np.median(np.abs(np.angle(measured[size > SURE]))) / (2 * np.pi)
    return field, size, float(residual)


def _what_is_left(measured: np.ndarray) -> np.ndarray:
    """How far the lines still run ahead of a field, shrunk where few are visible."""
    power = np.square(grid_share(measured))
    return power / (power + LOCAL_DOUBT) * np.angle(measured) / (2 * np.pi)


def grid_share(measured: np.ndarray) -> np.ndarray:
    """How much of a grid there is, 0 to 1, compared with most of the page."""
    size = np.abs(measured)
    return np.clip(size / max(np.percentile(size, 80), 1e-9), 0, 1)


def _from_slopes(measured: np.ndarray, splines: SplineFits, knot_px: float) -> np.ndarray:
    """Fit a smooth phase (in cycles, but for a constant) to the slopes of a measured phase."""
    slopes = []
    for axis, bases in ((1, (splines.down, splines.across_slope)), (0, (splines.down_slope, splines.across))):
        moved = np.moveaxis(measured, axis, 0)
        turn = moved[1:] * moved[:-1].conj()
        both = np.zeros_like(moved)
        both[1:] += turn
        both[:-1] += turn
        both = np.moveaxis(both, 0, axis)
        weight = np.sqrt(np.abs(both))
        slope = np.angle(both) / (2 * np.pi * STEP_PX) * knot_px  # cycles per knot, like the bases
        slopes.append(FieldValues(*bases, slope, np.clip(weight / np.percentile(weight, 80), 0, 1)))
    return splines.values(splines.robust(slopes))
