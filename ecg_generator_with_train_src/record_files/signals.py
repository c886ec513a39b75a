"""What a record's file says, before anything is made of it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class FileSignals:
    """The leads of a file, each as long as the others, in the file's own units; NaN where there is no value."""

    path: Path
    signals: dict[str, np.ndarray]  # float64 (samples,) by lead, only those that the file has
    mv_per_unit: dict[str, float | None]  # mV of one unit of each lead; None where the file does not tell
    fs_hz: float | None = None  # None if the file does not tell
    first_s: float = 0.0  # time in the file of the first sample that was read of it
    duration_s: float | None = None  # of the whole file where only a part was read

    @property
    def num_samples(self) -> int:
        """Samples of each lead that were read."""
        return max(map(len, self.signals.values()), default=0)
