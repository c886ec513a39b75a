"""Pages labelled one after the other, each with its pictures, its line in predictions.jsonl and its scores."""

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
from ecg_generator_with_train_src.common.command_line import EXIT_DONE, EXIT_SKIPPED
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import write_bytes, write_json, write_text
from ecg_generator_with_train_src.common.html_report import Gallery
from ecg_generator_with_train_src.common.image_files import encode_classes, encode_rgb
from ecg_generator_with_train_src.common.page_files import readable_pages
from experiment.labelling.network_flags import DEFAULT_TILE, OWN_OUTPUT, load_predictor
from experiment.labelling.overlays import overlay
from experiment.labelling.predictor import Prediction, Predictor
from experiment.labelling.report_html import (
    goodness,
    make_pictures,
    report_html,
    score_header,
    score_rows,
)
from experiment.runtime.network import Runtime
from experiment.scoring.dice import mean_foreground_dice
from experiment.scoring.page_scores import Tally, score_labels
from experiment.scoring.page_truth import ReadTruth

WORKERS = {"cpu": 2, "cuda": 8}  # pages in hand at a time; the network does one after the other
ALL_KINDS = "all"


@dataclass(frozen=True)
class PredictOptions:
    """What all pages of a run share. Without a checkpoint, the shipped network is used."""

    output_dir: Path
    checkpoint: Path | None = None
    tile: int = DEFAULT_TILE  # side of the network's tiles in pixels
    tta: bool = False  # average over mirror images
    px_per_mm: float | None = None  # of all images; None: found from each one's grid


@dataclass(frozen=True)
class PageImage:
    """One page of a file: image (H, W, 3) uint8."""

    path: Path
    name: str
    image: np.ndarray


@dataclass(frozen=True)
class PageResult:
    """What became of a page: its line of predictions.jsonl, its pictures, its counts under the kind of its truth."""

    page: PageImage
    line: dict
    pictures: tuple[bytes, bytes]
    kind: str | None
    tally: Tally
    problem: str | None  # why its truth could not be had


def predict_pages(
    runtime: Runtime,
    options: PredictOptions,
    paths: list[Path],
    truth_of: Callable[[str], ReadTruth | None],
) -> int:
    """Predict all pages and write what was found; returns the exit code."""
    predictor = load_predictor(runtime, options.checkpoint, options.tile, options.tta)
    report = SkipReport(options.output_dir / "skipped.tsv")
    gallery, results = Gallery(), Results()
    started = time.perf_counter()

    def work(page: PageImage) -> PageResult:
        return predict_page(predictor, page, truth_of(page.name), options)

    try:
        pages = images_of(tqdm(paths, desc="predict", unit="file", disable=None), report)
        for page, result in in_order(work, pages, WORKERS.get(runtime.kind, 1)):
            if isinstance(result, InputError):
                report.add(str(page.path), str(result), result.trace)
                continue
            results.add(result)
            gallery.add(page.name, goodness(result.line), result.pictures)
            if result.problem:
                report.add(str(page.path), result.problem)
    finally:  # Ctrl-C leaves what is done
        results.write(options.output_dir, gallery, report)
    seconds = time.perf_counter() - started
    results.print_table()
    speed = seconds / max(len(results.lines), 1)
    print(
        f"predicted {len(results.lines)} pages of {len(paths)} files -> {options.output_dir} in {seconds:.1f} s "
        f"({speed:.2f} s a page)"
    )
    return EXIT_SKIPPED if report.reasons else EXIT_DONE


def images_of(paths: Iterable[Path], report: SkipReport) -> Iterator[PageImage]:
    """The pages of the files, read one at a time; what cannot be read goes to the report."""
    seen: set[str] = set()
    for path in paths:
        try:
            for name, image in readable_pages(path):
                if name in seen:
                    raise InputError(
                        f"{path}: another page is called {name} as well; rename one of the files"
                    )
                seen.add(name)
                yield PageImage(path, name, image)
        except InputError as error:
            report.add(str(path), str(error).removeprefix(f"{path}: "), error.trace)


def in_order(
    work: Callable[[PageImage], PageResult], pages: Iterator[PageImage], workers: int
) -> Iterator[tuple[PageImage, PageResult | InputError]]:
    """Each page with the result of `work`, or with the error that it met, in the pages' order: some pages are read,
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
    predictor: Predictor, page: PageImage, read_truth: ReadTruth | None, options: PredictOptions
) -> PageResult:
    """Predict one page, write its pictures and score it."""
    prediction = predictor.predict(page.image, options.px_per_mm)
    laid_over = overlay(page.image, prediction.label)
    output = options.output_dir
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
    """What was found on all pages."""

    def __init__(self) -> None:
        self.lines: list[dict] = []
        self.tallies: dict[str, Tally] = {}

    def add(self, result: PageResult) -> None:
        """Add one page. Its pixels are not kept."""
        self.lines.append(result.line)
        if result.kind is not None:
            self.tallies[result.kind] = self.tallies.get(result.kind, Tally()) + result.tally

    def kinds(self) -> dict[str, dict]:
        """Scores by kind of page, and over all."""
        if not self.tallies:
            return {}
        named = {kind: tally for kind, tally in sorted(self.tallies.items()) if kind}
        whole = sum(self.tallies.values(), Tally())
        return {
            kind: {"pages": tally.pages, **tally.scores()}
            for kind, tally in {**named, ALL_KINDS: whole}.items()
        }

    def write(self, output: Path, gallery: Gallery, report: SkipReport) -> None:
        """predictions.jsonl, report.html, skipped.tsv and, where anything was scored, metrics.json."""
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
        """The scores by kind of page, where there are any."""
        if kinds := self.kinds():
            table = [score_header(), *score_rows(kinds)]
            widths = [max(map(len, column)) for column in zip(*table, strict=True)]
            for row in table:
                print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
