"""Pages labelled one after the other, each with its pictures, its line in predictions.jsonl and its scores."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ecg_generator_with_train_src.common.batch import SkipReport, outcome_of
from ecg_generator_with_train_src.common.classes import BACKGROUND, CLASS_NAMES
from ecg_generator_with_train_src.common.command_line import EXIT_DONE, EXIT_SKIPPED
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import (
    write_bytes,
    write_json,
    write_text,
)
from ecg_generator_with_train_src.common.folder_lock import locked
from ecg_generator_with_train_src.common.html_report import PICTURE_FOLDER, Gallery, save_pictures
from ecg_generator_with_train_src.common.image_files import encode_classes, encode_rgb
from ecg_generator_with_train_src.common.json_lines import append_line, read_lines, write_lines
from ecg_generator_with_train_src.common.picture_sizes import ALL_WHOLE, PageSizes
from experiment.labelling.earlier_results import is_whole_prediction
from experiment.labelling.network_flags import DEFAULT_TILE, OWN_OUTPUT, load_predictor
from experiment.labelling.origin import has_origin
from experiment.labelling.overlays import overlay
from experiment.labelling.predictor import Prediction, Predictor
from experiment.labelling.redaction import blacked_out, hidden_in_image
from experiment.labelling.report_html import (
    goodness,
    make_pictures,
    report_html,
    score_header,
    score_rows,
)
from experiment.labelling.result_names import PageFile, clear_temporaries
from experiment.runtime.network import Runtime
from experiment.scoring.dice import mean_foreground_dice
from experiment.scoring.page_scores import Tally, score_labels
from experiment.scoring.page_truth import PageTruth, ReadTruth

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
    sizes: PageSizes = ALL_WHOLE
    overwrite: bool = False  # whether pages that an earlier run labelled are labelled again
    redact: bool = False  # whether print is blacked out in what is written
    origin: dict = field(default_factory=dict)  # program, weights and options, for the lines


@dataclass(frozen=True)
class PageImage:
    """One page of a file: image (H, W, 3) uint8, or the line that an earlier run wrote of it."""

    path: Path
    name: str
    origin: dict
    read_truth: ReadTruth | None
    image: np.ndarray | None
    earlier: dict | None


@dataclass(frozen=True)
class PageResult:
    """What became of a page: its line of predictions.jsonl, and why its truth could not be had."""

    line: dict
    problem: InputError | None = None


def predict_pages(
    runtime: Runtime,
    options: PredictOptions,
    files: list[PageFile],
    truth_of: Callable[[str], ReadTruth | None],
) -> int:
    """Predict all pages and write what was found; returns the exit code. What an earlier run labelled is kept.

    Raises InputError if another run is at work in the output folder.
    """
    with locked(options.output_dir):
        return _predict_into(runtime, options, files, truth_of)


def _predict_into(
    runtime: Runtime,
    options: PredictOptions,
    files: list[PageFile],
    truth_of: Callable[[str], ReadTruth | None],
) -> int:
    predictor = load_predictor(runtime, options.checkpoint, options.tile, options.tta)
    clear_temporaries(options.output_dir, files)
    results = Results(options)
    started = time.perf_counter()

    def work(page: PageImage) -> PageResult:
        return PageResult(page.earlier) if page.earlier else predict_page(predictor, page, options)

    try:
        pages = images_of(tqdm(files, desc="predict", unit="file", disable=None), truth_of, results)
        for page, result in in_order(work, pages, WORKERS.get(runtime.kind, 1)):
            if isinstance(result, InputError):
                results.report.add(str(page.path), str(result), result.trace)
            else:
                results.add(page, result)
        results.is_whole = True
    finally:  # Ctrl-C leaves what is done
        results.write()
    results.print_table()
    print(results.summary(len(files), time.perf_counter() - started))
    return EXIT_SKIPPED if results.report.reasons else EXIT_DONE


def images_of(
    files: Iterable[PageFile], truth_of: Callable[[str], ReadTruth | None], results: "Results"
) -> Iterator[PageImage]:
    """The pages of the files, read one at a time; what cannot be read goes to the report."""
    seen: set[str] = set()
    for file in files:
        try:
            for page in _pages_of(file, truth_of, results):
                if page.name in seen:
                    raise InputError(
                        f"{file.path}: another page is called {page.name} as well; rename one of the files"
                    )
                seen.add(page.name)
                yield page
        except InputError as error:
            results.report.add(str(file.path), str(error).removeprefix(f"{file.path}: "), error.trace)


def _pages_of(
    file: PageFile, truth_of: Callable[[str], ReadTruth | None], results: "Results"
) -> Iterator[PageImage]:
    """The pages of a file. If an earlier run labelled the one that has the file's name, the file is not opened."""
    origin = {**results.options.origin, "image_sha256": file.sha256()}

    def page(name: str, image: np.ndarray | None, shrunk: int = 1) -> PageImage:
        read_truth = truth_of(name)
        own = {**origin, "truth_sha256": read_truth.sha256()} if read_truth else origin
        own = {**own, "shrunk": shrunk} if shrunk > 1 else own
        return PageImage(file.path, name, own, read_truth, image, results.earlier(name, own))

    if (single := page(file.name, None)).earlier:
        yield single
    else:
        yield from (page(*read) for read in file.pages(results.options.sizes))


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


def predict_page(predictor: Predictor, page: PageImage, options: PredictOptions) -> PageResult:
    """Predict one page, write its pictures and score it."""
    prediction = predictor.predict(page.image, options.px_per_mm)
    _write_pictures(page, prediction, options)
    line, problem = _line(page, prediction), None
    if page.read_truth is not None:
        scored = outcome_of(lambda truth_of: _scores(prediction, truth_of(page.image)), page.read_truth)
        if isinstance(scored, InputError):
            problem = scored
            del line["truth_sha256"]  # the next run tries again
        else:
            line |= scored
    return PageResult(line, problem)


def _write_pictures(page: PageImage, prediction: Prediction, options: PredictOptions) -> None:
    image, label = page.image, prediction.label
    laid_over = overlay(image, label)
    if options.redact:
        hidden = hidden_in_image(prediction.page)
        image, laid_over = blacked_out(image, hidden), blacked_out(laid_over, hidden)
        label = np.where(
            hidden, np.uint8(BACKGROUND), label
        )  # gaps in the grid may have the shape of letters
    mask_path, overlay_path = _pictures_of(page.name, options)
    write_bytes(mask_path, encode_classes(label))
    write_bytes(overlay_path, encode_rgb(laid_over))
    save_pictures(options.output_dir / PICTURE_FOLDER, page.name, make_pictures(image, laid_over))


def _scores(prediction: Prediction, truth: PageTruth) -> dict:
    tally = score_labels(prediction.label, truth)
    return {"kind": truth.kind, **tally.scores(), "counts": tally.counts()}


def _pictures_of(name: str, options: PredictOptions) -> list[Path]:
    """The files of a page's mask and overlay."""
    return [options.output_dir / f"{name}{ending}" for ending in OWN_OUTPUT[:2]]


def _line(page: PageImage, prediction: Prediction) -> dict:
    height, width = prediction.label.shape
    areas = np.bincount(prediction.label.ravel(), minlength=len(CLASS_NAMES))
    found = prediction.page
    return {
        "image": str(page.path),
        "name": page.name,
        **page.origin,
        "width_px": width,
        "height_px": height,
        "area_px": dict(zip(CLASS_NAMES, areas.tolist(), strict=True)),
        "fraction": dict(zip(CLASS_NAMES, (areas / areas.sum()).round(6).tolist(), strict=True)),
        "pitch_px": round(found.pitch_px, 3),
        "rotation_deg": round(found.rotation_deg, 2),
        "upright_chance": round(found.upright_chance, 4),
        "confidence": round(found.confidence, 6),
        "warnings": [*found.warnings, *_shrunk_words(page)],
    }


def _shrunk_words(page: PageImage) -> list[str]:
    """What is said of a large picture: its mask has the size at which it was read."""
    shrunk = page.origin.get("shrunk", 1)
    return [f"a large picture: read and labelled at 1/{shrunk} of its size"] if shrunk > 1 else []


class Results:
    """What was found on all pages, and what an earlier run found.

    predictions.jsonl grows by a line a page, so that a run that is killed leaves its lines; at the end it is written
    anew, in the order of the pages.
    """

    def __init__(self, options: PredictOptions):
        self.options = options
        self.lines: list[dict] = []
        self.kept = 0
        self.is_whole = False  # whether all pages are done
        self.path = options.output_dir / "predictions.jsonl"
        self.report = SkipReport(options.output_dir / "skipped.tsv")
        self.gallery = Gallery(options.output_dir / PICTURE_FOLDER)
        if options.overwrite:
            self.path.unlink(missing_ok=True)
        self._before = {line["name"]: line for line in read_lines(self.path)}

    def earlier(self, name: str, origin: dict) -> dict | None:
        """The line of an earlier run if it is of this origin and its pictures are there; else it counts no more."""
        line = self._before.get(name)
        if line is None:
            return None
        pictures = _pictures_of(name, self.options)
        is_known = has_origin(line, origin) and is_whole_prediction(line)
        if is_known and all(path.is_file() for path in pictures):
            return line
        append_line(
            self.path, {"name": name}
        )  # whatever happens to this run, the old line is not believed again
        del self._before[name]
        return None

    def add(self, page: PageImage, result: PageResult) -> None:
        """Add one page. Its pixels are not kept."""
        self.lines.append(result.line)
        self.gallery.add(page.name, goodness(result.line))
        if page.earlier:
            self.kept += 1
        else:
            append_line(self.path, result.line)
        if result.problem:
            why = f"predicted, but not scored: {result.problem}"
            self.report.add(str(page.path), why, result.problem.trace)

    def kinds(self) -> dict[str, dict]:
        """Scores by kind of page, and over all."""
        tallies: dict[str, Tally] = {}
        for line in self.lines:
            if "counts" in line:
                tally = Tally.from_counts(line["counts"])
                tallies[line["kind"]] = tallies.get(line["kind"], Tally()) + tally
        if not tallies:
            return {}
        named = {kind: tally for kind, tally in sorted(tallies.items()) if kind}
        whole = sum(tallies.values(), Tally())
        return {
            kind: {"pages": tally.pages, **tally.scores(), "confusion": tally.confusion.tolist()}
            for kind, tally in {**named, ALL_KINDS: whole}.items()
        }

    def write(self) -> None:
        """predictions.jsonl, report.html, skipped.tsv and, where anything was scored, metrics.json."""
        output, kinds = self.options.output_dir, self.kinds()
        done = {line["name"] for line in self.lines}
        waiting = [] if self.is_whole else [line for name, line in self._before.items() if name not in done]
        write_lines(self.path, [*self.lines, *waiting])
        text = report_html(
            f"Predictions in {output}", self.lines, kinds, self.gallery.pictures(), self.report.reasons
        )
        write_text(output / "report.html", text)
        self.report.write()
        if kinds:
            write_json(output / "metrics.json", _metrics(kinds))
        else:
            (output / "metrics.json").unlink(missing_ok=True)

    def print_table(self) -> None:
        """The scores by kind of page, where there are any."""
        if kinds := self.kinds():
            table = [score_header(), *score_rows(kinds)]
            widths = [max(map(len, column)) for column in zip(*table, strict=True)]
            for row in table:
                print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))

    def summary(self, num_files: int, seconds: float) -> str:
        """The last line that is printed."""
        before = f" ({self.kept} of them by an earlier run)" if self.kept else ""
        made = len(self.lines) - self.kept
        pace = f" ({seconds / made:.2f} s a page)" if made else ""
        return (
            f"predicted {len(self.lines)} pages of {num_files} files{before} -> {self.options.output_dir} "
            f"in {seconds:.1f} s{pace}"
        )


def _metrics(kinds: dict[str, dict]) -> dict:
    plain = {
        kind: {key: value for key, value in found.items() if key != "confusion"}
        for kind, found in kinds.items()
    }
    whole = plain.pop(ALL_KINDS)
    return {
        **whole,
        "mean_dice": mean_foreground_dice(whole["dice"]),
        "confusion": kinds[ALL_KINDS]["confusion"],
        "classes": CLASS_NAMES,
        "kinds": plain,
    }
