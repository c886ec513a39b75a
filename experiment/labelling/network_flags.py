"""The flags of every command that shows pages to the network: pages, weights, scale, and where the network runs."""

import argparse
import os
from pathlib import Path

from ecg_generator_with_train_src.common.command_line import positive_float
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.html_report import PICTURE_ENDINGS
from ecg_generator_with_train_src.common.page_files import IMAGE_SUFFIXES, PDF_SUFFIX
from experiment.backend.backend import Backend
from experiment.backend.launch import DEVICE_CHOICES
from experiment.labelling.predictor import Predictor
from experiment.network.checkpoints import load_model

SHIPPED_NAME = "runs/pretrained/grid_wave_net.safetensors"
SHIPPED = Path(__file__).resolve().parents[2] / SHIPPED_NAME
DEFAULT_TILE = 512
OWN_OUTPUT = (
    "_mask.png",
    "_overlay.png",
    "_traces.png",
    *PICTURE_ENDINGS,
)  # of predict.py and digitize.py: no pages


def add_network_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that every command needs that shows pages to the network."""
    parser.add_argument(
        "--images", type=Path, nargs="+", required=True, help="images and PDFs, or folders to search for them"
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        help=f"weights that train_tpu.py wrote; if not given, the shipped ones, {SHIPPED_NAME}",
    )
    parser.add_argument(
        "--px-per-mm",
        type=positive_float,
        help="pixels per millimetre of all images; if not given, it is found from the grid of each",
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
    parser.add_argument("--device", choices=DEVICE_CHOICES, default="auto", help="where the network runs")
    parser.add_argument(
        "--precision",
        choices=("auto", "fp32", "bf16"),
        default="auto",
        help="precision of the network; auto is bf16 where the hardware can multiply it",
    )


def find_images(paths: list[Path]) -> list[Path]:
    """List the files, and the images and PDFs in the folders and below.

    Raises InputError if one is missing.
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
    return list({os.path.normpath(path.absolute()): path for path in found}.values())


def _is_image(path: Path) -> bool:
    known = path.suffix.lower() in (*IMAGE_SUFFIXES, PDF_SUFFIX)
    return known and path.is_file() and not path.name.endswith(OWN_OUTPUT)


def checkpoint_of(given: Path | None) -> Path:
    """The weights to use: the given ones, or those that are shipped. Raises InputError if they are not there."""
    checkpoint = given or SHIPPED
    if not checkpoint.is_file():
        raise InputError(f"{checkpoint}: not found; name a trained network with --checkpoint")
    return checkpoint


def load_predictor(
    backend: Backend, checkpoint: Path | None = None, tile: int = DEFAULT_TILE, tta: bool = False
) -> Predictor:
    """Load the network of a checkpoint, or the shipped one, onto the backend.

    Raises InputError for a bad file or tile size.
    """
    model, _ = load_model(checkpoint_of(checkpoint))
    if tile % model.config.stride:
        raise InputError(f"--tile {tile}: must be a multiple of {model.config.stride} for this network")
    return Predictor(model, backend, tile, tta)
