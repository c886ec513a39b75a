"""Large pictures are halved while they are read: JPEG and JPEG 2000 by their decoders, all others right afterwards."""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from ecg_generator_with_train_src.common.bounds import MOST_PAGES, MOST_PIXELS, check_pixels

LIFT_IT = "reduce it, or raise --max-megapixels, with which the memory grows that the command needs"
LIFT_IT_FOR_HEAVY = f"such pictures may have 1/{{weight:g}} of --max-megapixels: {LIFT_IT}"
DEEP = 2  # pixels of 16 bits a channel count for so many
HEAVY = {"WEBP": 2, "HEIF": 2, "AVIF": 2}  # and those of formats whose decoders hold them several times
_BY_PALETTE = {
    "1": "L",
    "P": "RGB",
    "PA": "RGBA",
}  # modes of which no mean can be taken, and what they become


class PageSizes(NamedTuple):
    """How many pixels a picture may have, and from how many on it is halved, or halved again, while it is read; and how
    many pages a file may have."""

    most_pixels: float = MOST_PIXELS
    whole_pixels: float = float("inf")
    most_pages: int = MOST_PAGES


ALL_WHOLE = PageSizes()


def check_weight(path: Path, size_px: tuple[int, int], weight: float, sizes: PageSizes) -> None:
    """Raise InputError, which names the file and the remedy, for a picture of too many pixels, each of which counts for
    `weight`."""
    remedy = LIFT_IT_FOR_HEAVY.format(weight=weight) if weight > 1 else LIFT_IT
    check_pixels(path, *size_px, sizes.most_pixels / weight, remedy)


def halvings_of(size: tuple[int, int], whole_pixels: float) -> int:
    """How often both sides of a picture are halved until it has no more than so many pixels.

    >>> [halvings_of((4000, 3000), whole) for whole in (12e6, 11e6, 3e6, 1e6)]
    [0, 1, 1, 2]
    """
    halvings = 0
    while size[0] * size[1] > whole_pixels * 4**halvings:
        halvings += 1
    return halvings


def decode_halved(image: Image.Image, halvings: int) -> None:
    """Have a picture that is not decoded yet decoded at a half, a quarter or an eighth, where its decoder can do so."""
    if halvings and image.format == "JPEG":
        image.draft(None, (image.width >> halvings, image.height >> halvings))
    elif halvings and image.format == "JPEG2000":
        image.reduce = halvings  # resolution levels to leave out, as Pillow wants it


def halved(image: Image.Image, halvings: int) -> Image.Image:
    """A picture with both sides halved so often: the means of its pixels."""
    if not halvings:
        return image
    if image.mode.startswith("I;16"):
        return Image.fromarray(halved_values(np.asarray(image), halvings))
    if image.mode in _BY_PALETTE:
        image = image.convert("RGBA" if "transparency" in image.info else _BY_PALETTE[image.mode])
    return image.reduce(2**halvings)


def halved_values(values: np.ndarray, halvings: int) -> np.ndarray:
    """The same of pixel values (H, W) or (H, W, channels)."""
    if not halvings:
        return values
    height, width = (-(-side >> halvings) for side in values.shape[:2])
    return cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA)
