"""What is printed on a page beside its traces: names of leads, and the scale that they are drawn at."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np

from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from experiment.reading.paper_field import PaperField


@dataclass(frozen=True)
class PrintedName:
    """A lead's name, its centre in canvas pixels of the page that it was read on."""

    lead: str  # in the usual spelling, such as aVR, -aVR or V3R
    x_px: float
    y_px: float
    probability: float


@dataclass(frozen=True)
class PrintedScale:
    """A paper speed or a gain, such as 25 mm/s, its centre in canvas pixels of the page that it was read on."""

    quantity: Literal["mm/s", "mm/mV"]
    value: float
    x_px: float
    y_px: float
    probability: float
    of: Literal["all", "limb", "chest"] = "all"


@dataclass(frozen=True)
class PrintedText:
    """All names and scales that were read on a page."""

    names: tuple[PrintedName, ...]
    scales: tuple[PrintedScale, ...]


NO_TEXT = PrintedText((), ())
Word = TypeVar("Word", PrintedName, PrintedScale)


def part_of(
    text: PrintedText, left_px: float, top_px: float, right_px: float, bottom_px: float
) -> PrintedText:
    """The words between these edges, in canvas pixels from the upper left one."""

    def inside(words: tuple[Word, ...]) -> tuple[Word, ...]:
        return tuple(
            replace(word, x_px=word.x_px - left_px, y_px=word.y_px - top_px)
            for word in words
            if left_px <= word.x_px < right_px and top_px <= word.y_px < bottom_px
        )

    return PrintedText(inside(text.names), inside(text.scales))


def laid_flat(text: PrintedText, field: PaperField, left_mm: float, top_mm: float) -> PrintedText:
    """The words at their places on the rectified page whose upper left corner is at (left_mm, top_mm) of the paper."""

    def place(x_px: float, y_px: float) -> tuple[float, float]:
        u_mm, v_mm = field.paper_of_image(x_px, y_px)
        return float(u_mm - left_mm) * PX_PER_MM, float(v_mm - top_mm) * PX_PER_MM

    return _moved(text, place)


def mapped_text(text: PrintedText, to_new: np.ndarray) -> PrintedText:
    """The words at the places to which an affine map (3, 3) leads."""

    def place(x_px: float, y_px: float) -> tuple[float, float]:
        x, y, _ = to_new @ [x_px, y_px, 1.0]
        return float(x), float(y)

    return _moved(text, place)


def _moved(text: PrintedText, place: Callable[[float, float], tuple[float, float]]) -> PrintedText:
    def moved(word: Word) -> Word:
        x_px, y_px = place(word.x_px, word.y_px)
        return replace(word, x_px=x_px, y_px=y_px)

    return PrintedText(tuple(map(moved, text.names)), tuple(map(moved, text.scales)))
