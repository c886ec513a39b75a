"""Where the time of reading a page goes, stage by stage, in one process that has read a page before.

Seconds of processor count what all threads did, and nothing of what else the machine is doing; seconds of clock show
both. The time of a stage is its own, without that of stages within it.
"""

import contextlib
import functools
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.page_files import read_single_page
from experiment.labelling import predictor
from experiment.labelling.network_flags import checkpoint_of
from experiment.labelling.see_page import PageSeer, seers_weights
from experiment.reading import digitize_pages, read_leads, read_page
from experiment.reading.find_layout import ReadingOptions
from experiment.reading.sampling_rates import ASSUMED_FS_HZ
from experiment.runtime.choose import run_networks
from experiment.runtime.network import Network, Runtime, RuntimeOptions

DECODE, SEE, FILES = "decode the file", "the rest of seeing", "draw and write files"
# Each stage's functions, where they are called
STAGES = {
    "scale and sheet": [(predictor, "page_scale"), (predictor, "is_negative"), (predictor, "straightened")],
    "networks": [(Network, "__call__")],
    "way up": [(predictor, "runs_down"), (predictor, "upside_down")],
    "paper field": [(read_page, "fit_page")],
    "rectify": [(read_page, "rectify")],
    "layout": [(read_page, "find_layout")],
    "track rows": [(read_leads, "track_rows")],
    "decode traces": [(read_leads, "decode")],
    "the rest of reading": [(digitize_pages, "read_any_page")],
}


class Stopwatch:
    """Seconds of processor and of clock of each stage.

    >>> watch = Stopwatch()
    >>> with watch.stage("outer"):
    ...     with watch.stage("inner"):
    ...         pass
    >>> sorted(watch.spent_s), watch.spent_s["inner"].shape
    (['inner', 'outer'], (2,))
    """

    def __init__(self):
        self.spent_s: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(2))
        self._running: list[str] = []
        self._since_s = _now_s()

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """What is done meanwhile is of this stage; the one around it stands still."""
        self._note()
        self._running.append(name)
        try:
            yield
        finally:
            self._note()
            self._running.pop()

    @contextlib.contextmanager
    def on(self, stages: dict[str, list[tuple[object, str]]]) -> Iterator[None]:
        """All calls of these functions, of modules or classes, are of their stages."""
        with contextlib.ExitStack() as after:
            for name, functions in stages.items():
                for owner, function in functions:
                    plain = getattr(owner, function)
                    setattr(owner, function, self.stage(name)(plain))
                    after.callback(setattr, owner, function, plain)
            yield

    def _note(self) -> None:
        now_s = _now_s()
        if self._running:
            self.spent_s[self._running[-1]] += now_s - self._since_s
        self._since_s = now_s


def _now_s() -> np.ndarray:
    return np.array([time.process_time(), time.perf_counter()])


def print_stages(images: list[Path], checkpoint: Path | None, device: str) -> None:
    """Print a table of the stages of reading some pictures, which are files of one page each."""
    weights = checkpoint_of(checkpoint)
    measure = functools.partial(_measure, weights=weights, images=images)
    run_networks(RuntimeOptions(device=device), seers_weights(weights), measure)


def _measure(runtime: Runtime, weights: Path, images: list[Path]) -> int:
    see = PageSeer(runtime, weights)
    spent_of(see, images[0])  # the first page compiles
    for path in images:
        print_table(path.name, spent_of(see, path))
    return 0


def spent_of(see: digitize_pages.See, path: Path) -> dict[str, np.ndarray]:
    """Seconds of processor and of clock (2,) of each stage of reading one picture."""
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder, watch.on(STAGES):
        options = digitize_pages.DigitizeOptions(Path(folder), ReadingOptions(), num_workers=1)
        origin = {"fs_hz": ASSUMED_FS_HZ, "fs_from": "assumed"}
        with watch.stage(DECODE):
            image = read_single_page(path)
        with watch.stage(SEE):
            seen = see(image)
        with watch.stage(FILES):
            page = digitize_pages.SeenPage(path, path.stem, origin, seen)
            about = digitize_pages.read_and_write(page, options).about
    if about["status"] == "unread":
        raise InputError(f"{path}: {about['reasons'][0]}")
    return watch.spent_s


def print_table(title: str, spent_s: dict[str, np.ndarray]) -> None:
    """One line a stage, in the order of the work, and their sum.

    >>> print_table("page.png", {FILES: np.array([0.5, 0.75]), DECODE: np.array([1.0, 1.0])})
    stages of page.png             processor   clock
      decode the file                 1.00 s  1.00 s
      draw and write files            0.50 s  0.75 s
      all                             1.50 s  1.75 s
    """
    print(f"{'stages of ' + title:30} processor   clock")
    for name in (DECODE, *STAGES, SEE, FILES, "all"):
        own_s = sum(spent_s.values()) if name == "all" else spent_s.get(name)
        if own_s is not None:
            print(f"  {name:30}{own_s[0]:6.2f} s{own_s[1]:6.2f} s")
