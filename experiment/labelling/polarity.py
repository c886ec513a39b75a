"""Whether a page is a negative, as programs in dark mode show it: light lines on dark paper.

Lines are few. Where a page has texture, most of its pixels are therefore paper, and the few others lie on the dark side
of it, or on the light side if it is a negative. Light and shadow do not matter, since each square is judged by itself.
"""

import numpy as np

from ecg_generator_with_train_src.common.image_files import shrunk

SIDE_PX = 1000  # images are judged at about this size
SQUARE_PX = 16
LEAST_DEVIATION = 6.0  # grey levels: a square with less shows no lines
LIGHT_LINES = (
    0.08  # mean skew of the squares from which lines are lighter than their paper; -0.03 to -0.5 on others
)
DARK = 128  # a negative's paper is darker than this; every fourth pixel each way tells it
SOME = 4


def is_negative(image: np.ndarray) -> bool:
    """Whether an image (H, W, 3) uint8 shows light lines on dark paper."""
    if np.median(image[::SOME, ::SOME].mean(axis=2)) >= DARK:
        return False
    scale = min(SIDE_PX / max(image.shape[:2]), 1.0)
    grey = shrunk(image, scale).mean(axis=2)
    rows, columns = (length // SQUARE_PX for length in grey.shape)
    if not rows or not columns:
        return False
    cut = grey[: rows * SQUARE_PX, : columns * SQUARE_PX].reshape(rows, SQUARE_PX, columns, SQUARE_PX)
    squares = cut.transpose(0, 2, 1, 3).reshape(rows * columns, -1)
    deviation = squares.std(axis=1)
    shown = deviation > LEAST_DEVIATION
    if not shown.any():
        return False
    skew = (squares.mean(axis=1) - np.median(squares, axis=1))[shown] / deviation[shown]
    return bool(np.mean(skew) > LIGHT_LINES)
