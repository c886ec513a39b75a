"""Find pitch and slant of the grid on any image of an ECG page, without a network.

Paper ruled every millimetre, with stronger lines every five, puts peaks at k/p (minor lines, p their pitch) and k/5p
(major lines) into the spectrum of a small patch, along two directions at right angles. Each patch is flattened, its
traces are clipped to the strength of lines, and its spectrum is whitened by its median over all directions at the same
frequency. A pitch is worth the mean log height of its peaks less that of the places half way between them, where twice
the pitch, or half of it, would have some. The patches vote with their whole curves of worth over pitch, so that a
stain, a shadow or the table below the page outvotes nobody. What lines cannot tell (are they 1 mm apart, or 5?), the
size of usual paper does. A raster half as wide as the lines, as black-and-white scanners draw it, may stand out more
than they do; but then the paper would be larger than paper is.
"""

import functools
import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy import fft

from ecg_generator_with_train_src.common.image_files import darkest_channel
from ecg_generator_with_train_src.common.surroundings import mean_around
from ecg_generator_with_train_src.common.threads import in_threads
from experiment.labelling.straightening import MARGIN_SHARE, MIN_PATCHES, STRAIGHT_DEG

MIN_PITCH_PX, MAX_PITCH_PX = 2.2, 45.0
MAX_SIDE_PX = 2400  # larger images are reduced first: lines stay some 8 px apart
PATCH_SHARE = (
    8  # a patch is an eighth of the long side, some 30 mm: six major lines, and the grid hardly bends
)
MIN_PATCH_PX, MAX_PATCH_PX = 64, 288
MAX_PATCHES = 60

_MINOR = {1.0: 0.6, 2.0: 0.3, 3.0: 0.15}  # harmonics of 1/p and their weights; together 1.05 of 1.45
_MAJOR = {0.2: 0.1, 0.4: 0.1, 0.6: 0.1, 0.8: 0.1}
_BETWEEN = (0.1, 0.3, 0.5, 0.7, 0.9, 1.5)
_MAX_WORTH = 3.5  # a single peak counts for this much at most, in logs above the median
_FLOOR = 0.01  # peaks below this share of the highest are rounding errors on drawn sheets
_NYQUIST = 0.48  # cycles per pixel; lines may be visible up to just below one half
_USUAL_MM, _USUAL_FACTOR, _USUAL_WEIGHT = 270.0, 0.6, 0.25  # long side; its standard deviation in logs; say
_LARGEST_MM = 420.0  # no sheet is longer
_TWICE_WORTH = (
    0.5  # the part of a raster's worth that lines twice as far apart must have: it is 0.58 to 0.82 on scans
)
_PITCH_STEP = 0.015  # in logs
_SHEET_WORTH = 0.8  # worth from which a patch shows the grid; patches of a table have up to 0.6
_SHEET_LOGS = 0.2  # perspective lets a patch's pitch differ from the mean by this much
_SHEET_SHARE = 0.5  # where it is less, this share of the worth of the best patches is asked
# Degrees from the common slant at which a patch's own lines may run
_CLOSE_DIRECTIONS = np.arange(-14, 15, 2)


@dataclass(frozen=True)
class Tolerance:
    """How far one patch's lines may differ from those of all, for perspective and curled paper, and what worth and
    margin then prove a grid."""

    direction_deg: int
    pitch_logs: float  # either way, besides the smoothing of the votes
    min_worth: float
    min_margin: float


# Noise has a worth of up to 0.4, but is never more than 0.03 better than elsewhere
NEARLY_FLAT = Tolerance(direction_deg=8, pitch_logs=0.0, min_worth=0.3, min_margin=0.05)
# Asked where flat paper shows no grid; noise: up to 0.75 and 0.12
TILTED = Tolerance(direction_deg=14, pitch_logs=0.12, min_worth=0.5, min_margin=0.15)


@dataclass(frozen=True)
class Grid:
    """The grid of an image: pixels a millimetre, and how its lines slant against the image's axes.

    `slant_deg` is clockwise, -45 to 45. `worth` is how far its lines stand out of the spectra, in logs, 0 for nothing;
    `margin` how far it beats every pitch that differs by more than a tenth. `sheet_px` (n, 2) are centres (x, y) of the
    squares of `patch_px` a side in which the grid is seen.
    """

    pitch_px: float
    slant_deg: float
    worth: float
    margin: float
    sheet_px: np.ndarray
    patch_px: float
    least_worth: float  # of a patch that shows it

    @property
    def length_mm(self) -> float:
        """How long the squares that show the grid are together, along the image's longer axis."""
        if not len(self.sheet_px):
            return 0.0
        return float((np.ptp(self.sheet_px, axis=0) + self.patch_px).max() / self.pitch_px)

    @property
    def is_askew(self) -> bool:
        """Whether the page lies so far from straight that it is turned before the network sees it."""
        return abs(self.slant_deg) > STRAIGHT_DEG


def find_grid(image: np.ndarray) -> Grid | None:
    """The grid of an RGB image (H, W, 3) uint8, to about 2 % of its mean pitch; None if there is none to be seen."""
    shrink = min(MAX_SIDE_PX / max(image.shape[:2]), 1.0)
    if min(image.shape[:2]) * shrink < MIN_PATCH_PX:
        return None
    darkness = _flat_darkness(_reduced(image, shrink))
    patch_px, corners = _patches(darkness.shape)
    patches = (darkness[top : top + patch_px, left : left + patch_px] for top, left in corners)
    spectra = np.stack(list(in_threads(_polar_spectrum, patches)))
    for tolerance in (NEARLY_FLAT, TILTED):
        if grid := _vote(spectra, tolerance, patch_px, np.array(corners), max(darkness.shape)):
            return _scaled(_seen_closer(grid, darkness), 1 / shrink)
    return None


def _scaled(grid: Grid, factor: float) -> Grid:
    """The grid of the same image `factor` times as large."""
    return replace(
        grid,
        pitch_px=grid.pitch_px * factor,
        sheet_px=grid.sheet_px * factor,
        patch_px=grid.patch_px * factor,
    )


def _seen_closer(grid: Grid, darkness: np.ndarray) -> Grid:
    """The grid with its sheet told by patches of half the side, where the picture shows more than the sheet."""
    side = int(grid.patch_px) // 4 * 2
    if side < MIN_PATCH_PX or len(grid.sheet_px) < MIN_PATCHES:
        return grid
    width_height, reach = np.array(darkness.shape[::-1]), MARGIN_SHARE * grid.patch_px
    low = np.maximum(grid.sheet_px.min(axis=0) - reach, 0)
    high = np.minimum(grid.sheet_px.max(axis=0) + reach, width_height)
    if (low == 0).all() and (high == width_height).all() and not grid.is_askew:
        return grid
    places = [
        np.linspace(start, stop - side, max(math.ceil((stop - start) / side), 2)).astype(int)
        for start, stop in zip(low, high, strict=True)
    ]
    corners = np.stack(np.meshgrid(*places), axis=-1)  # (rows, columns, 2)
    centres = corners + side / 2
    known = (np.abs(centres[:, :, None] - grid.sheet_px) <= side / 2).all(axis=3).any(axis=2)
    patches = (darkness[top : top + side, left : left + side] for left, top in corners[~known])
    shows = known.copy()
    shows[~known] = [
        worth > grid.least_worth for worth in in_threads(functools.partial(_worth_at, grid), patches)
    ]
    _, parts = cv2.connectedComponents(shows.astype(np.uint8))
    return replace(grid, sheet_px=centres[shows & np.isin(parts, parts[known])], patch_px=float(side))


def _worth_at(grid: Grid, patch: np.ndarray) -> float:
    """How well lines of about the grid's pitch and slant, both ways, explain a patch."""
    logs = np.arange(-_SHEET_LOGS, _SHEET_LOGS, _PITCH_STEP)
    spectrum = _polar_spectrum(patch)
    return min(
        _worth(
            spectrum[None, (round(grid.slant_deg) + side + _CLOSE_DIRECTIONS) % 180],
            grid.pitch_px * np.exp(logs),
            len(patch),
        ).max()
        for side in (0, 90)
    )


def _reduced(image: np.ndarray, shrink: float) -> np.ndarray:
    if shrink == 1:
        return image
    return cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)


def _flat_darkness(image: np.ndarray) -> np.ndarray:
    """Darkness (H, W) float32 relative to the surroundings, in the channel in which coloured lines are darkest."""
    value = darkest_channel(image).astype(np.float32)
    side = max(max(value.shape) // 30, 3)
    around = mean_around(mean_around(value, side), side)
    return 1 - value / np.maximum(around, 8)


def _patches(shape: tuple[int, ...]) -> tuple[int, list[tuple[int, int]]]:
    """Side of the patches and their corners, spread evenly over the image."""
    wanted = int(np.clip(max(shape) / PATCH_SHARE, MIN_PATCH_PX, MAX_PATCH_PX))
    side = min(wanted, *shape) // 2 * 2
    counts = [math.ceil(length / side) for length in shape]
    thin = min(math.sqrt(MAX_PATCHES / (counts[0] * counts[1])), 1.0)
    starts = [
        np.linspace(0, length - side, max(round(count * thin), 1)).astype(int)
        for length, count in zip(shape, counts, strict=True)
    ]
    return side, [(int(top), int(left)) for top in starts[0] for left in starts[1]]


def _polar_spectrum(patch: np.ndarray) -> np.ndarray:
    """Log height (180, R) float32 above the median of the same frequency, by direction in degrees and radius from 1."""
    side = patch.shape[0]
    low, high = np.percentile(patch[::2, ::2], [5, 92])
    patch = np.clip(patch, low, high)
    window = np.hanning(side).astype(np.float32)
    heard = (patch - patch.mean()) * window[:, None] * window
    spectrum = fft.rfft2(heard.T)  # the half that runs downwards; the other is its mirror image
    height = fft.fftshift(np.abs(spectrum).T, axes=1)
    polar = cv2.remap(height, *_polar_places(side), cv2.INTER_LINEAR)
    usual = np.median(polar, axis=0) + _FLOOR * polar.max() + 1e-6
    return np.clip(np.log(np.maximum(polar / usual, 0.5)), None, _MAX_WORTH)


@functools.lru_cache(maxsize=4)
def _polar_places(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows (180, R) float32 of directions and radii in the lower half of a spectrum, 0 at its middle."""
    radius, angle = np.arange(1, side // 2), np.deg2rad(np.arange(180))[:, None]
    column, row = side // 2 + radius * np.cos(angle), radius * np.sin(angle)
    return column.astype(np.float32), row.astype(np.float32)


def _vote(
    spectra: np.ndarray,
    tolerance: Tolerance,
    patch_px: int,
    corners_px: np.ndarray,
    long_side_px: int,
) -> Grid | None:
    """The grid that all patches' spectra (N, 180, R) together speak for; the patches' corners (N, 2) are rows and
    columns."""
    axis_deg = _common_direction(spectra)
    near = np.arange(-tolerance.direction_deg, tolerance.direction_deg + 1)
    pitch_px = np.exp(np.arange(math.log(MIN_PITCH_PX), math.log(MAX_PITCH_PX), _PITCH_STEP))
    worth = np.stack(  # (2, N, directions, pitches)
        [_worth(spectra[:, (axis_deg + side + near) % 180], pitch_px, patch_px) for side in (0, 90)]
    )
    families = worth.max(axis=2)  # (2, N, pitches): of lines, at right angles
    curves = families.mean(axis=0)
    tolerant = np.ones((1, 2 * round(tolerance.pitch_logs / _PITCH_STEP) + 1), np.uint8)
    total = cv2.GaussianBlur(cv2.dilate(curves, tolerant).mean(axis=0)[None], (0, 0), 1.0)[0]
    usual = -0.5 * np.square(np.log(long_side_px / pitch_px / _USUAL_MM) / _USUAL_FACTOR)
    score = total + _USUAL_WEIGHT * usual
    best = int(np.argmax(score))
    apart = np.abs(np.log(pitch_px / pitch_px[best])) > 0.1 + 2 * tolerance.pitch_logs
    margin = float(score[best] - score[apart].max())
    weaker = families[..., best].mean(axis=1).min()  # stripes are no grid
    if total[best] < tolerance.min_worth or weaker < tolerance.min_worth / 2 or margin < tolerance.min_margin:
        return None

    def grid_of(number: int) -> Grid:
        """The grid of one of the pitches."""
        reach = round(_SHEET_LOGS / _PITCH_STEP)
        near_pitch = families[..., max(number - reach, 0) : number + reach + 1].max(axis=2).min(axis=0)
        least_worth = min(_SHEET_WORTH, _SHEET_SHARE * float(np.percentile(near_pitch, 95)))
        return Grid(
            pitch_px=_mean_pitch(curves, pitch_px, number),
            slant_deg=_mean_slant(worth[..., number], axis_deg, near),
            worth=float(total[number]),
            margin=margin,
            sheet_px=corners_px[_on_sheet(near_pitch > least_worth, corners_px)][:, ::-1] + patch_px / 2,
            patch_px=patch_px,
            least_worth=least_worth,
        )

    grid = grid_of(best)
    if grid.length_mm > _LARGEST_MM:
        twice = _best_near(total, pitch_px, 2 * pitch_px[best])
        if total[twice] > _TWICE_WORTH * total[best]:
            return grid_of(twice)
    return grid


def _best_near(total: np.ndarray, pitch_px: np.ndarray, wanted_px: float) -> int:
    """The number of the pitch, of those within a tenth of one, that is worth most."""
    return int(np.argmax(np.where(np.abs(np.log(pitch_px / wanted_px)) < 0.1, total, -np.inf)))


def _on_sheet(shows: np.ndarray, corners_px: np.ndarray) -> np.ndarray:
    """Which patches (N,) of those that show the grid hang together; all of them if less than half of them do."""
    rows, columns = (np.unique(at, return_inverse=True)[1] for at in corners_px.T)
    seen = np.zeros((rows.max() + 1, columns.max() + 1), np.uint8)
    seen[rows, columns] = shows
    _, parts = cv2.connectedComponents(seen)
    sizes = np.bincount(parts[seen > 0], minlength=2)
    largest = shows & (parts[rows, columns] == sizes.argmax())
    return largest if 2 * largest.sum() > shows.sum() else shows


def _common_direction(spectra: np.ndarray) -> int:
    """Degrees, 0 to 89, at which, and at right angles to which, the spectra are highest."""
    height = np.clip(spectra, 0, None).mean(axis=(0, 2))
    folded = height[:90] + height[90:]
    smooth = cv2.GaussianBlur(np.tile(folded, 3)[None].astype(np.float32), (0, 0), 4.0)[0]
    return int(np.argmax(smooth[90:180]))


def _worth(spectra: np.ndarray, pitch_px: np.ndarray, patch_px: int) -> np.ndarray:
    """How well lines of each pitch explain each direction of each patch: (N, D, R) to (N, D, pitches)."""

    def weighted_mean(weights: dict[float, float]) -> np.ndarray:
        total, weight_sum = 0.0, 1e-9
        for harmonic, weight in weights.items():
            radius = harmonic / pitch_px * patch_px
            seen = (harmonic / pitch_px < _NYQUIST) & (radius > 2)
            index = np.clip(np.rint(radius).astype(int) - 1, 0, spectra.shape[2] - 1)
            total = total + spectra[..., index] * (weight * seen)
            weight_sum = weight_sum + weight * seen
        return total / weight_sum

    lines = 0.6 * weighted_mean(_MINOR) + 0.4 * weighted_mean(_MAJOR)
    return lines - weighted_mean(dict.fromkeys(_BETWEEN, 1.0))


def _mean_pitch(curves: np.ndarray, pitch_px: np.ndarray, best: int) -> float:
    """Mean in logs of the patches' own pitches near the common one, the better patches counting more."""
    reach = round(0.2 / _PITCH_STEP)
    near = slice(max(best - reach, 0), best + reach + 1)
    own = np.argmax(curves[:, near], axis=1)
    weight = np.clip(curves[:, near].max(axis=1), 0, None) ** 2 + 1e-9
    return math.exp(np.average(np.log(pitch_px[near])[own], weights=weight))


def _mean_slant(worth: np.ndarray, axis_deg: int, near: np.ndarray) -> float:
    """Slant in degrees, -45 to 45, from the worth (2, N, directions) of the best pitch."""
    height = worth.mean(axis=(0, 1))
    peak = np.clip(height - np.percentile(height, 60), 0, None) ** 2
    slant = axis_deg + float((near * peak).sum() / max(peak.sum(), 1e-9))
    return (slant + 45) % 90 - 45
