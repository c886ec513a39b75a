"""Image files in and out.

Ink layers are indexed PNGs whose palette is one colour at 256 opacities: a tenth of the time of RGBA, and the
same RGBA for every reader. Pages are RGB PNGs, masks palette PNGs, coverages grey PNGs. Of the encoders at hand,
Pillow is the fastest for one byte a pixel, and OpenCV at level 1 with the `up` filter for three (a third of the time
of its default filter, 10% more bytes).
"""

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from pi_heif import register_heif_opener
from PIL import Image, UnidentifiedImageError

from ecg_generator_with_train_src.common.bounds import MIB, MOST_PIXELS, check_pixels, regular_file
from ecg_generator_with_train_src.common.classes import CLASS_NAMES, IGNORED
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.picture_tags import bound_tags

bound_tags()
register_heif_opener()  # Pillow has a reader of its own for every other format that phones make
Image.MAX_IMAGE_PIXELS = None  # opened() has a bound of its own, which says what lifts it
# Of all that Pillow opens: some of the others run a program (PostScript) or have readers that nobody watches
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "HEIF", "AVIF", "JPEG2000", "PPM")
PICTURE_MARKS = (b"\x89PNG", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"GIF8")
_READ_IN_PARTS = (
    *PICTURE_MARKS,
    b"BM",
    b"P",
)  # the others' readers take the whole file into memory, some twice
MOST_BYTES, MOST_BYTES_AT_ONCE = 1024 * MIB, 256 * MIB
MOST_SCANNED_PIXELS = 40 * MOST_PIXELS  # a progressive JPEG goes over its pixels some ten times
REDUCE_IT = "reduce it"
_START_OF_SCAN = b"\xff\xda"
_FAST = 1  # zlib level
_OPACITIES = bytes(range(256))
_IS_CLASS = np.isin(np.arange(256), [*range(len(CLASS_NAMES)), IGNORED])
_MASK_PALETTE = {0: (255, 255, 255), 1: (255, 160, 160), 2: (20, 20, 20), 255: (90, 140, 220)}


def encode_ink(alpha: np.ndarray, ink_rgb: tuple[int, int, int]) -> bytes:
    """PNG of an ink layer: one colour, `alpha` (height, width) uint8."""
    image = Image.fromarray(alpha)
    image = _as_palette(image, bytes(ink_rgb) * 256)
    return _encode(image, transparency=_OPACITIES)


def encode_binary(mask: np.ndarray) -> bytes:
    """1-bit PNG of a mask that is 0 or 255; it reads as 0 or 255."""
    return _encode(Image.fromarray(mask).convert("1", dither=Image.Dither.NONE))


def encode_classes(classes: np.ndarray) -> bytes:
    """Palette PNG of class numbers, (height, width) uint8: the numbers are the indices."""
    palette = bytearray(256 * 3)
    for index, rgb in _MASK_PALETTE.items():
        palette[3 * index : 3 * index + 3] = bytes(rgb)
    return _encode(_as_palette(Image.fromarray(classes), bytes(palette)))


def encode_grey(values: np.ndarray) -> bytes:
    """8-bit grey PNG of (height, width) uint8."""
    return _encode(Image.fromarray(values))


def encode_rgb(image: np.ndarray) -> bytes:
    """PNG of (height, width, 3) uint8 RGB."""
    options = [cv2.IMWRITE_PNG_COMPRESSION, _FAST, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP]
    return cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)[1].tobytes()


def encode_jpeg(image: np.ndarray, quality: int) -> bytes:
    """JPEG of (height, width, 3) uint8 RGB."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def decode_jpeg(data: bytes) -> np.ndarray:
    """What a reader sees of a JPEG, shape (height, width, 3), uint8 RGB."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def read_rgb(path: Path) -> np.ndarray:
    """The image, shape (height, width, 3), uint8; transparency is laid on white, 16 bits a channel become 8.

    Raises InputError, which names the file, if it is missing or damaged.
    """
    with opened(path) as image:
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        elif image.mode.startswith("I;16"):
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        return np.array(image.convert("RGB"))


def read_grey(path: Path) -> np.ndarray:
    """The image's brightness, shape (height, width), uint8. Raises InputError if the file is missing or damaged."""
    with opened(path) as image:
        return np.array(image.convert("L"))


def read_classes(path: Path) -> np.ndarray:
    """The class numbers of a mask, shape (height, width), uint8: a palette image's indices or a grey image's values.

    Raises InputError if the file is missing, damaged, an image of another kind, or holds a number of no class.
    """
    with opened(path) as image:
        if image.mode not in ("P", "L"):
            raise InputError(f"{path}: is not an 8-bit palette or grey image, but of mode {image.mode}")
        classes = np.array(image)
    if not _IS_CLASS[classes].all():
        raise InputError(f"{path}: has values other than {', '.join(map(str, np.flatnonzero(_IS_CLASS)))}")
    return classes


def read_coverage(path: Path) -> np.ndarray:
    """The traces' coverage of each pixel, shape (height, width), uint8.

    Raises InputError if the file is missing, damaged or not an 8-bit grey image.
    """
    with opened(path) as image:
        if image.mode != "L":
            raise InputError(f"{path}: is not an 8-bit grey image, but of mode {image.mode}")
        return np.array(image)


def read_ink_alpha(path: Path) -> np.ndarray:
    """Opacity of an ink layer, shape (height, width), uint8.

    Raises InputError if the file is not a readable image or has no opacity: all of an opaque image would be ink.
    """
    with opened(path) as image:
        if image.mode == "P" and image.info.get("transparency") == _OPACITIES:
            return np.array(image)  # the index is the opacity: no need to expand it to RGBA
        if image.mode not in ("RGBA", "LA", "PA") and "transparency" not in image.info:
            raise InputError(f"{path}: has no opacity, so it is no ink layer; render the page again")
        return np.array(image.convert("RGBA").getchannel("A"))


@contextlib.contextmanager
def opened(
    path: Path,
    most_pixels: float = MOST_PIXELS,
    remedy: str = REDUCE_IT,
    before_load: Callable[[Image.Image], None] = lambda image: None,
) -> Iterator[Image.Image]:
    """The image, read whole; `before_load` is shown it before its pixels are read.

    Raises InputError naming the file if it cannot be read, or if it has too many bytes or pixels.
    """
    try:
        _check_bytes(path)
        with Image.open(path, formats=FORMATS) as image:
            check_pixels(path, *image.size, most_pixels, remedy)
            _check_scans(path, image)
            before_load(image)
            image.load()
            yield image
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except UnidentifiedImageError as error:
        raise InputError(f"{path}: not a readable image (truncated, or of an unknown format)") from error
    except (OSError, SyntaxError, ValueError, RuntimeError) as error:
        raise InputError(f"{path}: not a readable image (truncated or damaged: {error})") from error


def _check_bytes(path: Path) -> None:
    with regular_file(path).open("rb") as file:
        in_parts = file.read(8).startswith(_READ_IN_PARTS)
    most_bytes = MOST_BYTES if in_parts else MOST_BYTES_AT_ONCE
    if path.stat().st_size > most_bytes:
        raise InputError(f"{path}: has more than {most_bytes / MIB:g} MiB; save each page as a PNG")


def _check_scans(path: Path, image: Image.Image) -> None:
    """Raise InputError for a JPEG that goes over its pixels so often that it would take minutes to read."""
    if image.format not in ("JPEG", "MPO"):
        return
    with path.open("rb") as file:
        scans = sum(part.count(_START_OF_SCAN) for part in iter(lambda: file.read(MIB), b""))
    if scans * image.width * image.height > MOST_SCANNED_PIXELS:
        raise InputError(f"{path}: a JPEG of {scans} scans; save it again")


def paper_colour(image: np.ndarray) -> np.ndarray:
    """The colour of a page's paper (3,) uint8: the median of each channel of the image (H, W, 3)."""
    return np.median(image[::8, ::8].reshape(-1, 3), axis=0).astype(np.uint8)


def darkest_channel(image: np.ndarray) -> np.ndarray:
    """The least of each pixel's colours in an image (H, W, 3) uint8, in which coloured lines are darkest: (H, W)."""
    red, green, blue = cv2.split(image)
    return cv2.min(cv2.min(red, green), blue)


def shrunk(image: np.ndarray, scale: float) -> np.ndarray:
    """The image (H, W, …) at a scale of 1 or less, with sides of at least one pixel."""
    if scale >= 1:
        return image
    height, width = (max(round(side * scale), 1) for side in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def cut(array: np.ndarray, top: int, left: int, sides: tuple[int, int], fill) -> np.ndarray:
    """The window of such sides (down, across) at (top, left) of `array` (H, W, …); what lies outside is `fill`."""
    height, width = array.shape[:2]
    down, across = sides
    inside = array[max(top, 0) : min(top + down, height), max(left, 0) : min(left + across, width)]
    if inside.shape[:2] == sides:
        return inside
    window = np.empty((*sides, *array.shape[2:]), array.dtype)
    window[:] = fill
    row, column = max(-top, 0), max(-left, 0)
    window[row : row + inside.shape[0], column : column + inside.shape[1]] = inside
    return window


def _as_palette(image: Image.Image, palette: bytes) -> Image.Image:
    image = image.copy() if image.readonly else image
    image.putpalette(palette)
    return image


def _encode(image: Image.Image, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=_FAST, **options)
    return buffer.getvalue()
