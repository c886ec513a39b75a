"""What every command that shows pages to the network takes: the pages, the weights, the scale, and where it runs."""

import argparse
from collections import Counter
from pathlib import Path

from ecg_generator_with_train_src.common.command_line import positive_float
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.page_files import IMAGE_SUFFIXES, PDF_SUFFIX
from experiment.backend.backend import Backend
from experiment.backend.launch import DEVICE_CHOICES
from experiment.labelling.predictor import Predictor
from experiment.network.checkpoints import load_model

SHIPPED_NAME = "runs/pretrained/grid_wave_net.safetensors"
SHIPPED = Path(__file__).resolve().parents[2] / SHIPPED_NAME
DEFAULT_TILE = 512
OWN_OUTPUT = ("_mask.png", "_overlay.png", "_traces.png")  # written by predict.py and digitize.py: no pages


def add_network_arguments(parser: argparse.ArgumentParser) -> None:
    """What every command that shows pages to the network takes: the pages, the weights, the scale and where it runs."""
    parser.add_argument(
        "--images", type=Path, nargs="+", required=True, help="images and PDFs, or folders to search for them"
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        help=f"weights of train_tpu.py; the shipped ones, {SHIPPED_NAME}, if not given",
    )
    parser.add_argument(
        "--px-per-mm",
        type=positive_float,
        help="pixels a millimetre of all images; found from each one's grid if not given",
    )
    parser.add_argument("--device", choices=DEVICE_CHOICES, default="auto", help="where the network runs")
    parser.add_argument(
        "--precision",
        choices=("auto", "fp32", "bf16"),
        default="auto",
        help="of the network's sums; auto is bf16 where the hardware multiplies it",
    )


def find_images(paths: list[Path]) -> list[Path]:
    """The files, and the images and PDFs in the folders and below.

    Raises InputError for a missing one, or two of one stem.
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
        raise InputError(f"{number} images are called {stem}: their results would overwrite each other")
    return found


def _is_image(path: Path) -> bool:
    known = path.suffix.lower() in (*IMAGE_SUFFIXES, PDF_SUFFIX)
    return known and path.is_file() and not path.name.endswith(OWN_OUTPUT)


def load_predictor(
    backend: Backend, checkpoint: Path | None = None, tile: int = DEFAULT_TILE, tta: bool = False
) -> Predictor:
    """The network of a checkpoint, or the shipped one, on the backend.

    Raises InputError for a bad file or tile size.
    """
    checkpoint = checkpoint or SHIPPED
    if not checkpoint.is_file():
        raise InputError(f"{checkpoint}: not found; name a trained network with --checkpoint")
    model, _ = load_model(checkpoint)
    if tile % model.config.stride:
        raise InputError(f"--tile {tile}: is no multiple of {model.config.stride}, as this network asks")
    return Predictor(model, backend, tile, tta)
