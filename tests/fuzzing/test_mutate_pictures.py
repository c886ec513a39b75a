"""experiment/fuzzing/mutate_pictures.py."""

import contextlib
import io

import numpy as np
import pytest
from PIL import Image

from experiment.fuzzing.mutate_pictures import (
    PDF_MUTATIONS,
    PICTURE_MUTATIONS,
    SIZES_PX,
    other_mode,
    other_orientation,
    other_size,
    pdf_number,
    stated_size,
)

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, kind)
    return buffer.getvalue()


def header(data: bytes) -> tuple[str, str, tuple[int, int]]:
    """Format, mode and size that a picture states."""
    with Image.open(io.BytesIO(data)) as image:
        return image.format, image.mode, image.size


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "BMP"])
@pytest.mark.parametrize("mutate", PICTURE_MUTATIONS)
def test_the_same_stream_gives_the_same_damage_to_every_format(mutate, kind):
    data = encoded(kind)
    assert mutate(data, np.random.default_rng(1)) == mutate(data, np.random.default_rng(1)) != data


def test_odd_sizes_keep_the_format():
    found = {header(other_size(encoded("JPEG"), np.random.default_rng(seed))) for seed in range(60)}
    assert found == {("JPEG", "RGB", size) for size in SIZES_PX}


def test_every_mode_comes_up_that_a_file_can_have():
    modes = {header(other_mode(encoded("PNG"), np.random.default_rng(seed)))[1] for seed in range(200)}
    assert {"1", "L", "LA", "P", "I;16", "F", "CMYK", "LAB"} <= modes


def test_a_stated_size_is_read_from_the_header_of_a_png_and_a_jpeg():
    """A PNG's checksum is right, so that readers believe it."""
    for kind in ("PNG", "JPEG"):
        data = encoded(kind)
        sizes = set()
        for seed in range(30):
            with contextlib.suppress(OSError, SyntaxError, ValueError, Image.DecompressionBombError):
                sizes.add(header(stated_size(data, np.random.default_rng(seed)))[2])
        assert (5000, 10_000) in sizes, kind


def test_orientations_of_exif_come_up():
    found = set()
    for seed in range(60):
        with Image.open(io.BytesIO(other_orientation(encoded("JPEG"), np.random.default_rng(seed)))) as image:
            found.add(image.getexif().get(0x0112))
    assert {1, 6, 9} <= found


def test_a_number_of_a_pdf_is_another_and_the_rest_stays():
    data = b"%PDF-1.4\n/MediaBox [ 0 0 612 792 ]\n/Count 1\n"
    (mutate,) = PDF_MUTATIONS
    assert mutate is pdf_number
    found = {pdf_number(data, np.random.default_rng(seed)) for seed in range(300)}
    assert data.replace(b"612", b"0.01") in found
    assert data.replace(b"Count 1", b"Count -1") in found
