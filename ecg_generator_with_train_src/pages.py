"""A page: its description, and the one draw call that gives ink layer and mask."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from . import __version__
from .errors import InputError, first_problem
from .furniture import Furniture, default_furniture
from .geometry import PageGeometry, PaperGeometry, Placement
from .grid import DEFAULT_GRID_STYLE, GridStyle, Rgb
from .layouts import DEFAULT_LAYOUT, Layout, Pulse
from .random_stream import random_stream
from .records import LEADS, Record
from .stroke import lay_over, stroke

PEN_POINTS = 0.75
MAX_INK_GREY = 51


class PageStyle(BaseModel):
    """Ink and paper of a page."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ink_rgb: Rgb
    pen_points: float = PEN_POINTS
    grid: GridStyle = DEFAULT_GRID_STYLE


class GivenGrid(BaseModel):
    """The grid image under a page: a copy beside the pages, and its digest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str  # relative to the page descriptions' folder
    sha256: str


class PageDescription(BaseModel):
    """`<name>.page.json`: all that the page consists of, but for the record's signal."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    name: str
    record: str
    record_sha256: str
    fs_hz: float
    layout: Layout
    geometry: PageGeometry
    style: PageStyle
    furniture: Furniture
    grid: GivenGrid
    seed: int
    generator_version: str
    leads_cut_at_edge: tuple[str, ...] = ()

    @property
    def placements(self) -> tuple[Placement, ...]:
        """Every lead's place on the page."""
        return self.layout.placements(self.geometry, self.furniture.pulse)


def read_page_description(path: Path) -> PageDescription:
    """Read a `.page.json`. Raises InputError naming the file and the first bad field."""
    try:
        return PageDescription.model_validate_json(path.read_text())
    except ValidationError as error:
        raise InputError(f"{path}: {first_problem(error)}; render the page again") from error


def default_page(
    record_id: str,
    record_sha256: str,
    fs_hz: float,
    paper: PaperGeometry,
    grid: GivenGrid,
    *,
    pulse: Pulse,
    seed: int,
) -> PageDescription:
    """Describe the default page of a record; what varies comes from (seed, record, variant 0)."""
    rng = random_stream(seed, record_id, 0)
    geometry = DEFAULT_LAYOUT.page_on(paper)
    grey = int(rng.integers(0, MAX_INK_GREY + 1))
    return PageDescription(
        name=record_id,
        record=record_id,
        record_sha256=record_sha256,
        fs_hz=fs_hz,
        layout=DEFAULT_LAYOUT,
        geometry=geometry,
        style=PageStyle(ink_rgb=(grey, grey, grey)),
        furniture=default_furniture(record_id, pulse, rng, geometry),
        grid=grid,
        seed=seed,
        generator_version=__version__,
    )


@dataclass(frozen=True)
class TracePoints:
    """The ideal trace: one entry a drawn sample, in canvas coordinates of the page."""

    lead: np.ndarray  # uint8 index into LEADS
    row: np.ndarray  # uint8, from the top
    time_s: np.ndarray  # float32, of the record
    x_px: np.ndarray  # float32
    y_px: np.ndarray  # float32


def trace_points(page: PageDescription, record: Record) -> TracePoints:
    """Place every finite sample that the page shows.

    Raises InputError if a lead has no value in the time that the page shows of it.
    """
    zero_lines = sorted({place.zero_y_px for place in page.placements})
    parts = []
    for place in page.placements:
        time_s, x_px, y_px = _place_samples(place, record)
        lead, row = LEADS.index(place.lead), zero_lines.index(place.zero_y_px)
        parts.append((np.full(len(x_px), lead), np.full(len(x_px), row), time_s, x_px, y_px))
    lead, row, time_s, x_px, y_px = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return TracePoints(
        lead.astype(np.uint8),
        row.astype(np.uint8),
        time_s.astype(np.float32),
        x_px.astype(np.float32),
        y_px.astype(np.float32),
    )


def _place_samples(place: Placement, record: Record) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    samples = place.samples(record.fs_hz)
    signal_mv = record.lead_mv(place.lead)[samples]
    number = np.flatnonzero(np.isfinite(signal_mv))
    if len(number) == 0:
        shown = f"{place.start_s:g}-{place.end_s:g} s"
        raise InputError(
            f"record {record.record_id}: lead {place.lead} has no values at {shown}, which the page shows"
        )
    time_s = (samples.start + number) / record.fs_hz
    return time_s, place.x_px_of_s(time_s), place.y_px_of_mv(signal_mv[number])


def draw_traces(page: PageDescription, record: Record) -> tuple[np.ndarray, tuple[str, ...]]:
    """Draw all traces of a page with exact coverage.

    Returns the ink's opacity, shape (height, width), uint8 (255 = wholly covered), and the names of the leads
    that leave the page and are cut. The mask is `opacity_to_mask` of the same array. A gap in a signal is a gap in the
    trace. Raises InputError if a lead has no value in the time that the page shows of it.
    """
    shape = page.geometry.height_px, page.geometry.width_px
    pen_px = page.geometry.px_of_points(page.style.pen_points)
    coverage = np.zeros(shape, np.float32)
    cut = []
    for place in page.placements:
        time_s, x_px, y_px = _place_samples(place, record)
        breaks = np.flatnonzero(np.diff(time_s) > 1.5 / record.fs_hz) + 1
        for x_run, y_run in zip(np.split(x_px, breaks), np.split(y_px, breaks), strict=True):
            lay_over(coverage, stroke(x_run, y_run, pen_px, shape))
        if y_px.min() < 0 or y_px.max() > shape[0] or x_px.max() > shape[1]:
            cut.append(place.lead)
    return np.rint(coverage * 255).astype(np.uint8), tuple(dict.fromkeys(cut))


def opacity_to_mask(opacity: np.ndarray) -> np.ndarray:
    """255 where at least half of a pixel is covered, else 0; uint8."""
    return np.where(opacity >= 128, 255, 0).astype(np.uint8)
