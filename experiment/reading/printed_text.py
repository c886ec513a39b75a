"""What is printed on a page beside its traces: names of leads, and the scale that they are drawn at."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class PrintedName:
    """A lead's name, its centre in canvas pixels of the rectified page."""

    lead: str  # in the usual spelling, such as aVR, -aVR or V3R
    x_px: float
    y_px: float
    probability: float


@dataclass(frozen=True)
class PrintedScale:
    """A paper speed or a gain, such as 25 mm/s, its centre in canvas pixels of the rectified page."""

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
ReadText = Callable[
    [np.ndarray], PrintedText
]  # reads a rectified page, (H, W, 3) uint8, PX_PER_MM pixels a mm
