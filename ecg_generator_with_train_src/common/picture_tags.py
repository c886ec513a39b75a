"""Bounds for the tags of TIFF files, and of the EXIF data in pictures of any format, which are built alike.

Many tags may name the same bytes of a file, and Pillow reads each tag's values, as Python's numbers where they are
numbers: of a file of 1 MiB it could make many gigabytes.
"""

import functools
import struct
from typing import IO

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from ecg_generator_with_train_src.common.bounds import MIB

MOST_TAGS = 1000  # of one image or list; cameras and scanners write a hundred at most
MOST_NUMBERS_BYTES = 4 * MIB  # 50,000 rows that are stored one by one take 0.4
MOST_TAG_BYTES = 64 * MIB  # of text and of what other programs keep there
_NUMBERS = {
    3: 2,
    4: 4,
    5: 8,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
}  # bytes each, by type; others have 1

_USUAL, _BIG = ("H", "2xHL4x"), ("Q", "2xHQ8x")  # number of tags; type and number of values of each


def bound_tags() -> None:
    """Have Pillow raise ValueError for tags beyond these bounds, before it reads them."""
    ImageFileDirectory_v2.load = _bounded(ImageFileDirectory_v2.load)


def _bounded(load):
    @functools.wraps(load)
    def bounded_load(tags: ImageFileDirectory_v2, file: IO[bytes]) -> None:
        start = file.tell()
        _check(file, tags._endian, tags._bigtiff)
        file.seek(start)
        load(tags, file)

    return bounded_load


def _check(file: IO[bytes], endian: str, is_big: bool) -> None:
    """Raise ValueError if the list of tags that begins here is too long. What is cut off is left to Pillow."""
    count_form, tag_form = (struct.Struct(endian + form) for form in (_BIG if is_big else _USUAL))
    head = file.read(count_form.size)
    count = count_form.unpack(head)[0] if len(head) == count_form.size else 0
    if count > MOST_TAGS:
        raise ValueError(f"it has {count} tags")
    table = file.read(count * tag_form.size)
    numbers = others = 0
    for kind, length in tag_form.iter_unpack(table[: len(table) // tag_form.size * tag_form.size]):
        numbers += length * _NUMBERS.get(kind, 0)
        others += length * (kind not in _NUMBERS)
    if numbers > MOST_NUMBERS_BYTES or others > MOST_TAG_BYTES:
        raise ValueError(f"its tags claim {(numbers + others) / MIB:.0f} MiB")
