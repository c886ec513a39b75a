"""Records in: CSV files of 12 leads in millivolts, in either folder layout."""

import io
import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.text_table import numbers_in, read_text_table

if TYPE_CHECKING:
    import pandas as pd  # loaded by the functions that need it: reading pages does without

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
RECORD_DURATION_S = 10.0
MIN_FS_HZ, MAX_FS_HZ = 50.0, 2000.0

_TABLES = ("train.csv", "test.csv", "sample_submission.csv")  # tables of the competition that are no records
_DURATION_TOLERANCE_S = 0.1


@dataclass(frozen=True)
class Record:
    """One 12-lead record.

    `signal_mv` has shape (samples, 12), columns in the order of LEADS; NaN where nothing was recorded.
    Sample k stands at k / fs_hz seconds.
    """

    record_id: str
    fs_hz: float
    signal_mv: np.ndarray

    def lead_mv(self, lead: str) -> np.ndarray:
        """Shape (samples,), millivolts."""
        return self.signal_mv[:, LEADS.index(lead)]


def find_records(root: Path) -> dict[str, Path]:
    """Map record id to its CSV, sorted by id: `<root>/<id>.csv` or `<root>/<id>/<id>.csv`.

    Raises InputError if there is no such folder, no record in it, or an id twice.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; get the records with scripts/prepare_original_data.sh")
    flat = [path for path in root.glob("*.csv") if path.name not in _TABLES]
    nested = [path for path in root.glob("*/*.csv") if path.stem == path.parent.name]
    records: dict[str, Path] = {}
    for path in sorted(path for path in flat + nested if not path.name.startswith(".") and not path.is_dir()):
        if path.stem in records:
            raise InputError(
                f"{path}: record {path.stem} is also in {records[path.stem]}; remove one of them"
            )
        records[path.stem] = path
    if not records:
        raise InputError(f"{root}: no records; expected {root}/<id>.csv or {root}/<id>/<id>.csv")
    return dict(sorted(records.items()))


def read_record(path: Path, fs_hz: float) -> Record:
    """Read one CSV.

    Raises InputError naming the file for an unreadable file, a missing lead, text in a cell, no rows, an infinite
    value, a lead without any value or with one value throughout, a rate outside 50-2000 Hz, and a
    length that is not 10 s at `fs_hz`.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "17.csv")
    >>> rows = [",".join([str(k % 50 / 50)] * 12) for k in range(500)]
    >>> _ = path.write_text("\\n".join([",".join(LEADS), *rows]))
    >>> record = read_record(path, fs_hz=50)
    >>> record.record_id, record.signal_mv.shape, record.lead_mv("V1")[:3].tolist()
    ('17', (500, 12), [0.0, 0.02, 0.04])
    """
    check_fs(fs_hz, path)
    signal_mv = read_signal_mv(path)
    _check_signal(path, signal_mv)
    duration_s = len(signal_mv) / fs_hz
    if abs(duration_s - RECORD_DURATION_S) > _DURATION_TOLERANCE_S:
        raise InputError(
            f"{path}: {len(signal_mv)} rows at {fs_hz:g} Hz are {duration_s:.2f} s, not {RECORD_DURATION_S:g} s; "
            "check the sampling rate (--fs-hz or train.csv)"
        )
    return Record(path.stem, fs_hz, signal_mv)


def read_signal_mv(path: Path) -> np.ndarray:
    """The numbers of one CSV, shape (samples, 12) in the order of LEADS, whatever they are; NaN where there is none.

    Raises InputError naming the file for an unreadable file, a missing lead and text in a cell.
    """
    try:
        table = _read_table(path, np.float64)
    except ValueError as error:
        raise InputError(f"{path}: {_describe_text_cell(path)}") from error
    missing = [lead for lead in LEADS if lead not in table.columns]
    if missing:
        raise InputError(
            f"{path}: lead {', '.join(missing)} is missing; expected the columns {','.join(LEADS)}"
        )
    return table[list(LEADS)].to_numpy()


def _read_table(path: Path, dtype: type) -> "pd.DataFrame":
    """Read a CSV by its header. Raises InputError if it is none, or ValueError for a cell that is not of the type."""
    import pandas as pd

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            # The text is parsed from memory. If pandas reads the file itself, it takes a Ctrl-C for a damaged file.
            text = io.StringIO(path.read_text(encoding="utf-8-sig"))
            # Without index_col, pandas takes the first column of rows longer than the header for an index.
            return pd.read_csv(text, dtype=dtype, skipinitialspace=True, index_col=False)
    except pd.errors.ParserWarning as error:
        raise InputError(f"{path}: the rows have more cells than the header") from error
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except pd.errors.EmptyDataError as error:
        raise InputError(f"{path}: the file is empty") from error
    except (UnicodeDecodeError, pd.errors.ParserError) as error:
        raise InputError(f"{path}: not a CSV file ({' '.join(str(error).split())})") from error


def _describe_text_cell(path: Path) -> str:
    """Name the first cell that is no number."""
    import pandas as pd

    table = _read_table(path, str)
    for lead in table.columns:
        bad = table[lead].notna() & pd.to_numeric(table[lead], errors="coerce").isna()
        if bad.any():
            row = int(bad.idxmax())
            return f"row {row + 1}, column {lead}: {table[lead].iloc[row]!r} is not a number"
    return "a cell is not a number"


def _check_signal(path: Path, signal_mv: np.ndarray) -> None:
    if len(signal_mv) == 0:
        raise InputError(f"{path}: no rows below the header")
    if np.isinf(signal_mv).any():
        row, column = np.argwhere(np.isinf(signal_mv))[0]
        raise InputError(f"{path}: row {row + 1}, lead {LEADS[column]} is infinite")
    with warnings.catch_warnings():
        # numpy warns about columns without values, which are just what is looked for
        warnings.simplefilter("ignore", RuntimeWarning)
        low, high = np.nanmin(signal_mv, axis=0), np.nanmax(signal_mv, axis=0)
    for lead, lead_low, lead_high in zip(LEADS, low, high, strict=True):
        if np.isnan(lead_low):
            raise InputError(f"{path}: lead {lead} has no values")
        if lead_low == lead_high:
            raise InputError(f"{path}: lead {lead} is constant ({lead_low:g} mV)")


def check_fs(fs_hz: float, where: Path | str) -> None:
    """Raise InputError naming `where` if the sampling rate is outside 50-2000 Hz."""
    if not MIN_FS_HZ <= fs_hz <= MAX_FS_HZ:
        raise InputError(
            f"{where}: {fs_hz:g} Hz is outside {MIN_FS_HZ:g}-{MAX_FS_HZ:g} Hz; check the sampling rate"
        )


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
    table = read_text_table(path)
    if not {"id", "fs"} <= table.keys():
        raise InputError(f"{path}: expected the columns id and fs, found {', '.join(table)}")
    rates = numbers_in(table, "fs", path)
    patients = zip(table["id"], table.get("patient_id", [""] * len(rates)), strict=True)
    known = {record_id: patient for record_id, patient in patients if patient}
    return RecordTable(path, dict(zip(table["id"], rates, strict=True)), known)


def fs_from_row_count(path: Path) -> float:
    """Sampling rate in Hz if the rows of a CSV are the 10 s of a record: rows / 10.

    Raises InputError if it has no rows, or not as many as a rate of 50-2000 Hz gives.
    """
    with path.open("rb") as file:
        lines = sum(1 for line in file if line.strip())
    if lines < 2:
        raise InputError(f"{path}: no rows below the header" if lines else f"{path}: the file is empty")
    fs_hz = (lines - 1) / RECORD_DURATION_S
    check_fs(fs_hz, f"{path}: {lines - 1} rows in {RECORD_DURATION_S:g} s")
    if not fs_hz.is_integer():
        raise InputError(
            f"{path}: {lines - 1} rows in {RECORD_DURATION_S:g} s are no whole rate ({fs_hz:g} Hz); "
            "is the file cut off? Else state the rate (--fs-hz or train.csv)"
        )
    return fs_hz


def recording_of(record_id: str) -> str:
    """The recording behind a record: PTB-XL's `02132_hr` and `02132_lr` are one recording at two rates."""
    return re.sub(r"_(hr|lr)$", "", record_id)


def read_record_ids(path: Path) -> list[str]:
    """The ids of a list, one a line; blank lines and what follows a `#` do not count, nor does an id given twice.

    Raises InputError naming the file if it cannot be read, holds no id, or more than an id in a line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; it lists record ids, one a line") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file; it lists record ids, one a line") from error
    ids = [fields for fields in (line.partition("#")[0].split() for line in lines) if fields]
    if not ids or max(map(len, ids)) > 1:
        raise InputError(f"{path}: expected record ids, one a line")
    return list(dict.fromkeys(record_id for (record_id,) in ids))
