"""Ink and paper of a page: frozen once sampled; the same style draws the same bytes."""

import numpy as np
from pydantic import BaseModel, ConfigDict

from ecg_generator_with_train_src.page.geometry import (
    DPI,
    MM_PER_INCH,
    POINTS_PER_INCH,
    PaperGeometry,
    Points,
)
from ecg_generator_with_train_src.page.grid import DEFAULT_GRID_STYLE, GridStyle, Rgb

PEN_POINTS = 0.75
PULSE_PER_PEN = 1.5  # width of the pulse's stroke, relative to the traces'
SEPARATOR_PER_PEN = 3.0
MAX_INK_GREY = 51
MIN_PEN_PX, MAX_PEN_PX = 1.0, 3.0
REFERENCE_PX_PER_MM = DPI / MM_PER_INCH  # pens are drawn at random for this scale

# (minor, major) at full strength, on white paper
GRID_COLOURS: dict[str, tuple[Rgb, Rgb]] = {
    "red": ((254, 223, 219), (255, 0, 0)),
    "pink": ((250, 205, 215), (235, 120, 150)),
    "orange": ((255, 220, 180), (240, 140, 50)),
    "blue": ((205, 220, 250), (80, 120, 215)),
    "green": ((205, 235, 205), (70, 160, 90)),
    "grey": ((220, 220, 220), (130, 130, 130)),
}
PAPER_TINTS: tuple[Rgb, ...] = (
    (255, 255, 255),
    (252, 250, 245),
    (255, 246, 244),
    (246, 248, 252),
    (250, 246, 230),
)


class PageStyle(BaseModel):
    """Ink and paper of a page."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    ink_rgb: Rgb
    pen_points: Points = PEN_POINTS
    grid: GridStyle = DEFAULT_GRID_STYLE


def plain_style(rng: np.random.Generator) -> PageStyle:
    """The style of the competition's pages: their grid and pen, ink between black and dark grey."""
    grey = int(rng.integers(0, MAX_INK_GREY + 1))
    return PageStyle(ink_rgb=(grey, grey, grey))


def varied_style(rng: np.random.Generator, paper: PaperGeometry) -> PageStyle:
    """A style of any clinic: grid in six colours, solid or dotted, faint or strong; ink black, blue or grey."""
    return PageStyle(ink_rgb=_ink(rng), pen_points=_pen_points(rng, paper), grid=_grid(rng))


def _ink(rng: np.random.Generator) -> Rgb:
    kind = rng.choice(["black", "blue", "grey"], p=[0.6, 0.2, 0.2])
    if kind == "blue":
        return int(rng.integers(0, 60)), int(rng.integers(0, 80)), int(rng.integers(110, 190))
    grey = int(rng.integers(0, 40) if kind == "black" else rng.integers(50, 110))
    return grey, grey, grey


def _pen_points(rng: np.random.Generator, paper: PaperGeometry) -> float:
    """The pen's width: 1 to 3 px at 200 dpi, and never less than a pixel of this page."""
    width_px = rng.uniform(MIN_PEN_PX, MAX_PEN_PX) * paper.px_per_mm / REFERENCE_PX_PER_MM
    return round(max(width_px, MIN_PEN_PX) / paper.px_per_mm / MM_PER_INCH * POINTS_PER_INCH + 5e-4, 3)


def _grid(rng: np.random.Generator) -> GridStyle:
    minor, major = GRID_COLOURS[str(rng.choice(list(GRID_COLOURS)))]
    paper = PAPER_TINTS[rng.integers(len(PAPER_TINTS))]
    strength = rng.uniform(0.45, 1.3)  # the colours' distance from white is multiplied by this
    return GridStyle(
        paper_rgb=paper,
        minor_rgb=_on_paper(minor, strength, paper),
        major_rgb=_on_paper(major, strength, paper),
        minor_points=round(float(rng.uniform(0.4, 0.7)), 3),
        major_points=round(float(rng.uniform(0.5, 1.1)), 3),
        minor=str(rng.choice(["solid", "dotted"], p=[0.8, 0.2])),
        frame=bool(rng.random() < 0.3),
    )


def _on_paper(rgb: Rgb, strength: float, paper: Rgb) -> Rgb:
    """A colour printed stronger or fainter on tinted paper."""
    printed = np.clip(1 - (1 - np.array(rgb) / 255) * strength, 0, 1) * np.array(paper)
    return tuple(int(value) for value in np.rint(printed))
