"""How leads are laid out on a page: data, not code.

The twelve leads fill a grid of rows and columns, column by column; rhythm strips of the page's whole duration
stand below. A new layout is a new line in LAYOUTS.
"""

from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.page.geometry import (
    DPI,
    MM_PER_INCH,
    PageGeometry,
    PaperGeometry,
    Placement,
)
from ecg_generator_with_train_src.page.records import LEADS, RECORD_DURATION_S

Pulse = Literal["left", "right", "none"]
PaperSize = Literal["letter", "a4"]
LeadOrder = Literal["standard", "cabrera"]

PULSE_S = 0.2
SPEEDS_MM_S = (25.0, 50.0)  # paper speeds in use, the usual one first
GAINS_MM_MV = (10.0, 5.0, 20.0)  # gains in use, the usual one first
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
    """One arrangement of the leads. `zero_lines` are the heights of 0 mV as shares of the page's height."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    rows: PositiveInt
    columns: PositiveInt
    rhythm_leads: tuple[str, ...] = ()
    zero_lines: tuple[float, ...] = ()

    def zero_line(self, row: int) -> float:
        """Height of a row's 0 mV, from the top, as a share of the page's height."""
        if self.zero_lines:
            return self.zero_lines[row]
        return ROWS_TOP + (row + 0.5) / (self.rows + len(self.rhythm_leads)) * (ROWS_BOTTOM - ROWS_TOP)

    def leads_of_rows(self, order: LeadOrder) -> list[tuple[str, ...]]:
        """The leads of every row, left to right, rhythm strips last."""
        leads = LEAD_ORDERS[order]
        block = [leads[row :: self.rows] for row in range(self.rows)]
        return block + [(lead,) for lead in self.rhythm_leads]


_MEASURED_ZERO_LINES = (5 / 12, 7 / 12, 9 / 12, 1534.711 / 1700)  # measured on the competition's pages

LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout(name="3x4+1", rows=3, columns=4, rhythm_leads=("II",), zero_lines=_MEASURED_ZERO_LINES),
        Layout(name="3x4", rows=3, columns=4),
        Layout(name="3x4+3", rows=3, columns=4, rhythm_leads=("V1", "II", "V5")),
        Layout(name="6x2", rows=6, columns=2),
        Layout(name="6x2+1", rows=6, columns=2, rhythm_leads=("II",)),
        Layout(name="12x1", rows=12, columns=1),
        Layout(name="4x3", rows=4, columns=3),
    )
}
DEFAULT_LAYOUT = LAYOUTS["3x4+1"]

# shares of a row's length at which leads start within the row in one of the layouts
LEAD_STARTS = tuple(
    sorted({column / layout.columns for layout in LAYOUTS.values() for column in range(1, layout.columns)})
)


class PageSetup(BaseModel):
    """A layout on a paper at a speed and a gain; without arguments the competition's page."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    layout: Layout = DEFAULT_LAYOUT
    lead_order: LeadOrder = "standard"
    paper_size: PaperSize = "letter"
    dpi: PositiveFloat = DPI
    paper_speed_mm_s: PositiveFloat = SPEEDS_MM_S[0]
    gain_mm_mv: PositiveFloat = GAINS_MM_MV[0]
    pulse: Pulse = "left"
    separators: bool = True

    @property
    def duration_s(self) -> float:
        """The time that a whole row shows: 10 s, or less where a higher speed leaves no room for them."""
        return min(RECORD_DURATION_S, ROW_LENGTH_MM / self.paper_speed_mm_s)

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
            shown[place.samples(fs_hz), LEADS.index(place.lead)] = True
        return shown

    def _placement(
        self, geometry: PageGeometry, row: int, column: int, columns: int, label: str
    ) -> Placement:
        start_s = column * RECORD_DURATION_S / columns
        shown_s = self.duration_s / columns
        left_mm = self.time_zero_mm + column * shown_s * self.paper_speed_mm_s
        upside_down = label.startswith("-")
        return Placement(
            lead=label.removeprefix("-"),
            label=label,
            row=row,
            start_s=start_s,
            end_s=start_s + shown_s,
            x0_px=float(geometry.x_px_of_mm(left_mm)),
            zero_y_px=self.layout.zero_line(row) * geometry.height_px,
            px_per_s=geometry.px_per_s,
            px_per_mv=-geometry.px_per_mv if upside_down else geometry.px_per_mv,
        )


DEFAULT_SETUP = PageSetup()
