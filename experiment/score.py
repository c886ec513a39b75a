"""python experiment/score.py --predictions readings --truth-root ori_csv/train --out scores.csv

Score signals that were read from pages by the competition's metric (dB, at most 25.84), with the signal-to-noise
ratio, RMSE and correlation of each lead and a table per page type. Predictions are a folder of <record>-<type>.csv or
<dataset sample>.csv, as digitize.py names them after its images, or a submission (.csv, .parquet). The truth is a
folder of records, <root>/<id>.csv or <root>/<id>/<id>.csv, or another submission for the first. The sampling rate is a
tenth of a record's rows. Leads of a full record are compared as far as the prediction shows them.
"""

import argparse
import functools
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from ecg_generator_with_train_src.common.batch import SkipReport, run_batch
from ecg_generator_with_train_src.common.command_line import (
    EXIT_DONE,
    EXIT_SKIPPED,
    add_num_workers,
    make_parser,
    run,
)
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import atomic_path
from ecg_generator_with_train_src.dataset.page_names import parse_page_name
from ecg_generator_with_train_src.page.layouts import DEFAULT_SETUP
from ecg_generator_with_train_src.page.records import LEADS, RECORD_DURATION_S, find_records, read_signal_mv
from experiment.scoring.signal_metric import PageScore, score_db, score_page
from experiment.scoring.submission import read_submission

LEAST_SHOWN = 1 / 8  # of a record: a quarter of a page at 50 mm/s
SUBMITTED = "submission"  # the type of its pages


@dataclass(frozen=True)
class Page:
    """A page that was read."""

    name: str
    record: str
    page_type: str  # the competition's 0001 to 0012, a dataset's profile, or what the name says
    path: Path  # of the signals


Scores = dict[Page, PageScore]


def main(argv: list[str] | None = None) -> int:
    """Score all predictions; exit code 1 if one could not be compared."""
    args = parse_arguments(argv)
    started = time.perf_counter()
    skipped = SkipReport((args.out or args.predictions).with_suffix(".skipped.txt"))
    scores = dict(score_folder(args, skipped) if args.predictions.is_dir() else score_submission(args))
    if not scores:
        raise InputError(f"{args.predictions}: none of the predictions could be compared")
    print("\n".join([*type_table(scores), "", *lead_table(scores)]))
    if args.out:
        write_scores(args.out, scores)
        skipped.write()
    report(args, scores, skipped, time.perf_counter() - started)
    return EXIT_SKIPPED if skipped.reasons else EXIT_DONE


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--predictions", type=Path, required=True, help="folder of signals in mV, or a submission"
    )
    parser.add_argument(
        "--truth-root", type=Path, required=True, help="folder of the records, or the truth as a submission"
    )
    parser.add_argument("--out", type=Path, help="table to write, CSV: a row for each page and lead")
    add_num_workers(parser)
    return parser.parse_args(argv)


def score_folder(args: argparse.Namespace, skipped: SkipReport) -> Iterator[tuple[Page, PageScore]]:
    """Score every CSV of a folder that is named after a record; notes those that cannot be compared."""
    if args.truth_root.is_file():
        raise InputError(f"{args.truth_root}: is a file; a folder of predictions needs a folder of records")
    records = find_records(args.truth_root)
    pages = []
    for path in find_predictions(args.predictions, args.out):
        try:
            pages.append(name_page(path, records))
        except InputError as error:
            skipped.add(path.stem, str(error))
    work = functools.partial(score_file, records)
    outcomes = run_batch(work, pages, num_workers=args.num_workers, description="score")
    yield from skipped.sift(outcomes, lambda page: page.name)


def find_predictions(folder: Path, out: Path | None) -> list[Path]:
    """The CSVs of a folder, but for a submission and this command's own table."""
    own = {out.absolute()} if out else set()
    paths = [path for path in sorted(folder.glob("[!.]*.csv")) if path.absolute() not in own]
    paths = [path for path in paths if path.name != "submission.csv"]
    if not paths:
        raise InputError(
            f"{folder}: no predictions; expected <record>-<type>.csv, as digitize.py writes them"
        )
    return paths


def name_page(path: Path, records: dict[str, Path]) -> Page:
    """The record of a prediction, and its type. Raises InputError if its name begins with none of the records."""
    name = parse_page_name(path.stem, records)
    if not name.is_known:
        raise InputError(
            f"{path}: no record of this name; expected <id>.csv, <id>-<type>.csv or a dataset sample's"
        )
    return Page(path.stem, name.record, name.kind or "page", path)


def score_file(records: dict[str, Path], page: Page) -> PageScore:
    """Compare one prediction. Raises InputError naming the file that is wrong."""
    truth_mv = read_truth(records[page.record])
    predicted_mv = read_signal_mv(page.path).T
    return compare(page.path, truth_mv, predicted_mv)


@functools.lru_cache(maxsize=16)  # the pages of a record follow each other
def read_truth(path: Path) -> np.ndarray:
    """A record's signals, shape (12, samples). Raises InputError if a lead has no values, or infinite ones."""
    truth_mv = read_signal_mv(path).T
    for lead, signal_mv in zip(LEADS, truth_mv, strict=True):
        if np.isnan(signal_mv).all() or np.isinf(signal_mv).any():
            raise InputError(f"{path}: lead {lead} has no values, or infinite ones")
    return truth_mv


def compare(path: Path, truth_mv: np.ndarray, predicted_mv: np.ndarray) -> PageScore:
    """Score what was read into `path` by the truth, both (12, samples) over the record's 10 s.

    Raises InputError naming the file for another number of samples, or no value where the truth has one.
    """
    if truth_mv.shape != predicted_mv.shape:
        wanted, there = truth_mv.shape[1], predicted_mv.shape[1]
        raise InputError(
            f"{path}: {there} rows, its truth has {wanted}; "
            "tell digitize.py the sampling rate (--fs-hz or --train-csv)"
        )
    wanted = np.isfinite(truth_mv)
    if (wanted.mean(axis=1) > 0.5).all():  # a full record, of which the page may show a part
        wanted &= shown_part(path, predicted_mv)
    for lead, missing in zip(LEADS, wanted & ~np.isfinite(predicted_mv), strict=True):
        if missing.any():
            raise InputError(f"{path}: lead {lead}, row {int(np.argmax(missing)) + 1}: no finite value")
    fs_hz = truth_mv.shape[1] // RECORD_DURATION_S  # as the metric has it
    return score_page(np.where(wanted, truth_mv, np.nan), np.where(wanted, predicted_mv, np.nan), fs_hz)


def shown_part(path: Path, predicted_mv: np.ndarray) -> np.ndarray:
    """From each lead's first value to its last, (12, samples). Raises InputError for less than a page shows."""
    there = ~np.isnan(predicted_mv)
    shown = (
        np.logical_or.accumulate(there, axis=1) & np.logical_or.accumulate(there[:, ::-1], axis=1)[:, ::-1]
    )
    least = int(LEAST_SHOWN * predicted_mv.shape[1])
    for lead, samples in zip(LEADS, shown.sum(axis=1), strict=True):
        if samples < least:
            raise InputError(f"{path}: lead {lead} has {samples} values; a page shows {least} at least")
    return shown


def score_submission(args: argparse.Namespace) -> Iterator[tuple[Page, PageScore]]:
    """Score a submission by another one, or by the records. Raises InputError if it cannot be compared as a whole."""
    submitted = read_submission(args.predictions)
    truth = submitted_truth(args.truth_root, submitted)
    missing = sorted(truth.keys() ^ submitted.keys())
    if missing:
        raise InputError(
            f"{args.predictions}: {len(missing)} pages are in one of prediction and truth only, {missing[0]} first"
        )
    for name, predicted_mv in tqdm(submitted.items(), desc="score", unit="page", disable=None):
        truth_mv = truth[name]
        for lead, wanted, there in zip(LEADS, count(truth_mv), count(predicted_mv), strict=True):
            if wanted != there:
                raise InputError(
                    f"{args.predictions}: page {name}: lead {lead} has {there} rows, its truth {wanted}"
                )
        score = score_page(truth_mv, predicted_mv, truth_mv.shape[1] // RECORD_DURATION_S)
        yield Page(name, name, SUBMITTED, args.predictions), score


def count(signals_mv: np.ndarray) -> np.ndarray:
    """Values of each lead, shape (12,)."""
    return np.isfinite(signals_mv).sum(axis=1)


def submitted_truth(truth_root: Path, submitted: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The truth of the pages as a submission has it: from another, or what the default page shows of the records."""
    if truth_root.is_file():
        return read_submission(truth_root)
    records = find_records(truth_root)
    return {name: as_submitted(read_truth(records[name])) for name in submitted if name in records}


def as_submitted(truth_mv: np.ndarray) -> np.ndarray:
    """What the competition's page shows of a record, (12, samples), each lead moved to the left."""
    if np.isfinite(truth_mv).all():
        rows = truth_mv.shape[1]
        truth_mv = np.where(DEFAULT_SETUP.shown(rows / RECORD_DURATION_S, rows).T, truth_mv, np.nan)
    left = np.argsort(np.isnan(truth_mv), axis=1, kind="stable")
    return np.take_along_axis(truth_mv, left, axis=1)


def type_table(scores: Scores) -> Iterator[str]:
    """For people: a line a page type, and one for all pages."""
    yield f"{'page type':<14} {'pages':>5} {'SNR dB':>7} {'RMSE mV':>8} {'corr.':>6}   lowest"
    types = sorted({page.page_type for page in scores})
    for name in types:
        yield type_line(name, {page: score for page, score in scores.items() if page.page_type == name})
    if len(types) > 1:
        yield type_line("all", scores)


def type_line(name: str, scores: Scores) -> str:
    """SNR as the competition has it over these pages, RMSE over all samples, mean correlation, and the worst page."""
    samples = sum(score.samples.sum() for score in scores.values())
    rmse_mv = np.sqrt(sum(score.noise_mv2.sum() for score in scores.values()) / samples)
    correlation = np.mean([score.correlation.mean() for score in scores.values()])
    worst = min(scores, key=lambda page: scores[page].ratio)
    return (
        f"{name:<14} {len(scores):5d} {score_db(score.ratio for score in scores.values()):7.2f} "
        f"{rmse_mv:8.4f} {correlation:6.3f}   {score_db([scores[worst].ratio]):.2f} {worst.name}"
    )


def lead_table(scores: Scores) -> Iterator[str]:
    """For people: a line a lead; its SNR is that of the mean over the pages, too."""
    ratios = np.array([score.lead_ratios for score in scores.values()])
    noise_mv2 = sum(score.noise_mv2 for score in scores.values())
    rmse_mv = np.sqrt(noise_mv2 / sum(score.samples for score in scores.values()))
    correlation = np.mean([score.correlation for score in scores.values()], axis=0)
    yield f"{'lead':<14} {'':>5} {'SNR dB':>7} {'RMSE mV':>8} {'corr.':>6}"
    for k, lead in enumerate(LEADS):
        yield f"{lead:<14} {'':>5} {score_db(ratios[:, k]):7.2f} {rmse_mv[k]:8.4f} {correlation[k]:6.3f}"


def write_scores(path: Path, scores: Scores) -> None:
    """The table: for each page a row `all`, and one a lead."""
    ordered = sorted(scores, key=lambda page: page.name)
    table = pd.concat([page_rows(page, scores[page]) for page in ordered])
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")


def page_rows(page: Page, score: PageScore) -> pd.DataFrame:
    """A page's rows of the table."""
    return pd.DataFrame(
        {
            "page": page.name,
            "record": page.record,
            "type": page.page_type,
            "lead": ["all", *LEADS],
            "samples": [score.samples.sum(), *score.samples],
            "snr_db": [score_db([score.ratio]), *(score_db([ratio]) for ratio in score.lead_ratios)],
            "rmse_mv": [score.rmse_mv, *score.lead_rmse_mv],
            "correlation": [score.correlation.mean(), *score.correlation],
            "shift_samples": [None, *score.shift],
            "offset_mv": [None, *score.offset_mv],
        }
    )


def report(args: argparse.Namespace, scores: Scores, skipped: SkipReport, duration_s: float) -> None:
    """The last line: the score of all pages."""
    if skipped.reasons:
        print(f"skipped {len(skipped.reasons)} predictions", file=sys.stderr)
    table = f" -> {args.out}" if args.out else ""
    records = len({page.record for page in scores})
    print(
        f"scored {len(scores)} pages of {records} records: {score_db(s.ratio for s in scores.values()):.4f} dB"
        f"{table} in {duration_s:.1f} s ({len(scores) / duration_s:.1f} pages/s)"
    )


if __name__ == "__main__":
    run(main)
