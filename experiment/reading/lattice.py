"""The lattice of points on which fields over an image are kept, and how an image's lines run against a field."""

import cv2
import numpy as np

from experiment.reading.compiled import compiled

STEP_PX = 8  # points of the lattice are so far apart, each in the middle of a cell of this side
HALF_PX = STEP_PX // 2  # four: _half_a_cell and _sum_along name each of these rows


def lattice_px(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Canvas x (columns,) and y (rows,) of the points of an image (height, width) at which fields are kept."""
    height, width = shape
    return tuple(STEP_PX * (np.arange(-(-size // STEP_PX)) + 0.5) for size in (width, height))


def on_every_pixel(field: np.ndarray) -> np.ndarray:
    """A field on the lattice (rows, columns) at every pixel."""
    return cv2.resize(
        field, (field.shape[1] * STEP_PX, field.shape[0] * STEP_PX), interpolation=cv2.INTER_LINEAR
    )


def turned_back(level: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """The mean in each cell of a plane (H, W) float32 times exp(-2πi turns): (rows, columns) complex64.

    `turns` (rows, columns) is a field on the plane's lattice: bilinear between its points, and constant beyond them.

    >>> x_px = np.arange(160) + 0.5
    >>> waves = np.tile(np.cos(2 * np.pi * (x_px / 8 + 0.1)), (80, 1)).astype(np.float32)
    >>> found = turned_back(waves, np.tile(lattice_px(waves.shape)[0] / 8, (10, 1)))
    >>> found.shape, round(float(np.angle(found[5, 10]) / (2 * np.pi)), 3)
    ((10, 20), 0.1)
    """
    corners = np.pad(turns, 1, mode="edge")
    across, down = (np.diff(corners, axis=axis) / STEP_PX for axis in (1, 0))
    twist = np.diff(across, axis=0) / STEP_PX
    across, down = across[:-1] + twist / 2, down[:, :-1] + twist / 2
    first = corners[:-1, :-1] + (across + down - twist / 2) / 2
    return _summed(level, *map(pointers, (first, across, down, twist))) / STEP_PX**2


def pointers(turns: np.ndarray) -> np.ndarray:
    """exp(-2πi turns) of an array, as complex64."""
    angle = (2 * np.pi * (turns - np.floor(turns))).astype(np.float32)
    return np.cos(angle) - 1j * np.sin(angle)


@compiled
def _summed(
    level: np.ndarray, first: np.ndarray, across: np.ndarray, down: np.ndarray, twist: np.ndarray
) -> np.ndarray:
    """The sums in cells of a plane, by squares between four points of the lattice, which reach half a cell beyond it.

    The phase advances by equal steps along the rows and columns of a square. So each column of pixels has a pointer,
    which a product turns on from row to row: `first` is that of a square's first pixel, `across` and `down` turn it to
    the next one along the row and the column, and `twist` turns the latter on along the row.
    """
    width = level.shape[1]
    rows, columns = first.shape[0] - 1, first.shape[1] - 1
    sums = np.zeros((rows, columns), np.complex64)
    nothing = np.zeros(width, np.float32)
    of_square = np.empty((6, STEP_PX * (columns + 1)), np.float32)
    real, imaginary, turn_real, turn_imaginary, sum_real, sum_imaginary = of_square[:, HALF_PX:]
    for row in range(rows + 1):
        for column in range(columns + 1):
            pointer, turn = first[row, column], down[row, column]
            for x in range(STEP_PX * column, STEP_PX * (column + 1)):
                of_square[0, x], of_square[1, x] = pointer.real, pointer.imag
                of_square[2, x], of_square[3, x] = turn.real, turn.imag
                pointer, turn = pointer * across[row, column], turn * twist[row, column]
        for half in range(2):
            lines = _half_a_cell(level, nothing, STEP_PX * row + HALF_PX * (half - 1))
            _sum_along(lines, real, imaginary, turn_real, turn_imaginary, sum_real, sum_imaginary)
            cells = sums[min(max(row - 1 + half, 0), rows - 1)]
            for column in range(columns):
                for x in range(STEP_PX * column, min(STEP_PX * (column + 1), width)):
                    cells[column] += complex(sum_real[x], sum_imaginary[x])
    return sums


@compiled
def _half_a_cell(level: np.ndarray, nothing: np.ndarray, top: int) -> tuple[np.ndarray, ...]:
    """The HALF_PX rows of a plane from `top` on; `nothing` for those beyond its edges."""
    first, second, third, fourth = top, top + 1, top + 2, top + 3
    return (
        level[first] if 0 <= first < len(level) else nothing,
        level[second] if 0 <= second < len(level) else nothing,
        level[third] if 0 <= third < len(level) else nothing,
        level[fourth] if 0 <= fourth < len(level) else nothing,
    )


@compiled
def _sum_along(
    lines: tuple[np.ndarray, ...],
    real: np.ndarray,
    imaginary: np.ndarray,
    turn_real: np.ndarray,
    turn_imaginary: np.ndarray,
    sum_real: np.ndarray,
    sum_imaginary: np.ndarray,
) -> None:
    """In each column, the sum of the lines times its pointer, which is turned on after each of them. All lines are
    taken in one pass over the columns, so that a pointer need not be stored between two of them."""
    first, second, third, fourth = lines
    for x in range(len(first)):
        r, i, by_r, by_i = real[x], imaginary[x], turn_real[x], turn_imaginary[x]
        sum_r, sum_i = first[x] * r, first[x] * i
        r, i = r * by_r - i * by_i, r * by_i + i * by_r
        sum_r, sum_i = sum_r + second[x] * r, sum_i + second[x] * i
        r, i = r * by_r - i * by_i, r * by_i + i * by_r
        sum_r, sum_i = sum_r + third[x] * r, sum_i + third[x] * i
        r, i = r * by_r - i * by_i, r * by_i + i * by_r
        sum_real[x], sum_imaginary[x] = sum_r + fourth[x] * r, sum_i + fourth[x] * i
        real[x], imaginary[x] = r * by_r - i * by_i, r * by_i + i * by_r
