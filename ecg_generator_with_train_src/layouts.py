"""How leads are laid out on a page: data, not code.

A layout lists its rows from top to bottom, each the leads it shows one after the other over the
duration of the page; a row of one lead is a rhythm strip or a full-length lead.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from .geometry import MM_PER_INCH, PageGeometry, PaperGeometry, Placement
from .records import RECORD_DURATION_S

Pulse = Literal["left", "none"]

DEFAULT_DPI = 200
PULSE_WIDTH_MM = 5.0


class Layout(BaseModel):
    """One arrangement of leads on one paper, at one speed and gain.

    `zero_y_mm` are the heights of 0 mV from the top edge, one a row; `time_zero_mm` is where the traces start when
    no calibration pulse stands left of them (with one, they start the pulse's 5 mm later).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    rows: tuple[tuple[str, ...], ...]
    width_mm: float
    height_mm: float
    zero_y_mm: tuple[float, ...]
    time_zero_mm: float
    paper_speed_mm_s: float = 25.0
    gain_mm_mv: float = 10.0

    def paper(self, dpi: float = DEFAULT_DPI) -> PaperGeometry:
        """The sheet at a resolution, ruled from the left and the bottom edge."""
        px_per_mm = dpi / MM_PER_INCH
        height_px = round(self.height_mm * px_per_mm)
        return PaperGeometry(
            width_px=round(self.width_mm * px_per_mm),
            height_px=height_px,
            px_per_mm_x=px_per_mm,
            px_per_mm_y=px_per_mm,
            major_x_px=0.0,
            major_y_px=height_px,
        )

    def page_on(self, paper: PaperGeometry) -> PageGeometry:
        """The layout's scales on a sheet."""
        return PageGeometry(
            **paper.model_dump(), paper_speed_mm_s=self.paper_speed_mm_s, gain_mm_mv=self.gain_mm_mv
        )

    def placements(self, geometry: PageGeometry, pulse: Pulse) -> tuple[Placement, ...]:
        """Every lead's place on the page, row by row, left to right."""
        time_zero_mm = self.time_zero_mm + (PULSE_WIDTH_MM if pulse == "left" else 0.0)
        return tuple(
            self._placement(geometry, row, column, time_zero_mm)
            for row, leads in enumerate(self.rows)
            for column in range(len(leads))
        )

    def _placement(self, geometry: PageGeometry, row: int, column: int, time_zero_mm: float) -> Placement:
        leads = self.rows[row]
        column_s = RECORD_DURATION_S / len(leads)
        start_mm = time_zero_mm + column * column_s * self.paper_speed_mm_s
        return Placement(
            lead=leads[column],
            start_s=column * column_s,
            end_s=(column + 1) * column_s,
            x0_px=float(geometry.x_px_of_mm(start_mm)),
            zero_y_px=float(geometry.y_px_of_mm(self.zero_y_mm[row])),
            px_per_s=geometry.px_per_s,
            px_per_mv=geometry.px_per_mv,
        )


LETTER_WIDTH_MM, LETTER_HEIGHT_MM = 11 * MM_PER_INCH, 8.5 * MM_PER_INCH

DEFAULT_LAYOUT = Layout(
    name="3x4+1",
    rows=(
        ("I", "aVR", "V1", "V4"),
        ("II", "aVL", "V2", "V5"),
        ("III", "aVF", "V3", "V6"),
        ("II",),
    ),
    width_mm=LETTER_WIDTH_MM,
    height_mm=LETTER_HEIGHT_MM,
    # 5/12, 7/12 and 9/12 of the height; the rhythm strip as measured on pages of the competition
    zero_y_mm=(*(LETTER_HEIGHT_MM * twelfths / 12 for twelfths in (5, 7, 9)), 1534.711 / 200 * MM_PER_INCH),
    time_zero_mm=10.0,
)

LAYOUTS = {layout.name: layout for layout in (DEFAULT_LAYOUT,)}
