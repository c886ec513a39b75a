"""The pieces of the reports: one HTML file with its pictures inside, the pages that need a look first."""

import base64
import heapq
import html
import io
import itertools
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ecg_generator_with_train_src.common.files import write_bytes

PICTURED_PAGES = 30
PICTURE_FOLDER = "report_pictures"
PICTURE_ENDINGS = ("_report1.jpg", "_report2.jpg")
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
    """The pages that most need a look, as many as a report can show.

    Their pictures lie in a folder, so that a run that goes on with an earlier one still has them.
    """

    def __init__(self, folder: Path, size: int = PICTURED_PAGES):
        self.folder, self.size = folder, size
        self._worst: list[tuple[float, str]] = []  # a heap whose first entry is the best page

    def add(self, name: str, goodness: float) -> None:
        """Note a page, whose pictures are saved; those of the best page are removed if there are too many."""
        heapq.heappush(self._worst, (-goodness, name))
        if len(self._worst) > self.size:
            save_pictures(self.folder, heapq.heappop(self._worst)[1], ())

    def pictures(self) -> dict[str, tuple[bytes, ...]]:
        """The JPEG files by the page's name."""
        found = {name: filter(Path.is_file, _picture_paths(self.folder, name)) for _, name in self._worst}
        return {name: tuple(path.read_bytes() for path in paths) for name, paths in found.items()}


def save_pictures(folder: Path, name: str, pictures: tuple[bytes, ...]) -> None:
    """Write the JPEG files of a page for its report, and remove others that it had."""
    for path, picture in itertools.zip_longest(_picture_paths(folder, name), pictures):
        if picture is None:
            path.unlink(missing_ok=True)
        else:
            write_bytes(path, picture)


def _picture_paths(folder: Path, name: str) -> list[Path]:
    return [folder / f"{name}{ending}" for ending in PICTURE_ENDINGS]


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
