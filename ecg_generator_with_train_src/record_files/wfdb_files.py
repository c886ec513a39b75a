"""WFDB records, as PhysioNet publishes them: a header .hea and its signals in .dat or .mat files beside it."""

import contextlib
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ecg_generator_with_train_src.common.bounds import read_input, regular_file
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.record_files.lead_names import UNITS_MV, plain_unit, read_column_name
from ecg_generator_with_train_src.record_files.sampling import check_fs
from ecg_generator_with_train_src.record_files.signals import FileSignals

HEADER_SUFFIX = ".hea"
MOST_HEADER_BYTES = 2**20  # of a record of 50,000 segments
MOST_SIGNALS = 1000
MOST_SAMPLES = 30_000_000  # of all signals together: 12 leads at 500 Hz for 83 minutes
_SIGNALS_SAID = re.compile(rb"^[ \t]*[^#\s]\S*[ \t]+(\d{1,18})", re.MULTILINE)
# what wfdb, and soundfile beneath it, raise for malformed headers and short or damaged signal files
_MALFORMED = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError, struct.error)


def read_wfdb_signals(path: Path, start_s: float = 0.0, duration_s: float | None = None) -> FileSignals:
    """Read the leads of the record with the header `path`, in mV, from `start_s` on; None: to its end.

    Samples that WFDB marks as missing are NaN. Raises InputError naming the file for a malformed
    header, a file that is missing or differs from its checksum, a lead in another unit than volts, and one that asks
    for more samples than any ECG has.
    """
    headers = _read_headers(path)
    header = headers[path]
    fs_hz, length = float(header.fs or 0), int(header.sig_len or 0)
    check_fs(fs_hz, path)
    first = min(round(start_s * fs_hz), max(length - 1, 0))
    stop = length if duration_s is None else min(first + round(duration_s * fs_hz), length)
    if length == 0:
        raise InputError(f"{path}: the record has no samples")
    for each, its_header in headers.items():
        _check_amount(each, its_header, stop - first)
    for file in _files_of(headers):
        regular_file(file)
    record = _read(path, "rdrecord", sampfrom=first, sampto=stop, physical=False)
    if (first, stop) == (0, length):
        with _malformed(path):
            _check_sums(path, record)
    signals = _leads_of(path, record)
    return FileSignals(path, signals, dict.fromkeys(signals, 1.0), fs_hz, first / fs_hz, length / fs_hz)


def wfdb_files(path: Path) -> list[Path]:
    """The header and the signal files of a record, as far as they exist; the header alone if it is malformed."""
    try:
        return _files_of(_read_headers(path))
    except InputError:
        return [path]


def _files_of(headers: dict[Path, Any]) -> list[Path]:
    """The headers and the signal files that they name, as far as they exist."""
    signals = [
        path.with_name(name)
        for path, header in headers.items()
        for name in dict.fromkeys(getattr(header, "file_name", None) or [])
    ]
    return [file for file in dict.fromkeys([*headers, *signals]) if file.exists()]


def _read_headers(path: Path) -> dict[Path, Any]:
    """The header, and behind it those of its segments. Raises InputError if one names files that are not beside it."""
    headers = {path: _read_header(path)}
    for name in dict.fromkeys(getattr(headers[path], "seg_name", None) or []):
        segment = path.with_name(f"{name}{HEADER_SUFFIX}")
        if name == "~":  # a gap in the record
            continue
        headers[segment] = _read_header(segment)
        if getattr(headers[segment], "seg_name", None):
            raise InputError(f"{segment}: is a segment of a record, but has segments itself")
    return headers


def _read_header(path: Path):
    with _malformed(path):
        said = _SIGNALS_SAID.search(read_input(path, MOST_HEADER_BYTES))
    if said and int(said[1]) > MOST_SIGNALS:
        raise InputError(f"{path}: says that it has more than {MOST_SIGNALS} signals; mend its first line")
    header = _read(path, "rdheader")
    for name in {*(getattr(header, "seg_name", None) or []), *(getattr(header, "file_name", None) or [])}:
        if name in ("", ".", "..") or set(name) & set("/\\:\0"):
            raise InputError(f"{path}: names the file {name!r}; the files of a record lie beside its header")
    return header


def _check_amount(path: Path, header, num_frames: int) -> None:
    """Raise InputError for a header that has more samples read at once than fit the memory."""
    in_frame = [number or 1 for number in getattr(header, "samps_per_frame", None) or [1] * header.n_sig]
    late = max((frames or 0 for frames in getattr(header, "skew", None) or []), default=0)
    if (num_frames + late) * sum(in_frame) > MOST_SAMPLES:
        raise InputError(
            f"{path}: asks for {(num_frames + late) * sum(in_frame):,} samples at once, more than {MOST_SAMPLES:,}; "
            "mend it, or cut the record into shorter ones"
        )


@contextlib.contextmanager
def _malformed(path: Path) -> Iterator[None]:
    """Turn what wfdb raises for files that are damaged or missing into one line."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"{error.filename}: no such file; the header {path} needs it") from error
    except _MALFORMED as error:
        raise InputError(f"{path}: no whole WFDB record ({' '.join(str(error).split())})") from error


def _read(path: Path, function: str, **options):
    import wfdb  # here, because it takes a second and few commands need it

    with _malformed(path):
        return getattr(wfdb, function)(str(regular_file(path).absolute().with_suffix("")), **options)


def _check_sums(path: Path, record) -> None:
    stated = getattr(record, "checksum", None)
    if not stated or None in stated or record.d_signal is None:
        return
    if [value % 65536 for value in stated] != [value % 65536 for value in record.calc_checksum()]:
        files = ", ".join(dict.fromkeys(record.file_name))
        raise InputError(
            f"{path.with_name(files)}: differs from the checksums in its header; copy the record again"
        )


def _leads_of(path: Path, record) -> dict[str, np.ndarray]:
    """Each lead in mV, the first of those that have its name."""
    with _malformed(path):
        physical = record.dac()
    signals: dict[str, np.ndarray] = {}
    for number, name in enumerate(record.sig_name):
        column = read_column_name(name or "")
        if column.lead is None or column.lead in signals:
            continue
        unit = plain_unit(record.units[number] or "mV")
        if unit not in UNITS_MV:
            raise InputError(
                f"{path}: lead {column.lead} is in {record.units[number]}; expected mV, uV, V or nV"
            )
        signals[column.lead] = physical[:, number] * UNITS_MV[unit] * (-1 if column.upside_down else 1)
    if not signals:
        raise InputError(f"{path}: none of its signals is a lead: {', '.join(map(str, record.sig_name))}")
    return signals
