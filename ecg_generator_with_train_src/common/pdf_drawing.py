"""What a page of a PDF draws: its lines, point by point, and its text, letter by letter, as the page is shown."""

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium

from ecg_generator_with_train_src.common.pdf_objects import PdfObject, matrix_of, objects_of
from ecg_generator_with_train_src.common.pdf_pages import opened_pdf
from ecg_generator_with_train_src.page.geometry import MM_PER_INCH, POINTS_PER_INCH

MM_PER_POINT = MM_PER_INCH / POINTS_PER_INCH
MOST_POINTS = 1_000_000  # the lines of a page with more are left aside; a grid of dots has some 100,000
BEZIER_STEPS = 8  # a curved piece becomes so many straight ones
PALE = 230  # a line whose channels are all above this is not seen on white


class Stroke(NamedTuple):
    """One line: its points (n, 2) in mm, and its pen: red, green, blue, and the width in thousandths of a mm."""

    points_mm: np.ndarray
    pen: tuple[int, int, int, int]


@dataclass(frozen=True)
class Drawing:
    """The lines and the text of a page, in mm from the upper left corner of what is shown, x to the right, y down."""

    width_mm: float
    height_mm: float
    strokes: tuple[Stroke, ...]
    text: str
    letters_mm: np.ndarray  # (letters, 2) the centre of each letter of the text

    def turned(self, quarter_turns: int) -> "Drawing":
        """The same after np.rot90(…, quarter_turns) of the page."""
        if quarter_turns % 4 == 0:
            return self
        strokes = tuple(stroke._replace(points_mm=self._turned(stroke.points_mm)) for stroke in self.strokes)
        once = Drawing(self.height_mm, self.width_mm, strokes, self.text, self._turned(self.letters_mm))
        return once.turned(quarter_turns - 1)

    def _turned(self, points_mm: np.ndarray) -> np.ndarray:
        return points_mm[:, ::-1] * [1, -1] + [0, self.width_mm]


def drawing_of(path: Path, number: int) -> Drawing:
    """What page `number`, counted from 0, of a PDF draws.

    Raises InputError naming the file if it is no PDF that can be read.
    """
    with opened_pdf(path) as document:
        page = document[number]
        to_shown = _to_shown(page)
        paths = [each for each in objects_of(page) if each.kind == pdfium.FPDF_PAGEOBJ_PATH]
        if sum(pdfium.FPDFPath_CountSegments(each.handle) for each in paths) > MOST_POINTS:
            paths = []
        strokes = tuple(stroke for each in paths for stroke in _strokes(each, to_shown))
        width_mm, height_mm = (length * MM_PER_POINT for length in page.get_size())
        return Drawing(width_mm, height_mm, strokes, *_letters(page, to_shown))


def _to_shown(page: pypdfium2.PdfPage) -> np.ndarray:
    """The map (3, 3) from a page's coordinates, in points, to mm from the upper left corner of what is shown."""
    box = pdfium.FS_RECTF()
    pdfium.FPDF_GetPageBoundingBox(page.raw, box)
    turns = {
        0: [[1, 0, -box.left], [0, -1, box.top]],
        1: [[0, 1, -box.bottom], [1, 0, -box.left]],
        2: [[-1, 0, box.right], [0, 1, -box.bottom]],
        3: [[0, -1, box.top], [-1, 0, box.right]],
    }
    turn = turns[pdfium.FPDFPage_GetRotation(page.raw) % 4]
    return np.diag([MM_PER_POINT, MM_PER_POINT, 1.0]) @ np.array([*turn, [0, 0, 1]], float)


def _strokes(path: PdfObject, to_shown: np.ndarray) -> Iterator[Stroke]:
    """The lines of a path that can be seen."""
    filled, stroked = ctypes.c_int(), ctypes.c_int()
    pdfium.FPDFPath_GetDrawMode(path.handle, filled, stroked)
    channels = [ctypes.c_uint() for _ in range(4)]
    pdfium.FPDFPageObj_GetStrokeColor(path.handle, *channels)
    *rgb, opacity = (channel.value for channel in channels)
    if not stroked.value or not opacity or min(rgb) > PALE:
        return
    to_mm = to_shown @ path.to_page @ matrix_of(path.handle)
    width = ctypes.c_float()
    pdfium.FPDFPageObj_GetStrokeWidth(path.handle, width)
    pen = (*rgb, round(1000 * width.value * abs(np.linalg.det(to_mm)) ** 0.5))
    for points in _lines(path):
        if len(points) > 1:
            yield Stroke(np.array(points) @ to_mm[:2, :2].T + to_mm[:2, 2], pen)


def _lines(path: PdfObject) -> Iterator[list[tuple[float, float]]]:
    """The points of each line of a path, in its own coordinates; PDFium ends a closed one where it began."""
    x, y = ctypes.c_float(), ctypes.c_float()
    line: list[tuple[float, float]] = []
    bend: list[tuple[float, float]] = []
    for number in range(pdfium.FPDFPath_CountSegments(path.handle)):
        segment = pdfium.FPDFPath_GetPathSegment(path.handle, number)
        pdfium.FPDFPathSegment_GetPoint(segment, x, y)
        point, kind = (x.value, y.value), pdfium.FPDFPathSegment_GetType(segment)
        if kind == pdfium.FPDF_SEGMENT_MOVETO:
            yield line
            line = [point]
        elif kind == pdfium.FPDF_SEGMENT_LINETO:
            line.append(point)
        else:
            bend.append(point)
            if len(bend) == 3:
                line += _bent(line[-1], *bend)
                bend = []
    yield line


def _bent(*corners: tuple[float, float]) -> list[tuple[float, float]]:
    """Points of a Bézier curve with these four corners, the first left out."""
    at = np.arange(1, BEZIER_STEPS + 1)[:, None] / BEZIER_STEPS
    shares = np.hstack([(1 - at) ** 3, 3 * at * (1 - at) ** 2, 3 * at**2 * (1 - at), at**3])
    return list(map(tuple, shares @ np.array(corners)))


def _letters(page: pypdfium2.PdfPage, to_shown: np.ndarray) -> tuple[str, np.ndarray]:
    """The page's text, and the centre of each of its letters."""
    text_page = page.get_textpage()
    letters, centres = [], []
    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    for number in range(pdfium.FPDFText_CountChars(text_page.raw)):
        pdfium.FPDFText_GetCharBox(text_page.raw, number, left, right, bottom, top)
        letters.append(chr(pdfium.FPDFText_GetUnicode(text_page.raw, number)))
        centres.append(((left.value + right.value) / 2, (bottom.value + top.value) / 2, 1.0))
    return "".join(letters), np.array(centres).reshape(-1, 3) @ to_shown[:2].T
