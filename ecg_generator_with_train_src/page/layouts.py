"""How leads are laid out on a page: data, not code.

The twelve leads fill a grid of rows and columns, column by column; rhythm strips of the page's whole duration
stand below. Any other page is rows of one lead each. One notation says it everywhere (parse_layout).
"""

import re
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, model_validator

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.page.geometry import (
    DPI,
    MM_PER_INCH,
    MmPerMv,
    MmPerS,
    PageGeometry,
    PaperGeometry,
    Placement,
)
from ecg_generator_with_train_src.page.records import LEADS, RECORD_DURATION_S

Pulse = Literal["left", "right", "none"]
MOST_CHARACTERS = 300  # of a layout in words
MOST_ROWS = 24  # of a block or of rows of one lead each, and as many strips
NumberOfRows = Annotated[int, Field(ge=1, le=MOST_ROWS)]
Leads = Annotated[tuple[str, ...], Field(max_length=MOST_ROWS)]
ShareOfHeight = Annotated[float, Field(ge=0, le=1)]
PaperSize = Literal["letter", "a4"]
LeadOrder = Literal["standard", "cabrera"]

PULSE_S = 0.2
SPEEDS_MM_S = (25.0, 50.0, 12.5)  # paper speeds in use, the usual one first
GAINS_MM_MV = (10.0, 5.0, 20.0, 2.5, 15.0)  # gains in use, the usual one first
FURTHER_LEADS = ("V3R", "V4R", "V5R", "V7", "V8", "V9")  # of chest electrodes that records do not have
UNKNOWN_LEAD = "?"  # a row or a strip whose lead is not known
MARGIN_LEFT_MM = 10.0
ROW_LENGTH_MM = 250.0  # 10 s at 25 mm/s
ROWS_TOP, ROWS_BOTTOM = (
    0.14,
    0.93,
)  # shares of the page's height, used where a layout does not give its zero lines

PAPER_SIZES_MM: dict[PaperSize, tuple[float, float]] = {
    "letter": (11 * MM_PER_INCH, 8.5 * MM_PER_INCH),
    "a4": (297.0, 210.0),
}
LEAD_ORDERS: dict[LeadOrder, tuple[str, ...]] = {  # a minus means that the lead is drawn upside down
    "standard": ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"),
    "cabrera": ("aVL", "I", "-aVR", "II", "aVF", "III", "V1", "V2", "V3", "V4", "V5", "V6"),
}


class Layout(BaseModel):
    """One arrangement of the leads: a block with its rhythm strips, or rows of one lead each.

    `row_leads` names the leads of the latter; a block without them shows the twelve leads column by column.
    `zero_lines` are the heights of 0 mV as shares of the page's height.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: NumberOfRows
    columns: NumberOfRows
    rhythm_leads: Leads = ()
    row_leads: Leads = ()
    zero_lines: tuple[ShareOfHeight, ...] = ()

    @model_validator(mode="after")
    def _every_row_has_its_own(self) -> "Layout":
        if self.row_leads and len(self.row_leads) != self.rows * self.columns:
            raise ValueError(f"row_leads are {len(self.row_leads)}, not {self.rows * self.columns}")
        if self.zero_lines and len(self.zero_lines) != self.row_count:
            raise ValueError(
                f"zero_lines are {len(self.zero_lines)}, not one for each of {self.row_count} rows"
            )
        return self

    @property
    def name(self) -> str:
        """The layout in words, as parse_layout reads them: 3x4+II, or rows:V1,V2."""
        if self.row_leads:
            return ROWS_WORD + ",".join(self.row_leads)
        strips = "+" + ",".join(self.rhythm_leads) if self.rhythm_leads else ""
        return f"{self.rows}x{self.columns}{strips}"

    @property
    def file_name(self) -> str:
        """The name with signs that every file system takes."""
        return self.name.translate(str.maketrans(":,-?", "__~x"))

    @property
    def row_count(self) -> int:
        """Rows of the page, rhythm strips included."""
        return self.rows + len(self.rhythm_leads)

    def zero_line(self, row: int) -> float:
        """Height of a row's 0 mV, from the top, as a share of the page's height."""
        if self.zero_lines:
            return self.zero_lines[row]
        return ROWS_TOP + (row + 0.5) / self.row_count * (ROWS_BOTTOM - ROWS_TOP)

    def leads_of_rows(self, order: LeadOrder) -> list[tuple[str, ...]]:
        """The leads of every row, left to right, rhythm strips last. Rows that were named keep their order."""
        leads = self.row_leads or LEAD_ORDERS[order]
        block = [leads[row :: self.rows] for row in range(self.rows)]
        return block + [(lead,) for lead in self.rhythm_leads]


ROWS_WORD = "rows:"
_BLOCK = re.compile(r"(?P<rows>\d{1,2})x(?P<columns>\d{1,2})(?:\+(?P<strips>.+))?")
# what blocks of fewer than twelve leads show
_SMALL_BLOCKS = {
    "1x1": ("II",),
    "3x1": ("I", "II", "III"),
    "6x1": LEAD_ORDERS["standard"][:6],
    "8x1": ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6"),
}
_MEASURED_ZERO_LINES = (5 / 12, 7 / 12, 9 / 12, 1534.711 / 1700)  # measured on the competition's pages
DEFAULT_LAYOUT = Layout(rows=3, columns=4, rhythm_leads=("II",), zero_lines=_MEASURED_ZERO_LINES)


def parse_layout(words: str) -> Layout:
    """The layout that words such as `3x4+II`, `6x2` or `rows:I,II,III` describe. Raises InputError for others.

    >>> parse_layout("3x4+V1,II,V5").leads_of_rows("standard")[-3:]
    [('V1',), ('II',), ('V5',)]
    >>> parse_layout("rows:V3R,-aVR").name, parse_layout("6x1").name
    ('rows:V3R,-aVR', 'rows:I,II,III,aVR,aVL,aVF')
    """
    if len(words) > MOST_CHARACTERS:
        raise InputError(f"{words[:20]}…: no layout; expected {LAYOUT_WORDS}")
    if words.startswith(ROWS_WORD):
        return _rows_of(words, _leads(words, words.removeprefix(ROWS_WORD)))
    block = _BLOCK.fullmatch(words)
    if block is None:
        raise InputError(f"{words}: no layout; expected {LAYOUT_WORDS}")
    strips = _leads(words, block["strips"]) if block["strips"] else ()
    size = f"{block['rows']}x{block['columns']}"
    if size in _SMALL_BLOCKS:
        return _rows_of(words, (*_SMALL_BLOCKS[size], *strips))
    rows, columns = int(block["rows"]), int(block["columns"])
    if rows * columns != len(LEADS):
        raise InputError(
            f"{words}: {size} is no block of {len(LEADS)} leads; name the leads of other pages, as in rows:I,II,III"
        )
    if (rows, columns, strips) == (3, 4, DEFAULT_LAYOUT.rhythm_leads):
        return DEFAULT_LAYOUT
    return Layout(rows=rows, columns=columns, rhythm_leads=strips)


LAYOUT_WORDS = (
    "rows x columns + rhythm strips, such as 3x4, 3x4+II or 6x2+II,V1, or rows of leads, such as rows:I,II"
)


def _refuse_many(words: str, rows: int) -> None:
    if rows > MOST_ROWS:
        raise InputError(f"{words}: has {rows} rows or strips, more than {MOST_ROWS}")


def _rows_of(words: str, leads: tuple[str, ...]) -> Layout:
    _refuse_many(words, len(leads))
    return Layout(rows=len(leads), columns=1, row_leads=leads)


def _leads(words: str, listed: str) -> tuple[str, ...]:
    """The leads of a list such as `II,V1`, in the usual spelling."""
    spelling = {lead.lower(): lead for lead in (*LEADS, *FURTHER_LEADS, UNKNOWN_LEAD)}
    leads, names = [], listed.split(",")
    _refuse_many(words, len(names))
    for name in names:
        sign = "-" if name.startswith("-") else ""
        if (known := spelling.get(name.removeprefix("-").lower())) is None:
            raise InputError(
                f"{words}: {name or 'an empty name'} is no lead; known are {', '.join(spelling.values())}"
            )
        leads.append(sign + known)
    return tuple(leads)


# The usual layouts, the commonest first
LAYOUTS = {
    layout.name: layout
    for layout in map(parse_layout, ("3x4+II", "3x4", "3x4+V1,II,V5", "6x2", "6x2+II", "12x1", "4x3"))
}


class PageSetup(BaseModel):
    """A layout on a paper at a speed and a gain; without arguments the competition's page."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    layout: Layout = DEFAULT_LAYOUT
    lead_order: LeadOrder = "standard"
    paper_size: PaperSize = "letter"
    dpi: Annotated[float, Field(ge=25, le=1200)] = DPI
    paper_speed_mm_s: MmPerS = SPEEDS_MM_S[0]
    gain_mm_mv: MmPerMv = GAINS_MM_MV[0]
    chest_gain_mm_mv: MmPerMv | None = None  # of the leads V…, if it differs
    row_s: PositiveFloat = RECORD_DURATION_S  # the time that a row shows if there is room for it
    simultaneous: bool = False  # all columns show the same time; else each goes on where the one before ends
    pulse: Pulse = "left"
    separators: bool = True

    @property
    def duration_s(self) -> float:
        """The time that a whole row shows: row_s, or less where a higher speed leaves no room for it."""
        return min(self.row_s, ROW_LENGTH_MM / self.paper_speed_mm_s)

    @property
    def time_zero_mm(self) -> float:
        """Where the rows start, from the left edge; a pulse on the left moves them by its width."""
        return MARGIN_LEFT_MM + (PULSE_S * self.paper_speed_mm_s if self.pulse == "left" else 0.0)

    def paper(self) -> PaperGeometry:
        """The sheet, ruled from the left and the bottom edge."""
        px_per_mm = self.dpi / MM_PER_INCH
        width_mm, height_mm = PAPER_SIZES_MM[self.paper_size]
        height_px = round(height_mm * px_per_mm)
        return PaperGeometry(
            width_px=round(width_mm * px_per_mm),
            height_px=height_px,
            px_per_mm_x=px_per_mm,
            px_per_mm_y=px_per_mm,
            major_x_px=0.0,
            major_y_px=height_px,
        )

    def page_on(self, paper: PaperGeometry) -> PageGeometry:
        """The setup's scales on a sheet. Raises InputError if the rows are longer than the sheet is wide."""
        needed_mm = self.time_zero_mm + self.duration_s * self.paper_speed_mm_s
        width_mm = paper.mm_of_x_px(paper.width_px)
        if needed_mm > width_mm:
            raise InputError(
                f"a grid of {width_mm:.1f} mm is too narrow: the rows end {needed_mm:.1f} mm from the left"
            )
        return PageGeometry(
            **paper.model_dump(), paper_speed_mm_s=self.paper_speed_mm_s, gain_mm_mv=self.gain_mm_mv
        )

    def placements(self, geometry: PageGeometry) -> tuple[Placement, ...]:
        """Every lead's place on the page, row by row, left to right."""
        return tuple(
            self._placement(geometry, row, column, len(leads), lead)
            for row, leads in enumerate(self.layout.leads_of_rows(self.lead_order))
            for column, lead in enumerate(leads)
        )

    def shown(self, fs_hz: float, samples: int) -> np.ndarray:
        """Which samples of each lead the page shows, shape (samples, 12) in the order of LEADS."""
        shown = np.zeros((samples, len(LEADS)), bool)
        for place in self.placements(self.page_on(self.paper())):
            if place.lead in LEADS:
                shown[place.samples(fs_hz), LEADS.index(place.lead)] = True
        return shown

    def _placement(
        self, geometry: PageGeometry, row: int, column: int, columns: int, label: str
    ) -> Placement:
        shown_s = self.duration_s / columns
        start_s = 0.0 if self.simultaneous else column * shown_s
        left_mm = self.time_zero_mm + column * shown_s * self.paper_speed_mm_s
        upside_down = label.startswith("-")
        px_per_mv = geometry.px_per_mv
        if self.chest_gain_mm_mv and label.startswith("V"):
            px_per_mv *= self.chest_gain_mm_mv / self.gain_mm_mv
        return Placement(
            lead=label.removeprefix("-"),
            label=label,
            row=row,
            column=column,
            start_s=start_s,
            end_s=start_s + shown_s,
            x0_px=float(geometry.x_px_of_mm(left_mm)),
            zero_y_px=self.layout.zero_line(row) * geometry.height_px,
            px_per_s=geometry.px_per_s,
            px_per_mv=-px_per_mv if upside_down else px_per_mv,
        )


DEFAULT_SETUP = PageSetup()
