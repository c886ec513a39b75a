"""Pixel values of any depth as the 8 bits that everything here works with."""

import struct
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
    halved; None for any other file. Raises InputError naming the file if it has too many pixels.

    Pillow would keep the upper 8 bits alone, which of 12 in 16 leaves 4, and does not read colours as fractions.
    """
    if (size := _deep_size(path)) is None:
        return None
    check_pixels(path, *size, sizes.most_pixels / DEEP, LIFT_IT)
    values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.ndim != 3:
        return None
    halvings = halvings_of(values.shape[:2], sizes.whole_pixels)
    values = halved_values(values, halvings)
    code = cv2.COLOR_BGR2RGB if values.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
    return cv2.cvtColor(values, code), halvings


def _deep_size(path: Path) -> tuple[int, int] | None:
    """Width and height of such a picture, (0, 0) where only its decoder can tell; None for any other file."""
    with path.open("rb") as file:
        head = file.read(26)
    if head.startswith(_PNG):  # 16 bits; with colours, or with colours and opacity
        return struct.unpack(">II", head[16:24]) if head[24:26] in (b"\x10\x02", b"\x10\x06") else None
    if not head.startswith(_TIFF):
        return None
    try:
        with Image.open(path) as image:
            bits = image.tag_v2.get(_BITS_PER_SAMPLE, (8,))
            deep = image.n_frames == 1 and image.mode in ("RGB", "RGBA") and max(bits) > 8
            return image.size if deep else None
    except UnidentifiedImageError:
        return 0, 0
