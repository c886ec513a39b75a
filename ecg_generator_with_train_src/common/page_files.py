"""Pages read from image, PDF and DICOM files, as scanners, phones, archives and office programs write them.

What a file holds is told by its first bytes; its name only tells whether a file of a folder is meant to be a page.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, ImageSequence

from ecg_generator_with_train_src.common import dicom_pages
from ecg_generator_with_train_src.common.bounds import check_number_of_pages, check_pixels, naming
from ecg_generator_with_train_src.common.errors import InputError, item_fault
from ecg_generator_with_train_src.common.image_files import PICTURE_MARKS, opened
from ecg_generator_with_train_src.common.pdf_process import bounded_pdf_pages
from ecg_generator_with_train_src.common.picture_sizes import (
    ALL_WHOLE,
    HEAVY,
    LIFT_IT,
    PageSizes,
    check_weight,
    decode_halved,
    halved,
    halvings_of,
)
from ecg_generator_with_train_src.common.pixel_values import eight_bits, read_deep_colour

# fmt: off
IMAGE_SUFFIXES = frozenset({
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".webp", ".bmp", ".gif", ".avif", ".avifs",
    ".heic", ".heif", ".hif", ".jp2", ".j2k", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm",
})
PDF_SUFFIX, DICOM_SUFFIXES = ".pdf", frozenset({".dcm", ".dicom"})
PAGE_SUFFIXES = IMAGE_SUFFIXES | {PDF_SUFFIX} | DICOM_SUFFIXES
# Pictures and drawings that are not read: in a folder they are skipped by name, like a page that is damaged
OTHER_SUFFIXES = frozenset({
    ".svg", ".eps", ".ps", ".xps", ".djvu", ".psd", ".xcf", ".jxl", ".jxr", ".dng", ".cr2", ".cr3", ".nef", ".arw",
    ".emf", ".wmf",
})
# fmt: on
PDF_MARK = b"%PDF-"
PDF_MARK_WITHIN = 1024  # bytes: a PDF may begin with some of another program
CONTAINER_MARKS = (b"heic", b"heix", b"mif1", b"msf1", b"avif", b"WEBP", b"jP  ")  # they stand a few bytes on
READ = "PNG, JPEG, TIFF, WebP, BMP, GIF, HEIC, AVIF, JPEG 2000, PPM, PDF and DICOM are read"


class FolderFiles(NamedTuple):
    """The files of a folder and below: pages, or what calls itself so, and the others; hidden ones are neither."""

    pages: list[Path]
    others: list[Path]


def files_of_folder(folder: Path) -> FolderFiles:
    """What lies in a folder and below, sorted. A page is told by its name's ending, or by its first bytes where the
    name has an ending of no kind that is known."""
    pages, others = [], []
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.is_file():
            (pages if _is_page(path) else others).append(path)
    return FolderFiles(pages, others)


def _is_page(path: Path) -> bool:
    """Whether a file may be a page: so is one that cannot be read, which is then skipped by name."""
    try:
        return path.suffix.lower() in PAGE_SUFFIXES | OTHER_SUFFIXES or _kind(path) is not None
    except OSError:
        return True


def is_pdf(path: Path) -> bool:
    """Whether a file is a PDF, whatever its name."""
    return _kind(path) == "PDF"


def _kind(path: Path) -> str | None:
    """What the first bytes of a file say that it is: `PDF`, `DICOM` or `picture`; None if they say nothing of it."""
    with naming(path), path.open("rb") as file:
        head = file.read(PDF_MARK_WITHIN)
    if head[dicom_pages.MARK_AT :].startswith(dicom_pages.MARK):
        return "DICOM"
    if PDF_MARK in head:
        return "PDF"
    return "picture" if head.startswith(PICTURE_MARKS) or head[4:12].endswith(CONTAINER_MARKS) else None


class ReadPage(NamedTuple):
    """One page of a file: its image (H, W, 3) uint8, of which each side is the file's divided by `shrunk`."""

    name: str
    image: np.ndarray
    shrunk: int


def read_pages(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Name and RGB image (H, W, 3) uint8 of each page of a file, one at a time, in full size.

    Raises InputError as sized_pages does.
    """
    for name, image, _ in sized_pages(path, ALL_WHOLE):
        yield name, image


def sized_pages(path: Path, sizes: PageSizes) -> Iterator[ReadPage]:
    """The pages of a file, one at a time.

    A picture's page has the file's stem for a name; pages of a PDF, and of a TIFF or a DICOM file of several, are
    `<stem>-p1` and so on. Raises InputError naming the file if it is missing, empty, damaged, locked, too large or of
    another format.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: an empty file")
    kind = _kind(path)
    if kind is None and path.suffix.lower() in OTHER_SUFFIXES:
        raise InputError(f"{path}: {path.suffix} files are not read; save it as PNG or PDF ({READ})")
    if kind == "PDF":
        pages = ((*page, 1) for page in bounded_pdf_pages(path, most_pages=sizes.most_pages))
    elif kind == "DICOM":
        pages = dicom_pages.dicom_pages(path, sizes)
    else:
        pages = _picture_pages(path, sizes)
    for ending, image, shrunk in pages:
        yield ReadPage(path.stem + ending, image, shrunk)


def readable_pages(path: Path, sizes: PageSizes = ALL_WHOLE) -> Iterator[ReadPage]:
    """The same as sized_pages; an unforeseen exception about a damaged file is raised as an InputError naming it."""
    try:
        yield from sized_pages(path, sizes)
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
        _, image, _ = next(pages)
        if next(pages, None) is not None:
            raise InputError(f"{path}: holds several pages; save each page as a file of its own")
    return image


def _picture_pages(path: Path, sizes: PageSizes) -> Iterator[tuple[str, np.ndarray, int]]:
    if (deep := read_deep_colour(path, sizes)) is not None:
        values, halvings = deep
        yield "", _rgb(Image.fromarray(eight_bits(values))), 2**halvings
        return
    stated: list[tuple[int, int]] = []

    def before_load(image: Image.Image) -> None:
        check_weight(path, image.size, HEAVY.get(image.format, 1), sizes)
        stated.append(image.size)
        decode_halved(image, halvings_of(image.size, sizes.whole_pixels))

    with opened(path, sizes.most_pixels, LIFT_IT, before_load) as image:
        if image.format == "TIFF" and image.is_animated:  # has several
            _count_pages(image, path, sizes)
            for number, frame in enumerate(ImageSequence.Iterator(image), start=1):
                check_pixels(path, *frame.size, sizes.most_pixels, LIFT_IT)
                halvings = halvings_of(frame.size, sizes.whole_pixels)
                yield f"-p{number}", _rgb(halved(frame, halvings)), 2**halvings
            return
        halvings = halvings_of(stated[0], sizes.whole_pixels)
        left = halvings_of(image.size, sizes.whole_pixels)  # what its decoder has not done
        page = _rgb(halved(image, left))
    yield "", page, 2**halvings  # the file's own copy is gone while the page is worked on


def _count_pages(image: Image.Image, path: Path, sizes: PageSizes) -> None:
    """Raise InputError if a TIFF has too many pages; counting all of them would take hours for a million."""
    with contextlib.suppress(EOFError):
        image.seek(sizes.most_pages)
        check_number_of_pages(path, sizes.most_pages + 1, sizes.most_pages)
    image.seek(0)


def _rgb(image: Image.Image) -> np.ndarray:
    """The image turned as its EXIF data say, with 8 bits per channel, transparent parts on white."""
    ImageOps.exif_transpose(image, in_place=True)  # a copy of 37 megapixels would be 150 MB
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    elif image.mode.startswith(("I", "F")):
        image = Image.fromarray(eight_bits(np.asarray(image)))
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))
