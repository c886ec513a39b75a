"""Pages read one after the other: the network sees them here, worker processes read what it has seen."""

import functools
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ecg_generator_with_train_src.common.batch import SkipReport, outcome_of, run_batch
from ecg_generator_with_train_src.common.command_line import EXIT_DONE, EXIT_SKIPPED
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import write_bytes, write_json, write_text
from ecg_generator_with_train_src.common.image_files import encode_rgb
from ecg_generator_with_train_src.common.page_files import readable_pages
from ecg_generator_with_train_src.dataset.page_names import parse_page_name
from experiment.labelling.page_probability import PageProbability
from experiment.reading.find_layout import ReadingOptions
from experiment.reading.output_files import picture, reading_summary, signals_csv
from experiment.reading.read_page import flat_page, read_page
from experiment.reading.sampling_rates import SamplingRates
from experiment.reading.submission_table import write_table

See = Callable[[np.ndarray], PageProbability]  # what a network says of an image (H, W, 3) uint8


@dataclass(frozen=True)
class DigitizeOptions:
    """What all pages of a run share."""

    output_dir: Path
    known: ReadingOptions  # what is known of all pages beforehand
    num_workers: int
    submission: Path | None = None  # the competition's table to write


@dataclass(frozen=True)
class SeenPage:
    """What the network saw of a page, or why it saw nothing."""

    path: Path
    name: str
    seen: PageProbability | InputError
    fs_hz: float
    fs_from: str


def digitize_pages(see: See, options: DigitizeOptions, paths: list[Path], rates: SamplingRates) -> int:
    """Read all pages of some files and write what was found; returns the exit code."""
    report = SkipReport(options.output_dir / "skipped.tsv")
    signals: dict[str, np.ndarray] = {}
    started = time.perf_counter()
    work = functools.partial(read_and_write, options=options)
    pages = seen_pages(see, paths, rates)
    for page, outcome in run_batch(work, pages, num_workers=options.num_workers, description="digitize"):
        if isinstance(outcome, InputError):  # its files could not be written
            raise outcome
        signals[page.name], problem = outcome
        if problem:
            why = str(problem).removeprefix(f"{page.path}: ")
            report.add(page.name, f"{page.path}: {why}; a flat line is written", problem.trace)
    report.write()
    if options.submission:
        write_table(options.submission, signals, rates)
    seconds = time.perf_counter() - started
    read = len(signals) - len(report.reasons.keys() & signals.keys())
    speed = seconds / max(len(signals), 1)
    made = " and ".join(map(str, filter(None, (options.output_dir, options.submission))))
    print(
        f"read {read} of {len(signals)} pages -> {made} in {seconds:.1f} s "
        f"({speed:.2f} s a page, {options.num_workers} workers)"
    )
    return EXIT_SKIPPED if report.reasons else EXIT_DONE


def seen_pages(see: See, paths: list[Path], rates: SamplingRates) -> Iterator[SeenPage]:
    """The pages of all files as the network sees them."""
    for path in paths:
        for name, image in _pages_of(path):
            fs_hz, source = rates.of(path, parse_page_name(name, rates.by_id).record)
            if source == "assumed" or (rates.by_id and source != "table"):
                told = (
                    "is not in the given table; " if rates.by_id else "no train.csv tells its sampling rate; "
                )
                tqdm.write(f"warning: {name}: {told}{fs_hz:g} Hz ({source})", file=sys.stderr)
            seen = image if isinstance(image, InputError) else outcome_of(see, image)
            yield SeenPage(path, name, seen, fs_hz, source)


def _pages_of(path: Path) -> Iterator[tuple[str, np.ndarray | InputError]]:
    """Name and image of each page of a file; the error for the image of one that cannot be read."""
    try:
        yield from readable_pages(path)
    except InputError as error:
        yield path.stem, error


def read_and_write(page: SeenPage, options: DigitizeOptions) -> tuple[np.ndarray, InputError | None]:
    """Read one page and write its files: its signals (samples, 12) in mV, and why they are flat if they are."""
    about = {"image": str(page.path), "fs_hz": page.fs_hz, "fs_from": page.fs_from}
    output, problem = options.output_dir, None
    read = functools.partial(read_page, fs_hz=page.fs_hz, options=options.known)
    reading = page.seen if isinstance(page.seen, InputError) else outcome_of(read, page.seen)
    if isinstance(reading, InputError):
        problem, signal_mv = reading, flat_page(page.fs_hz, options.known.layout)
        about |= {"read": False, "warnings": [f"{problem}; a flat line is written"]}
        (output / f"{page.name}_traces.png").unlink(missing_ok=True)
    else:
        signal_mv = reading.signal_mv
        about |= {"read": True, "px_per_mm": page.seen.pitch_px, "rotation_deg": reading.seen.rotation_deg}
        about["upright_chance"] = round(page.seen.upright_chance, 4)
        about |= reading_summary(reading)
        write_bytes(output / f"{page.name}_traces.png", encode_rgb(picture(reading)))
    write_text(output / f"{page.name}.csv", signals_csv(signal_mv))
    write_json(output / f"{page.name}.json", about)
    return signal_mv, problem
