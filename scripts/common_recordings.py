"""python scripts/common_recordings.py --first data/ptbxl_ids.txt --second ori_csv/train

Name the recordings that two sets of data have in common, for instance to check that pages were never trained on.
Each set is a list of record ids (one per line), a folder of records or a dataset of build_dataset.py. 00065_hr,
00065_lr and 65 are the same recording. The exit code is 0 if the sets have none in common, else 1.
"""

import argparse
from pathlib import Path

from ecg_generator_with_train_src.common.command_line import EXIT_DONE, EXIT_SKIPPED, make_parser, run
from ecg_generator_with_train_src.dataset.format import read_manifest
from ecg_generator_with_train_src.page.records import find_records, read_record_ids, recording_of


def main(argv: list[str] | None = None) -> int:
    """Print the common recordings."""
    args = parse_arguments(argv)
    first, second = recordings_in(args.first), recordings_in(args.second)
    common = first.keys() & second.keys()
    for recording in sorted(first[key] for key in common):
        print(recording)
    print(f"{len(common)} recordings in common: {len(first)} in {args.first}, {len(second)} in {args.second}")
    return EXIT_SKIPPED if common else EXIT_DONE


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(__doc__)
    for name in ("--first", "--second"):
        parser.add_argument(name, type=Path, required=True, help="list of ids, folder of records, or dataset")
    return parser.parse_args(argv)


def recordings_in(path: Path) -> dict[str, str]:
    """The recordings of a list, a dataset or a folder of records, by their names without leading zeros.

    Raises InputError if `path` is none of these.
    """
    if path.is_file():
        names = read_record_ids(path)
    elif (path / "manifest.jsonl").is_file():
        names = [sample.record for sample in read_manifest(path)]
    else:
        names = list(find_records(path))
    return {recording.lstrip("0"): recording for recording in map(recording_of, names)}


if __name__ == "__main__":
    run(main)
