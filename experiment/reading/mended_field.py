"""A paper field mended where a smooth fit to crumpled paper goes wrong.

In a steep corner of the paper, a fit to lines 1 mm apart may take a line for its neighbour: the field slips by a whole
line, and is squeezed at the border of the slip. The major lines tell, as they are 5 mm apart: where they lie ahead of
the field by a millimetre, the field is moved there and fitted again, and kept if lines then lie closer to it. After
that, what the fit leaves is averaged over a few lines and added where crumples make it larger than noise.
"""

from collections.abc import Iterator

import cv2
import numpy as np

from ecg_generator_with_train_src.common.surroundings import mean_around
from ecg_generator_with_train_src.common.threads import in_threads
from ecg_generator_with_train_src.page.geometry import MAJOR_MM
from experiment.reading.paper_field import (
    LOCAL_DOUBT,
    REFITTED,
    LinesSeen,
    PaperField,
    fit_along,
    grid_share,
    level_of,
    splines_of,
)
from experiment.reading.spline_fits import SURE

# Standard deviations, in lattice steps, by which the phases of major lines and of all lines are smoothed
MAJOR_SMOOTHING, SMOOTHING = 4.0, 2.0
MAJOR_LEVEL_PX = (
    82  # width of the surroundings that the darkness of major lines is compared with: two of them
)
SLIPPED_MM = 0.35  # where major lines lie farther ahead than this, the field may have slipped
LEAST_SLIP = 7  # a slip holds over so many lattice steps both ways; text and separators are smaller
AROUND_SLIP = 17  # what lies within so many lattice steps of a slip is squeezed
SQUEEZED_MM = 0.03  # lines there lie farther from the field than this, on average
# A field that was moved is kept if lines then lie closer to it, by this factor: it is 0.5 to 0.85 for real slips, 1.5
# and more for print that was taken for major lines
CLOSER = 0.9
BORDER, JOINED = 1.5, 6.0  # lattice steps over which a slip begins, and over which both fields join
NOISE_MM = 0.02  # what a fit to smooth paper leaves is smaller than this
SLIP_DOUBT = 0.05  # the power of major lines at which half of a slip is believed
ALIKE = 4.0  # lattice steps over which crumples are about as strong


def mended(field: PaperField, grid: np.ndarray, dark: np.ndarray) -> PaperField:
    """The field without slips, and with the crumples that its fit left.

    `grid` (H, W) is the network's grid plane, `dark` (H, W) how dark the lines of the image are, both 0 to 1.
    """
    level = level_of(grid)
    majors = dark * np.clip(1.5 * cv2.dilate(grid, np.ones((3, 3))), 0, 1)  # separators and print are no grid
    majors -= mean_around(majors, MAJOR_LEVEL_PX)

    def better(along_mm: np.ndarray) -> np.ndarray:
        lattice = _without_slips(level, majors, along_mm, field.weight)
        return lattice + _crumples(level, lattice)

    return PaperField(*in_threads(better, (field.u_mm, field.v_mm)), field.weight, field.residual_mm)


def _without_slips(
    level: np.ndarray, majors: np.ndarray, lattice: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """A field (rows, columns) across one family of lines, moved where it slipped."""
    before_mm, seen = _off_mm(level, lattice)
    around = (AROUND_SLIP, AROUND_SLIP)
    squeezed = cv2.blur(before_mm, around) > SQUEEZED_MM * cv2.blur(seen, around)
    if not (squeezed & (weight > SURE)).any():
        return lattice
    slip_mm, sure = _slip(majors, lattice)
    slips = list(_large_regions((np.abs(slip_mm) > SLIPPED_MM) & (np.minimum(sure, weight) > SURE)))
    if not slips:
        return lattice
    moved_mm = np.where(np.any(slips, axis=0), slip_mm * sure**2 / (sure**2 + SLIP_DOUBT), 0)
    moved = lattice + cv2.GaussianBlur(moved_mm, (0, 0), BORDER)
    fitted, *_ = fit_along(level, moved, splines_of(level.shape, REFITTED), REFITTED)
    after_mm, seen_after = _off_mm(level, fitted)
    kept = np.zeros(lattice.shape)
    for slip in slips:
        zone = cv2.dilate(slip.astype(np.uint8), np.ones(around)) > 0
        before = before_mm[zone].sum() / seen[zone].sum()
        after = after_mm[zone].sum() / seen_after[zone].sum()
        kept[slip] = before > SQUEEZED_MM and after < CLOSER * before
    share = np.clip(8 * cv2.GaussianBlur(kept, (0, 0), JOINED), 0, 1)
    return lattice + share * (fitted - lattice)


def _slip(majors: np.ndarray, lattice: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many mm the major lines lie ahead of a field, compared with most of the page, and how sure that is."""
    in_majors = lattice / MAJOR_MM
    measured = LinesSeen.near(majors, in_majors).ahead_of(in_majors, MAJOR_SMOOTHING)
    ahead = np.angle(measured * np.exp(-1j * np.angle(measured.sum())))
    return ahead / (2 * np.pi) * MAJOR_MM, grid_share(measured)


def _large_regions(where: np.ndarray) -> Iterator[np.ndarray]:
    """The connected regions that are LEAST_SLIP steps wide and high somewhere."""
    core = cv2.morphologyEx(where.astype(np.uint8), cv2.MORPH_OPEN, np.ones((LEAST_SLIP, LEAST_SLIP)))
    _, regions = cv2.connectedComponents(where.astype(np.uint8))
    return (regions == number for number in np.unique(regions[core > 0]))


def _off_mm(level: np.ndarray, lattice: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far lines lie from a field, times how much of a grid there is, and the latter."""
    ahead_mm, power = _ahead_mm(level, lattice)
    return power * np.abs(ahead_mm), power


def _crumples(level: np.ndarray, lattice: np.ndarray) -> np.ndarray:
    """How far lines run ahead of a field, shrunk where few are visible and where it is no more than noise."""
    ahead_mm, power = _ahead_mm(level, lattice)
    believed = power / (power + LOCAL_DOUBT)
    around = cv2.GaussianBlur(np.stack([believed * ahead_mm**2, believed], axis=-1), (0, 0), ALIKE)
    variance = around[..., 0] / np.maximum(around[..., 1], 1e-6)
    return believed * ahead_mm * np.clip(1 - NOISE_MM**2 / np.maximum(variance, 1e-9), 0, 1)


def _ahead_mm(level: np.ndarray, lattice: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far lines run ahead of a field, and how much of a grid there is."""
    measured = LinesSeen.near(level, lattice).ahead_of(lattice, SMOOTHING)
    return np.angle(measured) / (2 * np.pi), np.square(grid_share(measured))
