"""python experiment/digitize.py --images FILE|FOLDER …

Read the twelve leads back from ECG pages: scans, photos, screenshots, PDFs. Writes for each page <name>.csv (a column
a lead in mV, empty where the page shows nothing; --format adds WFDB, EDF+ and NumPy's .npz), <name>.json (its status,
the reasons for it, what was found and what was assumed) and <name>_traces.png (the traces over the flattened page,
beside a plot of the leads); and report.html, which shows the doubtful pages first. PDFs that hold their traces as
curves are read from these. A page is sure, to check, or unread: then it has no signals, and the exit code is 1.
"""

import argparse
import importlib.util
from dataclasses import replace
from pathlib import Path

from ecg_generator_with_train_src.common.command_line import (
    add_dask_scheduler,
    add_num_workers,
    available_cores,
    keep_what_is_done,
    make_parser,
    positive_float,
    run,
    share_paths,
)
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.page_files import PDF_SUFFIX
from ecg_generator_with_train_src.page.layouts import LAYOUT_WORDS, LEAD_ORDERS, parse_layout
from experiment.labelling.network_flags import (
    WHOLE_PIXELS_TO_READ,
    add_network_arguments,
    checkpoint_of,
    find_images,
    picture_sizes,
    runtime_options,
)
from experiment.labelling.origin import run_origin
from experiment.labelling.result_names import PageFile, named_files
from experiment.labelling.see_page import PageSeer, SeerRecipe, seers_weights
from experiment.network.shipped import PRINT, ROWS, shipped
from experiment.reading.compiled import get_ready
from experiment.reading.corrections import Correction, check_pages, read_corrections
from experiment.reading.digitize_on_cluster import digitize_on_cluster
from experiment.reading.digitize_pages import DigitizeOptions, digitize_pages
from experiment.reading.find_layout import ReadingOptions
from experiment.reading.sampling_rates import SamplingRates, read_rates
from experiment.reading.signal_files import FORMATS, check_formats
from experiment.reading.submission_table import check_one_page_an_id
from experiment.runtime.choose import run_networks
from experiment.runtime.network import Runtime

AUTO = "auto"
NETWORK_SHARE = 4  # the network has one of so many cores beside the workers that read its pages


def main(argv: list[str] | None = None) -> int:
    """Read all pages; returns the exit code: 0, or 1 if a page could not be read."""
    arguments = _parse(argv)
    files = named_files(find_images(arguments.images), arguments.images)
    corrections = read_corrections(arguments.corrections) if arguments.corrections else {}
    check_pages(corrections, {file.name for file in files})
    rates = read_rates(arguments.fs_hz, arguments.train_csv, arguments.test_csv)
    if arguments.submission:
        pictures = [file.name for file in files if file.path.suffix.lower() != PDF_SUFFIX]
        check_one_page_an_id(pictures, rates)
    checkpoint = checkpoint_of(arguments.checkpoint)
    work = _work(arguments, checkpoint, corrections, len(files))
    # the workers have more to do than the network
    threads = max(available_cores() // NETWORK_SHARE, 1) if work.num_workers > 1 else None
    options, weights = runtime_options(arguments, threads), seers_weights(checkpoint)
    keep_what_is_done()
    if work.dask_scheduler:
        print(f"the networks run on the workers of {work.dask_scheduler}, each in one thread", flush=True)
        recipe = SeerRecipe(replace(options, num_threads=1), checkpoint, arguments.px_per_mm)
        return digitize_on_cluster(recipe, work, files, rates)
    if work.num_workers == 1:
        get_ready()
    return run_networks(options, weights, see_and_read, checkpoint, arguments.px_per_mm, work, files, rates)


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    add_network_arguments(parser, WHOLE_PIXELS_TO_READ)
    parser.add_argument("--output-dir", type=Path, default=Path("readings"), help="where the results go")
    parser.add_argument(
        "--layout", default=AUTO, help=f"of the leads on all pages: {LAYOUT_WORDS}; auto finds it"
    )
    parser.add_argument(
        "--lead-order", choices=(AUTO, *LEAD_ORDERS), default=AUTO, help="auto tells by the limb leads"
    )
    parser.add_argument(
        "--paper-speed-mm-s", type=positive_float, help="if not given, as printed, or as pulses tell"
    )
    parser.add_argument(
        "--gain-mm-mv", type=positive_float, help="if not given, as printed, or as pulses tell"
    )
    parser.add_argument(
        "--corrections",
        type=Path,
        help="a table that tells how pages are to be read; report.html has its lines. time_zero_px is where the rows "
        "start, in pixels of the flattened page, 7.874 a mm: to start them 2 mm later, add 15.7",
    )
    parser.add_argument(
        "--gaps",
        choices=("fill", "empty"),
        default="fill",
        help="draw hidden stretches from other leads, or leave them out",
    )
    parser.add_argument(
        "--format", nargs="+", choices=FORMATS, default=["csv"], help="of the files of signals; all are in mV"
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 also if a page is to be checked")
    add_num_workers(parser)
    add_dask_scheduler(parser)
    rate = parser.add_mutually_exclusive_group()
    rate.add_argument("--fs-hz", type=positive_float, help="sampling rate of the signals that are written")
    rate.add_argument("--train-csv", type=Path, help="table id, fs: sampling rates in Hz")
    rate.add_argument("--test-csv", type=Path, help="table id, lead, fs, number_of_rows")
    parser.add_argument("--submission", type=Path, help="the competition's table to write, .csv or .parquet")
    arguments = parser.parse_args(argv)
    if arguments.submission and arguments.submission.suffix not in (".csv", ".parquet"):
        raise InputError(
            f"--submission {arguments.submission}: expected a name that ends in .csv or .parquet"
        )
    if arguments.submission and not importlib.util.find_spec("pyarrow"):
        raise InputError("--submission needs the package pyarrow: pip install pyarrow")
    if arguments.submission and arguments.gaps == "empty":
        raise InputError("--submission needs every value: leave out --gaps empty")
    share_paths(arguments)
    check_formats(arguments.format)
    if arguments.submission and "csv" not in arguments.format:
        raise InputError("--submission is made from the CSVs: add csv to --format")
    return arguments


def _work(
    arguments: argparse.Namespace, checkpoint: Path, corrections: dict[str, Correction], num_files: int
) -> DigitizeOptions:
    known = ReadingOptions(
        layout=None if arguments.layout == AUTO else parse_layout(arguments.layout),
        lead_order=None if arguments.lead_order == AUTO else arguments.lead_order,
        paper_speed_mm_s=arguments.paper_speed_mm_s,
        gain_mm_mv=arguments.gain_mm_mv,
    )
    workers = 1 if num_files == 1 else arguments.num_workers
    return DigitizeOptions(
        output_dir=arguments.output_dir,
        known=known,
        num_workers=workers,
        dask_scheduler=arguments.dask_scheduler,
        submission=arguments.submission,
        corrections=corrections,
        strict=arguments.strict,
        fill_gaps=arguments.gaps == "fill",
        formats=tuple(dict.fromkeys(arguments.format)),
        sizes=picture_sizes(arguments, WHOLE_PIXELS_TO_READ),
        overwrite=arguments.overwrite,
        redact=arguments.redact,
        origin=run_origin(
            arguments, weights=checkpoint, print_weights=shipped(PRINT), row_weights=shipped(ROWS)
        ),
    )


def see_and_read(
    runtime: Runtime,
    checkpoint: Path,
    px_per_mm: float | None,
    work: DigitizeOptions,
    files: list[PageFile],
    rates: SamplingRates,
) -> int:
    """Read all pages with the networks on a runtime; returns the exit code."""
    return digitize_pages(PageSeer(runtime, checkpoint, px_per_mm), work, files, rates)


if __name__ == "__main__":
    run(main)
