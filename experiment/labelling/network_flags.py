"""The flags of every command that shows pages to the network: pages, weights, scale, and where the network runs."""

import argparse
from collections import Counter
from pathlib import Path

from ecg_generator_with_train_src.common.command_line import positive_float
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.page_files import IMAGE_SUFFIXES, PDF_SUFFIX
from experiment.backend.options import DEVICE_CHOICES
from experiment.labelling.predictor import Predictor
from experiment.network.shipped import FOLDER_NAME, LABELS, shipped
from experiment.runtime.choose import RUNTIMES, RuntimeOptions
from experiment.runtime.network import Runtime

DEFAULT_TILE = 512
OWN_OUTPUT = ("_mask.png", "_overlay.png", "_traces.png")  # files of predict.py and digitize.py: no pages


def add_network_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that every command needs that shows pages to the network."""
    parser.add_argument(
        "--images", type=Path, nargs="+", required=True, help="images and PDFs, or folders to search for them"
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        help=f"weights that train_tpu.py wrote; if not given, the shipped ones, {FOLDER_NAME}/{LABELS}.safetensors",
    )
    parser.add_argument(
        "--px-per-mm",
        type=positive_float,
        help="pixels per millimetre of all images; if not given, it is found from the grid of each",
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


def find_images(paths: list[Path]) -> list[Path]:
    """List the files, and the images and PDFs in the folders and below.

    Raises InputError if one is missing, or if two have the same name without suffix.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            images = sorted(entry for entry in path.rglob("*") if _is_image(entry))
            if not images:
                raise InputError(f"{path}: holds no images")
            found += images
        elif path.is_file():
            found.append(path)
        else:
            raise InputError(f"{path}: not found")
    found = list(dict.fromkeys(found))
    stem, number = Counter(path.stem for path in found).most_common(1)[0]
    if number > 1:
        raise InputError(
            f"{number} images are called {stem}; rename them, or results would overwrite each other"
        )
    return found


def _is_image(path: Path) -> bool:
    known = path.suffix.lower() in (*IMAGE_SUFFIXES, PDF_SUFFIX)
    return known and path.is_file() and not path.name.endswith(OWN_OUTPUT)


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
    network = runtime.load(LABELS, checkpoint_of(checkpoint))
    if tile % network.multiple:
        raise InputError(f"--tile {tile}: must be a multiple of {network.multiple} for this network")
    return Predictor(network, tile, tta)
