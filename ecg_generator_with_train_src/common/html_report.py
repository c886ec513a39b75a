"""The pieces of the reports: one HTML file with its pictures inside, the pages that need a look first."""

import base64
import heapq
import html
import io
import itertools
from collections.abc import Iterable

import cv2
import numpy as np
from PIL import Image

PICTURED_PAGES = 30
PICTURE_WIDTH_PX, JPEG_QUALITY = 1000, 70

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 1500px; padding: 0 1rem; color: #222; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .4rem; }
p { margin: .3rem 0; color: #555; } p.warning { color: #a33c00; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #e3e3e3; }
th { color: #555; font-weight: 600; } th:first-child, td:first-child { text-align: left; }
td.text { text-align: left; color: #a33c00; }
pre { background: #f5f5f5; padding: .4rem .7rem; overflow-x: auto; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .6rem; }
.pair img { width: 100%; height: auto; border: 1px solid #ddd; display: block; }
.key b { display: inline-block; width: 1.6em; height: .5em; margin: 0 .3em 0 1em; }
@media (max-width: 900px) { .pair { grid-template-columns: 1fr; } }
"""


class Gallery:
    """The pictures of the pages that most need a look, so that memory does not grow with the number of pages."""

    def __init__(self, size: int = PICTURED_PAGES):
        self.size = size
        self._worst: list[
            tuple[float, int, str, tuple[bytes, ...]]
        ] = []  # a heap whose first entry is the best page
        self._count = itertools.count()

    def add(self, name: str, goodness: float, pictures: tuple[bytes, ...]) -> None:
        """Keep the JPEG files of a page, if it is among the worst so far."""
        entry = (-goodness, next(self._count), name, pictures)
        if len(self._worst) < self.size:
            heapq.heappush(self._worst, entry)
        else:
            heapq.heappushpop(self._worst, entry)

    def pictures(self) -> dict[str, tuple[bytes, ...]]:
        """The pictures by the page's name."""
        return {name: pictures for _, _, name, pictures in self._worst}


def jpeg(image: np.ndarray) -> bytes:
    """A small JPEG file of an image (H, W, 3) uint8."""
    scale = min(PICTURE_WIDTH_PX / image.shape[1], 1.0)
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def document(title: str, parts: Iterable[str]) -> str:
    """The whole file."""
    return "\n".join(
        [
            "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
            "<meta name='viewport' content='width=device-width'>",
            f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>",
            f"<h1>{html.escape(title)}</h1>",
            *parts,
            "</body></html>\n",
        ]
    )


def heading(text: str) -> str:
    """A page's heading."""
    return f"<h2>{html.escape(text)}</h2>"


def paragraph(text: str, warning: bool = False) -> str:
    """A paragraph, red if it is a warning."""
    return f"<p{' class=warning' if warning else ''}>{html.escape(text)}</p>"


def to_copy(text: str) -> str:
    """Lines that are to be copied from the report."""
    return f"<pre>{html.escape(text)}</pre>"


def table(header: list[str], rows: Iterable[list[str]]) -> str:
    """A table; cells that hold a sentence stand left."""
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td{_left(cell)}>{html.escape(cell)}</td>" for cell in row) + "</tr>\n"
        for row in rows
    )
    return f"<table><tr>{head}</tr>\n{body}</table>"


def _left(cell: str) -> str:
    return " class='text'" if " " in cell and not cell[0].isdigit() else ""


def pictures_in_a_row(pictures: Iterable[bytes], captions: Iterable[str]) -> str:
    """JPEG files beside each other, inside the file."""
    shown = (
        f"<img loading='lazy' alt='{caption}' src='data:image/jpeg;base64,{base64.b64encode(picture).decode()}'>"
        for picture, caption in zip(pictures, captions, strict=False)
    )
    return f"<div class='pair'>{''.join(shown)}</div>"
