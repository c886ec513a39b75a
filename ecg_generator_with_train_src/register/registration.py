"""A real page and the record behind it: where the page that this project draws of the record lies in its scan or photo.

    registration = register_page(image_rgb, record)  # raises InputError with the reason if it does not fit
    labels = label_page(registration, record)        # classes, coverage, ideal trace points, in that image

`registration.page_map` is a page_map.PageMap: `place_on_image(registration.page_map, x_px, y_px)` places points of the
drawn page `registration.page` in the image. No network is used: features of the ink place the page roughly
(register/coarse.py), patches of ink and grid exactly (register/refine.py), and what the image shows along the warped
traces and lines decides whether that is believed (register/check.py).
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.degrade.apply import place_points, prepare_warp, warp_labels
from ecg_generator_with_train_src.page.compose import compose
from ecg_generator_with_train_src.page.geometry import PaperGeometry
from ecg_generator_with_train_src.page.grid import draw_grid_mask
from ecg_generator_with_train_src.page.layouts import DEFAULT_SETUP, PULSE_S, Pulse
from ecg_generator_with_train_src.page.page import (
    PageDescription,
    PageRequest,
    TracePoints,
    describe_page,
    draw_traces,
    trace_points,
)
from ecg_generator_with_train_src.page.records import Record
from ecg_generator_with_train_src.page_map import PageMap, local_scales
from ecg_generator_with_train_src.register.check import (
    Quality,
    Sheet,
    Sight,
    covered_grid,
    draw_sheet,
    look,
    pulse_contrast,
    refuse_misfit,
    unknown_paper,
)
from ecg_generator_with_train_src.register.coarse import place_coarsely
from ecg_generator_with_train_src.register.refine import Field, lay_flat, mean_scale, refine, straighten

PULSE_MM = PULSE_S * DEFAULT_SETUP.paper_speed_mm_s  # a page without a pulse starts this much further left
AS_DRAWN_SEEN, AS_DRAWN_OFFSET_PX = 0.9, 0.25
MIN_PULSE_CONTRAST = 0.5  # share of the traces' contrast


@dataclass(frozen=True)
class Registration:
    """A page found in an image."""

    page: PageDescription  # the default page of the record, with the calibration pulse that was seen or none
    page_map: PageMap
    quality: Quality
    known: np.ndarray  # 255 where the drawn page's labels hold, shape of the page, uint8
    covered: np.ndarray  # 255 where something in the header covers the grid, shape of the page, uint8

    @property
    def is_as_drawn(self) -> bool:
        """Whether the image is the rendered page itself, pixel for pixel."""
        return not self.page_map.bends

    @property
    def px_per_mm(self) -> float:
        """Scale of the image where the page lies, median."""
        paper = self.page.geometry.paper
        scales = local_scales(self.page_map, paper.width_px, paper.height_px)
        return float(np.median(scales) * paper.px_per_mm)


@dataclass(frozen=True)
class PageLabels:
    """In the image's pixels: arrays of shape (height, width), uint8, and canvas coordinates."""

    classes: np.ndarray  # 0 background, 1 grid, 2 waveform, 255 unknown or no paper
    coverage: np.ndarray  # coverage by the traces
    points: TracePoints


def register_page(image_rgb: np.ndarray, record: Record) -> Registration:
    """Find the competition's page of a record in its scan or photo, (height, width, 3) uint8, in any orientation.

    Raises InputError, which does not name the file, if the page is not found, or what was found does not fit.

    >>> from ecg_generator_with_train_src.page.grid import draw_grid
    >>> record = Record("17", 50.0, np.repeat(np.sin(np.arange(500) / 8)[:, None], 12, axis=1))
    >>> page = _describe(record, "left")
    >>> paper = page.geometry.paper
    >>> opacity, _ = draw_traces(page, record)
    >>> image_rgb = compose(page, opacity, draw_grid(paper), draw_grid_mask(paper)).image
    >>> registration = register_page(image_rgb, record)
    >>> registration.page.setup.pulse, round(registration.px_per_mm, 3), registration.quality.trace_seen
    ('left', 7.874, 1.0)
    """
    sheet = draw_sheet(_describe(record, "none"), record)
    page_map, sight = _as_drawn(image_rgb, sheet) or _photographed(image_rgb, sheet)
    refuse_misfit(sight.quality)
    without = Registration(
        sheet.page, page_map, sight.quality, unknown_paper(sheet, sight), covered_grid(sheet, sight)
    )
    has_pulse = pulse_contrast(sheet, sight.photo) > MIN_PULSE_CONTRAST * sight.contrast
    return _with_pulse(without, record) if has_pulse else without


def _describe(record: Record, pulse: Pulse) -> PageDescription:
    """The default page, without the header, whose text is not known."""
    request = PageRequest(record.record_id, DEFAULT_SETUP.model_copy(update={"pulse": pulse}), False, "real")
    paper = DEFAULT_SETUP.paper()
    page = describe_page(request, record.record_id, "", record.fs_hz, (None, paper), 0)
    below = [text for text in page.furniture.texts if paper.y_px_of_mm(text.y_mm) > paper.height_px / 2]
    furniture = page.furniture.model_copy(update={"texts": tuple(below)})
    return page.model_copy(update={"furniture": furniture})


def _as_drawn(image_rgb: np.ndarray, sheet: Sheet) -> tuple[PageMap, Sight] | None:
    """The map of an image that is the rendered page itself, pixel for pixel."""
    paper = sheet.paper
    if image_rgb.shape[:2] != (paper.height_px, paper.width_px):
        return None
    for right_px in (0.0, paper.x_px_of_mm(PULSE_MM)):
        homography = np.array([[1, 0, right_px], [0, 1, 0], [0, 0, 1.0]])
        sight = look(lay_flat(image_rgb, paper, homography), sheet, 1.0, features=0)
        quality = sight.quality
        if quality.trace_seen >= AS_DRAWN_SEEN and quality.offset_median_px <= AS_DRAWN_OFFSET_PX:
            return _page_map(image_rgb, paper, homography), sight
    return None


def _photographed(image_rgb: np.ndarray, sheet: Sheet) -> tuple[PageMap, Sight]:
    paper = sheet.paper
    place = place_coarsely(image_rgb, sheet.ink)
    if place is None:
        raise InputError("the page of this record is not found in the image")
    photo = lay_flat(image_rgb, paper, place.homography)
    field = refine(photo, sheet.ink, paper)
    sight = look(straighten(photo, field), sheet, mean_scale(place.homography, paper), place.inliers)
    return _page_map(image_rgb, paper, place.homography, field), sight


def _page_map(
    image_rgb: np.ndarray, paper: PaperGeometry, homography: np.ndarray, field: Field | None = None
) -> PageMap:
    height, width = image_rgb.shape[:2]
    return PageMap(
        homography=homography.tolist(),
        width_px=width,
        height_px=height,
        px_per_mm=paper.px_per_mm,
        bends=(field.bend(),) if field else (),
    )


def _with_pulse(found: Registration, record: Record) -> Registration:
    """The same on the page with a pulse, where all stands further right."""
    right_px = PULSE_MM * found.page_map.px_per_mm
    to_right = np.array([[1, 0, right_px], [0, 1, 0]])
    homography = np.array(found.page_map.homography) @ np.array([[1, 0, -right_px], [0, 1, 0], [0, 0, 1]])
    bends = tuple(
        bend.model_copy(update={"left_mm": bend.left_mm + PULSE_MM}) for bend in found.page_map.bends
    )
    size = found.known.shape[::-1]
    return replace(
        found,
        page=_describe(record, "left"),
        page_map=found.page_map.model_copy(
            update={"homography": tuple(map(tuple, homography.tolist())), "bends": bends}
        ),
        known=cv2.warpAffine(found.known, to_right, size, borderValue=255),
        covered=cv2.warpAffine(found.covered, to_right, size, borderValue=0),
    )


def label_page(registration: Registration, record: Record) -> PageLabels:
    """The drawn page's labels in the registered image.

    What the header says is not known: dark pixels on its grid lines are labelled 255, and where no grid is seen there
    (a label is stuck on it) is background. Stretches of a trace that the image does not show are labelled 255.
    """
    page, page_map = registration.page, registration.page_map
    paper = page.geometry.paper
    mask = draw_grid_mask(paper)
    opacity, _ = draw_traces(page, record)
    drawn = compose(page, opacity, cv2.merge([mask] * 3), mask)
    drawn = replace(drawn, furniture=cv2.max(drawn.furniture, registration.covered))
    pen_px = page.geometry.px_of_points(page.style.pen_points)
    classes, coverage, _ = warp_labels(
        drawn, registration.known, paper, pen_px, prepare_warp(page_map, paper)
    )
    return PageLabels(classes, coverage, place_points(trace_points(page, record), page_map))
