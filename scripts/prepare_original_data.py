"""bash scripts/prepare_original_data.sh    (the same as: python scripts/prepare_original_data.py)

Fetch the original records and lay them out as the next two steps expect them:

    ori_csv/train-csvs/<id>.csv     for scripts/batch_render_waveforms.py
    ori_csv/train/<id>/<id>.csv     for scripts/build_dataset.py; with the real pages beside it, if the source has them
    ori_csv/train.csv               the sampling rates, if the source has them

The source is a folder of a Google Cloud Storage bucket, or a folder or archive on this machine (a copy of the
bucket, the competition's zip, a folder of CSVs). A broken download goes on where it stopped. Files that are there
already are kept; if the source has a different file of the same name, yours is renamed to <name>.old.

The second layout is made of hard links to the first, which take no space and no time. This is safe because no step
of this project changes a record. Where links are impossible, the files are copied.
"""

import argparse
import time
from pathlib import Path

from ecg_generator_with_train_src.common.batch import SkipReport
from ecg_generator_with_train_src.common.command_line import add_num_workers, make_parser, positive_float, run
from ecg_generator_with_train_src.fetch.archives import MOST_RATIO
from ecg_generator_with_train_src.fetch.both_layouts import check_records, lay_out
from ecg_generator_with_train_src.fetch.bucket import BucketOptions, fetch_bucket
from ecg_generator_with_train_src.fetch.folders import FLAT, NESTED
from ecg_generator_with_train_src.fetch.local_files import take_local
from ecg_generator_with_train_src.fetch.state import State
from ecg_generator_with_train_src.fetch.transfers import add_retry_seconds, output_folder

DEFAULT_SOURCE = "gs://tpu-research-01-ecg-data/kaggle_ecg/ori_csv/"
REPORT_NAME = "prepare_original_data.skipped.txt"


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument(
        "--source",
        default=DEFAULT_SOURCE,
        help="where the records are: gs://bucket/folder, or a folder, .tar.gz or .zip on this machine",
    )
    parser.add_argument("--output-root", type=Path, default=Path("ori_csv"), help="folder to fill")
    parser.add_argument(
        "--anonymous", action="store_true", help="use no Google credentials (the bucket must be public)"
    )
    parser.add_argument(
        "--keep-archives", action="store_true", help="keep downloaded archives after they are unpacked"
    )
    parser.add_argument(
        "--max-archive-ratio",
        type=positive_float,
        default=MOST_RATIO,
        help="archives whose files are more times as large as they are themselves are not unpacked",
    )
    add_retry_seconds(parser)
    add_num_workers(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Fetch, unpack, lay out and check; return EXIT_DONE, or EXIT_SKIPPED if anything was skipped.

    Raises InputError where nothing can be made: bad usage, no access, no network, a full disk, no records.
    """
    args = parse_arguments(argv)
    started_s = time.monotonic()
    with output_folder(args.output_root):
        report = SkipReport(args.output_root / REPORT_NAME)
        state = State(args.output_root)
        if args.source.startswith("gs://"):
            options = BucketOptions(
                source=args.source,
                anonymous=args.anonymous,
                keep_archives=args.keep_archives,
                retry_seconds=args.retry_seconds,
                num_workers=args.num_workers,
                most_ratio=args.max_archive_ratio,
            )
            counts = fetch_bucket(options, state, report)
        else:
            counts = take_local(args.source, state, report, args.max_archive_ratio)
        lay_out(state, report)
        records = check_records(args.output_root, args.num_workers, report)
        made = f"{args.output_root}: {records} records in {FLAT}/ and {NESTED}/"
        return counts.close(made, started_s, report)


if __name__ == "__main__":
    run(main)
