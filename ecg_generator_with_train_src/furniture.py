"""All that is printed on a page besides grid and traces: text, lead names, calibration pulses, separators."""

import importlib.util
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pydantic import BaseModel, ConfigDict

from .geometry import PageGeometry, Placement
from .grid import Rgb
from .layouts import Pulse
from .stroke import Strip, stroke

PULSE_MV = 1.0
PULSE_S = 0.2
PULSE_POINTS = 1.125
SEPARATOR_POINTS = 2.25
SEPARATOR_HALF_HEIGHT_MM = 3.508
LEAD_NAME_BELOW_MM = 7.0
TEXT_POINTS = 11.0
LINE_SPACING_MM = 5.0
_PULSE_FLAT_SAMPLES = 2  # at 0 mV on each side of the pulse


class Text(BaseModel):
    """One line of text, its baseline starting at (x_mm, y_mm) from the top left corner of the page."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    x_mm: float
    y_mm: float
    points: float = TEXT_POINTS


class Furniture(BaseModel):
    """What is printed besides grid and traces. Text is black; pulses and separators are of the traces' ink."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    texts: tuple[Text, ...] = ()
    lead_names: bool = True
    lead_name_points: float = TEXT_POINTS
    separators: bool = True
    pulse: Pulse = "left"
    text_rgb: Rgb = (0, 0, 0)


def default_furniture(
    record_id: str, pulse: Pulse, rng: np.random.Generator, geometry: PageGeometry
) -> Furniture:
    """The default page's furniture, with a made-up patient."""
    return Furniture(texts=(*_header(record_id, rng), *_footer(geometry)), pulse=pulse)


def _header(record_id: str, rng: np.random.Generator) -> list[Text]:
    """Three columns of up to three lines, as on the competition's pages."""
    first = ("Maria", "John", "Anna", "Wei", "Olga", "Ahmed", "Lena", "Paul", "Ines", "Ravi")
    last = ("Keller", "Novak", "Silva", "Zhang", "Brown", "Haddad", "Moreau", "Olsen", "Rossi", "Kim")
    stamp = np.datetime64("1985-01-01T00:00:00") + np.timedelta64(int(rng.integers(0, 40 * 365 * 86400)), "s")
    columns = (
        (
            f"ID: {record_id}",
            f"Age: {rng.integers(18, 95)} yrs",
            f"Sex: {rng.choice(['Female', 'Male'])}",
        ),
        (f"Name: {rng.choice(first)} {rng.choice(last)}", f"Height: {rng.integers(148, 198)} cm"),
        (f"Date: {str(stamp).replace('T', ', ')}", f"Weight: {rng.integers(45, 120)} kg"),
    )
    left_mm, column_mm, top_mm = 1.27, 75.0, 5.84
    return [
        Text(text=text, x_mm=left_mm + column * column_mm, y_mm=top_mm + row * LINE_SPACING_MM)
        for column, lines in enumerate(columns)
        for row, text in enumerate(lines)
    ]


def _footer(geometry: PageGeometry) -> list[Text]:
    y_mm = geometry.mm_of_y_px(geometry.height_px) - 5.0
    labels = (f"{geometry.paper_speed_mm_s:g}mm/s", f"{geometry.gain_mm_mv:g}mm/mV")
    return [Text(text=label, x_mm=50.0 * (1 + index), y_mm=y_mm) for index, label in enumerate(labels)]


def draw_furniture(
    furniture: Furniture,
    geometry: PageGeometry,
    placements: tuple[Placement, ...],
    fs_hz: float,
    ink_rgb: Rgb,
) -> Iterator[tuple[Strip, Rgb]]:
    """Yield each piece's coverage and colour, in the order of drawing."""
    shape = geometry.height_px, geometry.width_px
    pieces: list[tuple[Strip | None, Rgb]] = []
    if furniture.separators:
        pieces += [(_separator(place, geometry), ink_rgb) for place in placements if place.start_s > 0]
    if furniture.pulse == "left":
        row_starts = [place for place in placements if place.start_s == 0]
        pieces += [(_pulse(place, geometry, fs_hz), ink_rgb) for place in row_starts]
    texts = list(furniture.texts)
    if furniture.lead_names:
        texts += [_lead_name(place, geometry, furniture.lead_name_points) for place in placements]
    pieces += [(_text(text, geometry), furniture.text_rgb) for text in texts]
    for strip, rgb in pieces:
        on_page = _cut_to_page(strip, shape)
        if on_page is not None:
            yield on_page, rgb


def _separator(place: Placement, geometry: PageGeometry) -> Strip:
    """A bar across the zero line where a lead starts, snapped as on the competition's pages."""
    x_px, y_px = round(place.x0_px), np.floor(place.zero_y_px) + 0.5
    half_width_px = geometry.px_of_points(SEPARATOR_POINTS) / 2
    half_height_px = SEPARATOR_HALF_HEIGHT_MM * geometry.px_per_mm_y
    return _rectangle(
        x_px - half_width_px, y_px - half_height_px, x_px + half_width_px, y_px + half_height_px
    )


def _rectangle(left: float, top: float, right: float, bottom: float) -> Strip:
    """Exact coverage of a rectangle given by its edges in canvas coordinates."""
    first_column, first_row = int(np.floor(left)), int(np.floor(top))
    columns = np.arange(first_column, int(np.ceil(right)))
    rows = np.arange(first_row, int(np.ceil(bottom)))
    across = np.clip(np.minimum(columns + 1, right) - np.maximum(columns, left), 0, 1)
    down = np.clip(np.minimum(rows + 1, bottom) - np.maximum(rows, top), 0, 1)
    return Strip(first_row, first_column, np.outer(down, across).astype(np.float32))


def _pulse(place: Placement, geometry: PageGeometry, fs_hz: float) -> Strip | None:
    """1 mV for 0.2 s, its corners at the record's own samples, ending at the row's time zero."""
    high = round(PULSE_S * fs_hz)
    flat = np.zeros(_PULSE_FLAT_SAMPLES)
    signal_mv = np.concatenate([flat, np.full(high, PULSE_MV), flat])
    time_s = place.start_s - PULSE_S + np.arange(len(signal_mv)) / fs_hz
    pen_px = geometry.px_of_points(PULSE_POINTS)
    shape = geometry.height_px, geometry.width_px
    return stroke(place.x_px_of_s(time_s), place.y_px_of_mv(signal_mv), pen_px, shape)


def _lead_name(place: Placement, geometry: PageGeometry, points: float) -> Text:
    below_mm = geometry.mm_of_y_px(place.zero_y_px) + LEAD_NAME_BELOW_MM
    return Text(text=place.lead, x_mm=geometry.mm_of_x_px(place.x0_px), y_mm=below_mm, points=points)


def _text(text: Text, geometry: PageGeometry) -> Strip:
    left, top, glyphs = _rasterize(text.text, geometry.px_of_points(text.points))
    x_px, y_px = geometry.x_px_of_mm(text.x_mm), geometry.y_px_of_mm(text.y_mm)
    return Strip(round(y_px) + top, round(x_px) + left, glyphs)


@lru_cache(maxsize=256)
def _rasterize(text: str, size_px: float) -> tuple[int, int, np.ndarray]:
    """The offset of the glyphs' box from the start of the baseline, and their coverage."""
    font = _font(size_px)
    left, top, right, bottom = font.getbbox(text, anchor="ls")
    image = Image.new("L", (right - left + 1, bottom - top + 1))
    ImageDraw.Draw(image).text((-left, -top), text, font=font, fill=255, anchor="ls")
    return left, top, np.asarray(image, np.float32) / 255


@lru_cache(maxsize=16)
def _font(size_px: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(font_folder() / "DejaVuSans.ttf"), size_px)


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
