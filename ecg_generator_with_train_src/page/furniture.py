"""All that is printed on a page besides grid and traces: text, lead names, pulses, separators, a QR label."""

import importlib.util
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pydantic import BaseModel, ConfigDict, Field

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.page.geometry import PageGeometry, Placement, PlaceMm, Points
from ecg_generator_with_train_src.page.grid import Rgb
from ecg_generator_with_train_src.page.layouts import PULSE_S, PageSetup, Pulse
from ecg_generator_with_train_src.page.stroke import Strip, stroke
from ecg_generator_with_train_src.page.style import PULSE_PER_PEN, SEPARATOR_PER_PEN, PageStyle

PULSE_MV = 1.0
SEPARATOR_HALF_HEIGHT_MM = 3.508
TEXT_POINTS = 11.0
LINE_SPACING_MM = 5.0
QR_QUIET_MODULES = 4  # width of the white margin around the code
_PULSE_FLAT_SAMPLES = 2  # samples at 0 mV on each side of the pulse

Font = Literal[
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSerif", "STIXGeneral", "STIXGeneralBol"
]


PrintedWords = Annotated[str, Field(max_length=500)]
MOST_TEXTS = 200
SMALLEST_FONT_PX = 1.0  # FreeType has none that are much smaller
MOST_PRINT_PIXELS = 4_000_000  # of one line of text or label: as many as a page of 200 dpi has


class Text(BaseModel):
    """One line of text, its baseline starting at (x_mm, y_mm) from the top left corner of the page."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    text: PrintedWords
    x_mm: PlaceMm
    y_mm: PlaceMm
    points: Points = TEXT_POINTS
    font: Font = "DejaVuSans"


class LeadNames(BaseModel):
    """How leads are named: baselines start at an offset from where the lead's 0 mV starts."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    right_mm: PlaceMm = 0.0
    below_mm: PlaceMm = 7.0
    points: Points = TEXT_POINTS
    font: Font = "DejaVuSans"


class QrLabel(BaseModel):
    """A QR code on a white label, its top left corner at (x_mm, y_mm)."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    text: PrintedWords
    x_mm: PlaceMm
    y_mm: PlaceMm
    size_mm: Annotated[float, Field(gt=0, le=200)] = 20.0


class Furniture(BaseModel):
    """What is printed besides grid and traces, pulses and separators (which the setup tells)."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    texts: Annotated[tuple[Text, ...], Field(max_length=MOST_TEXTS)] = ()
    text_rgb: Rgb = (0, 0, 0)
    lead_names: LeadNames | None = LeadNames()
    qr_label: QrLabel | None = None


def draw_furniture(
    furniture: Furniture, setup: PageSetup, geometry: PageGeometry, fs_hz: float, style: PageStyle
) -> Iterator[tuple[Strip, Rgb]]:
    """Yield each piece's coverage and colour, in the order of drawing."""
    shape = geometry.height_px, geometry.width_px
    placements = setup.placements(geometry)
    pen_px = geometry.px_of_points(style.pen_points)
    pieces: list[tuple[Strip | None, Rgb]] = []
    if furniture.qr_label:
        pieces += _qr_label(furniture.qr_label, geometry)
    if setup.separators:
        inner = [place for place in placements if place.column > 0]
        pieces += [
            (_separator(place, geometry, pen_px * SEPARATOR_PER_PEN), style.ink_rgb) for place in inner
        ]
    for place, start_s in _pulse_starts(setup.pulse, placements, fs_hz):
        pieces.append((_pulse(place, start_s, fs_hz, pen_px * PULSE_PER_PEN, shape), style.ink_rgb))
    texts = list(furniture.texts)
    if furniture.lead_names:
        texts += [_lead_name(place, geometry, furniture.lead_names) for place in placements]
    pieces += [(_text(text, geometry), furniture.text_rgb) for text in texts]
    for strip, rgb in pieces:
        on_page = _cut_to_page(strip, shape)
        if on_page is not None:
            yield on_page, rgb


def _separator(place: Placement, geometry: PageGeometry, width_px: float) -> Strip:
    """A bar across the zero line where a lead starts, snapped as on the competition's pages."""
    x_px, y_px = round(place.x0_px), np.floor(place.zero_y_px) + 0.5
    half_height_px = SEPARATOR_HALF_HEIGHT_MM * geometry.px_per_mm_y
    return _rectangle(x_px - width_px / 2, y_px - half_height_px, x_px + width_px / 2, y_px + half_height_px)


def _rectangle(left: float, top: float, right: float, bottom: float) -> Strip:
    """Exact coverage of a rectangle given by its edges in canvas coordinates."""
    first_column, first_row = int(np.floor(left)), int(np.floor(top))
    columns = np.arange(first_column, int(np.ceil(right)))
    rows = np.arange(first_row, int(np.ceil(bottom)))
    across = np.clip(np.minimum(columns + 1, right) - np.maximum(columns, left), 0, 1)
    down = np.clip(np.minimum(rows + 1, bottom) - np.maximum(rows, top), 0, 1)
    return Strip(first_row, first_column, np.outer(down, across).astype(np.float32))


def _pulse_starts(
    pulse: Pulse, placements: tuple[Placement, ...], fs_hz: float
) -> Iterator[tuple[Placement, float]]:
    """For every row's pulse: a placement of the row, and the pulse's start on that placement's time."""
    rows: dict[int, list[Placement]] = {}
    for place in placements:
        rows.setdefault(place.row, []).append(place)
    for row in rows.values():
        if pulse == "left":
            yield row[0], row[0].start_s - PULSE_S
        elif pulse == "right":
            yield row[-1], row[-1].end_s + _PULSE_FLAT_SAMPLES / fs_hz


def _pulse(
    place: Placement, start_s: float, fs_hz: float, pen_px: float, shape: tuple[int, int]
) -> Strip | None:
    """1 mV for 0.2 s, its corners at the record's own samples."""
    flat = np.zeros(_PULSE_FLAT_SAMPLES)
    signal_mv = np.concatenate([flat, np.full(round(PULSE_S * fs_hz), PULSE_MV), flat])
    time_s = start_s + np.arange(len(signal_mv)) / fs_hz
    y_px = place.zero_y_px - signal_mv * abs(place.px_per_mv)
    return stroke(place.x_px_of_s(time_s), y_px, pen_px, shape)


def _lead_name(place: Placement, geometry: PageGeometry, names: LeadNames) -> Text:
    return Text(
        text=place.label,
        x_mm=geometry.mm_of_x_px(place.x0_px) + names.right_mm,
        y_mm=geometry.mm_of_y_px(place.zero_y_px) + names.below_mm,
        points=names.points,
        font=names.font,
    )


def _qr_label(label: QrLabel, geometry: PageGeometry) -> list[tuple[Strip, Rgb]]:
    """The white label, and the dark modules on it, each a whole number of pixels wide."""
    modules = cv2.QRCodeEncoder.create().encode(label.text) == 0
    code = np.ix_(modules.any(axis=1), modules.any(axis=0))  # without the encoder's own margin
    modules = np.pad(modules[code], QR_QUIET_MODULES)
    scale = max(1, round(label.size_mm * geometry.px_per_mm / len(modules)))
    _refuse_large("the QR label", scale * len(modules), scale * len(modules))
    dark = np.kron(modules, np.ones((scale, scale))).astype(np.float32)
    top, left = round(geometry.y_px_of_mm(label.y_mm)), round(geometry.x_px_of_mm(label.x_mm))
    white = Strip(top, left, np.ones_like(dark))
    return [(white, (255, 255, 255)), (Strip(top, left, dark), (0, 0, 0))]


def _text(text: Text, geometry: PageGeometry) -> Strip:
    left, top, glyphs = _rasterize(text.text, text.font, geometry.px_of_points(text.points))
    x_px, y_px = geometry.x_px_of_mm(text.x_mm), geometry.y_px_of_mm(text.y_mm)
    return Strip(round(y_px) + top, round(x_px) + left, glyphs)


@lru_cache(maxsize=64)
def _rasterize(text: str, font_name: Font, size_px: float) -> tuple[int, int, np.ndarray]:
    """The offset of the glyphs' box from the start of the baseline, and their coverage."""
    font = _font(font_name, size_px)
    left, top, right, bottom = font.getbbox(text, anchor="ls")
    _refuse_large(f"the text {text[:20]!r}", right - left, bottom - top)
    image = Image.new("L", (right - left + 1, bottom - top + 1))
    ImageDraw.Draw(image).text((-left, -top), text, font=font, fill=255, anchor="ls")
    return left, top, np.asarray(image, np.float32) / 255


def _refuse_large(what: str, width_px: float, height_px: float) -> None:
    if width_px * height_px > MOST_PRINT_PIXELS:
        raise InputError(f"{what} is {width_px:.0f}x{height_px:.0f} pixels large; render the page again")


@lru_cache(maxsize=16)
def _font(name: Font, size_px: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(font_folder() / f"{name}.ttf"), max(size_px, SMALLEST_FONT_PX))


def font_folder() -> Path:
    """matplotlib's fonts, found without importing matplotlib."""
    package = Path(importlib.util.find_spec("matplotlib").origin).parent
    return package / "mpl-data" / "fonts" / "ttf"


def _cut_to_page(strip: Strip | None, shape: tuple[int, int]) -> Strip | None:
    if strip is None:
        return None
    height, width = strip.coverage.shape
    rows = slice(max(-strip.top_px, 0), min(height, shape[0] - strip.top_px))
    columns = slice(max(-strip.left_px, 0), min(width, shape[1] - strip.left_px))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return None
    return Strip(strip.top_px + rows.start, strip.left_px + columns.start, strip.coverage[rows, columns])
