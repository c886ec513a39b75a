"""Damage to pictures and PDFs: other sizes, modes and headers than any page has."""

import io
import re
import struct
import zlib

import numpy as np
from PIL import Image

from experiment.fuzzing.mutate_bytes import Mutation, flip_bits

SIZES_PX = ((1, 1), (1, 20_000), (20_000, 1), (2, 2), (7, 300), (300, 7), (5000, 40), (33, 4000))
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I", "I;16", "F")
LARGE_PX = ((10_900, 11_000), (30_000, 30_000), (2**31 - 1, 1), (65_500, 1800))
NUMBERS_OF_PDF = ("0", "-1", "0.01", "1e9", "99999999", "9" * 400, "nan", "2147483648", "(a)", "/Name")


def other_size(data: bytes, rng: np.random.Generator) -> bytes:
    """The same picture at an odd size."""
    with Image.open(io.BytesIO(data)) as image:
        size = SIZES_PX[int(rng.integers(len(SIZES_PX)))]
        return _encoded(image.convert("RGB").resize(size), image.format)


def other_mode(data: bytes, rng: np.random.Generator) -> bytes:
    """The same picture in another mode, as a PNG or TIFF; floats may hold what is no number."""
    with Image.open(io.BytesIO(data)) as image:
        mode = MODES[int(rng.integers(len(MODES)))]
        grey = np.asarray(image.convert("L"))
    if mode == "F":
        floats = grey.astype(np.float32) * np.float32(rng.choice((1, 1e30, -1)))
        floats[:: int(rng.integers(2, 50))] = rng.choice((np.nan, np.inf, 0.5))
        return _encoded(Image.fromarray(floats), "TIFF")
    if mode.startswith("I"):
        return _encoded(Image.fromarray(grey.astype(np.uint16 if mode == "I;16" else np.int32) * 257), "TIFF")
    picture, bands = Image.fromarray(grey), Image.getmodebands(mode)
    picture = picture.convert(mode) if bands == 1 else Image.merge(mode, [picture] * bands)
    return _encoded(picture, "PNG" if mode in ("1", "L", "LA", "P", "RGB", "RGBA") else "TIFF")


def one_colour(data: bytes, rng: np.random.Generator) -> bytes:
    """A picture of the same size and format that shows nothing, or noise."""
    with Image.open(io.BytesIO(data)) as image:
        size, kind = image.size, image.format
    value = int(rng.choice((0, 77, 255)))
    array = np.full((*size[::-1], 3), value, np.uint8)
    if value == 77:
        array = rng.integers(0, 256, array.shape, np.uint8)
    return _encoded(Image.fromarray(array), kind)


def stated_size(data: bytes, rng: np.random.Generator) -> bytes:
    """A header that states a size of its own; the checksum of a PNG's is right."""
    width, height = (int(value) for value in rng.choice((0, 1, 5000, 10_000, 65_535, 2**31 - 1), size=2))
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return _with_png_size(data, width, height)
    start = re.search(rb"\xff[\xc0-\xc2]\x00\x11\x08", data)
    if start:  # a JPEG
        return (
            data[: start.end()] + struct.pack(">HH", height & 65535, width & 65535) + data[start.end() + 4 :]
        )
    return flip_bits(data[:64], rng) + data[64:]


def huge(data: bytes, rng: np.random.Generator) -> bytes:
    """A picture of very many pixels in few bytes: a grey JPEG, or a PNG of one bit a pixel."""
    width, height = LARGE_PX[int(rng.integers(len(LARGE_PX)))]
    if max(width, height) < 65_500 and width * height < 130e6 and rng.random() < 0.5:
        return _encoded(Image.new("L", (width, height), 200), "JPEG")
    rows = zlib.compressobj(9)
    pixels = b"".join(rows.compress(bytes(1 + width // 8)) for _ in range(min(height, 11_000)))
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", pixels + rows.flush())
        + _chunk(b"IEND", b"")
    )


def several_frames(data: bytes, rng: np.random.Generator) -> bytes:
    """A TIFF of several pages, the file cut off somewhere or a byte changed."""
    with Image.open(io.BytesIO(data)) as image:
        frame = image.convert("L").resize((60, 40))
    buffer = io.BytesIO()
    frame.save(buffer, "TIFF", save_all=True, append_images=[frame] * int(rng.integers(1, 6)))
    whole = buffer.getvalue()
    return whole[: int(rng.integers(len(whole)))] if rng.random() < 0.5 else flip_bits(whole, rng)


def other_orientation(data: bytes, rng: np.random.Generator) -> bytes:
    """EXIF data with an orientation of 0 to 9, or that are damaged."""
    with Image.open(io.BytesIO(data)) as image:
        exif = image.getexif()
        exif[0x0112] = int(rng.integers(10))
        raw = exif.tobytes()
        raw = flip_bits(raw, rng) if rng.random() < 0.5 else raw
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "JPEG", exif=b"Exif\x00\x00" + raw.removeprefix(b"Exif\x00\x00"))
    return buffer.getvalue()


def pdf_number(data: bytes, rng: np.random.Generator) -> bytes:
    """One number of a PDF becomes a hostile one: a page's size, a count, a reference, a length."""
    numbers = list(re.finditer(rb"(?<![\w.])\d+(\.\d+)?(?![\w.])", data))
    if not numbers:
        return flip_bits(data, rng)
    chosen = numbers[int(rng.integers(len(numbers)))]
    if rng.random() < 0.5 and (box := re.search(rb"MediaBox\s*\[\s*\S+\s+\S+\s+(\S+)\s+(\S+)\s*\]", data)):
        start, end = box.span(int(rng.integers(1, 3)))
    else:
        start, end = chosen.span()
    return data[:start] + NUMBERS_OF_PDF[int(rng.integers(len(NUMBERS_OF_PDF)))].encode() + data[end:]


def _with_png_size(data: bytes, width: int, height: int) -> bytes:
    return data[:8] + _chunk(b"IHDR", struct.pack(">II", width, height) + data[24:29]) + data[33:]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _encoded(image: Image.Image, kind: str | None) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind or "PNG")
    return buffer.getvalue()


PICTURE_MUTATIONS: tuple[Mutation, ...] = (
    other_size,
    other_mode,
    one_colour,
    stated_size,
    huge,
    several_frames,
    other_orientation,
)
PDF_MUTATIONS: tuple[Mutation, ...] = (pdf_number,)
