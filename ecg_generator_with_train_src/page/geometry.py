"""The one place where millimetres, seconds and millivolts become pixels and pixels become them again.

Canvas coordinates: x to the right, y down, (0, 0) the outer corner of the top left pixel, so that the
centre of pixel (row r, column c) is (c + 0.5, r + 0.5).
"""

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

MM_PER_INCH = 25.4
DPI = 200  # resolution of the default page, and that at which the network sees every page
PX_PER_MM = round(DPI / MM_PER_INCH, 3)  # the network's scale, with the decimals that weights files state
POINTS_PER_INCH = 72.0
MINOR_MM = 1.0
MAJOR_MM = 5.0

# What a description may state. A sheet of A4 at 400 dpi has 4677x3307 pixels; a measured grid may be finer.
MOST_SHEET_PIXELS = 64_000_000
SidePx = Annotated[int, Field(gt=0, le=20_000)]
PxPerMm = Annotated[float, Field(ge=0.5, le=100, allow_inf_nan=False)]
PlacePx = Annotated[float, Field(ge=-100_000, le=100_000, allow_inf_nan=False)]
PlaceMm = Annotated[float, Field(ge=-1000, le=1000, allow_inf_nan=False)]
Points = Annotated[float, Field(gt=0, le=72, allow_inf_nan=False)]  # of a pen or of a font
MmPerS = Annotated[float, Field(gt=0, le=500, allow_inf_nan=False)]
MmPerMv = Annotated[float, Field(gt=0, le=500, allow_inf_nan=False)]


class PaperGeometry(BaseModel):
    """Size, scale and ruling of a sheet. Both scales are equal but on grids measured from an image.

    `major_x_px` and `major_y_px` are where one vertical and one horizontal major line stand.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    width_px: SidePx
    height_px: SidePx
    px_per_mm_x: PxPerMm
    px_per_mm_y: PxPerMm
    major_x_px: PlacePx
    major_y_px: PlacePx

    @model_validator(mode="after")
    def _has_not_too_many_pixels(self) -> "PaperGeometry":
        if self.width_px * self.height_px > MOST_SHEET_PIXELS:
            raise ValueError(
                f"{self.width_px}x{self.height_px} pixels are more than {MOST_SHEET_PIXELS / 1e6:g} megapixels"
            )
        return self

    @property
    def px_per_mm(self) -> float:
        """Mean scale of both directions."""
        return (self.px_per_mm_x * self.px_per_mm_y) ** 0.5

    def x_px_of_mm(self, x_mm):
        """Canvas x of a distance from the left edge."""
        return x_mm * self.px_per_mm_x

    def y_px_of_mm(self, y_mm):
        """Canvas y of a distance from the top edge."""
        return y_mm * self.px_per_mm_y

    def mm_of_x_px(self, x_px):
        """Distance in mm from the left edge of a canvas x."""
        return x_px / self.px_per_mm_x

    def mm_of_y_px(self, y_px):
        """Distance in mm from the top edge of a canvas y."""
        return y_px / self.px_per_mm_y

    def px_of_points(self, points: float) -> float:
        """Pixels of a typographic length (1 point = 1/72 inch)."""
        return points / POINTS_PER_INCH * MM_PER_INCH * self.px_per_mm


class PageGeometry(PaperGeometry):
    """A sheet with the scales of what is drawn on it."""

    paper_speed_mm_s: MmPerS = 25.0
    gain_mm_mv: MmPerMv = 10.0

    @property
    def paper(self) -> PaperGeometry:
        """The sheet alone."""
        return PaperGeometry(**self.model_dump(include=set(PaperGeometry.model_fields)))

    @property
    def px_per_s(self) -> float:
        """Horizontal pixels a second."""
        return self.paper_speed_mm_s * self.px_per_mm_x

    @property
    def px_per_mv(self) -> float:
        """Vertical pixels a millivolt."""
        return self.gain_mm_mv * self.px_per_mm_y


@dataclass(frozen=True)
class Placement:
    """Where one lead is drawn: the time `start_s`-`end_s` of the record, from `x0_px` on, about `zero_y_px`."""

    lead: str
    label: str  # what is printed beside it: the lead's name, or -aVR for one drawn upside down
    row: int  # counted from the top
    column: int  # counted from the left
    start_s: float
    end_s: float
    x0_px: float  # canvas x of start_s
    zero_y_px: float  # canvas y of 0 mV
    px_per_s: float
    px_per_mv: float  # negative: upside down

    def samples(self, fs_hz: float) -> slice:
        """The record's samples that fall into the placement's time; a lead's share of 10 s at any rate."""
        return slice(math.floor(self.start_s * fs_hz + 1e-6), math.floor(self.end_s * fs_hz + 1e-6))

    def x_px_of_s(self, time_s: np.ndarray) -> np.ndarray:
        """Canvas x of a time in the record."""
        return self.x0_px + (time_s - self.start_s) * self.px_per_s

    def s_of_x_px(self, x_px: np.ndarray) -> np.ndarray:
        """Time in the record of a canvas x."""
        return self.start_s + (x_px - self.x0_px) / self.px_per_s

    def y_px_of_mv(self, signal_mv: np.ndarray) -> np.ndarray:
        """Canvas y of a voltage."""
        return self.zero_y_px - signal_mv * self.px_per_mv

    def mv_of_y_px(self, y_px: np.ndarray) -> np.ndarray:
        """Voltage of a canvas y."""
        return (self.zero_y_px - y_px) / self.px_per_mv
