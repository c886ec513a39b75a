"""A page of a PDF as its lines and letters have it: its traces as curves, and drawn on the planes of a flattened page.

Everything lies in canvas pixels, PX_PER_MM a millimetre of the paper, as on a page that was flattened from a photo.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from ecg_generator_with_train_src.common.classes import GRID
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.pdf_drawing import Drawing
from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from experiment.labelling.grid_scale import find_grid
from experiment.labelling.page_probability import PageProbability, input_of_upright
from experiment.reading.drawn_traces import (
    RuledPaper,
    is_mark,
    is_trace,
    joined,
    printed_text,
    quarter_turns,
    ruled_paper,
)
from experiment.reading.lattice import STEP_PX
from experiment.reading.paper_field import PaperField, fit_paper
from experiment.reading.printed_text import PrintedText, mapped_text
from experiment.reading.read_page import MAX_RESIDUAL_MM
from experiment.reading.rectify import MAP_STEP_PX, RectifiedPage
from experiment.reading.spline_fits import SURE

PEN_PX, SUBPIXEL_BITS = 2, 4  # lines are drawn this wide, in sixteenths of a pixel, to find the layout
DARK = 255.0
MOST_PIXELS = 30e6  # of a page: 1.2 m of paper
FITTED, FOUND = (
    0.003,
    0.02,
)  # in such shares, a grid's scale is known if its lines were fitted, or if it was only found


@dataclass(frozen=True)
class CurvePage:
    """A page turned upright."""

    curves: list[np.ndarray]  # (points, 2) the traces, left to right
    text: PrintedText
    flat: RectifiedPage  # without the grid
    seen: PageProbability  # the same planes, and where the page lies in the image of it
    ruled: bool  # whether the PDF draws its grid line by line: the lines then are at whole mm
    size_known: bool  # whether a grid tells how large the paper is drawn


def curve_page(drawing: Drawing, shown: PageProbability) -> CurvePage:
    """The page of a drawing, of which `shown` is what was seen on it.

    The print that was seen is used where the PDF has no lead names in letters. Raises InputError, naming no file, if
    the drawing has no traces, or is far larger than paper.
    """
    turns = quarter_turns(drawing)
    upright = drawing.turned(turns)
    lines_mm = joined(upright.strokes)
    traces_mm = [line for line in lines_mm if is_trace(line)]
    if not traces_mm:
        raise InputError("its paths hold no traces")
    ruled = ruled_paper(lines_mm)
    paper = ruled or _paper_seen(shown, drawing)
    to_canvas = _to_canvas(paper or RuledPaper(1.0, 0.0, 0.0))
    size_mm = (upright.height_mm, upright.width_mm)
    to_input = input_of_upright(size_mm, shown.input_shape, turns) @ np.linalg.inv(to_canvas)
    to_shown = np.linalg.inv(shown.to_input) @ to_input
    text = mapped_text(printed_text(upright), to_canvas)
    text = text if text.names else mapped_text(shown.text, np.linalg.inv(to_shown))
    steps = np.ceil(to_canvas[:2] @ [*size_mm[::-1], 1.0] / MAP_STEP_PX).astype(int)
    width, height = (int(length) for length in steps * MAP_STEP_PX)
    if width * height > MOST_PIXELS:
        raise InputError(
            f"a page of {upright.width_mm:.0f} x {upright.height_mm:.0f} mm is larger than any paper"
        )
    curves = [mapped(_rightward(line), to_canvas) for line in traces_mm]
    marks = [mapped(line, to_canvas) for line in lines_mm if is_mark(line)]
    flat = _flat_page(curves, marks, _warped(shown.image, to_shown, (width, height)))
    seen = PageProbability(
        probability=np.stack([1 - flat.ink, flat.grid, flat.ink]),
        image=flat.image,
        to_input=to_input,
        input_shape=shown.input_shape,
        pitch_px=float(np.linalg.norm(to_input[:2, 0]) * PX_PER_MM),
        quarter_turns=turns,
        rotation_deg=float((90 * turns + 180) % 360 - 180),
        confidence=1.0,
        warnings=(),
        text=text,
    )
    return CurvePage(curves, text, flat, seen, ruled is not None, paper is not None)


def mapped(points: np.ndarray, to_new: np.ndarray) -> np.ndarray:
    """Points (n, 2) where an affine map (3, 3) leads."""
    return points @ to_new[:2, :2].T + to_new[:2, 2]


def _rightward(line: np.ndarray) -> np.ndarray:
    """The line from its left end to its right one, no point left of the one before."""
    line = line if line[-1, 0] >= line[0, 0] else line[::-1]
    return np.stack([np.maximum.accumulate(line[:, 0]), line[:, 1]], axis=1)


def _paper_seen(shown: PageProbability, drawing: Drawing) -> RuledPaper | None:
    """How large the paper is drawn by the grid that was seen on it, which then is part of a picture; None if none was.

    It is taken to have the PDF's own size if it has that within what can be seen. The network sees a grid on blank
    paper too, which counts only where the picture itself shows one of that scale.
    """
    if (grid := find_grid(shown.image)) is None:
        return None
    paper_mm, doubt = 1 / grid.pitch_px, FOUND
    field = fit_paper(shown.probability[GRID])
    if field is not None and field.residual_mm < MAX_RESIDUAL_MM:
        fitted_mm = _mm_per_pixel(field)
        if abs(fitted_mm / paper_mm - 1) < FOUND:
            paper_mm, doubt = fitted_mm, FITTED
    drawn_mm = float(np.linalg.norm(shown.to_input[:2, 0])) * drawing.width_mm / shown.input_shape[1]
    size = drawn_mm / paper_mm
    return RuledPaper(1.0 if abs(size - 1) < doubt else size, 0.0, 0.0)


def _mm_per_pixel(field: PaperField) -> float:
    """How much of the paper a pixel shows, in each direction, where a grid is seen."""
    rows, columns = np.nonzero(field.weight > SURE)
    x_px, y_px = (columns + 0.5) * STEP_PX, (rows + 0.5) * STEP_PX
    paper_mm = np.stack(field.paper_of_image(x_px, y_px), axis=1)
    slopes, *_ = np.linalg.lstsq(np.stack([x_px, y_px, np.ones(len(x_px))], axis=1), paper_mm)
    return float(abs(np.linalg.det(slopes[:2])) ** 0.5)


def _to_canvas(paper: RuledPaper) -> np.ndarray:
    """The map (3, 3) from mm of the PDF to canvas pixels that lays a line of each direction at whole mm."""
    px = PX_PER_MM / paper.size
    left_px, top_px = (at_mm % paper.size * px for at_mm in (paper.left_mm, paper.top_mm))
    return np.array([[px, 0.0, -left_px], [0.0, px, -top_px], [0.0, 0.0, 1.0]])


def _warped(image: np.ndarray, to_image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The image (H, W, 3) on another canvas of (width, height); the map leads from that to the image's canvas."""
    of_index = to_image.copy()
    of_index[:2, 2] += to_image[:2, :2] @ [0.5, 0.5] - 0.5  # a pixel's index is its centre, less half a pixel
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, of_index[:2], size, flags=flags, borderValue=(255, 255, 255))


def _flat_page(curves: list[np.ndarray], marks: list[np.ndarray], image: np.ndarray) -> RectifiedPage:
    """The planes of a page (H, W, 3) with these traces and, beside them, pulses and separators."""
    shape = image.shape[:2]
    ink = _drawn(curves, shape)
    places = np.meshgrid(*(MAP_STEP_PX * np.arange(size // MAP_STEP_PX + 1.0) for size in shape[::-1]))
    return RectifiedPage(
        ink=ink,
        grid=np.zeros(shape, np.float32),
        darkness=np.maximum(ink, _drawn(marks, shape)) * np.float32(DARK),
        image=image,
        left_mm=0,
        top_mm=0,
        to_image=np.stack(places, axis=-1),
    )


def _drawn(lines: Iterable[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """How far lines cover each pixel (H, W), 0 to 1."""
    plane = np.zeros(shape, np.uint8)
    points = [np.rint((line - 0.5) * 2**SUBPIXEL_BITS).astype(np.int32) for line in lines]
    cv2.polylines(plane, points, False, 255, PEN_PX, cv2.LINE_AA, SUBPIXEL_BITS)
    return plane.astype(np.float32) / 255
