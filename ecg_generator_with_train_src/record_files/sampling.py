"""Sampling rates: as a file's times or words tell them, or as devices have them."""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ecg_generator_with_train_src.common.errors import InputError

MIN_FS_HZ, MAX_FS_HZ = 50.0, 2000.0
# Rates that devices and databases have, the commonest first. 1025 Hz is the competition's.
DEVICE_FS_HZ = (500, 1000, 250, 100, 256, 512, 1024, 1025, 200, 125, 128, 240, 257, 300, 360, 400, 50)
USUAL_DURATIONS_S = (10, 30, 60, 20, 15, 12, 8, 5)  # of resting records, the commonest first
LONGEST_LINE = 1000  # characters in which a rate is looked for
SAME_FS = 1e-3  # rates that differ by a smaller share are the same
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
_FS_WORDS = re.compile(
    r"(?:sampl\w*[\s_-]*(?:rate|freq\w*)|\bfs\b)[^\d\n]{0,20}?(?P<hz>\d+(?:[.,]\d+)?)\s*(?P<kilo>k)?",
    re.IGNORECASE,
)


def check_fs(fs_hz: float, where: Path | str) -> None:
    """Raise InputError naming `where` if the sampling rate is outside 50-2000 Hz."""
    if not MIN_FS_HZ <= fs_hz <= MAX_FS_HZ:
        raise InputError(
            f"{where}: {fs_hz:g} Hz is outside {MIN_FS_HZ:g}-{MAX_FS_HZ:g} Hz; check the sampling rate"
        )


def guess_fs(rows: int) -> float | None:
    """The rate that makes whole usual seconds of so many rows: 10 s if a device has such a rate, else the commonest
    rate and duration that fit; None if none do.

    >>> guess_fs(10250), guess_fs(15000), guess_fs(4096)
    (1025.0, 500.0, None)
    """
    for duration_s in USUAL_DURATIONS_S[:1]:
        if rows % duration_s == 0 and rows // duration_s in DEVICE_FS_HZ:
            return float(rows // duration_s)
    fitting = (fs for fs in DEVICE_FS_HZ[:4] if rows % fs == 0 and rows // fs in USUAL_DURATIONS_S)
    return next(map(float, fitting), None)


def fs_of_times(path: Path, times: np.ndarray, unit: str) -> float | None:
    """The rate of samples at these times; without a unit they are in s, ms or us, whichever gives a rate from 50 to
    2000 Hz. None if they are mere numbers of rows. Raises InputError if they do not run evenly."""
    step = (times[-1] - times[0]) / (len(times) - 1)
    if step <= 0 or (not unit and step == 1):
        return None
    even = times[0] + step * np.arange(len(times))
    if (late := np.abs(times - even) > 2 * step).any():
        raise InputError(
            f"{path}: row {int(late.argmax()) + 1}: the times do not run evenly; export the record without gaps in time"
        )
    rates = [1 / (step * _SECONDS[unit])] if unit in _SECONDS else [1 / (step * s) for s in _SECONDS.values()]
    fs_hz = next((fs for fs in rates if MIN_FS_HZ <= fs <= MAX_FS_HZ), rates[0])
    nearest = min((*DEVICE_FS_HZ, round(fs_hz)), key=lambda known: abs(known - fs_hz))
    return float(nearest) if abs(nearest - fs_hz) < SAME_FS * fs_hz else float(fs_hz)


def fs_in_words(lines: Iterable[str]) -> float | None:
    """The rate in lines above a header, such as `Sample Rate,512 hertz`.

    >>> fs_in_words(["Name,X", "Sample Rate,512 hertz"]), fs_in_words(["# fs = 1 kHz"]), fs_in_words(["Date,2024"])
    (512.0, 1000.0, None)
    """
    found = (_FS_WORDS.search(line[:LONGEST_LINE]) for line in lines)
    numbers = [float(m["hz"].replace(",", ".")) * (1000 if m["kilo"] else 1) for m in found if m]
    return numbers[0] if numbers else None
