"""Write report.html: the predictions, worst page first, in a single file that needs no other."""

import base64
import heapq
import html
import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from ecg_generator_with_train_src.common.classes import CLASS_NAMES

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
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .6rem; }
.pair img { width: 100%; height: auto; border: 1px solid #ddd; display: block; }
.key b { display: inline-block; width: 1.6em; height: .5em; margin: 0 .3em 0 1em; }
@media (max-width: 900px) { .pair { grid-template-columns: 1fr; } }
"""


@dataclass(frozen=True)
class Pictures:
    """A page and its overlay as JPEG files."""

    page: bytes
    overlay: bytes


class Gallery:
    """Keep the pictures of the worst pages only, so that memory does not grow with the number of pages."""

    def __init__(self, size: int = PICTURED_PAGES):
        self.size = size
        self._worst: list[tuple[float, int, str, Pictures]] = []  # a heap whose first entry is the best page
        self._count = itertools.count()

    def add(self, name: str, line: dict, pictures: Pictures) -> None:
        """Keep the pictures of a page, if it is among the worst so far."""
        entry = (-goodness(line), next(self._count), name, pictures)
        if len(self._worst) < self.size:
            heapq.heappush(self._worst, entry)
        else:
            heapq.heappushpop(self._worst, entry)

    def pictures(self) -> dict[str, Pictures]:
        """The pictures by the page's name."""
        return {name: pictures for _, _, name, pictures in self._worst}


def goodness(line: dict) -> float:
    """The value that pages are sorted by: the waveform's Dice if it is known, else the confidence."""
    return line["dice"]["waveform"] if "dice" in line else line["confidence"]


def make_pictures(image: np.ndarray, overlay: np.ndarray) -> Pictures:
    """Make small pictures of a page and its overlay, both (H, W, 3) uint8."""
    return Pictures(_jpeg(image), _jpeg(overlay))


def _jpeg(image: np.ndarray) -> bytes:
    scale = min(PICTURE_WIDTH_PX / image.shape[1], 1.0)
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def report_html(
    title: str,
    lines: list[dict],
    kinds: dict[str, dict],
    pictures: dict[str, Pictures],
    skipped: dict[str, str],
) -> str:
    """Make the report from the lines of predictions.jsonl, the scores by kind of page, and the skipped pages."""
    lines = sorted(lines, key=goodness)
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width'>",
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{len(lines)} pages, worst first, by {'Dice of the waveform' if kinds else 'confidence'}.</p>",
        *([_table(score_header(), score_rows(kinds))] if kinds else []),
        _table(*_page_table(lines)),
        *_skipped(skipped),
        *_cards(lines, pictures),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def score_header() -> list[str]:
    """The columns of the table of scores by kind of page."""
    dice, iou = ([f"{what} {name}" for name in CLASS_NAMES] for what in ("Dice", "IoU"))
    return ["pages", "n", *dice, *iou, "hit 1 px", "hit 2 px", "stray > 3 px", "truth off by"]


def score_rows(kinds: dict[str, dict]) -> Iterator[list[str]]:
    """The rows of that table; `kinds` holds the scores and the number of pages of each kind."""
    for kind, found in kinds.items():
        values = [found[what][name] for what in ("dice", "iou") for name in CLASS_NAMES]
        shares = [*found["hit_rate"].values(), found["stray"]]
        offset = "" if found["truth_offset_px"] is None else f"{found['truth_offset_px']:.2f} px"
        yield [kind, str(found["pages"]), *(_number(value) for value in [*values, *shares]), offset]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _page_table(lines: list[dict]) -> tuple[list[str], Iterator[list[str]]]:
    scored = any("dice" in line for line in lines)
    header = [
        "page",
        *(["Dice waveform", "hit 2 px", "stray > 3 px"] if scored else []),
        "confidence",
        "px/mm",
        "turned",
        "",
    ]

    def row(line: dict) -> list[str]:
        scores = ["", "", ""] if scored else []
        if "dice" in line:
            scores = [
                _number(value)
                for value in (line["dice"]["waveform"], line["hit_rate"]["2_px"], line["stray"])
            ]
        facts = [f"{line['confidence']:.3f}", f"{line['pitch_px']:.2f}", f"{line['rotation_deg']:.1f}°"]
        return [line["name"], *scores, *facts, "; ".join(line["warnings"])]

    return header, map(row, lines)


def _table(header: list[str], rows: Iterator[list[str]]) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td{_left(cell)}>{html.escape(cell)}</td>" for cell in row) + "</tr>\n"
        for row in rows
    )
    return f"<table><tr>{head}</tr>\n{body}</table>"


def _left(cell: str) -> str:
    return " class='text'" if " " in cell and not cell[0].isdigit() else ""


def _skipped(skipped: dict[str, str]) -> Iterator[str]:
    if skipped:
        yield "<h2>Skipped</h2>"
        yield from (
            f"<p class='warning'>{html.escape(name)}: {html.escape(why)}</p>" for name, why in skipped.items()
        )


def _cards(lines: list[dict], pictures: dict[str, Pictures]) -> Iterator[str]:
    shown = [line for line in lines if line["name"] in pictures]
    yield (
        f"<p class='key'>The {len(shown)} worst: the page, and beside it what was found:"
        "<b style='background:#d6006e'></b>waveform<b style='background:#80cbd5'></b>grid</p>"
    )
    for line in shown:
        yield f"<h2>{html.escape(line['name'])}</h2>"
        yield f"<p>{html.escape(_facts(line))}</p>"
        yield from (f"<p class='warning'>{html.escape(warning)}</p>" for warning in line["warnings"])
        both = pictures[line["name"]]
        yield f"<div class='pair'>{_img(both.page, 'page')}{_img(both.overlay, 'overlay')}</div>"


def _facts(line: dict) -> str:
    facts = [f"{line['width_px']}×{line['height_px']} px", f"{line['pitch_px']:.2f} px/mm"]
    facts += [f"turned {line['rotation_deg']:.1f}°", f"confidence {line['confidence']:.3f}"]
    if "dice" in line:
        facts += [f"Dice {name} {line['dice'][name]:.4f}" for name in CLASS_NAMES[1:]]
        facts += [f"hit {_number(line['hit_rate']['2_px'])} at 2 px", f"stray {_number(line['stray'])}"]
    return " · ".join(facts)


def _img(jpeg: bytes, what: str) -> str:
    return f"<img loading='lazy' alt='{what}' src='data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}'>"
