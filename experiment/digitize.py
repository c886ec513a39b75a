"""python experiment/digitize.py --images FILE|FOLDER …

Read the twelve leads back from ECG pages: scans, photos, screenshots or PDFs. For each page, <name>.csv (one column per
lead, in mV, empty where the page shows nothing), <name>.json (the geometry that was found, the confidence of each lead,
warnings) and <name>_traces.png (the traces over the flattened page, beside a plot of the leads) are written, and with
--submission the competition's table. A page that cannot be read is named and written as a flat line; the exit code is
then 1.
"""

import argparse
import functools
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from ecg_generator_with_train_src.common.batch import SkipReport, outcome_of, run_batch
from ecg_generator_with_train_src.common.command_line import (
    EXIT_DONE,
    EXIT_SKIPPED,
    add_num_workers,
    available_cores,
    make_parser,
    positive_float,
    run,
)
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import write_bytes, write_json, write_text
from ecg_generator_with_train_src.common.image_files import encode_rgb
from ecg_generator_with_train_src.common.page_files import PDF_SUFFIX, readable_pages
from ecg_generator_with_train_src.dataset.page_names import parse_page_name
from ecg_generator_with_train_src.page.layouts import LAYOUTS, LEAD_ORDERS
from ecg_generator_with_train_src.page.records import LEADS, check_fs, read_record_table
from experiment.backend.backend import Backend, LaunchOptions
from experiment.backend.launch import launch
from experiment.labelling.network_flags import add_network_arguments, find_images, load_predictor
from experiment.labelling.page_probability import PageProbability
from experiment.labelling.predictor import Predictor
from experiment.reading.output_files import picture, reading_summary, signals_csv
from experiment.reading.read_page import ReadingOptions, flat_page, read_page
from experiment.scoring.submission import write_submission

AUTO = "auto"
ASSUMED_FS_HZ = 500.0
NETWORK_SHARE = 4  # the network takes one core in so many; the workers that read its pages need the others


@dataclass(frozen=True)
class Rates:
    """The sampling rates of all pages, or by id, and the rows of each lead if a test.csv gives them."""

    fs_hz: float | None
    by_id: dict[str, float]
    rows: dict[str, dict[str, int]]

    def of(self, path: Path, page_id: str) -> tuple[float, str]:
        """The rate of a page in Hz, and where it comes from."""
        if self.fs_hz:
            return self.fs_hz, "--fs-hz"
        if page_id in self.by_id:
            return self.by_id[page_id], "table"
        table = read_record_table(path.parent)
        if page_id in table.fs_hz:
            return table.fs_hz[page_id], str(table.path)
        return ASSUMED_FS_HZ, "assumed"


def main(argv: list[str] | None = None) -> int:
    """Read all pages. Return the exit code: 0, or 1 if a page could not be read."""
    arguments = _parse(argv)
    paths = find_images(arguments.images)
    rates = _rates(arguments)
    if arguments.submission:
        _check_one_page_an_id([path.stem for path in paths if path.suffix.lower() != PDF_SUFFIX], rates)
    options = LaunchOptions(arguments.device, arguments.precision, bf16_on_cpu=True, num_cores=1)
    return launch(options, digitize_pages, arguments, paths, rates)


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    add_network_arguments(parser)
    parser.add_argument("--output-dir", type=Path, default=Path("readings"), help="folder for the results")
    parser.add_argument(
        "--layout",
        choices=(AUTO, *LAYOUTS),
        default=AUTO,
        help="layout of all pages; auto finds that of each",
    )
    parser.add_argument(
        "--lead-order", choices=(AUTO, *LEAD_ORDERS), default=AUTO, help="auto finds it from the limb leads"
    )
    parser.add_argument(
        "--paper-speed-mm-s", type=positive_float, help="if not given, 25 unless a calibration pulse shows 50"
    )
    parser.add_argument(
        "--gain-mm-mv", type=positive_float, help="if not given, 10 unless a calibration pulse shows 5 or 20"
    )
    add_num_workers(parser)
    rate = parser.add_mutually_exclusive_group()
    rate.add_argument("--fs-hz", type=positive_float, help="sampling rate in Hz of the signals to write")
    rate.add_argument("--train-csv", type=Path, help="table with the columns id and fs: sampling rates in Hz")
    rate.add_argument(
        "--test-csv", type=Path, help="table with the columns id, lead, fs and number_of_rows: what to write"
    )
    parser.add_argument(
        "--submission", type=Path, help="also write the competition's table: .csv or .parquet"
    )
    arguments = parser.parse_args(argv)
    if arguments.submission and arguments.submission.suffix not in (".csv", ".parquet"):
        raise InputError(
            f"--submission {arguments.submission}: expected a name that ends in .csv or .parquet"
        )
    return arguments


def _rates(arguments: argparse.Namespace) -> Rates:
    """The sampling rates that the command line gives. Raises InputError for a bad table or rate."""
    if arguments.fs_hz is not None:
        check_fs(arguments.fs_hz, "--fs-hz")
        return Rates(arguments.fs_hz, {}, {})
    path = arguments.train_csv or arguments.test_csv
    if path is None:
        return Rates(None, {}, {})
    wanted = {"id": str, "fs": float}
    if arguments.test_csv:
        wanted |= {"lead": str, "number_of_rows": int}
    try:
        table = pd.read_csv(path, usecols=list(wanted), dtype=wanted)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except ValueError as error:
        raise InputError(f"{path}: expected the columns {', '.join(wanted)} ({error})") from error
    for page_id, fs_hz in zip(table["id"], table["fs"], strict=True):
        check_fs(fs_hz, f"{path}: {page_id}")
    rows: dict[str, dict[str, int]] = defaultdict(dict)
    if arguments.test_csv:
        for page_id, lead, number in zip(table["id"], table["lead"], table["number_of_rows"], strict=True):
            rows[page_id][lead] = number
    return Rates(None, dict(zip(table["id"], table["fs"], strict=True)), dict(rows))


def _check_one_page_an_id(names: list[str], rates: Rates) -> None:
    """Raise InputError if ids of a submission have several pages, or none; the error names them."""
    pages = defaultdict(list)
    for name in names:
        pages[parse_page_name(name, rates.by_id).record].append(name)
    several = sorted(page_id for page_id, its_names in pages.items() if len(its_names) > 1)
    if several:
        raise InputError(f"--submission: several pages of {', '.join(several)}; give one page of each record")
    missing = sorted(rates.rows.keys() - pages.keys())
    if missing:
        raise InputError(f"--submission: no page of {', '.join(missing)}, which --test-csv lists")


@dataclass(frozen=True)
class SeenPage:
    """What the network saw of a page, or why it saw nothing."""

    path: Path
    name: str
    seen: PageProbability | InputError
    fs_hz: float
    fs_from: str


def digitize_pages(backend: Backend, arguments: argparse.Namespace, paths: list[Path], rates: Rates) -> int:
    """Read all pages and write the results. Return the exit code."""
    predictor = load_predictor(backend, arguments.checkpoint)
    report = SkipReport(arguments.output_dir / "skipped.tsv")
    signals: dict[str, np.ndarray] = {}
    workers = 1 if len(paths) == 1 else arguments.num_workers
    if workers > 1 and backend.kind == "cpu":  # the workers have more to do than the network
        torch.set_num_threads(max(available_cores() // NETWORK_SHARE, 1))
    started = time.perf_counter()
    pages = seen_pages(predictor, paths, arguments, rates)
    work = functools.partial(read_and_write, arguments=arguments)
    for page, outcome in run_batch(work, pages, num_workers=workers, description="digitize"):
        if isinstance(outcome, InputError):  # its files could not be written
            raise outcome
        signals[page.name], problem = outcome
        if problem:
            why = str(problem).removeprefix(f"{page.path}: ")
            report.add(page.name, f"{page.path}: {why}; a flat line is written", problem.trace)
    report.write()
    if arguments.submission:
        _submit(arguments.submission, signals, rates)
    seconds = time.perf_counter() - started
    read = len(signals) - len(report.reasons.keys() & signals.keys())
    speed = seconds / max(len(signals), 1)
    made = " and ".join(map(str, filter(None, (arguments.output_dir, arguments.submission))))
    print(
        f"read {read} of {len(signals)} pages -> {made} in {seconds:.1f} s "
        f"({speed:.2f} s a page, {workers} workers)"
    )
    return EXIT_SKIPPED if report.reasons else EXIT_DONE


def seen_pages(
    predictor: Predictor,
    paths: list[Path],
    arguments: argparse.Namespace,
    rates: Rates,
) -> Iterator[SeenPage]:
    """Yield the pages of all files as the network sees them."""
    see = functools.partial(predictor.page_probability, px_per_mm=arguments.px_per_mm)
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
    """Yield name and image of each page of a file, or an error in place of the image if it cannot be read."""
    try:
        yield from readable_pages(path)
    except InputError as error:
        yield path.stem, error


def read_and_write(page: SeenPage, arguments: argparse.Namespace) -> tuple[np.ndarray, InputError | None]:
    """Read one page and write its files. Return its signals (samples, 12) in mV, and the reason if they are flat."""
    layout = LAYOUTS.get(arguments.layout)
    order = None if arguments.lead_order == AUTO else arguments.lead_order
    options = ReadingOptions(layout, order, arguments.paper_speed_mm_s, arguments.gain_mm_mv)
    about = {"image": str(page.path), "fs_hz": page.fs_hz, "fs_from": page.fs_from}
    output, problem = arguments.output_dir, None
    read = functools.partial(read_page, fs_hz=page.fs_hz, options=options)
    reading = page.seen if isinstance(page.seen, InputError) else outcome_of(read, page.seen)
    if isinstance(reading, InputError):
        problem, signal_mv = reading, flat_page(page.fs_hz, layout)
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


def _submit(path: Path, signals: dict[str, np.ndarray], rates: Rates) -> None:
    """Write the submission. Each lead has the rows that the page shows, or as many as --test-csv asks for."""
    _check_one_page_an_id(list(signals), rates)
    pages = {}
    for name, signal_mv in sorted(signals.items()):
        page_id = parse_page_name(name, rates.by_id).record
        wanted = rates.rows.get(page_id, {})
        pages[page_id] = {
            lead: _as_long(signal_mv[:, k], wanted.get(lead))
            for k, lead in enumerate(LEADS)
            if not wanted or lead in wanted
        }
    write_submission(path, pages)


def _as_long(signal_mv: np.ndarray, rows: int | None) -> np.ndarray:
    """Cut the finite values of a lead to a number of rows, or extend them with the last value."""
    shown = signal_mv[np.isfinite(signal_mv)]
    if rows is None or rows == len(shown):
        return shown
    if len(shown) == 0:
        return np.zeros(rows)
    return np.pad(shown, (0, max(rows - len(shown), 0)), mode="edge")[:rows]


if __name__ == "__main__":
    run(main)
