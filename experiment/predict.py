"""python experiment/predict.py --images FILE|FOLDER …

Label every pixel of ECG pages as background, grid or waveform. Images may be PNG, JPEG, TIFF, WebP, BMP or PDF, of any
size and orientation; their scale is found from the grid. For each page, <name>_mask.png (palette: 0 background, 1 grid,
2 waveform), <name>_overlay.png (the labels over the page) and a line of predictions.jsonl are written, and report.html
for all pages together. With --truth-root, the labels are scored too: metrics.json and a table give Dice, IoU and trace
hit rates by kind of page. A page's name is its file's name without the suffix; the pages of a PDF, or of a TIFF with
several, are <name>-p1, <name>-p2 and so on.
"""

import argparse
import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ecg_generator_with_train_src.common.batch import SkipReport, outcome_of
from ecg_generator_with_train_src.common.classes import CLASS_NAMES
from ecg_generator_with_train_src.common.command_line import (
    EXIT_DONE,
    EXIT_SKIPPED,
    make_parser,
    positive_int,
    run,
)
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import write_bytes, write_json, write_text
from ecg_generator_with_train_src.common.image_files import encode_classes, encode_rgb
from ecg_generator_with_train_src.common.page_files import PDF_SUFFIX, readable_pages
from experiment.backend.backend import Backend, LaunchOptions
from experiment.backend.launch import launch
from experiment.labelling.network_flags import (
    DEFAULT_TILE,
    OWN_OUTPUT,
    add_network_arguments,
    find_images,
    load_predictor,
)
from experiment.labelling.overlays import overlay
from experiment.labelling.predictor import Prediction, Predictor
from experiment.labelling.report_html import (
    Gallery,
    Pictures,
    make_pictures,
    report_html,
    score_header,
    score_rows,
)
from experiment.scoring.dice import mean_foreground_dice
from experiment.scoring.page_scores import Tally, score_labels
from experiment.scoring.page_truth import ReadTruth, find_truth

WORKERS = {"cpu": 2, "cuda": 8}  # pages that are worked on at a time; the network takes one after the other
ALL_KINDS = "all"


def main(argv: list[str] | None = None) -> int:
    """Label all pages. Return the exit code: 0, or 1 if a page could not be read or scored."""
    arguments = _parse(argv)
    paths = find_images(arguments.images)
    truth_of = find_truth(arguments.truth_root) if arguments.truth_root else lambda name: None
    if arguments.truth_root and not any(_may_have_truth(path, truth_of) for path in paths):
        raise InputError(
            f"{arguments.truth_root}: has no truth for any of the images; their names must match"
        )
    options = LaunchOptions(arguments.device, arguments.precision, bf16_on_cpu=True, num_cores=1)
    return launch(options, predict_pages, arguments, paths, truth_of)


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    add_network_arguments(parser)
    parser.add_argument(
        "--output-dir",
        type=Path,
        help="folder for the results; if not given, <run>/predictions for <run>/checkpoints/*, else predictions",
    )
    parser.add_argument(
        "--truth-root",
        type=Path,
        help="truth to score by: a dataset, masks, or the records <id>/<id>.csv of pages <id>-<type>",
    )
    parser.add_argument(
        "--tile", type=positive_int, default=DEFAULT_TILE, help="side of the network's tiles in pixels"
    )
    parser.add_argument(
        "--tta", action="store_true", help="average over mirror images, which takes four times as long"
    )
    arguments = parser.parse_args(argv)
    arguments.output_dir = arguments.output_dir or default_output(arguments.checkpoint)
    return arguments


def default_output(checkpoint: Path | None) -> Path:
    """The folder `predictions` of the run that a checkpoint belongs to, or else of the working directory."""
    in_a_run = checkpoint is not None and checkpoint.parent.name == "checkpoints"
    run_folder = checkpoint.parent.parent if in_a_run else Path()
    return run_folder / "predictions"


def _may_have_truth(path: Path, truth_of: Callable[[str], ReadTruth | None]) -> bool:
    return path.suffix.lower() == PDF_SUFFIX or truth_of(path.stem) is not None


@dataclass(frozen=True)
class PageImage:
    """One page of a file: image (H, W, 3) uint8."""

    path: Path
    name: str
    image: np.ndarray


@dataclass(frozen=True)
class PageResult:
    """The results of a page: its line of predictions.jsonl, its pictures, and its counts with the kind of its truth."""

    page: PageImage
    line: dict
    pictures: Pictures
    kind: str | None
    tally: Tally
    problem: str | None  # why its truth could not be read


def predict_pages(
    backend: Backend,
    arguments: argparse.Namespace,
    paths: list[Path],
    truth_of: Callable[[str], ReadTruth | None],
) -> int:
    """Label all pages and write the results. Return the exit code."""
    predictor = load_predictor(backend, arguments.checkpoint, arguments.tile, arguments.tta)
    report = SkipReport(arguments.output_dir / "skipped.tsv")
    gallery, results = Gallery(), Results()
    started = time.perf_counter()

    def work(page: PageImage) -> PageResult:
        return predict_page(predictor, page, truth_of(page.name), arguments)

    try:
        pages = images_of(tqdm(paths, desc="predict", unit="file", disable=None), report)
        for page, result in in_order(work, pages, WORKERS.get(backend.kind, 1)):
            if isinstance(result, InputError):
                report.add(str(page.path), str(result), result.trace)
                continue
            results.add(result)
            gallery.add(page.name, result.line, result.pictures)
            if result.problem:
                report.add(str(page.path), result.problem)
    finally:  # after Ctrl-C, the pages that are done are kept
        results.write(arguments.output_dir, gallery, report)
    seconds = time.perf_counter() - started
    results.print_table()
    speed = seconds / max(len(results.lines), 1)
    print(
        f"predicted {len(results.lines)} pages of {len(paths)} files -> {arguments.output_dir} in {seconds:.1f} s "
        f"({speed:.2f} s a page)"
    )
    return EXIT_SKIPPED if report.reasons else EXIT_DONE


def images_of(paths: Iterable[Path], report: SkipReport) -> Iterator[PageImage]:
    """Read the pages of the files one at a time. Those that cannot be read go to the report."""
    names: set[str] = set()
    for path in paths:
        try:
            for name, image in readable_pages(path):
                if name in names:
                    raise InputError(
                        f"{path}: another page is called {name} as well; rename one of the files"
                    )
                names.add(name)
                yield PageImage(path, name, image)
        except InputError as error:
            report.add(str(path), str(error).removeprefix(f"{path}: "), error.trace)


def in_order(
    work: Callable[[PageImage], PageResult], pages: Iterator[PageImage], workers: int
) -> Iterator[tuple[PageImage, PageResult | InputError]]:
    """Yield each page with the result of `work`, or with its error, in the order of the pages. Several pages are read,
    labelled and written at the same time."""
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[tuple[PageImage, Future]] = deque()
        for page in pages:
            waiting.append((page, pool.submit(outcome_of, work, page)))
            if len(waiting) > workers - 1:
                page, future = waiting.popleft()
                yield page, future.result()
        for page, future in waiting:
            yield page, future.result()


def predict_page(
    predictor: Predictor, page: PageImage, read_truth: ReadTruth | None, arguments: argparse.Namespace
) -> PageResult:
    """Label one page, write its pictures and score it."""
    prediction = predictor.predict(page.image, arguments.px_per_mm)
    laid_over = overlay(page.image, prediction.label)
    output = arguments.output_dir
    write_bytes(output / f"{page.name}{OWN_OUTPUT[0]}", encode_classes(prediction.label))
    write_bytes(output / f"{page.name}{OWN_OUTPUT[1]}", encode_rgb(laid_over))
    line, kind, tally, problem = _line(page, prediction), None, Tally(), None
    if read_truth is not None:
        try:
            truth = read_truth(page.image)
            kind, tally = truth.kind, score_labels(prediction.label, truth)
            line |= {"kind": kind, **tally.scores()}
        except InputError as error:
            problem = f"predicted, but not scored: {error}"
    return PageResult(page, line, make_pictures(page.image, laid_over), kind, tally, problem)


def _line(page: PageImage, prediction: Prediction) -> dict:
    height, width = prediction.label.shape
    areas = np.bincount(prediction.label.ravel(), minlength=len(CLASS_NAMES))
    found = prediction.page
    return {
        "image": str(page.path),
        "name": page.name,
        "width_px": width,
        "height_px": height,
        "area_px": dict(zip(CLASS_NAMES, areas.tolist(), strict=True)),
        "fraction": dict(zip(CLASS_NAMES, (areas / areas.sum()).round(6).tolist(), strict=True)),
        "pitch_px": round(found.pitch_px, 3),
        "rotation_deg": round(found.rotation_deg, 2),
        "upright_chance": round(found.upright_chance, 4),
        "confidence": round(found.confidence, 6),
        "warnings": list(found.warnings),
    }


class Results:
    """The results of all pages."""

    def __init__(self) -> None:
        self.lines: list[dict] = []
        self.tallies: dict[str, Tally] = {}

    def add(self, result: PageResult) -> None:
        """Add one page, without keeping its pixels."""
        self.lines.append(result.line)
        if result.kind is not None:
            self.tallies[result.kind] = self.tallies.get(result.kind, Tally()) + result.tally

    def kinds(self) -> dict[str, dict]:
        """The scores by kind of page, and over all pages."""
        if not self.tallies:
            return {}
        named = {kind: tally for kind, tally in sorted(self.tallies.items()) if kind}
        whole = sum(self.tallies.values(), Tally())
        return {
            kind: {"pages": tally.pages, **tally.scores()}
            for kind, tally in {**named, ALL_KINDS: whole}.items()
        }

    def write(self, output: Path, gallery: Gallery, report: SkipReport) -> None:
        """Write predictions.jsonl, report.html, skipped.tsv and, if anything was scored, metrics.json."""
        write_text(output / "predictions.jsonl", "".join(json.dumps(line) + "\n" for line in self.lines))
        kinds = self.kinds()
        title = f"Predictions in {output}"
        write_text(
            output / "report.html", report_html(title, self.lines, kinds, gallery.pictures(), report.reasons)
        )
        report.write()
        if kinds:
            write_json(output / "metrics.json", self._metrics(kinds))
        else:
            (output / "metrics.json").unlink(missing_ok=True)

    def _metrics(self, kinds: dict[str, dict]) -> dict:
        whole = kinds[ALL_KINDS]
        confusion = sum(self.tallies.values(), Tally()).confusion
        return {
            **whole,
            "mean_dice": mean_foreground_dice(whole["dice"]),
            "confusion": confusion.tolist(),
            "classes": CLASS_NAMES,
            "kinds": {kind: found for kind, found in kinds.items() if kind != ALL_KINDS},
        }

    def print_table(self) -> None:
        """Print the scores by kind of page, if there are any."""
        if kinds := self.kinds():
            table = [score_header(), *score_rows(kinds)]
            widths = [max(map(len, column)) for column in zip(*table, strict=True)]
            for row in table:
                print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))


if __name__ == "__main__":
    run(main)
