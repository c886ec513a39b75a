"""Traces among the lines that a PDF's page draws: which they are, how large the paper is drawn, what its text names."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from ecg_generator_with_train_src.common.pdf_drawing import Drawing, Stroke
from ecg_generator_with_train_src.page.geometry import MAJOR_MM, MINOR_MM
from ecg_generator_with_train_src.page.layouts import FURTHER_LEADS
from ecg_generator_with_train_src.page.records import LEADS
from experiment.reading.printed_text import PrintedName, PrintedScale, PrintedText

JOINED_MM = 0.01  # a line that starts where the one before ends, to this, goes on with it
LEAST_POINTS = 20  # a trace has as many points or more; frames, pulses and separators have fewer
LEAST_LENGTH_MM = 15.0
LEAST_MARK_MM, MOST_MARK_MM = 1.0, 25.0  # pulses and separators are no smaller, and no larger
LEAST_ONWARD = 0.98  # share of a trace's way along the paper that leads on and not back
GRID_LINE_MM = 40.0  # a line that is level or upright, and longer, is one of a grid or a frame
FEWEST_LINES = 10  # of a grid
SAME_LINE_MM = 0.1  # lines that are nearer are one
EVEN = 0.03  # lines of a grid are evenly spaced to this share of their distance
MOST_OFF = 1.3  # a sheet is not drawn smaller or larger than by this factor
CERTAIN = 0.99  # probability of what a PDF says in letters
_NAMES = {lead.lower(): lead for lead in (*LEADS, *FURTHER_LEADS)}
_NAME = re.compile(r"(?<![\w+−-])(-?)(I{1,3}|(?i:AV[RLF]|V[1-9]R?))(?![\w+-])")
_WORD = re.compile(r"\w{2,}")
_SCALE = re.compile(
    r"(?:(limb|chest)\W{1,3})?(\d+(?:[.,]\d+)?)\s*mm\s*/\s*(s|mv)(?:ec)?(?!\w)", re.IGNORECASE
)
_QUANTITIES = {"s": "mm/s", "mv": "mm/mV"}


class RuledPaper(NamedTuple):
    """How large the paper is drawn, 1 for its own size, and where a line up and down and a level one stand, in mm."""

    size: float
    left_mm: float
    top_mm: float


def quarter_turns(drawing: Drawing) -> int:
    """How often np.rot90 turns the page until its lead names run to the right; else its other text, else its traces."""
    spans = [match.span() for match in _NAME.finditer(drawing.text)]
    runs_mm = _runs_of_text(drawing, spans)
    if not runs_mm.any():
        runs_mm = _runs_of_text(drawing, [match.span() for match in _WORD.finditer(drawing.text)])
    if not runs_mm.any():
        lines = [line for line in joined(drawing.strokes) if len(line) >= LEAST_POINTS]
        runs_mm = np.array([line[-1] - line[0] for line in lines]).reshape(-1, 2)
    x_mm, y_mm = runs_mm.sum(axis=0)
    if abs(x_mm) >= abs(y_mm):
        return 0 if x_mm >= 0 else 2
    return 1 if y_mm > 0 else 3


def _runs_of_text(drawing: Drawing, spans: Iterable[tuple[int, int]]) -> np.ndarray:
    """The ways (n, 2) in mm from the first letter of each word to its last; words are spans of the text."""
    ways = [drawing.letters_mm[stop - 1] - drawing.letters_mm[start] for start, stop in spans]
    return np.array(ways).reshape(-1, 2)


def joined(strokes: Iterable[Stroke]) -> list[np.ndarray]:
    """The lines (points, 2) in mm; those of a pen that go on where the one before ends are one, as some machines draw
    each piece by itself."""
    lines: list[list[Stroke]] = []
    for stroke in strokes:
        before = lines[-1][-1] if lines else None
        if before and before.pen == stroke.pen and _meet(before.points_mm[-1], stroke.points_mm[0]):
            lines[-1].append(stroke)
        else:
            lines.append([stroke])
    return [
        np.concatenate([pieces[0].points_mm, *(piece.points_mm[1:] for piece in pieces[1:])])
        for pieces in lines
    ]


def _meet(end_mm: np.ndarray, start_mm: np.ndarray) -> bool:
    return abs(end_mm[0] - start_mm[0]) <= JOINED_MM and abs(end_mm[1] - start_mm[1]) <= JOINED_MM


def is_trace(line_mm: np.ndarray) -> bool:
    """Whether a line (points, 2) is long, of many points, and leads onward from left to right or from right to left."""
    if len(line_mm) < LEAST_POINTS:
        return False
    along_mm = np.diff(line_mm[:, 0])
    way_mm = np.abs(along_mm).sum()
    return way_mm >= LEAST_LENGTH_MM and abs(along_mm.sum()) >= LEAST_ONWARD * way_mm


def is_mark(line_mm: np.ndarray) -> bool:
    """Whether a line (points, 2) is as large as calibration pulses and separators are."""
    return LEAST_MARK_MM <= np.ptp(line_mm, axis=0).max() <= MOST_MARK_MM and not is_trace(line_mm)


def is_ruled(line_mm: np.ndarray) -> bool:
    """Whether a line (points, 2) is level or upright, and as long as those of grids and frames."""
    width_mm, height_mm = np.ptp(line_mm, axis=0)
    return min(width_mm, height_mm) < SAME_LINE_MM and max(width_mm, height_mm) >= GRID_LINE_MM


def ruled_paper(lines_mm: Iterable[np.ndarray]) -> RuledPaper | None:
    """How the grid's lines lie; None if the PDF does not draw a grid line by line."""
    ruled = [line for line in lines_mm if is_ruled(line)]
    families = [
        _family(np.sort([line[:, axis].mean() for line in ruled if np.ptp(line[:, axis]) < SAME_LINE_MM]))
        for axis in (0, 1)
    ]
    if None in families:
        return None
    (wide, left_mm), (high, top_mm) = families
    size = (wide + high) / 2
    return RuledPaper(size, left_mm, top_mm) if abs(wide - high) < EVEN * size else None


def _family(lines_mm: np.ndarray) -> tuple[float, float] | None:
    """How large paper is drawn whose parallel lines stand there, and where one of them stands; None if they are not
    about MINOR_MM or MAJOR_MM apart, and evenly."""
    lines_mm = lines_mm[np.diff(lines_mm, prepend=-np.inf) > SAME_LINE_MM]
    if len(lines_mm) < FEWEST_LINES:
        return None
    apart_mm = float(np.median(np.diff(lines_mm)))
    apart_mm, first_mm = np.polyfit(np.rint((lines_mm - lines_mm[0]) / apart_mm), lines_mm, 1)
    steps = (lines_mm - first_mm) / apart_mm
    if np.median(np.abs(steps - np.rint(steps))) > EVEN:
        return None
    sizes = [apart_mm / usual for usual in (MINOR_MM, MAJOR_MM)]
    return next(((float(size), float(first_mm)) for size in sizes if 1 / MOST_OFF < size < MOST_OFF), None)


def printed_text(drawing: Drawing) -> PrintedText:
    """The lead names and the scales in the text of a page, at their places in mm. Scales that contradict one another
    are left out."""
    names = [
        PrintedName(match[1] + _NAMES[match[2].lower()], *place, CERTAIN)
        for match, place in _places(_NAME, drawing)
        if match[2].lower() in _NAMES
    ]
    scales = [
        PrintedScale(
            _QUANTITIES[match[3].lower()],
            float(match[2].replace(",", ".")),
            *place,
            CERTAIN,
            (match[1] or "all").lower(),
        )
        for match, place in _places(_SCALE, drawing)
    ]
    values = {
        (scale.quantity, scale.of): {other.value for other in scales if _alike(scale, other)}
        for scale in scales
    }
    return PrintedText(
        tuple(names), tuple(scale for scale in scales if len(values[scale.quantity, scale.of]) == 1)
    )


def _alike(one: PrintedScale, other: PrintedScale) -> bool:
    return (one.quantity, one.of) == (other.quantity, other.of)


def _places(pattern: re.Pattern, drawing: Drawing) -> Iterator[tuple[re.Match, tuple[float, float]]]:
    """What matches in the text, and the centre of its letters."""
    for match in pattern.finditer(drawing.text):
        x_mm, y_mm = drawing.letters_mm[match.start() : match.end()].mean(axis=0)
        yield match, (float(x_mm), float(y_mm))
