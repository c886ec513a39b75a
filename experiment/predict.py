"""python experiment/predict.py --images FILE|FOLDER …

Label every pixel of ECG pages as background, grid or waveform. Takes PNG, JPEG, TIFF, WebP, BMP, GIF, HEIC, AVIF, JPEG
2000, PPM, PDF and DICOM of any size and orientation; the scale is found from the grid. Writes, for each page,
<name>_mask.png (palette: 0 background, 1 grid, 2 waveform), <name>_overlay.png (the labels over the page) and a line of
predictions.jsonl, and report.html on all; with --truth-root, metrics.json and a table of Dice, IoU and trace hit rates
by kind of page as well. A page is named by its file's stem; pages of a PDF, and of a TIFF of several, are <stem>-p1,
<stem>-p2 and so on.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from ecg_generator_with_train_src.common.command_line import (
    keep_what_is_done,
    make_parser,
    positive_int,
    run,
)
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.page_files import PDF_SUFFIX
from experiment.labelling.network_flags import (
    DEFAULT_TILE,
    WHOLE_PIXELS_TO_LABEL,
    add_network_arguments,
    checkpoint_of,
    find_images,
    picture_sizes,
    runtime_options,
)
from experiment.labelling.origin import run_origin
from experiment.labelling.predict_pages import PredictOptions, predict_pages
from experiment.labelling.result_names import PageFile, named_files
from experiment.runtime.choose import run_networks
from experiment.scoring.page_truth import ReadTruth, find_truth


def main(argv: list[str] | None = None) -> int:
    """Predict; returns the exit code: 0, or 1 if a page could not be read or scored."""
    arguments = _parse(argv)
    files = named_files(find_images(arguments.images), arguments.images)
    truth_of = find_truth(arguments.truth_root) if arguments.truth_root else lambda name: None
    if arguments.truth_root and not any(_may_have_truth(file, truth_of) for file in files):
        raise InputError(f"{arguments.truth_root}: has no truth for any of the images (matched by name)")
    checkpoint = checkpoint_of(arguments.checkpoint)
    work = PredictOptions(
        output_dir=arguments.output_dir,
        checkpoint=arguments.checkpoint,
        tile=arguments.tile,
        tta=arguments.tta,
        px_per_mm=arguments.px_per_mm,
        sizes=picture_sizes(arguments, WHOLE_PIXELS_TO_LABEL),
        overwrite=arguments.overwrite,
        redact=arguments.redact,
        origin=run_origin(arguments, weights=checkpoint),
    )
    keep_what_is_done()
    return run_networks(runtime_options(arguments), [checkpoint], predict_pages, work, files, truth_of)


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    add_network_arguments(parser, WHOLE_PIXELS_TO_LABEL)
    parser.add_argument(
        "--output-dir",
        type=Path,
        help="where the results go: <run>/predictions for <run>/checkpoints/*.safetensors, else predictions",
    )
    parser.add_argument(
        "--truth-root",
        type=Path,
        help="dataset, masks, or records <id>/<id>.csv of pages <id>-<type>, to score by",
    )
    parser.add_argument(
        "--tile", type=positive_int, default=DEFAULT_TILE, help="side of the network's tiles in pixels"
    )
    parser.add_argument("--tta", action="store_true", help="average over mirror images: four times as long")
    arguments = parser.parse_args(argv)
    arguments.output_dir = arguments.output_dir or default_output(arguments.checkpoint)
    return arguments


def default_output(checkpoint: Path | None) -> Path:
    """The folder `predictions` of the run that a checkpoint belongs to; else that of the working directory."""
    in_a_run = checkpoint is not None and checkpoint.parent.name == "checkpoints"
    run_folder = checkpoint.parent.parent if in_a_run else Path()
    return run_folder / "predictions"


def _may_have_truth(file: PageFile, truth_of: Callable[[str], ReadTruth | None]) -> bool:
    return file.path.suffix.lower() == PDF_SUFFIX or truth_of(file.name) is not None


if __name__ == "__main__":
    run(main)
