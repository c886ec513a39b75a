"""A page: its description, and the one function that draws its traces, from which ink layer and mask follow."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ecg_generator_with_train_src import __version__
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.inner_paths import InnerPath
from ecg_generator_with_train_src.common.random_stream import random_stream
from ecg_generator_with_train_src.common.text_files import read_json
from ecg_generator_with_train_src.page.furniture import Furniture
from ecg_generator_with_train_src.page.furniture_content import default_furniture, varied_furniture
from ecg_generator_with_train_src.page.geometry import PageGeometry, PaperGeometry, Placement
from ecg_generator_with_train_src.page.layouts import PageSetup
from ecg_generator_with_train_src.page.records import (
    AS_THEY_ARE,
    LATEST_START_S,
    LEADS,
    Record,
    RecordOptions,
    read_record,
)
from ecg_generator_with_train_src.page.stroke import lay_over, stroke
from ecg_generator_with_train_src.page.style import PageStyle, plain_style, varied_style

StartS = Annotated[float, Field(ge=0, le=LATEST_START_S)]
MOST_PEN_PX, MOST_ROW_PX = 50, 50_000  # a pen of 3 px at 200 dpi has 12 at 800


class GivenGrid(BaseModel):
    """The grid image under a page: a copy beside the pages, and its digest."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    file: InnerPath  # relative to the page descriptions' folder
    sha256: str


class DrawnPage(BaseModel):
    """What drawing a page gave: digests (SHA-256) of its files, and the leads that leave the page and are cut."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    ink_sha256: str
    mask_sha256: str
    leads_cut_at_edge: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # what was made of the record, and which leads have nothing to show


class PageDescription(BaseModel):
    """`<name>.page.json`: all that the page consists of, but for the record's signal."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    format_version: Literal[1] = 1
    name: str
    record: str
    record_sha256: str
    fs_hz: float
    start_s: StartS = 0.0  # time in the record's file at which the page begins
    mv_per_unit: float | None = None  # of the record's file, where the user told it
    setup: PageSetup
    geometry: PageGeometry
    style: PageStyle
    furniture: Furniture
    grid: GivenGrid | None  # None if the grid is drawn from the style
    seed: int
    generator_version: str
    drawn: DrawnPage | None = None  # None if the page is not drawn yet

    @model_validator(mode="after")
    def _can_be_drawn(self) -> "PageDescription":
        if (pen_px := self.geometry.px_of_points(self.style.pen_points)) > MOST_PEN_PX:
            raise ValueError(f"the pen is {pen_px:.0f} px wide, more than {MOST_PEN_PX}")
        if (row_px := self.setup.duration_s * self.geometry.px_per_s) > MOST_ROW_PX:
            raise ValueError(f"rows are {row_px:.0f} px long, more than {MOST_ROW_PX}")
        return self

    @property
    def placements(self) -> tuple[Placement, ...]:
        """Every lead's place on the page."""
        return self.setup.placements(self.geometry)

    def read_record(self, path: Path) -> Record:
        """The record that the page shows, from its file. Raises InputError naming the file if it cannot be read."""
        return read_record(path, self.fs_hz, RecordOptions(self.mv_per_unit, self.start_s))


def read_page_description(path: Path) -> PageDescription:
    """Read a `.page.json`. Raises InputError naming the file and the first bad field."""
    return read_json(path, PageDescription, "render the page again")


@dataclass(frozen=True)
class PageRequest:
    """Which page of a record: `variant` 0 and above of a setup, plain (the competition's look) or varied."""

    name: str
    setup: PageSetup
    varied: bool
    variant: str


def describe_page(
    request: PageRequest,
    record_id: str,
    record_sha256: str,
    fs_hz: float,
    grid: tuple[GivenGrid | None, PaperGeometry],
    seed: int,
    options: RecordOptions = AS_THEY_ARE,
) -> PageDescription:
    """Describe a page; what varies comes from (seed, record, variant).

    Plain pages of the default sheet lie on the given grid; all others on one drawn from their style.
    Raises InputError if the rows do not fit on the given grid.
    """
    rng = random_stream(seed, record_id, request.variant)
    setup, own_paper = request.setup, request.setup.paper()
    on_given = not request.varied and own_paper == PageSetup().paper()
    paper = grid[1] if on_given else own_paper
    geometry = setup.page_on(paper)
    furnish = varied_furniture if request.varied else default_furniture
    return PageDescription(
        name=request.name,
        record=record_id,
        record_sha256=record_sha256,
        fs_hz=fs_hz,
        start_s=options.start_s,
        mv_per_unit=options.mv_per_unit,
        setup=setup,
        geometry=geometry,
        style=varied_style(rng, paper) if request.varied else plain_style(rng),
        furniture=furnish(record_id, setup, geometry, rng),
        grid=grid[0] if on_given else None,
        seed=seed,
        generator_version=__version__,
    )


@dataclass(frozen=True)
class TracePoints:
    """The ideal trace: one entry a drawn sample, in canvas coordinates of the page."""

    lead: np.ndarray  # uint8 index into LEADS
    row: np.ndarray  # uint8, counted from the top
    time_s: np.ndarray  # float32, time in the record
    x_px: np.ndarray  # float32
    y_px: np.ndarray  # float32


def trace_points(page: PageDescription, record: Record) -> TracePoints:
    """Place every finite sample that the page shows. Raises InputError if there is none."""
    parts = []
    for place, time_s, x_px, y_px in _placed_leads(page, record):
        lead = LEADS.index(place.lead)
        parts.append((np.full(len(x_px), lead), np.full(len(x_px), place.row), time_s, x_px, y_px))
    lead, row, time_s, x_px, y_px = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return TracePoints(
        lead.astype(np.uint8),
        row.astype(np.uint8),
        time_s.astype(np.float32),
        x_px.astype(np.float32),
        y_px.astype(np.float32),
    )


def _placed_leads(
    page: PageDescription, record: Record
) -> list[tuple[Placement, np.ndarray, np.ndarray, np.ndarray]]:
    """Times, x and y of the samples of every place that has any. Raises InputError if none has."""
    places = [(place, *_place_samples(place, record)) for place in page.placements]
    drawn = [placed for placed in places if len(placed[1])]
    if not drawn:
        raise InputError(f"record {record.record_id}: has no values where this layout shows its leads")
    return drawn


def _place_samples(place: Placement, record: Record) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if place.lead not in LEADS:
        raise InputError(f"record {record.record_id}: it has no lead {place.lead}, which this layout shows")
    samples = place.samples(record.fs_hz)
    signal_mv = record.lead_mv(place.lead)[samples]
    number = np.flatnonzero(np.isfinite(signal_mv))
    time_s = (samples.start + number) / record.fs_hz
    return time_s, place.x_px_of_s(time_s), place.y_px_of_mv(signal_mv[number])


def draw_traces(page: PageDescription, record: Record) -> tuple[np.ndarray, tuple[str, ...]]:
    """Draw all traces of a page with exact coverage.

    Returns the ink's opacity, shape (height, width), uint8 (255 = wholly covered), and the names of the leads
    that leave the page and are cut. The mask is `opacity_to_mask` of the same array. A gap in a signal is a gap in the
    trace. Raises InputError if no lead has a value in the time that the page shows of it, or all leave the page.

    >>> record = Record("17", 50.0, np.repeat(np.sin(np.arange(500) / 8)[:, None], 12, axis=1))
    >>> request = PageRequest("17", PageSetup(), varied=False, variant="default")
    >>> page = describe_page(request, "17", "", record.fs_hz, (None, PageSetup().paper()), seed=0)
    >>> opacity, cut = draw_traces(page, record)
    >>> opacity.shape, int(opacity.max()), cut
    ((1700, 2200), 255, ())
    """
    shape = page.geometry.height_px, page.geometry.width_px
    pen_px = page.geometry.px_of_points(page.style.pen_points)
    coverage = np.zeros(shape, np.float32)
    cut, placed = [], _placed_leads(page, record)
    for place, time_s, x_px, y_px in placed:
        breaks = np.flatnonzero(np.diff(time_s) > 1.5 / record.fs_hz) + 1
        for x_run, y_run in zip(np.split(x_px, breaks), np.split(y_px, breaks), strict=True):
            lay_over(coverage, stroke(x_run, y_run, pen_px, shape))
        if y_px.min() < 0 or y_px.max() > shape[0] or x_px.max() > shape[1]:
            cut.append(place.lead)
    if set(cut) == {place.lead for place, *_ in placed}:
        raise InputError(f"record {record.record_id}: every lead leaves the page; are its values in mV?")
    return cv2.convertScaleAbs(coverage, alpha=255), tuple(dict.fromkeys(cut))


def leads_without_trace(page: PageDescription, record: Record) -> tuple[str, ...]:
    """The leads that the layout shows, but of which the record has no value in that time."""
    drawn = {place.lead for place, *_ in _placed_leads(page, record)}
    return tuple(dict.fromkeys(place.lead for place in page.placements if place.lead not in drawn))


def opacity_to_mask(opacity: np.ndarray) -> np.ndarray:
    """255 where at least half of a pixel is covered, else 0; uint8."""
    return (opacity >= 128).astype(np.uint8) * np.uint8(255)
