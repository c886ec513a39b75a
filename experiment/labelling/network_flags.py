"""The flags of every command that shows pages to the network: pages, weights, scale, and where the network runs."""

import argparse
import os
import sys
from pathlib import Path

from ecg_generator_with_train_src.common.bounds import MOST_PAGES, MOST_PIXELS
from ecg_generator_with_train_src.common.command_line import positive_float, positive_int
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.html_report import PICTURE_ENDINGS
from ecg_generator_with_train_src.common.notes import shorten
from ecg_generator_with_train_src.common.page_files import files_of_folder
from ecg_generator_with_train_src.common.picture_sizes import PageSizes
from experiment.backend.options import DEVICE_CHOICES
from experiment.labelling.predictor import Predictor
from experiment.network.shipped import LABELS, shipped
from experiment.runtime.network import RUNTIMES, Runtime, RuntimeOptions

DEFAULT_TILE, MOST_TILE = 512, 4096
LEAST_PITCH_PX, MOST_PITCH_PX = 1.0, 100.0  # a scan of 25 dpi, and one of 2540
# Larger pictures are halved while they are read. Labels are wanted at the size of a phone photo of 37 megapixels, but
# traces are read at 200 dpi, which such a photo still has when it is halved, as do pages scanned at 600 dpi
WHOLE_PIXELS_TO_LABEL, WHOLE_PIXELS_TO_READ = 40e6, 30e6
OWN_OUTPUT = (
    "_mask.png",
    "_overlay.png",
    "_traces.png",
    *PICTURE_ENDINGS,
)  # of predict.py and digitize.py: no pages


def add_network_arguments(parser: argparse.ArgumentParser, whole_pixels: float) -> None:
    """Add the flags that every command needs that shows pages to the network; it halves pictures of more pixels."""
    parser.add_argument(
        "--images", type=Path, nargs="+", required=True, help="images and PDFs, or folders to search for them"
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        help=f"weights that train_tpu.py wrote; if not given, the shipped {LABELS}.safetensors",
    )
    parser.add_argument(
        "--px-per-mm",
        type=_pitch,
        help="pixels per millimetre of all images; if not given, it is found from the grid of each",
    )
    parser.add_argument(
        "--max-megapixels",
        type=positive_float,
        default=MOST_PIXELS / 1e6,
        help=f"pictures of more are not read; those of more than {whole_pixels / 1e6:g} are read at half their size, "
        "or a quarter, without --px-per-mm; the memory that is needed grows with this bound",
    )
    parser.add_argument(
        "--max-pages",
        type=positive_int,
        default=MOST_PAGES,
        help="files of more are not read; the time and the disk space that a file takes grow with this bound",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="do all pages again, also those that an earlier run did with the same weights and options",
    )
    parser.add_argument(
        "--redact",
        action="store_true",
        help="black out print outside of the grid, above and below the traces, in all pictures and reports",
    )
    parser.add_argument(
        "--runtime",
        choices=RUNTIMES,
        default="auto",
        help="what runs the network; auto is openvino if only a CPU is there and the weights have an .onnx beside them",
    )
    parser.add_argument("--device", choices=DEVICE_CHOICES, default="auto", help="where the network runs")
    parser.add_argument(
        "--precision",
        choices=("auto", "fp32", "bf16"),
        default="auto",
        help="precision of the network; auto is bf16 where the hardware can multiply it",
    )


def _pitch(text: str) -> float:
    """argparse type: pixels per millimetre of a picture."""
    value = positive_float(text)
    if not LEAST_PITCH_PX <= value <= MOST_PITCH_PX:
        raise argparse.ArgumentTypeError(f"{text} px/mm is outside {LEAST_PITCH_PX:g} to {MOST_PITCH_PX:g}")
    return value


def picture_sizes(arguments: argparse.Namespace, whole_pixels: float) -> PageSizes:
    """What --max-megapixels and --max-pages say, for a command that halves pictures of more than so many pixels."""
    sizes = PageSizes(1e6 * arguments.max_megapixels, most_pages=arguments.max_pages)
    return sizes if arguments.px_per_mm else sizes._replace(whole_pixels=whole_pixels)


def find_images(paths: list[Path]) -> list[Path]:
    """List the files, and all that calls itself a page in the folders and below; say which files are passed over.

    Raises InputError if one is missing.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            images = _images_of(path)
            if not images:
                raise InputError(f"{path}: holds no images")
            found += images
        elif path.is_file():
            found.append(path)
        else:
            raise InputError(f"{path}: not found")
    return list({os.path.normpath(path.absolute()): path for path in found}.values())


def _images_of(folder: Path) -> list[Path]:
    found = files_of_folder(folder)
    images = [path for path in found.pages if not path.name.endswith(OWN_OUTPUT)]
    if own := len(found.pages) - len(images):
        print(f"{folder}: passed over {own} pictures of earlier results", file=sys.stderr)
    if found.others:
        names = shorten([str(path.relative_to(folder)) for path in found.others], ", ")
        others = f"{len(found.others)} files that are no pictures"
        print(f"{folder}: passed over {others}: {names}", file=sys.stderr)
    return images


def checkpoint_of(given: Path | None) -> Path:
    """The weights to use: the given ones, or those that are shipped. Raises InputError if they are not there."""
    checkpoint = given or shipped(LABELS)
    if not checkpoint.is_file():
        raise InputError(f"{checkpoint}: not found; name a trained network with --checkpoint")
    return checkpoint


def runtime_options(arguments: argparse.Namespace, num_threads: int | None = None) -> RuntimeOptions:
    """What the flags say of where the network runs."""
    return RuntimeOptions(arguments.runtime, arguments.device, arguments.precision, num_threads)


def load_predictor(
    runtime: Runtime, checkpoint: Path | None = None, tile: int = DEFAULT_TILE, tta: bool = False
) -> Predictor:
    """Load the network of a checkpoint, or the shipped one, into the runtime.

    Raises InputError for a bad file or tile size.
    """
    network = runtime.load(LABELS, checkpoint_of(checkpoint), in_tiles=True)
    if tile % network.multiple or tile > MOST_TILE:
        raise InputError(
            f"--tile {tile}: must be a multiple of {network.multiple} for this network, and {MOST_TILE} at most"
        )
    return Predictor(network, tile, tta)
