"""python experiment/predict.py --images FILE|FOLDER … --checkpoint runs/<run>/checkpoints/best.safetensors

Label every pixel of ECG pages as background, grid or waveform. Writes, for each page, <stem>_mask.png (palette:
0 background, 1 grid, 2 waveform), <stem>_overlay.png (the labels over the page) and a line of
predictions.jsonl; with --truth-root, metrics.json and a table of Dice and IoU as well.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ecg_generator_with_train_src.batch import SkipReport, atomic_path, write_json, write_text
from ecg_generator_with_train_src.command_line import (
    EXIT_DONE,
    EXIT_SKIPPED,
    make_parser,
    positive_int,
    run,
)
from ecg_generator_with_train_src.dataset_format import CLASS_NAMES, IGNORED, read_manifest
from ecg_generator_with_train_src.errors import InputError
from PIL import Image
from tqdm import tqdm

from experiment.backends import DEVICE_CHOICES, Backend, LaunchOptions, launch
from experiment.checkpoints import load_model
from experiment.data import read_label, read_rgb
from experiment.metrics import mean_foreground_dice, scores
from experiment.model import PX_PER_MM
from experiment.overlays import mask_image, overlay
from experiment.prediction import Prediction, Predictor, count_confusion

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp"})
PRETRAINED = Path("runs/pretrained/grid_wave_net.safetensors")
DEFAULT_TILE = 512
OWN_OUTPUT = ("_mask.png", "_overlay.png")


def main(argv: list[str] | None = None) -> int:
    """Predict; returns the exit code: 0, or 1 if an image could not be read."""
    arguments = _parse(argv)
    pages = find_images(arguments.images)
    truth = find_truth(arguments.truth_root) if arguments.truth_root else {}
    if arguments.truth_root and not any(path.stem in truth for path in pages):
        raise InputError(f"{arguments.truth_root}: has no mask of any of the images (matched by name)")
    options = LaunchOptions(arguments.device, arguments.precision, num_cores=1)
    return launch(options, predict_pages, arguments, pages, truth)


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument(
        "--images", type=Path, nargs="+", required=True, help="images, or folders to search for images"
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        default=PRETRAINED,
        help="weights of train_tpu.py: <run>/checkpoints/best.safetensors",
    )
    parser.add_argument("--output-dir", type=Path, default=Path("predictions"), help="where the results go")
    parser.add_argument("--truth-root", type=Path, help="dataset, or folder of masks, to score by")
    parser.add_argument(
        "--px-per-mm", type=_positive, default=PX_PER_MM, help="pixels a millimetre of the images"
    )
    parser.add_argument("--device", choices=DEVICE_CHOICES, default="auto", help="where to predict")
    parser.add_argument(
        "--precision", choices=("auto", "fp32", "bf16"), default="auto", help="of the network's sums"
    )
    parser.add_argument(
        "--tile", type=positive_int, default=DEFAULT_TILE, help="side of the network's tiles in pixels"
    )
    parser.add_argument(
        "--tta", action="store_true", help="average over mirror images: a little better, four times as long"
    )
    return parser.parse_args(argv)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def find_images(paths: list[Path]) -> list[Path]:
    """The files, and the images in the folders and below. Raises InputError for a missing one, or two of one stem."""
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
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() and not path.name.endswith(OWN_OUTPUT)


def find_truth(root: Path) -> dict[str, Path]:
    """Masks by the stem of their image: those of a dataset's manifest, or the images of a folder."""
    if (root / "manifest.jsonl").is_file():
        return {Path(sample.image).stem: root / sample.mask for sample in read_manifest(root)}
    folder = root / "masks" if (root / "masks").is_dir() else root
    if not folder.is_dir():
        raise InputError(f"{root}: not found; --truth-root is a dataset or a folder of masks")
    return {path.stem.removesuffix("_mask"): path for path in sorted(folder.glob("*.png"))}


def predict_pages(
    backend: Backend, arguments: argparse.Namespace, pages: list[Path], truth: dict[str, Path]
) -> int:
    """Predict all pages and write what was found; returns the exit code."""
    predictor = load_predictor(backend, arguments.checkpoint, arguments.tile, arguments.tta)
    output = arguments.output_dir
    report = SkipReport(output / "skipped.tsv")
    started = time.perf_counter()
    lines: list[dict] = []
    total = np.zeros((len(CLASS_NAMES),) * 2, np.int64)
    for path in tqdm(pages, desc="predict", unit="page", disable=None):
        try:
            line, confusion = predict_page(predictor, path, truth.get(path.stem), arguments)
        except InputError as error:
            report.add(str(path), str(error))
            continue
        lines.append(line)
        total += confusion
    write_text(output / "predictions.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    report.write()
    seconds = time.perf_counter() - started
    _report_scores(output, lines, total)
    speed = seconds / max(len(lines), 1)
    print(
        f"predicted {len(lines)} of {len(pages)} pages -> {output} in {seconds:.1f} s ({speed:.2f} s a page)"
    )
    return EXIT_SKIPPED if report.reasons else EXIT_DONE


def load_predictor(
    backend: Backend, checkpoint: Path, tile: int = DEFAULT_TILE, tta: bool = False
) -> Predictor:
    """The network of a checkpoint on the backend. Raises InputError for a bad file or tile size."""
    if not checkpoint.is_file():
        raise InputError(f"{checkpoint}: not found; name a trained network with --checkpoint")
    model, config = load_model(checkpoint)
    if tile % config.model.stride:
        raise InputError(f"--tile {tile}: is no multiple of {config.model.stride}, as this network asks")
    return Predictor(model, backend, tile, tta)


def predict_page(
    predictor: Predictor, path: Path, truth_path: Path | None, arguments: argparse.Namespace
) -> tuple[dict, np.ndarray]:
    """Predict one page and write its pictures; its line of predictions.jsonl and its confusion matrix."""
    image = read_rgb(path)
    truth = None if truth_path is None else _read_truth(truth_path, image.shape[:2])
    prediction = predictor.predict(image, arguments.px_per_mm)
    for suffix, picture in (
        (OWN_OUTPUT[0], mask_image(prediction.label)),
        (OWN_OUTPUT[1], Image.fromarray(overlay(image, prediction.label))),
    ):
        with atomic_path(arguments.output_dir / f"{path.stem}{suffix}") as temporary:
            picture.save(temporary, compress_level=1)
    line = _line(path, prediction)
    confusion = np.zeros((len(CLASS_NAMES),) * 2, np.int64)
    if truth is not None:
        confusion = count_confusion(prediction.label, truth)
        line |= scores(confusion)
    return line, confusion


def _read_truth(path: Path, shape: tuple[int, int]) -> np.ndarray:
    truth = read_label(path)
    if truth.shape != shape:
        size = f"{truth.shape[1]}x{truth.shape[0]}"
        raise InputError(f"{path}: is {size}, its image {shape[1]}x{shape[0]}")
    if not np.isin(truth, [*range(len(CLASS_NAMES)), IGNORED]).all():
        raise InputError(f"{path}: has values other than 0, 1, 2 and {IGNORED}")
    return truth


def _line(path: Path, prediction: Prediction) -> dict:
    height, width = prediction.label.shape
    areas = np.bincount(prediction.label.ravel(), minlength=len(CLASS_NAMES))
    return {
        "image": str(path),
        "width_px": width,
        "height_px": height,
        "area_px": dict(zip(CLASS_NAMES, areas.tolist(), strict=True)),
        "fraction": dict(zip(CLASS_NAMES, (areas / areas.sum()).round(6).tolist(), strict=True)),
        "confidence": round(prediction.page.confidence, 6),
    }


def _report_scores(output: Path, lines: list[dict], total: np.ndarray) -> None:
    """metrics.json and a table over all pixels of the pages that have a truth; nothing without one."""
    scored = [line for line in lines if "dice" in line]
    if not scored:
        (output / "metrics.json").unlink(missing_ok=True)
        return
    result = scores(total)
    mean = mean_foreground_dice(result["dice"])
    write_json(
        output / "metrics.json",
        {
            "pages": len(scored),
            **result,
            "mean_dice": mean,
            "confusion": total.tolist(),
            "classes": CLASS_NAMES,
        },
    )
    print("\n".join(_table(result, len(scored))))


def _table(result: dict[str, dict[str, float]], pages: int) -> Iterator[str]:
    yield f"{f'{pages} pages':<12} {'Dice':>7} {'IoU':>7}"
    for name in CLASS_NAMES:
        yield f"{name:<12} {result['dice'][name]:7.4f} {result['iou'][name]:7.4f}"


if __name__ == "__main__":
    run(main)
