"""The lattice of points on which fields over an image are kept, and how an image's lines run against a field."""

import cv2
import numpy as np

from experiment.reading.compiled import compiled

STEP_PX = 8  # points of the lattice are so far apart, each in the middle of a cell of this side
HALF_PX = STEP_PX // 2


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
    framed = np.zeros([STEP_PX * (size + 1) for size in turns.shape], np.float32)
    framed[HALF_PX : HALF_PX + level.shape[0], HALF_PX : HALF_PX + level.shape[1]] = level
    corners = np.pad(turns, 1, mode="edge")
    across, down = (np.diff(corners, axis=axis) / STEP_PX for axis in (1, 0))
    twist = np.diff(across, axis=0) / STEP_PX
    across, down = across[:-1] + twist / 2, down[:, :-1] + twist / 2
    first = corners[:-1, :-1] + (across + down - twist / 2) / 2
    return _summed(framed, *map(_pointers, (first, across, down, twist))) / STEP_PX**2


def _pointers(turns: np.ndarray) -> np.ndarray:
    """exp(-2πi turns) as complex64."""
    angle = (2 * np.pi * (turns - np.floor(turns))).astype(np.float32)
    return np.cos(angle) - 1j * np.sin(angle)


@compiled
def _summed(
    framed: np.ndarray, first: np.ndarray, across: np.ndarray, down: np.ndarray, twist: np.ndarray
) -> np.ndarray:
    """The sums in cells of a plane with a frame of half a cell, by squares between four points of the lattice.

    The phase advances by equal steps along the rows and columns of a square. So each column of pixels has a pointer,
    which a product turns on from row to row: `first` is that of a square's first pixel, `across` and `down` turn it to
    the next one along the row and the column, and `twist` turns the latter on along the row.
    """
    rows, columns = first.shape[0] - 1, first.shape[1] - 1
    width = framed.shape[1]
    sums = np.zeros((rows, columns), np.complex64)
    real, imaginary, turn_real, turn_imaginary, sum_real, sum_imaginary = np.empty((6, width), np.float32)
    for row in range(rows + 1):
        for column in range(columns + 1):
            pointer, turn = first[row, column], down[row, column]
            for x in range(STEP_PX * column, STEP_PX * (column + 1)):
                real[x], imaginary[x] = pointer.real, pointer.imag
                turn_real[x], turn_imaginary[x] = turn.real, turn.imag
                pointer, turn = pointer * across[row, column], turn * twist[row, column]
        for half in range(2):
            sum_real[:] = sum_imaginary[:] = 0
            for y in range(STEP_PX * row + HALF_PX * half, STEP_PX * row + HALF_PX * (half + 1)):
                for x in range(width):
                    before = real[x]
                    sum_real[x] += framed[y, x] * before
                    sum_imaginary[x] += framed[y, x] * imaginary[x]
                    real[x] = before * turn_real[x] - imaginary[x] * turn_imaginary[x]
                    imaginary[x] = before * turn_imaginary[x] + imaginary[x] * turn_real[x]
            cells = sums[min(max(row - 1 + half, 0), rows - 1)]
            for column in range(columns):
                for x in range(HALF_PX + STEP_PX * column, HALF_PX + STEP_PX * (column + 1)):
                    cells[column] += complex(sum_real[x], sum_imaginary[x])
    return sums
