"""Compare signals that were read from pages with the records that the pages show.

Nothing counts as missing. A page that was not read (digitize.py says so in the JSON beside its signals) counts as a
ratio of 0 and as 0 dB; a lead without any value, and a stretch that a reading left out, as a flat line.
"""

import functools
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ecg_generator_with_train_src.common.bounds import read_input
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.dataset.page_names import parse_page_name
from ecg_generator_with_train_src.page.records import (
    AS_THEY_ARE,
    LEADS,
    RECORD_DURATION_S,
    Record,
    RecordOptions,
    read_record,
    read_signal_mv,
)
from experiment.scoring.signal_metric import PageScore, score_shown_leads

LEAST_SHOWN = 1 / 8  # each lead shows at least this share of a record: a quarter of a page at 50 mm/s


@dataclass(frozen=True)
class ScoredPage:
    """A page that was read, or should have been read."""

    name: str
    record: str
    page_type: str  # the competition's 0001 to 0012, a dataset's profile, or the end of the page's name
    path: Path  # the CSV (or WFDB header) of its signals, which an unread page may lack


@dataclass(frozen=True)
class TrueRecords:
    """The records behind pages: their files by id, and what is told of them."""

    paths: dict[str, Path]
    rates_hz: dict[str, float]
    options: RecordOptions = AS_THEY_ARE

    def read(self, record_id: str) -> Record:
        """Read one record. Raises InputError naming its file if it cannot be read."""
        return _read_once(self.paths[record_id], self.rates_hz.get(record_id), self.options)


Scores = dict[ScoredPage, PageScore]


def find_predictions(folder: Path, own_tables: tuple[Path, ...] = ()) -> list[Path]:
    """List the CSVs of a folder, except for `own_tables` and for a submission, and those in folders below that have
    a JSON beside them; WFDB headers where there are none. Those of unread pages are listed even if they do not exist.
    Raises InputError if there are none."""
    abouts = list(folder.rglob("[!.]*.json"))
    own = {table.absolute() for table in own_tables}

    def found(ending: str) -> set[Path]:
        beside = {about.with_suffix(ending) for about in abouts}
        paths = {*folder.glob(f"[!.]*{ending}"), *filter(Path.is_file, beside)}
        return {path for path in paths if path.absolute() not in own}

    paths = found(".csv") or found(".hea")
    paths |= {about.with_suffix(".csv") for about in abouts if not was_read(about)}
    paths = sorted(path for path in paths if path.name != "submission.csv")
    if not paths:
        raise InputError(
            f"{folder}: no predictions; expected <record>-<type>.csv, as digitize.py writes them"
        )
    return paths


def was_read(about: Path) -> bool:
    """Whether a page was read: it was unless the JSON beside its signals says otherwise."""
    try:
        said = json.loads(read_input(about))
    except (InputError, OSError, ValueError, RecursionError):
        return True
    return not isinstance(said, dict) or said.get("status") != "unread"


def name_page(path: Path, folder: Path, records: dict[str, Path]) -> ScoredPage:
    """Find the record and the type of a prediction of a folder. Raises InputError if its name begins with none of the
    records."""
    name = parse_page_name(path.stem, records)
    if not name.is_known:
        raise InputError(
            f"{path}: its name begins with no record's id: <id>.csv, <id>-<type>.csv and a dataset's samples do"
        )
    page = path.relative_to(folder).with_suffix("").as_posix()
    return ScoredPage(page, name.record, name.kind or "page", path)


def score_file(records: TrueRecords, page: ScoredPage) -> PageScore:
    """Score one prediction. Raises InputError that names the file at fault."""
    truth_mv = records.read(page.record).signal_mv.T
    if not was_read(page.path.with_suffix(".json")):
        flat = np.where(np.isfinite(truth_mv), 0.0, np.nan)
        return replace(score_shown_leads(truth_mv, flat, 1.0), read=False)
    return compare(page.path, truth_mv, read_signal_mv(page.path).T)


@functools.lru_cache(maxsize=16)  # the pages of a record follow each other
def _read_once(path: Path, fs_hz: float | None, options: RecordOptions) -> Record:
    return read_record(path, fs_hz, options)


def compare(path: Path, truth_mv: np.ndarray, predicted_mv: np.ndarray) -> PageScore:
    """Compare the signals of the file `path` with the truth; both are (12, samples) over the record's 10 s.

    What a lead lacks of the values that its truth has counts as 0 mV; a lead that the record lacks does not count.
    Raises InputError as compared_samples does.
    """
    wanted = compared_samples(path, truth_mv, predicted_mv)
    predicted_mv = np.nan_to_num(predicted_mv)
    fs_hz = truth_mv.shape[1] // RECORD_DURATION_S  # the metric rounds down, too
    return score_shown_leads(
        np.where(wanted, truth_mv, np.nan), np.where(wanted, predicted_mv, np.nan), fs_hz
    )


def compared_samples(path: Path, truth_mv: np.ndarray, predicted_mv: np.ndarray) -> np.ndarray:
    """Which samples (12, samples) of the truth and of the file `path` are compared: those that the page shows.

    Raises InputError that names the file if the number of samples differs, or if a value is infinite.
    """
    if truth_mv.shape != predicted_mv.shape:
        wanted, there = truth_mv.shape[1], predicted_mv.shape[1]
        raise InputError(
            f"{path}: has {there} rows, but its truth has {wanted}; "
            "tell digitize.py the sampling rate (--fs-hz or --train-csv)"
        )
    for lead, infinite in zip(LEADS, np.isinf(predicted_mv), strict=True):
        if infinite.any():
            raise InputError(f"{path}: lead {lead}, row {int(np.argmax(infinite)) + 1}: no finite value")
    wanted = np.isfinite(truth_mv)
    share = wanted.mean(axis=1)
    is_full_record = (share[share > 0] > share.max() / 2).all()  # the page may show only a part of it
    return wanted & shown_part(path, predicted_mv) if is_full_record else wanted


def shown_part(path: Path, predicted_mv: np.ndarray) -> np.ndarray:
    """Which samples each lead shows, (12, samples): from its first value to its last, or all of them if it has none.

    Raises InputError for a lead with fewer values than any page shows.
    """
    there = ~np.isnan(predicted_mv)
    shown = (
        np.logical_or.accumulate(there, axis=1) & np.logical_or.accumulate(there[:, ::-1], axis=1)[:, ::-1]
    )
    shown |= ~there.any(axis=1, keepdims=True)
    least = int(LEAST_SHOWN * predicted_mv.shape[1])
    for lead, samples in zip(LEADS, shown.sum(axis=1), strict=True):
        if samples < least:
            raise InputError(f"{path}: lead {lead} has {samples} values, but a page shows at least {least}")
    return shown
