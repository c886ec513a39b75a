"""Pages of PDF files as images."""

import contextlib
import ctypes
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium

from ecg_generator_with_train_src.common.bounds import MOST_PAGES, check_number_of_pages
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.pdf_objects import matrix_of, objects_of
from ecg_generator_with_train_src.page.geometry import DPI, POINTS_PER_INCH

MAX_SIDE_PX = 4500  # larger pages are drawn at less than DPI
MAX_PIXELS = 60e6  # and pictures in them at less than their own size; a letter page of 600 dpi has 34 million
LEAST_SHARE = 0.1  # pictures as fine as the page is drawn cover this share of it; a finer logo does not count


def pdf_pages(
    path: Path, data: bytes | None = None, most_pages: int = MOST_PAGES
) -> Iterator[tuple[str, np.ndarray]]:
    """The pages of a PDF, one at a time: `-p1` and so on, and RGB images (H, W, 3) uint8. `data` is the PDF if it is
    a part of the file.

    Raises InputError naming the file if it is empty, damaged, locked with a password or has too many pages.
    """
    with opened_pdf(path, data) as document:
        check_number_of_pages(path, len(document), most_pages)
        for number in range(len(document)):
            yield f"-p{number + 1}", _drawn(document, number, path)


@contextlib.contextmanager
def opened_pdf(path: Path, data: bytes | None = None) -> Iterator[pypdfium2.PdfDocument]:
    """The document of a file, or of its part `data`. Raises InputError naming the file if it cannot be read."""
    try:
        document = pypdfium2.PdfDocument(path if data is None else data)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            why = "is locked with a password; save it without one"
        else:
            why = f"no PDF that can be read ({error}); save it again"
        raise InputError(f"{path}: {why}") from error
    with contextlib.closing(document):
        if len(document) == 0:
            raise InputError(f"{path}: a PDF without pages")
        yield document


def _drawn(document: pypdfium2.PdfDocument, number: int, path: Path) -> np.ndarray:
    try:
        page = document[number]
        scale = _px_per_point(page) * (1 - 1e-6)  # the size in pixels is rounded up
        return np.array(page.render(scale=scale).to_pil().convert("RGB"))
    except pypdfium2.PdfiumError as error:
        raise InputError(f"{path}: page {number + 1} cannot be drawn ({error})") from error


def _px_per_point(page: pypdfium2.PdfPage) -> float:
    """The scale at which a page is drawn: DPI, or that of the finest picture that covers much of it."""
    width, height = page.get_size()
    scale = max(min(DPI / POINTS_PER_INCH, MAX_SIDE_PX / max(width, height)), _finest_picture(page))
    return min(scale, (MAX_PIXELS / (width * height)) ** 0.5)


def _finest_picture(page: pypdfium2.PdfPage) -> float:
    """The most pixels a point that pictures on LEAST_SHARE of the page or more have; 0 if they cover less."""
    covered = 0.0
    for scale, area in sorted(_pictures(page), reverse=True):
        covered += area
        if covered >= LEAST_SHARE * np.prod(page.get_size()):
            return scale
    return 0.0


def _pictures(page: pypdfium2.PdfPage) -> Iterator[tuple[float, float]]:
    """Pixels a point, and area in square points, of each picture on the page."""
    width, height = ctypes.c_uint(), ctypes.c_uint()
    for handle, kind, to_page in objects_of(page):
        if kind == pdfium.FPDF_PAGEOBJ_IMAGE and pdfium.FPDFImageObj_GetImagePixelSize(handle, width, height):
            sides = np.hypot(*(to_page @ matrix_of(handle))[:2, :2])
            if sides.min() > 0:
                yield float(max(width.value / sides[0], height.value / sides[1])), float(sides.prod())
