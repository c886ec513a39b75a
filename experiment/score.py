"""python experiment/score.py --predictions readings --truth-root ori_csv/train --out scores.csv

Score signals that were read from pages. The score is the competition's (in dB, at most 25.84); beside it stand the
signal-to-noise ratio, RMSE and correlation of each lead, and a table by page type. Predictions are a folder of CSVs
that digitize.py wrote (<record>-<type>.csv or <dataset sample>.csv), or a submission (.csv, .parquet). The truth is a
folder of records (<root>/<id>.csv, <root>/<id>/<id>.csv or WFDB); for a submission it may be another submission.
Leads of a full record are compared as far as the prediction shows them. A page that could not be read counts as a ratio
of 0 and as 0 dB, and a lead without any value as a flat line; a lead that the record lacks does not count.

With --intervals, NeuroKit2 measures readings and records: heart rate, PR, QRS and QT on each page's longest lead, R, S
and ST level on every lead. A table by page type gives bias and limits of agreement (Bland-Altman).
"""

import argparse
import functools
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
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
from ecg_generator_with_train_src.page.layouts import DEFAULT_SETUP
from ecg_generator_with_train_src.page.records import (
    LEADS,
    RECORD_DURATION_S,
    add_record_arguments,
    check_fs,
    find_records,
    read_record_table,
    record_options,
)
from experiment.scoring.agreement import (
    agreement_rows,
    agreement_table,
    failure_lines,
    measure_file,
    write_agreement,
)
from experiment.scoring.compare import (
    ScoredPage,
    Scores,
    TrueRecords,
    find_predictions,
    name_page,
    score_file,
)
from experiment.scoring.score_tables import lead_table, type_table, write_scores
from experiment.scoring.signal_metric import PageScore, score_db, score_signals
from experiment.scoring.submission import read_submission

SUBMITTED = "submission"  # the page type of all pages of a submission


def main(argv: list[str] | None = None) -> int:
    """Score all predictions. Return the exit code: 0, or 1 if one could not be compared."""
    args = parse_arguments(argv)
    started = time.perf_counter()
    skipped = SkipReport((args.out or args.predictions).with_suffix(".skipped.txt"))
    truth = find_truth_records(args)
    tables = (args.out, args.out.with_suffix(".intervals.csv")) if args.out else ()
    if args.predictions.is_dir():
        scores = dict(score_folder(args.predictions, truth, tables, args.num_workers, skipped))
    else:
        scores = dict(score_submission(args.predictions, truth))
    if not scores:
        raise InputError(f"{args.predictions}: none of the predictions could be compared")
    print("\n".join([*type_table(scores), "", *lead_table(scores)]))
    if args.intervals:
        compare_intervals(truth, scores, tables[1:], args.num_workers, skipped)
    if args.out:
        write_scores(args.out, scores)
        skipped.write()
    report_scores(tables[: 1 + args.intervals], scores, skipped, time.perf_counter() - started)
    return EXIT_SKIPPED if skipped.reasons else EXIT_DONE


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--predictions", type=Path, required=True, help="folder of CSVs with signals in mV, or a submission"
    )
    parser.add_argument(
        "--truth-root", type=Path, required=True, help="folder of the records, or the truth as a submission"
    )
    parser.add_argument(
        "--fs-hz",
        type=float,
        help="sampling rate of the records; without this flag it is read from train.csv in or above their folder, from "
        "the record, or is one that devices have",
    )
    add_record_arguments(parser)
    parser.add_argument("--out", type=Path, help="CSV to write: a table with one row per page and lead")
    parser.add_argument(
        "--intervals",
        action="store_true",
        help="compare heart rate, intervals, amplitudes and ST level as well; with --out, their values are written "
        "to <out>.intervals.csv",
    )
    add_num_workers(parser)
    args = parser.parse_args(argv)
    if args.intervals and not args.predictions.is_dir():
        raise InputError(
            f"{args.predictions}: --intervals needs a folder of readings: a submission does not say when leads begin"
        )
    return args


def find_truth_records(args: argparse.Namespace) -> TrueRecords | Path:
    """The records of the truth, or the path of a submission. Raises InputError if there are no records."""
    if args.truth_root.is_file():
        return args.truth_root
    records = find_records(args.truth_root)
    if args.fs_hz is not None:
        check_fs(args.fs_hz, "--fs-hz")
        rates_hz = dict.fromkeys(records, args.fs_hz)
    else:
        rates_hz = read_record_table(args.truth_root).fs_hz
    return TrueRecords(records, rates_hz, record_options(args))


def score_folder(
    predictions: Path,
    truth: TrueRecords | Path,
    own_tables: tuple[Path, ...],
    num_workers: int,
    skipped: SkipReport,
) -> Iterator[tuple[ScoredPage, PageScore]]:
    """Score every CSV of a folder that is named after a record, and note those that cannot be compared."""
    if isinstance(truth, Path):
        raise InputError(f"{truth}: is a file; a folder of predictions needs a folder of records")
    pages = []
    for path in find_predictions(predictions, own_tables):
        try:
            pages.append(name_page(path, predictions, truth.paths))
        except InputError as error:
            skipped.add(path.stem, str(error))
    work = functools.partial(score_file, truth)
    outcomes = run_batch(work, pages, num_workers=num_workers, description="score")
    yield from skipped.sift(outcomes, lambda page: page.name)


def score_submission(predictions: Path, given: TrueRecords | Path) -> Iterator[tuple[ScoredPage, PageScore]]:
    """Score a submission by another one, or by the records. Raises InputError if it cannot be compared as a whole."""
    submitted = read_submission(predictions)
    truth = submitted_truth(given, submitted)
    missing = sorted(truth.keys() ^ submitted.keys())
    if missing:
        raise InputError(
            f"{predictions}: {len(missing)} pages are only in the prediction or only in the truth, "
            f"such as {missing[0]}"
        )
    for name, predicted_mv in tqdm(submitted.items(), desc="score", unit="page", disable=None):
        truth_mv = truth[name]
        for lead, wanted, there in zip(LEADS, count(truth_mv), count(predicted_mv), strict=True):
            if wanted != there:
                raise InputError(
                    f"{predictions}: page {name}: lead {lead} has {there} rows, but its truth has {wanted}"
                )
        score = score_signals(truth_mv, predicted_mv, truth_mv.shape[1] // RECORD_DURATION_S)
        yield ScoredPage(name, name, SUBMITTED, predictions), score


def count(signals_mv: np.ndarray) -> np.ndarray:
    """Count the values of each lead: shape (12,)."""
    return np.isfinite(signals_mv).sum(axis=1)


def submitted_truth(truth: TrueRecords | Path, submitted: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The truth in the form of a submission: another submission, or what the default page shows of the records."""
    if isinstance(truth, Path):
        return read_submission(truth)
    return {name: as_submitted(truth.read(name).signal_mv.T) for name in submitted if name in truth.paths}


def as_submitted(truth_mv: np.ndarray) -> np.ndarray:
    """Cut a record (12, samples) to what the competition's page shows of it, with each lead moved to the left."""
    if np.isfinite(truth_mv).all():
        rows = truth_mv.shape[1]
        truth_mv = np.where(DEFAULT_SETUP.shown(rows / RECORD_DURATION_S, rows).T, truth_mv, np.nan)
    left = np.argsort(np.isnan(truth_mv), axis=1, kind="stable")
    return np.take_along_axis(truth_mv, left, axis=1)


def compare_intervals(
    truth: TrueRecords, scores: Scores, tables: tuple[Path, ...], num_workers: int, skipped: SkipReport
) -> None:
    """Print how far readings and records agree in what clinicians measure; write the values to the table, if any."""
    work = functools.partial(measure_file, truth)
    outcomes = run_batch(work, list(scores), num_workers=num_workers, description="measure")
    measured = dict(skipped.sift(outcomes, lambda page: page.name))
    rows = agreement_rows(measured)
    print("\n".join(["", *agreement_table(rows), *failure_lines(measured)]))
    for table in tables:
        write_agreement(table, rows)


def report_scores(tables: tuple[Path, ...], scores: Scores, skipped: SkipReport, duration_s: float) -> None:
    """Print the last line, with the score of all pages."""
    if skipped.reasons:
        print(f"skipped {len(skipped.reasons)} predictions", file=sys.stderr)
    made = f" -> {' and '.join(map(str, tables))}" if tables else ""
    records = len({page.record for page in scores})
    print(
        f"scored {len(scores)} pages of {records} records: {score_db(s.ratio for s in scores.values()):.4f} dB"
        f"{made} in {duration_s:.1f} s ({len(scores) / duration_s:.1f} pages/s)"
    )


if __name__ == "__main__":
    run(main)
