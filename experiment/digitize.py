"""python experiment/digitize.py --images FILE|FOLDER …

Read the twelve leads back from ECG pages: scans, photos, screenshots, PDFs. Writes for each page <name>.csv (a column
a lead in mV, empty where the page shows nothing), <name>.json (its status, the reasons for it, what was found and what
was assumed) and <name>_traces.png (the traces over the flattened page, beside a plot of the leads); and report.html,
which shows the doubtful pages first. A page is sure, to check, or unread: then it has no CSV, and the exit code is 1.
"""

import argparse
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ecg_generator_with_train_src import __version__
from ecg_generator_with_train_src.common.command_line import (
    add_num_workers,
    available_cores,
    make_parser,
    positive_float,
    run,
)
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import sha256_of
from ecg_generator_with_train_src.common.page_files import PDF_SUFFIX
from ecg_generator_with_train_src.page.layouts import LAYOUT_WORDS, LEAD_ORDERS, parse_layout
from experiment.backend.backend import Backend, LaunchOptions
from experiment.backend.launch import launch
from experiment.labelling.network_flags import (
    add_network_arguments,
    checkpoint_of,
    find_images,
    load_predictor,
)
from experiment.labelling.page_probability import PageProbability
from experiment.labelling.print_reader import SHIPPED_READER, as_turned, load_print_reader, with_print
from experiment.reading.corrections import Correction, check_pages, read_corrections
from experiment.reading.digitize_pages import DigitizeOptions, digitize_pages
from experiment.reading.find_layout import ReadingOptions
from experiment.reading.sampling_rates import SamplingRates, read_rates
from experiment.reading.submission_table import check_one_page_an_id

AUTO = "auto"
NETWORK_SHARE = 4  # the network has one of so many cores beside the workers that read its pages


def main(argv: list[str] | None = None) -> int:
    """Read all pages; returns the exit code: 0, or 1 if a page could not be read."""
    arguments = _parse(argv)
    paths = find_images(arguments.images)
    corrections = read_corrections(arguments.corrections) if arguments.corrections else {}
    check_pages(corrections, {path.stem for path in paths})
    rates = read_rates(arguments.fs_hz, arguments.train_csv, arguments.test_csv)
    if arguments.submission:
        check_one_page_an_id([path.stem for path in paths if path.suffix.lower() != PDF_SUFFIX], rates)
    options = LaunchOptions(arguments.device, arguments.precision, bf16_on_cpu=True, num_cores=1)
    network = Network(checkpoint_of(arguments.checkpoint), arguments.px_per_mm)
    work = _work(arguments, network, corrections, len(paths))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what is done stays, as with Ctrl-C
    return launch(options, see_and_read, network, work, paths, rates)


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    add_network_arguments(parser)
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
        help="a table that tells how pages are to be read; report.html has its lines",
    )
    parser.add_argument(
        "--gaps",
        choices=("fill", "empty"),
        default="fill",
        help="draw hidden stretches from other leads, or leave them out",
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 also if a page is to be checked")
    add_num_workers(parser)
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
    if arguments.submission and arguments.gaps == "empty":
        raise InputError("--submission needs every value: leave out --gaps empty")
    return arguments


def _work(
    arguments: argparse.Namespace, network: "Network", corrections: dict[str, Correction], num_files: int
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
        submission=arguments.submission,
        corrections=corrections,
        strict=arguments.strict,
        fill_gaps=arguments.gaps == "fill",
        made_by={
            "program": f"ecg_generator_with_train_src {__version__}",
            "weights_sha256": {
                "grid_wave_net": sha256_of(network.checkpoint.read_bytes()),
                "print_net": sha256_of(SHIPPED_READER.read_bytes()),
            },
        },
    )


@dataclass(frozen=True)
class Network:
    """The weights, and the scale of all images if it is known."""

    checkpoint: Path
    px_per_mm: float | None


def see_and_read(
    backend: Backend, network: Network, work: DigitizeOptions, paths: list[Path], rates: SamplingRates
) -> int:
    """Read all pages with the network on a backend; returns the exit code."""
    predictor = load_predictor(backend, network.checkpoint)
    if work.num_workers > 1 and backend.kind == "cpu":  # the workers have more to do than the network
        torch.set_num_threads(max(available_cores() // NETWORK_SHARE, 1))
    read_print = load_print_reader(backend)

    def see(image: np.ndarray, rotation_deg: float | None = None) -> PageProbability:
        if rotation_deg is not None:
            return as_turned(predictor, read_print, image, network.px_per_mm, rotation_deg)
        return with_print(predictor.page_probability(image, network.px_per_mm), read_print)

    return digitize_pages(see, work, paths, rates)


if __name__ == "__main__":
    run(main)
