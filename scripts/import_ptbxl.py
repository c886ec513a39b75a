"""python scripts/import_ptbxl.py --ptbxl-root ptb-xl-1.0.3 --ids ids.txt --output-root data/ptbxl

Convert PTB-XL's records, as its authors publish them, to CSVs in mV (https://physionet.org/content/ptb-xl/, CC BY 4.0):
<root>/<id>.csv, ten seconds of all twelve leads, and <root>/train.csv with the sampling rates and patients. An id is
00065_hr (500 Hz, also written 65 or 00065) or 00065_lr (100 Hz). Records that are already there are kept.
"""

import argparse
import functools
import io
import re
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from ecg_generator_with_train_src.common.batch import SkipReport, run_batch
from ecg_generator_with_train_src.common.command_line import (
    EXIT_DONE,
    EXIT_SKIPPED,
    add_num_workers,
    make_parser,
    run,
)
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import remove_stale_temporaries, write_text
from ecg_generator_with_train_src.common.inner_paths import check_inner
from ecg_generator_with_train_src.common.notes import note_lines
from ecg_generator_with_train_src.common.text_files import read_text
from ecg_generator_with_train_src.page.records import LEADS, RECORD_DURATION_S, read_record, read_record_ids

DATABASE = "ptbxl_database.csv"
RATES_HZ = {"hr": 500, "lr": 100}  # PTB-XL's two versions of every recording

_ID = re.compile(r"0*(?P<number>\d{1,9})(?:_(?P<rate>hr|lr))?")


def main(argv: list[str] | None = None) -> int:
    """Import the records; the exit code is 1 if any was skipped."""
    args = parse_arguments(argv)
    start_s = time.perf_counter()
    database = read_database(args.ptbxl_root)
    ids = read_record_ids(args.ids) if args.ids else [f"{number:05d}_hr" for number in database.index]
    args.output_root.mkdir(parents=True, exist_ok=True)
    remove_stale_temporaries(args.output_root)
    skipped = SkipReport(args.output_root / "skipped.tsv")
    records = find_asked(args, database, ids, skipped)
    missing = [name for name in records if not (args.output_root / f"{name}.csv").is_file()]
    work = functools.partial(import_record, records, args.output_root)
    outcomes = run_batch(work, missing, num_workers=args.num_workers, description="import")
    notes = dict(skipped.sift(outcomes, name=str))
    write_text(args.output_root / "train.csv", record_table(args.output_root, database))
    skipped.write()
    said = [(name, note) for name, of_record in notes.items() for note in of_record]
    for line in note_lines(said, "records"):
        print(line)
    report_import(args, len(notes), len(records) - len(missing), skipped, time.perf_counter() - start_s)
    return EXIT_SKIPPED if skipped.reasons else EXIT_DONE


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--ptbxl-root", type=Path, required=True, help=f"PTB-XL's folder, unpacked, with {DATABASE}"
    )
    parser.add_argument(
        "--ids",
        type=Path,
        help="file with one record id per line; without it all records of 500 Hz are imported",
    )
    parser.add_argument("--output-root", type=Path, default=Path("data/ptbxl"), help="folder of the CSVs")
    add_num_workers(parser)
    return parser.parse_args(argv)


def read_database(root: Path) -> pd.DataFrame:
    """Files and patient of each recording, by its number. Raises InputError if this is not PTB-XL's folder."""
    path = root / DATABASE
    columns = {"ecg_id": int, "patient_id": float, "filename_lr": str, "filename_hr": str}
    if not path.is_file():
        remedy = "--ptbxl-root is the unpacked download from https://physionet.org/content/ptb-xl/"
        raise InputError(f"{path}: not found; {remedy}")
    text = io.StringIO(read_text(path))
    try:
        database = pd.read_csv(text, usecols=list(columns), dtype=columns)
        database = database.set_index("ecg_id", verify_integrity=True)
    except ValueError as error:  # pandas' own errors are ValueErrors too
        raise InputError(f"{path}: not PTB-XL's table ({str(error).splitlines()[0]})") from error
    return database.dropna(subset=["filename_lr", "filename_hr"])


def find_asked(
    args: argparse.Namespace, database: pd.DataFrame, ids: list[str], skipped: SkipReport
) -> dict[str, Path]:
    """The WFDB header of each record asked for, by the record's full id; notes unknown ones."""
    found = {}
    for record_id in ids:
        match = _ID.fullmatch(record_id)
        if not match or int(match["number"]) not in database.index:
            skipped.add(record_id, f"{args.ids}: {DATABASE} has no such recording")
            continue
        number, rate = int(match["number"]), match["rate"] or "hr"
        name = f"{database.at[number, f'filename_{rate}']}.hea"
        try:
            found[f"{number:05d}_{rate}"] = args.ptbxl_root / check_inner(name)
        except ValueError as error:
            skipped.add(record_id, f"{args.ptbxl_root / DATABASE}: {error}")
    return found


def import_record(records: dict[str, Path], output_root: Path, name: str) -> tuple[str, ...]:
    """Write one record's CSV and return the notes on it; PTB-XL's resolution is 1 uV.

    Raises InputError naming the file if it is damaged, or of another rate or unit.
    """
    record = read_record(records[name], RATES_HZ[name[-2:]])
    table = pd.DataFrame(record.signal_mv, columns=LEADS)
    write_text(output_root / f"{name}.csv", table.to_csv(index=False, float_format="%.3f"))
    return record.notes


def record_table(output_root: Path, database: pd.DataFrame) -> str:
    """train.csv of all of PTB-XL's records in the folder: id, fs in Hz, samples and, where known, patient."""
    rows = ["id,fs,sig_len,patient_id"]
    for path in sorted(output_root.glob("?????_[hl]r.csv")):
        number, rate = path.stem.split("_")
        if number.isdigit() and int(number) in database.index:
            fs_hz, patient = RATES_HZ[rate], database.at[int(number), "patient_id"]
            known = "" if np.isnan(patient) else f"{patient:.0f}"
            rows.append(f"{path.stem},{fs_hz},{RECORD_DURATION_S * fs_hz:.0f},{known}")
    return "\n".join(rows) + "\n"


def report_import(
    args: argparse.Namespace, made: int, kept: int, skipped: SkipReport, duration_s: float
) -> None:
    """Print what was made."""
    if skipped.reasons:
        print(f"skipped {len(skipped.reasons)} records, listed in {skipped.path}", file=sys.stderr)
    print(
        f"imported {made} records, kept {kept} -> {args.output_root} "
        f"in {duration_s:.1f} s ({made / duration_s:.1f} records/s, {args.num_workers} workers)"
    )


if __name__ == "__main__":
    run(main)
