"""The competition's submission: a table `id,value` with one row per sample, as CSV or Parquet.

An id is `<page>_<row>_<lead>`; the value is in mV. Row 0 is the first sample that the page shows of the lead.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from ecg_generator_with_train_src.common.bounds import regular_file
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import atomic_path
from ecg_generator_with_train_src.page.records import LEADS

MOST_ROWS = 30_000_000  # of 1000 pages at 500 Hz: all are in the memory at once
MOST_PLACES = (
    4 * MOST_ROWS
)  # of twelve leads as long as each page's longest; of the competition's pages 3.2 a row
_TYPES = {"id": pa.string(), "value": pa.float64()}


def read_submission(path: Path) -> dict[str, np.ndarray]:
    """Read each page's signals in mV: shape (12, longest lead), leads in the order of LEADS, NaN after shorter ones.

    Raises InputError that names the file for anything that is no submission: another form of file or id, a page that
    lacks one of the leads, a value that is NaN or infinite, rows that are missing or there twice.
    """
    pages: dict[str, int] = {}
    parts, rows = [], 0
    for batch in _batches(path):
        rows += len(batch)
        if rows > MOST_ROWS:
            raise InputError(f"{path}: has more than {MOST_ROWS:,} rows; part it by pages")
        parts.append(_parse(path, batch, pages))
    if not pages:
        raise InputError(f"{path}: no rows")
    cell, row, value = (np.concatenate(column) for column in zip(*parts, strict=True))
    return dict(zip(pages, _assemble(path, list(pages), cell, row, value), strict=True))


def write_submission(path: Path, pages: dict[str, dict[str, np.ndarray]]) -> None:
    """Write each page's leads (rows,) in mV, as Parquet if the name ends in .parquet, else as CSV. The file is written
    as a whole or not at all."""
    schema = pa.schema(_TYPES)
    with atomic_path(path) as temporary, _writer(path.suffix, temporary, schema) as writer:
        for page, leads in pages.items():  # page by page: the ids of a thousand pages are a gigabyte
            ids = [
                f"{page}_{row}_{lead}" for lead, signal_mv in leads.items() for row in range(len(signal_mv))
            ]
            writer.write_table(pa.table([ids, np.concatenate(list(leads.values()))], schema))


def _writer(suffix: str, path: Path, schema: pa.Schema) -> pa.parquet.ParquetWriter | pa.csv.CSVWriter:
    if suffix == ".parquet":
        return pa.parquet.ParquetWriter(path, schema, write_page_checksum=True)
    return pa.csv.CSVWriter(path, schema, write_options=pa.csv.WriteOptions(quoting_style="none"))


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Read the columns id and value, piece by piece."""
    try:
        regular_file(path)
        if path.suffix == ".parquet":
            with pa.parquet.ParquetFile(path, page_checksum_verification=True) as file:
                for batch in file.iter_batches(columns=list(_TYPES)):
                    yield batch.select(list(_TYPES)).cast(pa.schema(_TYPES))
        else:
            options = pa.csv.ConvertOptions(column_types=_TYPES, include_columns=list(_TYPES))
            with pa.csv.open_csv(path, convert_options=options) as reader:
                yield from reader
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (
        pa.ArrowException,
        KeyError,
        ValueError,
        OSError,
    ) as error:  # pyarrow's own errors are OSErrors too
        what = str(error).splitlines()[0]
        raise InputError(f"{path}: no submission, which has the columns id and value ({what})") from error


def _parse(path: Path, batch: pa.RecordBatch, pages: dict[str, int]) -> tuple[np.ndarray, ...]:
    """Parse lines into arrays: number of page and lead (12 times the page's plus the lead's), row, and value.

    New pages are added to `pages`.
    """
    ids, value = batch["id"].fill_null(""), batch["value"].to_numpy(zero_copy_only=False)
    parts = pc.split_pattern(ids, "_", max_splits=2, reverse=True)
    _refuse(path, ids, pc.not_equal(pc.list_value_length(parts), 3), "is no id <page>_<row>_<lead>")
    page, row, lead = (pc.list_element(parts, k) for k in range(3))
    _refuse(path, ids, pc.invert(pc.match_substring_regex(row, r"^\d{1,9}$")), "has no row number")
    lead = pc.index_in(lead, pa.array(LEADS))
    _refuse(path, ids, pc.is_null(lead), f"has none of the leads {', '.join(LEADS)}")
    _refuse(path, ids, pa.array(~np.isfinite(value)), "has no finite value")
    page = page.dictionary_encode()
    number = np.array([pages.setdefault(name, len(pages)) for name in page.dictionary.to_pylist()], np.int32)
    cell = number[page.indices.to_numpy()] * np.int32(len(LEADS)) + lead.to_numpy()
    return cell, row.cast(pa.int32()).to_numpy(), value


def _refuse(path: Path, ids: pa.Array, bad: pa.Array, what: str) -> None:
    first = pc.index(bad, True).as_py()
    if first >= 0:
        raise InputError(f"{path}: {ids[first].as_py()!r} {what}")


def _assemble(
    path: Path, pages: list[str], cell: np.ndarray, row: np.ndarray, value: np.ndarray
) -> Iterator[np.ndarray]:
    """Assemble the signals of each page, with every row at its place."""
    count = np.bincount(cell, minlength=len(pages) * len(LEADS))
    _refuse_lead(path, pages, count == 0, "is missing")
    if len(LEADS) * int(count.reshape(-1, len(LEADS)).max(axis=1).sum()) > MOST_PLACES:
        raise InputError(f"{path}: has leads that are far longer than the others of their page; mend them")
    wrong = cell[row >= count[cell]]
    _refuse_lead(path, pages, np.isin(np.arange(len(count)), wrong), "has rows missing or twice")
    start = np.cumsum(count) - count
    ordered = np.full(len(value), np.nan)
    ordered[start[cell] + row] = value
    _refuse_lead(path, pages, np.isnan(np.add.reduceat(ordered, start)), "has rows missing or twice")
    leads = np.split(ordered, start[1:])
    for page in range(len(pages)):
        shown = leads[page * len(LEADS) : (page + 1) * len(LEADS)]
        signals_mv = np.full((len(LEADS), max(map(len, shown))), np.nan)
        for lead, signal_mv in enumerate(shown):
            signals_mv[lead, : len(signal_mv)] = signal_mv
        yield signals_mv


def _refuse_lead(path: Path, pages: list[str], bad: np.ndarray, what: str) -> None:
    if bad.any():
        page, lead = divmod(int(np.argmax(bad)), len(LEADS))
        raise InputError(f"{path}: page {pages[page]}: lead {LEADS[lead]} {what}")
