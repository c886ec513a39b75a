"""Pieces of rectified pages, drawn in some milliseconds, whose printed words are known: for a reader to learn from.

A piece has paper, grid, traces of real records, pulses, and print in many fonts; then what printers, cameras, scanners
and JPEG do to it. Everything derives from the random stream that is given.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ecg_generator_with_train_src.degrade.crop_wear import with_wear
from ecg_generator_with_train_src.page.furniture import font_folder
from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from ecg_generator_with_train_src.page.print_words import PRINTED_WORDS, Line, drawn_line, foot_line
from ecg_generator_with_train_src.page.style import GRID_COLOURS, PAPER_TINTS

HEIGHT_PX, WIDTH_PX = 192, 320
FOOT_HEIGHT_PX = 64  # of a piece of a page's foot or head, where scales stand
PX_PER_S = 25 * PX_PER_MM
TRACE_FS_HZ = 250.0  # samples a second that are enough for a trace
CAP_PER_SIZE = 0.72  # the height of capitals, relative to a font's size
SAMPLES = 600  # of a trace, which cross a picture at the usual speed
BARRED = 0.15  # share of the words that have a separator to their left
SHORT = 6  # a line of more letters is printed in smaller ones
OWN_FONTS = (
    *(
        "DejaVuSans",
        "DejaVuSans-Bold",
        "DejaVuSansMono",
        "DejaVuSansMono-Bold",
        "DejaVuSerif",
        "DejaVuSerif-Bold",
    ),
    *("DejaVuSans-Oblique", "STIXGeneral", "STIXGeneralBol", "cmr10", "cmss10", "cmtt10", "cmb10"),
)
HERSHEY = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_PLAIN,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
)


@dataclass(frozen=True)
class PrintMaterial:
    """What pieces are made of."""

    fonts: tuple[Path, ...]
    signals_mv: tuple[np.ndarray, ...]  # single leads, one sample per `px_step` pixels
    px_step: float


def print_material(
    signals_mv: Sequence[np.ndarray], fs_hz: float, fonts: Sequence[Path] = ()
) -> PrintMaterial:
    """Records (samples, leads) in mV to draw traces of, and fonts (ttf, otf) besides those of matplotlib."""
    step = max(1, round(fs_hz / TRACE_FS_HZ))
    leads = [
        np.nan_to_num(lead[::step]).astype(np.float32) for signal_mv in signals_mv for lead in signal_mv.T
    ]
    own = [font_folder() / f"{name}.ttf" for name in OWN_FONTS]
    return PrintMaterial((*own, *fonts), tuple(leads), PX_PER_S * step / fs_hz)


@dataclass(frozen=True)
class PrintCrop:
    """A piece of a page and its words."""

    image: np.ndarray  # (HEIGHT_PX or FOOT_HEIGHT_PX, WIDTH_PX, 3) uint8 RGB
    words: tuple[tuple[int, float, float], ...]  # index in PRINTED_WORDS, and centre in canvas coordinates


def draw_print_crop(material: PrintMaterial, rng: np.random.Generator, foot: bool = False) -> PrintCrop:
    """Draw a piece of a page; or a low one of its foot, where most print is scales."""
    image = _paper(rng, FOOT_HEIGHT_PX if foot else HEIGHT_PX)
    ink = _ink(rng)
    _blend(image, _traces(material, len(image), rng), ink)
    if rng.random() < 0.12:
        _edge(image, rng)
    text_ink = ink if rng.random() < 0.5 else _ink(rng)
    print_cover, words = _print(material, image, rng, foot_line if foot else drawn_line)
    _blend(image, print_cover, text_ink)
    image, words = with_wear(image, words, rng)
    return PrintCrop(image, tuple(words))


def _ink(rng: np.random.Generator) -> np.ndarray:
    """Black mostly, or grey, blue, or any dark colour."""
    kind = rng.random()
    if kind < 0.6:
        return np.full(3, rng.uniform(0, 60))
    if kind < 0.8:
        return np.full(3, rng.uniform(60, 130))
    return np.array([rng.uniform(0, 90), rng.uniform(0, 90), rng.uniform(60, 190)])[rng.permutation(3)]


def _paper(rng: np.random.Generator, height_px: int) -> np.ndarray:
    """Paper with or without a grid: (height, WIDTH_PX, 3) float32."""
    paper = np.array(PAPER_TINTS[rng.integers(len(PAPER_TINTS))], np.float32)
    image = np.tile(paper, (height_px, WIDTH_PX, 1))
    if rng.random() < 0.06:
        return image
    minor, major = GRID_COLOURS[str(rng.choice(list(GRID_COLOURS)))]
    strength = rng.uniform(0.5, 1.5)
    first_x, first_y = rng.uniform(0, 5 * PX_PER_MM, 2)
    dotted = rng.random() < 0.25
    for colour, pitch_px, width_px in (
        (minor, PX_PER_MM, rng.uniform(0.6, 1.6)),
        (major, 5 * PX_PER_MM, rng.uniform(0.7, 2.5)),
    ):
        x, y = _lines(WIDTH_PX, first_x, pitch_px, width_px), _lines(height_px, first_y, pitch_px, width_px)
        if dotted and pitch_px < 10:
            cover = np.maximum(
                x[None] * _lines(height_px, first_y, pitch_px / 4, 1)[:, None],
                y[:, None] * _lines(WIDTH_PX, first_x, pitch_px / 4, 1)[None],
            )
        else:
            cover = np.maximum(x[None], y[:, None])
        colour = np.clip(paper - (255 - np.array(colour, np.float32)) * strength, 0, 255)
        _blend(image, cover, colour)
    return image


def _lines(length: int, first_px: float, pitch_px: float, width_px: float) -> np.ndarray:
    """Coverage of lines across an axis, at first_px and every pitch_px from there."""
    place = np.arange(length, dtype=np.float32) + 0.5
    away = np.abs((place - first_px + pitch_px / 2) % pitch_px - pitch_px / 2)
    return np.clip(width_px / 2 + 0.5 - away, 0, min(1, width_px))


def _blend(image: np.ndarray, cover: np.ndarray, colour: np.ndarray) -> None:
    image += cover[..., None] * (colour.astype(np.float32) - image)


def _edge(image: np.ndarray, rng: np.random.Generator) -> None:
    """A side where the page ends: a rectified page repeats its last pixels there, or shows a desk."""
    turned = [image, image[::-1], image[:, ::-1].swapaxes(0, 1), image.swapaxes(0, 1)][rng.integers(4)]
    first = int(rng.uniform(0.5, 0.95) * len(turned))
    if rng.random() < 0.6:
        turned[first:] = turned[first]
    else:
        grain = rng.normal(0, rng.uniform(2, 25), (12, 20, 3)) + rng.uniform(20, 220, 3)
        turned[first:] = cv2.resize(grain.astype(np.float32), (turned.shape[1], len(turned) - first))


def _traces(material: PrintMaterial, height_px: int, rng: np.random.Generator) -> np.ndarray:
    """Coverage of some rows of traces, separators and pulses; faint ones are less than 1."""
    cover = np.zeros((height_px, WIDTH_PX), np.uint8)
    pen = int(rng.integers(1, 4))
    spacing = rng.uniform(50, 200)
    for zero_y in np.arange(rng.uniform(-40, spacing), height_px + 40, spacing):
        signal = material.signals_mv[rng.integers(len(material.signals_mv))]
        start = rng.integers(0, max(1, len(signal) - SAMPLES))
        part = signal[start : start + SAMPLES]
        px_per_mv = rng.choice([0.25, 0.5, 1, 1, 1, 1.5, 2]) * 10 * PX_PER_MM
        first = rng.uniform(-30, 80) * (rng.random() < 0.4)
        x = first + np.arange(len(part)) * material.px_step * rng.choice([0.5, 1, 1, 1, 2])
        _polyline(cover, x, zero_y - (part - np.median(part)) * px_per_mv, pen)
        if rng.random() < 0.4:
            _mark(cover, zero_y, pen, rng)
        if rng.random() < 0.3:
            _spikes(cover, zero_y, pen, rng)
    return cover.astype(np.float32) / 255 * (rng.uniform(0.4, 1) if rng.random() < 0.4 else 1)


def _spikes(cover: np.ndarray, zero_y: float, pen: int, rng: np.random.Generator) -> None:
    """Narrow beats, which are easily taken for the name I."""
    height, width = rng.normal(0, 5) * PX_PER_MM, rng.uniform(1, 5)
    for x in np.arange(rng.uniform(0, 80), WIDTH_PX, rng.uniform(40, 160)):
        y = zero_y - np.array([0, rng.uniform(0.8, 1.2) * height, -rng.uniform(0, 0.6) * height, 0])
        _polyline(cover, x + width * np.arange(4), y, pen)


def _mark(cover: np.ndarray, zero_y: float, pen: int, rng: np.random.Generator) -> None:
    """A separator between two leads, a tick or a calibration pulse."""
    x, kind = rng.uniform(0, WIDTH_PX), rng.random()
    if kind < 0.6:
        half, middle = rng.uniform(1, 6) * PX_PER_MM / 2, zero_y + rng.normal(0, 12) * (rng.random() < 0.5)
        for shift in (0, rng.uniform(4, 9))[: 1 + (rng.random() < 0.2)]:
            _polyline(
                cover,
                np.array([x, x]) + shift,
                np.array([middle - half, middle + half]),
                pen + int(rng.integers(0, 3)),
            )
    else:
        width, top = rng.choice([0.1, 0.2]) * PX_PER_S, zero_y - rng.choice([5, 10, 10, 20]) * PX_PER_MM
        lead = rng.uniform(0, 12)
        _polyline(
            cover,
            x + np.array([-lead, 0, 0, width, width, width + lead]),
            np.array([zero_y, zero_y, top, top, zero_y, zero_y]),
            pen,
        )


def _polyline(cover: np.ndarray, x: np.ndarray, y: np.ndarray, pen: int) -> None:
    points = np.rint(np.stack([x - 0.5, y - 0.5], axis=1) * 16).astype(np.int32)
    cv2.polylines(cover, [points], False, 255, pen, cv2.LINE_AA, 4)


def _print(
    material: PrintMaterial,
    image: np.ndarray,
    rng: np.random.Generator,
    draw_line: Callable[[np.random.Generator], Line],
) -> tuple[np.ndarray, list]:
    """Coverage of lines of print that do not touch one another, and the words in them."""
    cover, words = np.zeros(image.shape[:2], np.float32), []
    taken = np.zeros(image.shape[:2], bool)
    same_font = rng.random() < 0.6
    font = _drawn_font(material, rng)
    for _ in range(rng.integers(3, 16)):
        line = draw_line(rng)
        glyphs, centres = _line_of(line, font if same_font else _drawn_font(material, rng), rng)
        height, width = glyphs.shape
        overhang = 0 if any(word for _, word in line) else width // 2
        if height >= len(image) or width >= WIDTH_PX + overhang:
            continue
        top, left = (
            int(rng.integers(0, len(image) - height)),
            int(rng.integers(-overhang, WIDTH_PX - width + overhang + 1)),
        )
        cut = max(0, -left)
        glyphs = glyphs[:, cut : cut + WIDTH_PX - max(left, 0)]
        place = np.s_[top : top + height, left + cut : left + cut + glyphs.shape[1]]
        margin = np.s_[max(0, top - 4) : top + height + 4, max(0, left - 12) : max(0, left + width + 12)]
        if taken[margin].any() or not glyphs.size:
            continue
        taken[place] = True
        if rng.random() < 0.06:
            image[place] = image[place].reshape(-1, 3).max(axis=0)  # a label with its own white ground
        cover[place] = np.maximum(cover[place], glyphs)
        if centres and rng.random() < BARRED:
            x, above, below = left - int(rng.integers(3, 12)), *(rng.uniform(0, 1, 2) * height).astype(int)
            cv2.line(cover, (x, top - above), (x, top + height + below), 1.0, int(rng.integers(1, 4)))
        words += [(kind, left + x, top + height / 2) for kind, x in centres]
    return cover, words


def _drawn_font(material: PrintMaterial, rng: np.random.Generator) -> tuple:
    """A font, the height of its capitals in px, its width relative to the usual one, and its weight."""
    face = (
        HERSHEY[rng.integers(len(HERSHEY))]
        if rng.random() < 0.12
        else material.fonts[rng.integers(len(material.fonts))]
    )
    cap_px = rng.uniform(1.4, 4.0) * PX_PER_MM if rng.random() < 0.85 else rng.uniform(3, 5.2) * PX_PER_MM
    return face, cap_px, rng.uniform(0.75, 1.2), rng.random()


def _line_of(line: Line, font: tuple, rng: np.random.Generator) -> tuple[np.ndarray, list]:
    """Coverage of a line of print, cut to its ink, and index in PRINTED_WORDS and x of the centre of each word."""
    face, cap_px, stretch, weight = font
    letters = sum(len(text) for text, _ in line)
    if letters > SHORT:
        cap_px = min(cap_px, rng.uniform(1.5, 3.2) * PX_PER_MM, 1.2 * WIDTH_PX / letters)
    parts = [text for text, _ in line]
    if isinstance(face, Path):
        glyphs, edges = _typeset(parts, face, round(cap_px / CAP_PER_SIZE))
    else:
        glyphs, edges = _plotted(parts, face, cap_px, 1 + int(weight * 3))
    if isinstance(face, Path) and weight > 0.85:
        glyphs = cv2.dilate(glyphs, np.ones((2, 2), np.uint8))
    glyphs = cv2.resize(
        glyphs, (max(2, round(glyphs.shape[1] * stretch)), glyphs.shape[0]), interpolation=cv2.INTER_AREA
    )
    rows, columns = glyphs.max(axis=1) > 60, glyphs.max(axis=0) > 60
    if not rows.any():
        return np.zeros((1, 1), np.float32), []
    top, bottom = np.flatnonzero(rows)[[0, -1]]
    left, right = np.flatnonzero(columns)[[0, -1]]
    centres = [
        (PRINTED_WORDS.index(word), (start + end) / 2 * stretch - left)
        for (_, word), start, end in zip(line, edges[:-1], edges[1:], strict=True)
        if word
    ]
    return glyphs[top : bottom + 1, left : right + 1].astype(np.float32) / 255, centres


@lru_cache(maxsize=1024)
def _font(path: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(path), size)


def _typeset(parts: list[str], path: Path, size: int) -> tuple[np.ndarray, list[float]]:
    """A line in a font's glyphs (uint8), and the x where each part starts and the last one ends."""
    font = _font(path, size)
    text, pad = "".join(parts), 4
    edges = [pad + font.getlength("".join(parts[:count])) for count in range(len(parts) + 1)]
    image = Image.new("L", (int(edges[-1]) + 2 * pad, round(1.6 * size)))
    ImageDraw.Draw(image).text((pad, round(1.15 * size)), text, font=font, fill=255, anchor="ls")
    return np.array(image), edges


def _plotted(parts: list[str], face: int, cap_px: float, pen: int) -> tuple[np.ndarray, list[float]]:
    """The same in the strokes of a plotter."""
    text, pad = "".join(parts), 4
    scale = cv2.getFontScaleFromHeight(face, round(cap_px), pen)
    edges = [
        pad + cv2.getTextSize("".join(parts[:count]), face, scale, pen)[0][0]
        for count in range(len(parts) + 1)
    ]
    image = np.zeros((round(2 * cap_px) + 8, edges[-1] + 2 * pad), np.uint8)
    cv2.putText(image, text, (pad, round(1.4 * cap_px)), face, scale, 255, pen, cv2.LINE_AA)
    return image, edges
