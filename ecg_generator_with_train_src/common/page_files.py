"""Pages read from image and PDF files, as scanners, phones and office programs write them."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pypdfium2
from PIL import Image, ImageOps, ImageSequence

from ecg_generator_with_train_src.common.errors import InputError, item_fault
from ecg_generator_with_train_src.common.image_files import opened
from ecg_generator_with_train_src.page.geometry import DPI, POINTS_PER_INCH

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp"})
PDF_SUFFIX = ".pdf"
PAGE_SUFFIXES = IMAGE_SUFFIXES | {PDF_SUFFIX}
PDF_MAX_SIDE_PX = 4500  # larger pages of a PDF are drawn at less than DPI


def read_pages(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Name and RGB image (H, W, 3) uint8 of each page of a file, one at a time.

    An image file's page has the file's stem for a name; pages of a PDF, and of a TIFF of several, are `<stem>-p1` and
    so on. Raises InputError naming the file if it is missing, damaged, encrypted or of another format.
    """
    yield from _pdf_pages(path) if path.suffix.lower() == PDF_SUFFIX else _image_pages(path)


def readable_pages(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """The same as read_pages; an unforeseen exception about a damaged file is raised as an InputError naming it."""
    try:
        yield from read_pages(path)
    except (InputError, MemoryError):
        raise
    except Exception as error:
        fault = item_fault(error, f"{path}: damaged in an unforeseen way; save it again")
        raise fault from error


def read_single_page(path: Path) -> np.ndarray:
    """RGB image (H, W, 3) uint8 of a file that holds one page.

    Raises InputError naming the file if it cannot be read or holds several pages.
    """
    with contextlib.closing(readable_pages(path)) as pages:
        _, image = next(pages)
        if next(pages, None) is not None:
            raise InputError(f"{path}: holds several pages; save each page as a file of its own")
    return image


def _image_pages(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    with opened(path) as image:
        if image.format == "TIFF" and image.n_frames > 1:
            for number, frame in enumerate(ImageSequence.Iterator(image), start=1):
                yield f"{path.stem}-p{number}", _rgb(frame)
            return
        page = _rgb(image)
    yield path.stem, page  # the file's own copy is gone while the page is worked on


def _rgb(image: Image.Image) -> np.ndarray:
    """The image turned as its EXIF data say, with 8 bits per channel, transparent parts on white."""
    ImageOps.exif_transpose(image, in_place=True)  # a copy of 37 megapixels would be 150 MB
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    elif image.mode.startswith(("I", "F")):
        image = Image.fromarray(_eight_bits(np.asarray(image)))
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """Grey values of 16 or 32 bits as uint8, scaled by the type's full range, or by their own where that is unknown."""
    full = 65535 if values.dtype.itemsize == 2 or values.max(initial=0) > 255 else 255
    full = max(full, float(values.max(initial=0)))
    return np.rint(np.clip(values, 0, None) * (255 / full)).astype(np.uint8)


def _pdf_pages(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        raise InputError(f"{path}: no PDF that can be read ({error})") from error
    with contextlib.closing(document):
        if len(document) == 0:
            raise InputError(f"{path}: a PDF without pages")
        for number in range(len(document)):
            yield f"{path.stem}-p{number + 1}", _rendered(document, number, path)


def _rendered(document: pypdfium2.PdfDocument, number: int, path: Path) -> np.ndarray:
    try:
        page = document[number]
        scale = min(DPI / POINTS_PER_INCH, PDF_MAX_SIDE_PX / max(page.get_size()))
        scale *= 1 - 1e-6  # the size in pixels is rounded up
        return np.array(page.render(scale=scale).to_pil().convert("RGB"))
    except pypdfium2.PdfiumError as error:
        raise InputError(f"{path}: page {number + 1} cannot be drawn ({error})") from error
