"""python scripts/download_subset.py        # 10 random records -> downloaded_subset/

Download a few records of a Kaggle competition: all pages of each record and its CSV.

    downloaded_subset/<id>/<id>-<type>.png      real pages: scans, photos, renderings
    downloaded_subset/<id>/<id>.csv             the signals
    downloaded_subset/train.csv                 the rows of the records that are there
    downloaded_subset/<id>.png, test.csv        these two instead, if --split test is given

scripts/build_dataset.py --input-root and experiment/predict.py read this folder as it is. The same seed gives the
same records; a larger --num-samples keeps them and adds more; another seed adds others. Complete files are not
fetched again.

You need a Kaggle token whose owner has accepted the competition's rules: ~/.kaggle/kaggle.json, or KAGGLE_USERNAME
and KAGGLE_KEY; on Python 3.11 or newer also KAGGLE_API_TOKEN, ~/.kaggle/access_token or `kaggle auth login`.
"""

import argparse
import re
import time
from pathlib import Path

from ecg_generator_with_train_src.common.batch import SkipReport
from ecg_generator_with_train_src.common.command_line import (
    add_num_workers,
    add_seed,
    make_parser,
    positive_int,
    run,
)
from ecg_generator_with_train_src.fetch.kaggle_client import Competition
from ecg_generator_with_train_src.fetch.kaggle_files import fetch_files
from ecg_generator_with_train_src.fetch.kaggle_subset import (
    PAGE_TYPES,
    SubsetOptions,
    draw_ids,
    files_of,
    read_competition_table,
    rows_before,
    write_subset_table,
)
from ecg_generator_with_train_src.fetch.transfers import add_retry_seconds, output_folder

COMPETITION = "physionet-ecg-image-digitization"
REPORT_NAME = "download_subset.skipped.txt"


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--num-samples", type=positive_int, default=10, help="number of records")
    parser.add_argument("--output-dir", type=Path, default=Path("downloaded_subset"), help="folder to fill")
    parser.add_argument(
        "--types",
        nargs="+",
        choices=PAGE_TYPES,
        default=list(PAGE_TYPES),
        metavar="TYPE",
        help="page types to fetch (ignored for --split test)",
    )
    parser.add_argument(
        "--with-csv",
        action="store_true",
        default=True,
        help="fetch the signals as well (ignored for --split test)",
    )
    parser.add_argument(
        "--no-csv",
        action="store_false",
        dest="with_csv",
        default=argparse.SUPPRESS,
        help="fetch the pages only",
    )
    parser.add_argument(
        "--split", choices=("train", "test"), default="train", help="which of the competition's two sets"
    )
    parser.add_argument(
        "--competition", default=COMPETITION, help="the competition's name, the last part of its web address"
    )
    add_retry_seconds(parser)
    add_seed(parser)
    add_num_workers(parser)
    args = parser.parse_args(argv)
    if not re.fullmatch(r"[A-Za-z0-9-]+", args.competition):
        parser.error(f"--competition {args.competition}: expected a name such as {COMPETITION}")
    return args


def main(argv: list[str] | None = None) -> int:
    """Draw the records and fetch what is missing of them; return EXIT_DONE, or EXIT_SKIPPED if a file was skipped.

    Raises InputError where nothing can be made: bad usage, no token, no access, no network, a full disk.
    """
    args = parse_arguments(argv)
    started_s = time.monotonic()
    options = SubsetOptions(args.output_dir, args.split, tuple(args.types), args.with_csv)
    with output_folder(args.output_dir):
        report = SkipReport(args.output_dir / REPORT_NAME)
        before = rows_before(args.output_dir / f"{args.split}.csv")
        competition = Competition(args.competition, args.retry_seconds)
        table = read_competition_table(competition, args.output_dir, args.split)
        ids = draw_ids(table, args.num_samples, args.seed)
        wanted = [file for record_id in ids for file in files_of(record_id, options)]
        try:
            counts = fetch_files(competition, wanted, args.num_workers, report)
        finally:
            write_subset_table(table, before, args.output_dir, args.split)
        return counts.close(f"{args.output_dir}: {len(ids)} records", started_s, report)


if __name__ == "__main__":
    run(main)
