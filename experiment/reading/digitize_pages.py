"""Pages read one after the other: the network sees them here, worker processes read what it has seen."""

import functools
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ecg_generator_with_train_src.common.batch import SkipReport, outcome_of, run_batch
from ecg_generator_with_train_src.common.command_line import EXIT_DONE, EXIT_SKIPPED
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import write_bytes, write_json, write_text
from ecg_generator_with_train_src.common.html_report import Gallery, jpeg
from ecg_generator_with_train_src.common.image_files import encode_rgb
from ecg_generator_with_train_src.common.page_files import readable_pages
from ecg_generator_with_train_src.dataset.page_names import parse_page_name
from experiment.labelling.page_probability import PageProbability
from experiment.labelling.several_ecgs import ecgs_on
from experiment.reading.corrections import NO_CORRECTION, Correction
from experiment.reading.find_layout import ReadingOptions
from experiment.reading.output_files import picture, reading_summary, signals_csv
from experiment.reading.read_page import PageReading, flat_page, further_leads, read_page, without_filled
from experiment.reading.readings_report import reading_pictures, readings_report, sureness
from experiment.reading.sampling_rates import SamplingRates
from experiment.reading.submission_table import write_table

# What a network says of an image (H, W, 3) uint8; the turn of the page in it in degrees, if that is told
See = Callable[[np.ndarray, float | None], PageProbability]


ENDINGS = ("-a", "-b")  # of the names of two ECGs on one image


@dataclass(frozen=True)
class DigitizeOptions:
    """What all pages of a run share."""

    output_dir: Path
    known: ReadingOptions  # what is known of all pages beforehand
    num_workers: int
    submission: Path | None = None  # the competition's table to write
    corrections: dict[str, Correction] = field(default_factory=dict)  # what is told of single pages
    strict: bool = False  # whether a page to check counts as one that was not read
    fill_gaps: bool = True  # whether stretches without ink are drawn from other leads
    made_by: dict = field(default_factory=dict)  # program and weights, for the JSON files


@dataclass(frozen=True)
class SeenPage:
    """What the network saw of a page, or why it saw nothing."""

    path: Path
    name: str
    seen: PageProbability | InputError
    fs_hz: float
    fs_from: str


@dataclass(frozen=True)
class PageOutcome:
    """What became of a page: its signals (samples, 12) in mV, None if it is unread; what its JSON says; pictures for
    the report; the stack trace of a fault of the program."""

    signal_mv: np.ndarray | None
    about: dict
    pictures: tuple[bytes, ...]
    trace: str = ""


class Readings:
    """What was read so far, and the files that tell of all pages."""

    def __init__(self, options: DigitizeOptions):
        self.options = options
        self.pages: dict[str, dict] = {}
        self.signals: dict[str, np.ndarray | None] = {}
        self.gallery = Gallery()
        self.report = SkipReport(options.output_dir / "skipped.tsv")

    def add(self, page: SeenPage, outcome: PageOutcome) -> None:
        """Note one page, and say so if it could not be read."""
        self.pages[page.name], self.signals[page.name] = outcome.about, outcome.signal_mv
        self.gallery.add(page.name, sureness(outcome.about), outcome.pictures)
        if outcome.signal_mv is None:
            self.report.add(page.name, f"{page.path}: {outcome.about['reasons'][0]}", outcome.trace)
        elif outcome.about["status"] == "check":
            tqdm.write(f"check {page.name}: {'; '.join(outcome.about['reasons'])}", file=sys.stderr)

    def write(self) -> None:
        """report.html and skipped.tsv."""
        self.report.write()
        title = f"Readings in {self.options.output_dir}"
        text = readings_report(title, self.pages, self.gallery.pictures())
        write_text(self.options.output_dir / "report.html", text)

    def count(self, status: str) -> int:
        """How many pages have a status."""
        return sum(about["status"] == status for about in self.pages.values())

    @property
    def exit_code(self) -> int:
        """1 if a page was not read, or is to be checked and the run is strict."""
        doubtful = self.count("unread") + (self.count("check") if self.options.strict else 0)
        return EXIT_SKIPPED if doubtful else EXIT_DONE


def digitize_pages(see: See, options: DigitizeOptions, paths: list[Path], rates: SamplingRates) -> int:
    """Read all pages of some files and write what was found; returns the exit code."""
    readings, started = Readings(options), time.perf_counter()
    work = functools.partial(read_and_write, options=options)
    pages = seen_pages(see, paths, rates, options.corrections, in_parts=options.submission is None)
    try:
        outcomes = run_batch(work, pages, num_workers=options.num_workers, description="digitize")
        for page, outcome in outcomes:
            if isinstance(outcome, InputError):  # its files could not be written
                raise outcome
            readings.add(page, outcome)
    finally:  # Ctrl-C leaves what is done
        readings.write()
    if not_met := sorted(options.corrections.keys() - readings.pages.keys()):
        print(f"--corrections: no page is called {', '.join(not_met)}", file=sys.stderr)
    if options.submission:
        _submit(options, readings, rates)
    _print_summary(options, readings, time.perf_counter() - started)
    return readings.exit_code


def _submit(options: DigitizeOptions, readings: Readings, rates: SamplingRates) -> None:
    """Write the competition's table, which needs a value for every page."""
    flat = [name for name, signal_mv in readings.signals.items() if signal_mv is None]
    signals = {}
    for name, signal_mv in readings.signals.items():
        fs_hz = readings.pages[name]["fs_hz"]
        read_mv = flat_page(fs_hz, options.known.layout) if signal_mv is None else signal_mv
        signals[name] = _whole(read_mv, flat_page(fs_hz, None))
    write_table(options.submission, signals, rates)
    if flat:
        print(f"{options.submission}: a flat line stands for what was not read: {', '.join(sorted(flat))}")


def _whole(signal_mv: np.ndarray, level_mv: np.ndarray) -> np.ndarray:
    """Signals (samples, 12) with a flat line for each lead that the page does not show."""
    return np.where(np.isfinite(signal_mv).any(axis=0), signal_mv, level_mv)


def _print_summary(options: DigitizeOptions, readings: Readings, seconds: float) -> None:
    sure, check, unread = (readings.count(status) for status in ("sure", "check", "unread"))
    number = len(readings.pages)
    made = " and ".join(map(str, filter(None, (options.output_dir, options.submission))))
    print(
        f"read {sure + check} of {number} pages ({sure} sure, {check} to check, {unread} unread) -> {made} "
        f"in {seconds:.1f} s ({seconds / max(number, 1):.2f} s a page, {options.num_workers} workers)"
    )


def seen_pages(
    see: See,
    paths: list[Path],
    rates: SamplingRates,
    corrections: dict[str, Correction],
    in_parts: bool = True,
) -> Iterator[SeenPage]:
    """The pages of all files as the network sees them; if they may be taken apart, two of an image with two ECGs."""
    for path in paths:
        for name, image in _pages_of(path):
            fs_hz, source = rates.of(path, parse_page_name(name, rates.by_id).record)
            if source == "assumed" or (rates.by_id and source != "table"):
                told = (
                    "is not in the given table; " if rates.by_id else "no train.csv tells its sampling rate; "
                )
                tqdm.write(f"warning: {name}: {told}{fs_hz:g} Hz ({source})", file=sys.stderr)
            look = functools.partial(see, rotation_deg=corrections.get(name, NO_CORRECTION).rotation_deg)
            seen = image if isinstance(image, InputError) else outcome_of(look, image)
            for ending, part in _parts(seen, in_parts):
                yield SeenPage(path, name + ending, part, fs_hz, source)


def _parts(
    seen: PageProbability | InputError, in_parts: bool
) -> Iterator[tuple[str, PageProbability | InputError]]:
    """The ECGs on an image, each with what its name gets at the end."""
    parts = (seen,) if isinstance(seen, InputError) or not in_parts else ecgs_on(seen)
    yield from zip(("",) if len(parts) == 1 else ENDINGS, parts, strict=True)


def _pages_of(path: Path) -> Iterator[tuple[str, np.ndarray | InputError]]:
    """Name and image of each page of a file; the error for the image of one that cannot be read."""
    try:
        yield from readable_pages(path)
    except InputError as error:
        yield path.stem, error


def read_and_write(page: SeenPage, options: DigitizeOptions) -> PageOutcome:
    """Read one page and write its files. An unread page has no signals, nor any that an earlier run left."""
    outcome, reading = _read(page, options)
    table = options.output_dir / f"{page.name}.csv"
    traces = options.output_dir / f"{page.name}_traces.png"
    if reading is None:
        table.unlink(missing_ok=True)
        traces.unlink(missing_ok=True)
    else:
        write_bytes(traces, encode_rgb(picture(reading)))
        write_text(table, signals_csv(outcome.signal_mv, further_leads(reading)))
    write_json(options.output_dir / f"{page.name}.json", outcome.about)
    return outcome


def _read(page: SeenPage, options: DigitizeOptions) -> tuple[PageOutcome, PageReading | None]:
    about = {"image": str(page.path), "fs_hz": page.fs_hz, "fs_from": page.fs_from, **options.made_by}
    known = options.corrections.get(page.name, NO_CORRECTION).over(options.known)
    read = functools.partial(read_page, fs_hz=page.fs_hz, options=known)
    reading = page.seen if isinstance(page.seen, InputError) else outcome_of(read, page.seen)
    if isinstance(reading, InputError):
        why = str(reading).removeprefix(f"{page.path}: ")
        seen = () if isinstance(page.seen, InputError) else page.seen.warnings
        about |= {"status": "unread", "reasons": [why, *seen]}
        pictures = () if isinstance(page.seen, InputError) else (jpeg(page.seen.image),)
        return PageOutcome(None, about, pictures, reading.trace), None
    about |= {"px_per_mm": page.seen.pitch_px, "rotation_deg": reading.seen.rotation_deg}
    about |= {"upright_chance": round(reading.seen.upright_chance, 4), **reading_summary(reading)}
    if page.fs_from == "assumed":
        about["assumed"] = {**about["assumed"], "fs_hz": page.fs_hz}
    signal_mv = reading.signal_mv if options.fill_gaps else without_filled(reading)
    return PageOutcome(signal_mv, about, reading_pictures(reading)), reading
