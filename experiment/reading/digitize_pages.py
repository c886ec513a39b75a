"""Pages read and written, one after the other, and the files that tell of all of them.

The network sees the pages in this process, and worker processes read what it has seen; on a cluster, see
digitize_on_cluster.py.
"""

import functools
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ecg_generator_with_train_src.common.batch import SkipReport, outcome_of, run_batch
from ecg_generator_with_train_src.common.bounds import read_input
from ecg_generator_with_train_src.common.command_line import EXIT_DONE, EXIT_SKIPPED
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import write_bytes, write_json, write_text
from ecg_generator_with_train_src.common.folder_lock import locked
from ecg_generator_with_train_src.common.html_report import PICTURE_FOLDER, Gallery, jpeg, save_pictures
from ecg_generator_with_train_src.common.image_files import encode_rgb
from ecg_generator_with_train_src.common.notes import shorten
from ecg_generator_with_train_src.common.picture_sizes import ALL_WHOLE, PageSizes
from ecg_generator_with_train_src.dataset.page_names import parse_page_name
from ecg_generator_with_train_src.page.records import LEADS, read_signal_mv
from experiment.labelling.earlier_results import is_whole_reading
from experiment.labelling.origin import has_origin
from experiment.labelling.page_probability import PageProbability
from experiment.labelling.redaction import blacked_out, hidden_part
from experiment.labelling.result_names import PageFile, clear_temporaries
from experiment.labelling.several_ecgs import ecgs_on
from experiment.reading.corrections import NO_CORRECTION, Correction
from experiment.reading.find_layout import ReadingOptions
from experiment.reading.output_files import picture, reading_summary
from experiment.reading.read_drawing import read_any_page, with_drawing
from experiment.reading.read_page import PICTURE, PageReading, flat_page, further_leads, without_filled
from experiment.reading.readings_report import reading_pictures, readings_report, sureness
from experiment.reading.sampling_rates import ASSUMED_FS_HZ, SamplingRates
from experiment.reading.signal_files import FORMATS, ReadSignals, signal_paths, write_signals
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
    dask_scheduler: str | None = None  # of the cluster that reads the pages instead of this machine's workers
    submission: Path | None = None  # the competition's table to write
    corrections: dict[str, Correction] = field(default_factory=dict)  # what is told of single pages
    strict: bool = False  # whether a page to check counts as one that was not read
    fill_gaps: bool = True  # whether stretches without ink are drawn from other leads
    formats: tuple[str, ...] = ("csv",)  # of the files of signals
    sizes: PageSizes = ALL_WHOLE
    overwrite: bool = False  # whether pages that an earlier run read are read again
    redact: bool = False  # whether print is blacked out in pictures
    origin: dict = field(default_factory=dict)  # program, weights and options, for the JSON files


@dataclass(frozen=True)
class SeenPage:
    """What the network saw of a page, or why it saw nothing, or what an earlier run wrote of it."""

    path: Path
    name: str
    origin: dict  # where its results are from, its sampling rate too
    seen: PageProbability | InputError | None
    earlier: dict | None = None
    notes: tuple[str, ...] = ()  # lines to print of it


@dataclass(frozen=True)
class PageOutcome:
    """What became of a page: what its JSON says, and the stack trace of a fault of the program."""

    about: dict
    trace: str = ""


class Readings:
    """What was read so far, and the files that tell of all pages."""

    def __init__(self, options: DigitizeOptions):
        self.options = options
        self.pages: dict[str, dict] = {}  # what the JSON of each page says, by its name
        self.kept = 0
        self.noted: set[str] = set()  # lines that were printed
        self.gallery = Gallery(options.output_dir / PICTURE_FOLDER)
        self.report = SkipReport(options.output_dir / "skipped.tsv")

    def add(self, page: SeenPage, outcome: PageOutcome | InputError) -> None:
        """Note one page, and say so if it could not be read, or its files not be written."""
        for note in page.notes:
            if note not in self.noted:
                tqdm.write(note, file=sys.stderr)
        self.noted.update(page.notes)
        if isinstance(outcome, InputError):
            unread = {**page.origin, "status": "unread", "reasons": [str(outcome)]}
            outcome = PageOutcome(unread, outcome.trace)
        about = self.pages[page.name] = outcome.about
        self.kept += page.earlier is not None
        self.gallery.add(page.name, sureness(about))
        if not page.earlier and about.get("traces_from", PICTURE) != PICTURE:
            tqdm.write(f"{page.name}: traces from the {about['traces_from']}", file=sys.stderr)
        if about["status"] == "unread":
            self.report.add(page.name, f"{page.path}: {about['reasons'][0]}", outcome.trace)
        elif about["status"] == "check":
            tqdm.write(f"check {page.name}: {'; '.join(about['reasons'])}", file=sys.stderr)

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
        doubtful = bool(self.report.reasons) or (self.options.strict and self.count("check") > 0)
        return EXIT_SKIPPED if doubtful else EXIT_DONE


# Each page with what became of it, as they come; what else is to be reported goes to the readings
Outcomes = Callable[[Readings], Iterator[tuple[SeenPage, PageOutcome | InputError]]]


def digitize_pages(see: See, options: DigitizeOptions, files: list[PageFile], rates: SamplingRates) -> int:
    """Read all pages of some files and write what was found; returns the exit code. What was read before is kept.

    Raises InputError if another run is at work in the output folder.
    """

    def outcomes(readings: Readings) -> Iterator[tuple[SeenPage, PageOutcome | InputError]]:
        work = functools.partial(read_and_write, options=options)
        pages = seen_pages(see, files, rates, options, readings.report.add)
        return run_batch(work, pages, num_workers=options.num_workers, description="digitize")

    return write_readings(outcomes, options, files, rates)


def write_readings(
    outcomes: Outcomes, options: DigitizeOptions, files: list[PageFile], rates: SamplingRates
) -> int:
    """Write all that tells of the pages together; returns the exit code. Raises InputError as digitize_pages does."""
    with locked(options.output_dir):
        return _digitize_into(outcomes, options, files, rates)


def _digitize_into(
    outcomes: Outcomes, options: DigitizeOptions, files: list[PageFile], rates: SamplingRates
) -> int:
    clear_temporaries(options.output_dir, files)
    readings, started = Readings(options), time.perf_counter()
    try:
        for page, outcome in outcomes(readings):
            readings.add(page, outcome)
    finally:  # Ctrl-C leaves what is done
        readings.write()
    if not_met := sorted(options.corrections.keys() - readings.pages.keys()):
        print(f"--corrections: no page is called {shorten(not_met, ', ')}", file=sys.stderr)
    if options.submission:
        _submit(options, readings, rates)
    _print_summary(options, readings, time.perf_counter() - started)
    return readings.exit_code


def _submit(options: DigitizeOptions, readings: Readings, rates: SamplingRates) -> None:
    """Write the competition's table, which needs a value for every page."""
    flat, signals = [], {}
    for name, about in readings.pages.items():
        whole_mv = flat_page(about["fs_hz"], None)
        if about["status"] == "unread":
            flat.append(name)
            signals[name] = _whole(flat_page(about["fs_hz"], options.known.layout), whole_mv)
        else:
            signals[name] = _whole(read_signal_mv(options.output_dir / f"{name}.csv"), whole_mv)
    write_table(options.submission, signals, rates)
    if flat:
        print(
            f"{options.submission}: a flat line stands for what was not read: {shorten(sorted(flat), ', ')}"
        )


def _whole(signal_mv: np.ndarray, level_mv: np.ndarray) -> np.ndarray:
    """Signals (samples, 12) with a flat line for each lead that the page does not show."""
    return np.where(np.isfinite(signal_mv).any(axis=0), signal_mv, level_mv)


def _print_summary(options: DigitizeOptions, readings: Readings, seconds: float) -> None:
    sure, check, unread = (readings.count(status) for status in ("sure", "check", "unread"))
    number = len(readings.pages)
    made = " and ".join(map(str, filter(None, (options.output_dir, options.submission))))
    before = f", {readings.kept} of them by an earlier run" if readings.kept else ""
    pace = f"{seconds / (number - readings.kept):.2f} s a page, " if number > readings.kept else ""
    who = f"cluster {options.dask_scheduler}" if options.dask_scheduler else f"{options.num_workers} workers"
    print(
        f"read {sure + check} of {number} pages ({sure} sure, {check} to check, {unread} unread){before} -> {made} "
        f"in {seconds:.1f} s ({pace}{who})"
    )


def seen_pages(
    see: See,
    files: Iterable[PageFile],
    rates: SamplingRates,
    options: DigitizeOptions,
    report: Callable[[str, str], None],
) -> Iterator[SeenPage]:
    """The pages of all files as the network sees them, or as an earlier run read them.

    A file of which a page cannot be told from an earlier one is named to `report`, and why.
    """
    met: set[str] = set()
    for file in files:
        for page in _pages_of(see, file, rates, options):
            if page.name in met:
                report(str(file.path), f"another page is called {page.name} as well; rename a file")
            else:
                met.add(page.name)
                yield page


def _parts(
    file: PageFile,
    name: str,
    origin: dict,
    seen: PageProbability | InputError,
    options: DigitizeOptions,
    notes: tuple[str, ...],
) -> Iterator[SeenPage]:
    """What was seen as one page, or as two if it shows two ECGs; a submission wants one page an image."""
    parts = (seen,) if isinstance(seen, InputError) or options.submission else ecgs_on(seen)
    if len(parts) == 1:
        yield SeenPage(file.path, name, origin, seen, notes=notes)
        return
    notes = (*notes, f"{name} shows two ECGs: they are read as {name}-a and {name}-b")
    for ending, part in zip(ENDINGS, parts, strict=True):
        own = dict(origin)
        if name + ending in options.corrections:
            own["correction"] = options.corrections[name + ending].as_told()
        earlier = _earlier(name + ending, own, options)
        yield SeenPage(file.path, name + ending, own, None if earlier else part, earlier, notes)
        notes = ()


def _pages_of(see: See, file: PageFile, rates: SamplingRates, options: DigitizeOptions) -> Iterator[SeenPage]:
    """The pages of a file. If an earlier run read the one that has the file's name, the file is not opened."""
    try:
        image_sha256 = file.sha256()
        single = _origin(file, file.name, rates, options, image_sha256)
        if earlier := _earlier(file.name, single, options):
            yield SeenPage(file.path, file.name, single, None, earlier)
            return
        for number, (name, image, shrunk) in enumerate(file.pages(options.sizes)):
            origin = _origin(file, name, rates, options, image_sha256)
            origin |= {"shrunk": shrunk} if shrunk > 1 else {}
            earlier = _earlier(name, origin, options)
            told = options.corrections.get(name, NO_CORRECTION)
            look = functools.partial(
                _seen, see, path=file.path, number=number, rotation_deg=told.rotation_deg
            )
            if earlier:
                yield SeenPage(file.path, name, origin, None, earlier)
            else:
                notes = rates.doubts(name, origin)
                yield from _parts(file, name, origin, outcome_of(look, image), options, notes)
    except InputError as error:  # what cannot be opened is tried again by the next run
        yield unopened_page(file, rates, options, error)


def unopened_page(
    file: PageFile, rates: SamplingRates, options: DigitizeOptions, error: InputError
) -> SeenPage:
    """What is told of a file that could not be opened."""
    origin = outcome_of(lambda name: _origin(file, name, rates, options, None), file.name)
    if isinstance(origin, InputError):  # the table of rates beside it is damaged
        origin = {**options.origin, "image_sha256": None, "fs_hz": ASSUMED_FS_HZ, "fs_from": "assumed"}
    return SeenPage(file.path, file.name, origin, error, notes=rates.doubts(file.name, origin))


def _seen(
    see: See, image: np.ndarray, path: Path, number: int, rotation_deg: float | None
) -> PageProbability:
    """What is seen on page `number` of a file; with what it draws if that is a PDF."""
    return with_drawing(see(image, rotation_deg), path, number)


def _origin(
    file: PageFile, name: str, rates: SamplingRates, options: DigitizeOptions, image_sha256: str | None
) -> dict:
    """Where the results of a page are from, as values that JSON can hold."""
    fs_hz, fs_from = rates.of(file.path, parse_page_name(name, rates.by_id).record)
    origin = {**options.origin, "image_sha256": image_sha256, "fs_hz": fs_hz, "fs_from": fs_from}
    if name in options.corrections:
        origin["correction"] = options.corrections[name].as_told()
    return origin


def _earlier(name: str, origin: dict, options: DigitizeOptions) -> dict | None:
    """What an earlier run wrote of a page, if that is of this origin and its files are there."""
    about = _written_about(options.output_dir / f"{name}.json")
    if options.overwrite or not (has_origin(about, origin) and is_whole_reading(about)):
        return None
    files = [*signal_paths(options.output_dir, name, options.formats), _traces_of(name, options)]
    return about if about["status"] == "unread" or all(path.is_file() for path in files) else None


def _written_about(path: Path) -> dict:
    """What a page's JSON says; nothing if there is none, or one that this program did not write."""
    try:
        about = json.loads(read_input(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return about if isinstance(about, dict) else {}


def _stale_files(about_file: Path, name: str, options: DigitizeOptions) -> list[Path]:
    """What an earlier run may have left of a page; files in formats that it did not write are not its own."""
    told = _written_about(about_file).get("options")
    before = told.get("format") if isinstance(told, dict) else None
    formats = [form for form in FORMATS if form in (*options.formats, *(before or ()))]
    return [about_file, _traces_of(name, options), *signal_paths(options.output_dir, name, formats)]


def _traces_of(name: str, options: DigitizeOptions) -> Path:
    """The picture of a page that was read."""
    return options.output_dir / f"{name}_traces.png"


def read_and_write(page: SeenPage, options: DigitizeOptions) -> PageOutcome:
    """Read one page and write its files, last its JSON, which stands for all of them.

    An unread page has no signals, nor any that an earlier run left.
    """
    if page.earlier:
        return PageOutcome(page.earlier)
    reading = _read(page, options)
    outcome = _outcome_of(page, reading)
    about_file = options.output_dir / f"{page.name}.json"
    for stale in _stale_files(about_file, page.name, options):
        stale.unlink(missing_ok=True)
    if isinstance(reading, InputError):
        pictures = _pictures_of_unread(page, options)
    else:
        signal_mv = reading.signal_mv if options.fill_gaps else without_filled(reading)
        hidden = hidden_part(reading.seen) if options.redact else None
        write_bytes(_traces_of(page.name, options), encode_rgb(picture(reading, hidden)))
        leads = dict(zip(LEADS, signal_mv.T, strict=True)) | further_leads(reading)
        signals = ReadSignals(page.name, reading.fs_hz, leads, outcome.about)
        write_signals(options.output_dir, options.formats, signals)
        pictures = reading_pictures(reading, hidden)
    save_pictures(options.output_dir / PICTURE_FOLDER, page.name, pictures)
    write_json(about_file, outcome.about)
    return outcome


def _pictures_of_unread(page: SeenPage, options: DigitizeOptions) -> tuple[bytes, ...]:
    if isinstance(page.seen, InputError):
        return ()
    image = page.seen.image
    return (jpeg(blacked_out(image, hidden_part(page.seen)) if options.redact else image),)


def _read(page: SeenPage, options: DigitizeOptions) -> PageReading | InputError:
    known = options.corrections.get(page.name, NO_CORRECTION).over(options.known)
    read = functools.partial(read_any_page, fs_hz=page.origin["fs_hz"], options=known)
    return page.seen if isinstance(page.seen, InputError) else outcome_of(read, page.seen)


def _outcome_of(page: SeenPage, reading: PageReading | InputError) -> PageOutcome:
    about = {"image": str(page.path), **page.origin}
    if isinstance(reading, InputError):
        why = str(reading).removeprefix(f"{page.path}: ")
        seen = () if isinstance(page.seen, InputError) else page.seen.warnings
        about |= {"status": "unread", "reasons": [why, *seen]}
        if reading.trace:
            about["image_sha256"] = None  # the next run tries again
        return PageOutcome(about, reading.trace)
    about |= reading_summary(reading)
    about["px_per_mm"] *= about.get("shrunk", 1)
    if about["fs_from"] == "assumed":
        about["assumed"] = {**about["assumed"], "fs_hz": about["fs_hz"]}
    return PageOutcome(about)
