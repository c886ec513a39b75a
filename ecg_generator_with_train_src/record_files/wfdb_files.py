"""WFDB records, as PhysioNet publishes them: a header .hea and its signals in .dat or .mat files beside it."""

import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ecg_generator_with_train_src.common.bounds import regular_file
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.record_files.lead_names import UNITS_MV, plain_unit, read_column_name
from ecg_generator_with_train_src.record_files.sampling import check_fs
from ecg_generator_with_train_src.record_files.signals import FileSignals

HEADER_SUFFIX = ".hea"
# what wfdb raises for malformed headers and short or damaged signal files
_MALFORMED = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, struct.error)


def read_wfdb_signals(path: Path, start_s: float = 0.0, duration_s: float | None = None) -> FileSignals:
    """Read the leads of the record with the header `path`, in mV, from `start_s` on; None: to its end.

    Samples that WFDB marks as missing are NaN. Raises InputError naming the file for a malformed
    header, a file that is missing or differs from its checksum, and a lead in another unit than volts.
    """
    header = _read_header(path)
    fs_hz, length = float(header.fs or 0), int(header.sig_len or 0)
    check_fs(fs_hz, path)
    first = min(round(start_s * fs_hz), max(length - 1, 0))
    stop = length if duration_s is None else min(first + round(duration_s * fs_hz), length)
    if length == 0:
        raise InputError(f"{path}: the record has no samples")
    for file in wfdb_files(path):
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
        header = _read_header(path)
    except InputError:
        return [path]
    if hasattr(header, "seg_name"):
        segments = [path.with_name(f"{name}{HEADER_SUFFIX}") for name in header.seg_name if name != "~"]
        names = [file.name for segment in segments if segment != path for file in wfdb_files(segment)]
    else:
        names = list(dict.fromkeys(header.file_name or []))
    files = [path, *(path.with_name(name) for name in names)]
    return [file for file in files if file.exists()]


def _read_header(path: Path, is_segment: bool = False):
    """The header. Raises InputError if it, or one of its segments, names files that are not beside it."""
    header = _read(path, "rdheader")
    segments = [name for name in getattr(header, "seg_name", None) or [] if name != "~"]
    for name in {*segments, *(getattr(header, "file_name", None) or [])}:
        if name in ("", ".", "..") or set(name) & set("/\\:\0"):
            raise InputError(f"{path}: names the file {name!r}; the files of a record lie beside its header")
    if is_segment and segments:
        raise InputError(f"{path}: is a segment of a record, but has segments itself")
    for name in segments:
        _read_header(path.with_name(f"{name}{HEADER_SUFFIX}"), is_segment=True)
    return header


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
