"""Records in: 12 leads in millivolts from CSV or WFDB files, in either folder layout.

A record is the first 10 s of its file, or those from another second on. Whatever was made of a file beyond reading its
numbers stands in the record's notes: a rate that was guessed, leads that were computed or left out, what was cut off.
"""

import argparse
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import sha256_of, sha256_of_file
from ecg_generator_with_train_src.common.text_files import read_text
from ecg_generator_with_train_src.record_files.id_tables import numbers_in, read_id_table
from ecg_generator_with_train_src.record_files.lead_names import LEADS
from ecg_generator_with_train_src.record_files.limb_leads import complete_limb_leads, contradiction_of
from ecg_generator_with_train_src.record_files.millivolts import mv_per_unit, signals_in_mv
from ecg_generator_with_train_src.record_files.sampling import SAME_FS, check_fs, guess_fs
from ecg_generator_with_train_src.record_files.signals import FileSignals
from ecg_generator_with_train_src.record_files.text_tables import read_text_signals
from ecg_generator_with_train_src.record_files.wfdb_files import HEADER_SUFFIX, read_wfdb_signals, wfdb_files

RECORD_DURATION_S = 10.0
LATEST_START_S = 1e9  # of a record in its file: 30 years

_TABLES = ("train.csv", "test.csv", "sample_submission.csv")  # tables of the competition that are no records


@dataclass(frozen=True)
class Record:
    """One 12-lead record.

    `signal_mv` has shape (10 s of samples, 12), columns in the order of LEADS; NaN where nothing was recorded.
    Sample k stands at k / fs_hz seconds. `notes` say in words what was made of the file; `guess` how the rate was
    guessed, empty where it was told.
    """

    record_id: str
    fs_hz: float
    signal_mv: np.ndarray
    notes: tuple[str, ...] = ()
    guess: str = ""

    def lead_mv(self, lead: str) -> np.ndarray:
        """Shape (samples,), millivolts."""
        return self.signal_mv[:, LEADS.index(lead)]


@dataclass(frozen=True)
class RecordOptions:
    """What is told of all records of a folder beforehand."""

    mv_per_unit: float | None = None  # of files that do not tell their unit; None: they must be in mV
    start_s: float = 0.0  # time in the file at which the record begins


AS_THEY_ARE = RecordOptions()


def add_record_arguments(parser: argparse.ArgumentParser) -> None:
    """`--unit` and `--start-s`, from which `record_options` are made."""
    parser.add_argument(
        "--unit",
        type=mv_per_unit,
        metavar="UNIT",
        help="of records that do not tell theirs: mV, uV, V, or how many mV a step is; without this flag mV",
    )
    parser.add_argument(
        "--start-s",
        type=float,
        default=0.0,
        help="second of each record at which the 10 s that are used begin",
    )


def record_options(args: argparse.Namespace) -> RecordOptions:
    """What the flags tell of records. Raises InputError for a time before the records' start."""
    if not 0 <= args.start_s <= LATEST_START_S:
        raise InputError(
            f"--start-s: {args.start_s:g} is no second of a record; give 0 to {LATEST_START_S:g}"
        )
    return RecordOptions(args.unit, args.start_s)


def find_records(root: Path) -> dict[str, Path]:
    """Map record id to its file, sorted by id: `<root>/<id>.csv` or `<root>/<id>/<id>.csv`, or WFDB headers `<id>.hea`
    in `root` or any folder below. A header beside a CSV of its name is the same record; the CSV is taken.

    Raises InputError if there is no such folder, no record in it, or an id twice.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; get the records with scripts/prepare_original_data.sh")
    flat = [path for path in root.glob("*") if path.name.lower() not in _TABLES]
    nested = [path for path in root.glob("*/*") if path.stem == path.parent.name]
    tables = [path for path in flat + nested if path.suffix.lower() == ".csv"]
    with_table = {path.with_suffix("") for path in tables}
    headers = [path for path in root.rglob(f"*{HEADER_SUFFIX}") if path.with_suffix("") not in with_table]
    records: dict[str, Path] = {}
    for path in sorted(
        path for path in tables + headers if not path.name.startswith(".") and not path.is_dir()
    ):
        if path.stem in records:
            raise InputError(
                f"{path}: record {path.stem} is also in {records[path.stem]}; remove one of them"
            )
        records[path.stem] = path
    if not records:
        raise InputError(
            f"{root}: no records; expected {root}/<id>.csv, {root}/<id>/<id>.csv or WFDB headers <id>{HEADER_SUFFIX}"
        )
    return dict(sorted(records.items()))


def holds_records(root: Path) -> bool:
    """Whether a folder has files that find_records would look at."""
    return any(
        any(root.glob(pattern)) for pattern in ("*.[cC][sS][vV]", "*/*.[cC][sS][vV]", f"**/*{HEADER_SUFFIX}")
    )


def files_of_record(path: Path) -> list[Path]:
    """All files of a record: its CSV, or its WFDB header and what that lists."""
    return wfdb_files(path) if path.suffix == HEADER_SUFFIX else [path]


def record_sha256(path: Path) -> str:
    """SHA-256 of all files of a record. Raises InputError if there is none."""
    try:
        first, *others = [sha256_of_file(file) for file in files_of_record(path)] or [""]
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    return sha256_of("".join([first, *others]).encode()) if others else first


def read_record(path: Path, fs_hz: float | None = None, options: RecordOptions = AS_THEY_ARE) -> Record:
    """Read one record at the rate that is told, else its file's own, else one that devices have.

    A lead that is absent, empty or flat throughout is left out. Raises InputError naming the file for one that cannot
    be read, text in a cell, no rows, no lead with a signal, an infinite value, a rate outside 50-2000 Hz, one that
    differs from the file's own or that cannot be guessed, values that cannot be mV, and an end before `start_s`.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "17.csv")
    >>> rows = [",".join([str(k % 50 / 50)] * 2) for k in range(4000)]
    >>> _ = path.write_text("\\n".join(["Lead I,II", *rows]))
    >>> record = read_record(path, fs_hz=200)
    >>> record.record_id, record.signal_mv.shape, record.lead_mv("aVF")[:3].tolist()
    ('17', (2000, 12), [0.0, 0.01, 0.02])
    >>> record.notes
    ('III, aVR, aVL, aVF computed from I and II', 'no lead V1, V2, V3, V4, V5, V6', '0-10 s of 20 s are used')
    """
    if fs_hz is not None:
        check_fs(fs_hz, path)
    file = _read_file(path, options.start_s)
    if file.num_samples == 0:
        raise InputError(f"{path}: no rows below the header")
    fs_hz, guess = _fs_of(file, fs_hz)
    signals_mv, gaps = signals_in_mv(file, options.mv_per_unit)
    computed, lead_notes = _leave_out_and_complete(file, signals_mv)
    signal_mv, cut = _ten_seconds(file, signals_mv, fs_hz, options.start_s)
    wrong = contradiction_of(np.where(np.isin(LEADS, computed), np.nan, signal_mv))
    odd = [f"limb leads break Einthoven's relations: {wrong}"] if wrong else []
    return Record(path.stem, fs_hz, signal_mv, (*gaps, *lead_notes, *cut, *odd), guess)


def read_signal_mv(path: Path) -> np.ndarray:
    """The numbers of one file in mV, shape (samples, 12) in the order of LEADS, whatever they are; NaN for none.

    Raises InputError naming the file for an unreadable file, a missing lead and text in a cell.
    """
    file = _read_file(path, 0.0, None)
    missing = [lead for lead in LEADS if lead not in file.signals]
    if missing:
        raise InputError(
            f"{path}: lead {', '.join(missing)} is missing; expected the columns {','.join(LEADS)}"
        )
    return np.stack([file.signals[lead] * (file.mv_per_unit[lead] or 1.0) for lead in LEADS], axis=1)


def _read_file(path: Path, start_s: float, duration_s: float | None = RECORD_DURATION_S) -> FileSignals:
    if path.suffix == HEADER_SUFFIX:
        return read_wfdb_signals(path, start_s, duration_s)
    return read_text_signals(path)


def _fs_of(file: FileSignals, told_hz: float | None) -> tuple[float, str]:
    """The rate of a file, and how it was guessed if it was."""
    if file.fs_hz is not None:
        check_fs(file.fs_hz, file.path)
        if told_hz is not None and abs(told_hz - file.fs_hz) > SAME_FS * file.fs_hz:
            raise InputError(
                f"{file.path}: says that its rate is {file.fs_hz:g} Hz, not {told_hz:g} Hz; mend --fs-hz or train.csv"
            )
    if (known := told_hz or file.fs_hz) is not None:
        return known, ""
    rows = file.num_samples
    if (fs_hz := guess_fs(rows)) is None:
        raise InputError(
            f"{file.path}: {rows} rows are no usual time at any rate that devices have; is the file cut off? "
            "Else state the rate (--fs-hz or train.csv)"
        )
    return fs_hz, f"{fs_hz:g} Hz guessed from {rows} rows (neither --fs-hz nor train.csv tells the rate)"


def _leave_out_and_complete(
    file: FileSignals, signals_mv: dict[str, np.ndarray]
) -> tuple[list[str], list[str]]:
    """Leave out leads without a signal and compute absent limb leads, both in place. Returns what was computed, and
    notes on both."""
    absent = [lead for lead in LEADS if lead not in signals_mv]
    off = []
    for lead, values_mv in list(signals_mv.items()):
        if np.isinf(values_mv).any():
            row = int(np.isinf(values_mv).argmax())
            raise InputError(f"{file.path}: row {row + 1}, lead {lead} is infinite")
        there = values_mv[np.isfinite(values_mv)]
        if len(there) == 0 or there.min() == there.max():
            off.append(f"lead {lead} is {f'flat ({there[0]:g} mV)' if len(there) else 'empty'} and left out")
            del signals_mv[lead]
    if not signals_mv:
        raise InputError(f"{file.path}: no lead has a signal: {'; '.join(off)}")
    computed, sources = complete_limb_leads(signals_mv, absent)
    lacking = [lead for lead in absent if lead not in computed]
    made = [f"{', '.join(computed)} computed from {' and '.join(sources)}"] if computed else []
    return computed, [*made, *([f"no lead {', '.join(lacking)}"] if lacking else []), *off]


def _ten_seconds(
    file: FileSignals, signals_mv: dict[str, np.ndarray], fs_hz: float, start_s: float
) -> tuple[np.ndarray, list[str]]:
    """The record's samples (10 s, 12), NaN beyond the file's end, and a note where the file has more or fewer."""
    first, length = round((start_s - file.first_s) * fs_hz), round(RECORD_DURATION_S * fs_hz)
    duration_s = file.duration_s or file.num_samples / fs_hz
    signal_mv = np.full((length, len(LEADS)), np.nan)
    for lead, values_mv in signals_mv.items():
        part = values_mv[first : first + length]
        signal_mv[: len(part), LEADS.index(lead)] = part
    if not np.isfinite(signal_mv).any():
        raise InputError(
            f"{file.path}: has no values from {start_s:g} s on; it is {duration_s:g} s long (--start-s)"
        )
    if abs(duration_s - RECORD_DURATION_S) < 1.5 / fs_hz and not start_s:
        return signal_mv, []
    end_s = min(start_s + RECORD_DURATION_S, duration_s)
    return signal_mv, [f"{start_s:g}-{round(end_s, 2):g} s of {round(duration_s, 2):g} s are used"]


@dataclass(frozen=True)
class RecordTable:
    """What `train.csv` says of the records: sampling rates and, where known, patients."""

    path: Path | None
    fs_hz: dict[str, float]
    patients: dict[str, str]


def read_record_table(root: Path) -> RecordTable:
    """Read the `train.csv` (columns id, fs and, if known, patient_id) in `root` or the nearest folder above it.

    Without one, the table is empty. Raises InputError if it lacks the columns or holds no numbers.
    """
    top = Path(
        os.path.normpath(root.absolute())
    )  # links are not resolved: above a linked folder means above the link
    for folder in (top, *top.parents):
        path = folder / "train.csv"
        if path.is_file():
            return _parse_record_table(path)
    return RecordTable(None, {}, {})


def _parse_record_table(path: Path) -> RecordTable:
    table = read_id_table(path)
    if not {"id", "fs"} <= table.keys():
        raise InputError(f"{path}: expected the columns id and fs, found {', '.join(table)}")
    rates = numbers_in(table, "fs", path)
    patients = zip(table["id"], table.get("patient_id", [""] * len(rates)), strict=True)
    known = {record_id: patient for record_id, patient in patients if patient}
    return RecordTable(path, dict(zip(table["id"], rates, strict=True)), known)


def recording_of(record_id: str) -> str:
    """The recording behind a record: PTB-XL's `02132_hr` and `02132_lr` are one recording at two rates."""
    return re.sub(r"_(hr|lr)$", "", record_id)


def read_record_ids(path: Path) -> list[str]:
    """The ids of a list, one a line; blank lines and what follows a `#` do not count, nor does an id given twice.

    Raises InputError naming the file if it cannot be read, holds no id, or more than an id in a line.
    """
    lines = (line.partition("#")[0].split() for line in read_text(path).splitlines())
    ids = [fields for fields in lines if fields]
    if not ids or max(map(len, ids)) > 1:
        raise InputError(f"{path}: expected record ids, one a line")
    return list(dict.fromkeys(record_id for (record_id,) in ids))
