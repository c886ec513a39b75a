"""Pixel values of any depth as the 8 bits that everything here works with."""

import struct
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from ecg_generator_with_train_src.common.bounds import MIB, read_input
from ecg_generator_with_train_src.common.picture_sizes import (
    DEEP,
    PageSizes,
    check_weight,
    halved_values,
    halvings_of,
)

# White in a page whose values go up to 1, or of 8, 10, 12, 14 or 16 bits
WHITE_LEVELS = (1, 255, 1023, 4095, 16383, 65535)
_PNG, _TIFF = b"\x89PNG\r\n\x1a\n", (b"II*\0", b"MM\0*")
_PNG_DEEP = (b"\x10\x02", b"\x10\x06")  # in a PNG's head: 16 bits with colours, with colours and opacity
_WIDTH, _HEIGHT, _BITS_PER_SAMPLE = 256, 257, 258  # tags of TIFF
_MOST_BYTES = 512 * MIB  # as many as 60 million pixels of 16 bits have in four channels
_ROWS_AT_ONCE = 256


def eight_bits(values: np.ndarray) -> np.ndarray:
    """Whole numbers or fractions of any shape as uint8.

    White is the least of WHITE_LEVELS that no value exceeds: cameras and scanners store 10 or 12 bits in files of 16
    bits. Values that are negative, or beyond all levels, are scaled by their own range. What is not finite is white.

    >>> eight_bits(np.uint16([0, 2048, 4095])).tolist(), eight_bits(np.float32([0, 0.5, np.nan])).tolist()
    ([0, 128, 255], [0, 128, 255])
    """
    low, high = _range_of(values)
    black = min(low, 0.0)
    white = high if black < 0 else next((level for level in WHITE_LEVELS if high <= level), high)
    found = np.empty(values.shape, np.uint8)
    for first in range(0, len(values), _ROWS_AT_ONCE):  # in single precision all would be four times as large
        rows = slice(first, first + _ROWS_AT_ONCE)
        shares = (values[rows] - np.float32(black)) / np.float32(max(white - black, 1e-30))
        found[rows] = np.rint(np.nan_to_num(shares, nan=1.0, posinf=1.0, neginf=1.0) * 255)
    return found


def _range_of(values: np.ndarray) -> tuple[float, float]:
    """The least and the greatest of all finite values; 0 if there is none."""
    if np.issubdtype(values.dtype, np.integer):
        return (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    finite = np.isfinite(values)
    low, high = values.min(initial=np.inf, where=finite), values.max(initial=-np.inf, where=finite)
    return (float(low), float(high)) if low <= high else (0.0, 0.0)


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
    values = cv2.imdecode(np.frombuffer(read_input(path, _MOST_BYTES), np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.ndim != 3:
        return None
    halvings = halvings_of(values.shape[:2], sizes.whole_pixels)
    code = cv2.COLOR_BGR2RGB if values.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
    return cv2.cvtColor(halved_values(values, halvings), code), halvings


def _is_deep_colour(path: Path, sizes: PageSizes) -> bool:
    """Whether OpenCV is to read a file. Raises InputError naming a picture of too many pixels."""
    with path.open("rb") as file:
        head = file.read(26)
    is_tiff = head.startswith(_TIFF)
    if not is_tiff and not (head.startswith(_PNG) and head[24:26] in _PNG_DEEP):
        return False
    try:
        with Image.open(path, formats=("PNG", "TIFF")) as image:
            bits = max(image.tag_v2.get(_BITS_PER_SAMPLE, (8,))) if is_tiff else 16
            is_deep = image.mode in ("RGB", "RGBA") and bits > 8 and not (is_tiff and image.is_animated)
            if is_deep:
                check_weight(path, image.size, DEEP, sizes)
                image.load()  # OpenCV takes damaged files as far as they go
            return is_deep
    except UnidentifiedImageError:
        return is_tiff and _is_tiff_of_fractions(path, sizes)
    except (OSError, SyntaxError, ValueError):
        return False


def _is_tiff_of_fractions(path: Path, sizes: PageSizes) -> bool:
    """Whether a TIFF file that Pillow does not read holds colours in 32 or 64 bits a channel."""
    try:
        with path.open("rb") as file:
            tags = ImageFileDirectory_v2(file.read(8))
            file.seek(tags.next)
            tags.load(file)
            width_px, height_px, bits = tags[_WIDTH], tags[_HEIGHT], max(tags[_BITS_PER_SAMPLE])
    except (OSError, SyntaxError, ValueError, LookupError, TypeError, struct.error):
        return False
    check_weight(path, (width_px, height_px), bits / 8, sizes)
    return bits >= 32
