"""What stands on a page of a PDF: its pictures, strokes and words, each with its place on the page."""

import ctypes
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium

DEEPEST = 15  # forms within forms that are looked into


class PdfObject(NamedTuple):
    """One object: its handle, its kind (FPDF_PAGEOBJ_…), and the map (3, 3) from what matrix_of leads to on to the
    page's coordinates, in points from its lower left corner."""

    handle: ctypes._Pointer
    kind: int
    to_page: np.ndarray


def objects_of(page: pypdfium2.PdfPage) -> Iterator[PdfObject]:
    """All objects of a page, those within forms included, in the order in which they are drawn."""
    count, nth = pdfium.FPDFPage_CountObjects, pdfium.FPDFPage_GetObject
    yield from _objects([nth(page.raw, k) for k in range(count(page.raw))], np.eye(3), DEEPEST)


def _objects(handles: list, to_page: np.ndarray, levels: int) -> Iterator[PdfObject]:
    for handle in handles:
        kind = pdfium.FPDFPageObj_GetType(handle)
        if kind != pdfium.FPDF_PAGEOBJ_FORM:
            yield PdfObject(handle, kind, to_page)
        elif levels:
            inside = pdfium.FPDFFormObj_CountObjects(handle)
            parts = [pdfium.FPDFFormObj_GetObject(handle, k) for k in range(inside)]
            yield from _objects(parts, to_page @ matrix_of(handle), levels - 1)


def matrix_of(handle: ctypes._Pointer) -> np.ndarray:
    """The map (3, 3) from an object's own coordinates to those of the form that it stands in, or of the page."""
    found = pdfium.FS_MATRIX()
    pdfium.FPDFPageObj_GetMatrix(handle, found)
    return np.array([[found.a, found.c, found.e], [found.b, found.d, found.f], [0.0, 0.0, 1.0]])
