"""Read ECG pages from Python: an image in, the leads and how far to trust them out.

>>> from experiment.read_image import read_image
>>> reading = read_image("image_data/sample_page.jpg", fs_hz=500)
>>> reading.status, reading.layout, reading.signal_mv.shape
('sure', '3x4+II', (5000, 12))
>>> bool(np.isfinite(reading.lead("II")).all())  # the strip below shows all ten seconds
True
>>> int(np.isfinite(reading.lead("V1")).sum())  # the page shows a quarter of V1
1250
>>> reading.about["paper_speed_mm_s"], reading.about["gain_mm_mv"]
(25.0, 10.0)
>>> reading.picture().dtype
dtype('uint8')
>>> from experiment.reading.find_layout import ReadingOptions
>>> known = ReadingOptions(layout="3x4+II", paper_speed_mm_s=25.0, gain_mm_mv=10.0)  # if you know them
>>> read_image("image_data/sample_page.jpg", known=known).layout
'3x4+II'
>>> blank = read_image(np.full((800, 1000, 3), 255, np.uint8))
>>> blank.status, blank.signal_mv is None
('unread', True)
"""

import functools
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.page_files import read_single_page
from ecg_generator_with_train_src.page.records import LEADS, check_fs
from experiment.labelling.network_flags import checkpoint_of
from experiment.labelling.see_page import PageSeer, seers_weights
from experiment.reading.find_layout import ReadingOptions
from experiment.reading.output_files import picture, reading_summary, signals_csv
from experiment.reading.read_drawing import read_any_page, with_drawing
from experiment.reading.read_page import PageReading, further_leads
from experiment.reading.sampling_rates import ASSUMED_FS_HZ
from experiment.runtime.choose import one_blas_thread, runtime_here
from experiment.runtime.network import RuntimeOptions

NOTHING_KNOWN = ReadingOptions()
BEST_RUNTIME = RuntimeOptions()
_LOADING = threading.Lock()


@dataclass(frozen=True)
class EcgReading:
    """What was read from a page.

    `signal_mv` (samples, 12) in mV has a column for each of LEADS, and NaN where the page shows nothing; it is None if
    the page is unread. `about` is what digitize.py writes as JSON: layout, geometry, speed and gain, what was assumed,
    and the confidence of each lead. `page` has all that was found on the way.
    """

    status: Literal["sure", "check", "unread"]
    reasons: tuple[str, ...]  # for a status other than sure
    fs_hz: float
    signal_mv: np.ndarray | None
    about: dict
    page: PageReading | None

    @property
    def layout(self) -> str | None:
        """The layout in words, such as 3x4+II; None if the page is unread."""
        return self.about.get("layout")

    def lead(self, name: str) -> np.ndarray:
        """The signal (samples,) of a lead in mV. Raises InputError if the page is unread or shows no such lead."""
        signals = dict(zip(LEADS, self._read().signal_mv.T, strict=True)) | further_leads(self._read())
        if name not in signals:
            raise InputError(f"lead {name}: the page shows {', '.join(signals)}")
        return signals[name]

    def csv(self) -> str:
        """The table that digitize.py writes. Raises InputError if the page is unread."""
        return signals_csv(self._read().signal_mv, further_leads(self._read()))

    def picture(self) -> np.ndarray:
        """The traces over the flattened page, beside a plot: (H, W, 3) uint8. Raises InputError if it is unread."""
        return picture(self._read())

    def _read(self) -> PageReading:
        if self.page is None:
            raise InputError(f"the page is unread: {self.reasons[0]}")
        return self.page


class PageReader:
    """Networks that are loaded once, for many pages. `px_per_mm` is the scale of all images, if that is known.

    Threads may share it. A process that is forked off after the first page cannot use it: start others by spawn.

    Raises InputError if weights are missing or damaged, or if nothing is there to run them.
    """

    def __init__(
        self,
        checkpoint: Path | None = None,
        px_per_mm: float | None = None,
        runtime: RuntimeOptions = BEST_RUNTIME,
    ):
        weights = checkpoint_of(checkpoint)
        self._see = PageSeer(runtime_here(runtime, seers_weights(weights)), weights, px_per_mm)

    def read(
        self,
        image: Path | str | np.ndarray,
        fs_hz: float = ASSUMED_FS_HZ,
        known: ReadingOptions = NOTHING_KNOWN,
    ) -> EcgReading:
        """Read a page, a file or an RGB image (H, W, 3) uint8, at `fs_hz`; `known` is what is known of it beforehand.

        Raises InputError for a file that cannot be read or has several pages, and for an array of another form.
        """
        check_fs(fs_hz, "fs_hz")
        if not isinstance(image, (Path, str, np.ndarray)):
            raise InputError(f"expected a path or an RGB image (H, W, 3) uint8, got {type(image).__name__}")
        pixels = _rgb(image) if isinstance(image, np.ndarray) else read_single_page(Path(image))
        try:
            with one_blas_thread():
                seen = self._see(pixels)
                seen = seen if isinstance(image, np.ndarray) else with_drawing(seen, Path(image))
                page = read_any_page(seen, fs_hz, known)
        except InputError as error:
            return EcgReading("unread", (str(error),), fs_hz, None, {}, None)
        verdict = page.verdict
        return EcgReading(verdict.status, verdict.reasons, fs_hz, page.signal_mv, reading_summary(page), page)


def read_image(
    image: Path | str | np.ndarray,
    fs_hz: float = ASSUMED_FS_HZ,
    known: ReadingOptions = NOTHING_KNOWN,
) -> EcgReading:
    """Read a page with the shipped networks, which stay loaded; see PageReader.read.

    Raises InputError for a file that cannot be read or has several pages, for an array of another form than an RGB
    image (H, W, 3) uint8, and for a rate outside 50 to 2000 Hz. A page on which nothing can be read is no error.
    """
    with _LOADING:
        reader = _shipped_reader()
    return reader.read(image, fs_hz, known)


@functools.cache
def _shipped_reader() -> PageReader:
    return PageReader()


def _rgb(image: np.ndarray) -> np.ndarray:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise InputError(f"expected an RGB image (H, W, 3) uint8, got {image.shape} {image.dtype}")
    if not image.size:
        raise InputError(f"expected an RGB image (H, W, 3) uint8, got one without pixels: {image.shape}")
    return image
