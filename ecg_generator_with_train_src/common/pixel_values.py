"""Pixel values of any depth as the 8 bits that everything here works with."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from ecg_generator_with_train_src.common.bounds import check_pixels
from ecg_generator_with_train_src.common.picture_sizes import (
    DEEP,
    LIFT_IT,
    PageSizes,
    halved_values,
    halvings_of,
)

# White in a page whose values go up to 1, or of 8, 10, 12, 14 or 16 bits
WHITE_LEVELS = (1, 255, 1023, 4095, 16383, 65535)
_PNG, _TIFF = b"\x89PNG\r\n\x1a\n", (b"II*\0", b"MM\0*")
_PNG_DEEP = (b"\x10\x02", b"\x10\x06")  # in a PNG's head: 16 bits with colours, with colours and opacity
_BITS_PER_SAMPLE = 258


def eight_bits(values: np.ndarray) -> np.ndarray:
    """Whole numbers or fractions of any shape as uint8.

    White is the least of WHITE_LEVELS that no value exceeds: cameras and scanners store 10 or 12 bits in files of 16
    bits. Values that are negative, or beyond all levels, are scaled by their own range. What is not finite is white.

    >>> eight_bits(np.uint16([0, 2048, 4095])).tolist(), eight_bits(np.float32([0, 0.5, np.nan])).tolist()
    ([0, 128, 255], [0, 128, 255])
    """
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    black = min(low, 0.0)
    white = high if black < 0 else next((level for level in WHITE_LEVELS if high <= level), high)
    shares = (values - np.float32(black)) / np.float32(max(white - black, 1e-30))
    return np.rint(np.nan_to_num(shares, nan=1.0, posinf=1.0, neginf=1.0) * 255).astype(np.uint8)


def read_deep_colour(path: Path, sizes: PageSizes) -> tuple[np.ndarray, int] | None:
    """The values (H, W, 3 or 4), red first, of a colour picture of more than 8 bits a channel, and how often it was
    halved; None for any other file, and for one that is damaged. Raises InputError naming one of too many pixels.

    Pillow would keep the upper 8 bits alone, which of 12 in 16 leaves 4, and does not read colours as fractions.
    """
    if not _is_deep_colour(path, sizes):
        return None
    cv2.utils.logging.setLogLevel(
        cv2.utils.logging.LOG_LEVEL_SILENT
    )  # what is wrong with a file is said once, by us
    values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.ndim != 3:
        return None
    halvings = halvings_of(values.shape[:2], sizes.whole_pixels)
    code = cv2.COLOR_BGR2RGB if values.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
    return cv2.cvtColor(halved_values(values, halvings), code), halvings


def _is_deep_colour(path: Path, sizes: PageSizes) -> bool:
    with path.open("rb") as file:
        head = file.read(26)
    is_tiff = head.startswith(_TIFF)
    if not is_tiff and not (head.startswith(_PNG) and head[24:26] in _PNG_DEEP):
        return False
    try:
        with Image.open(path) as image:
            check_pixels(path, *image.size, sizes.most_pixels / DEEP, LIFT_IT)
            image.load()  # OpenCV takes damaged files as far as they go
            bits = image.tag_v2.get(_BITS_PER_SAMPLE, (8,)) if is_tiff else (16,)
            pages = image.n_frames if is_tiff else 1
            return pages == 1 and image.mode in ("RGB", "RGBA") and max(bits) > 8
    except UnidentifiedImageError:
        return is_tiff
    except (OSError, SyntaxError, ValueError):
        return False
