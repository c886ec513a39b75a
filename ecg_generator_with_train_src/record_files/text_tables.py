"""Tables of signals in text files: the line that names the leads is found, and what stands before and between is not
taken for numbers. Commas, semicolons, tabs, bars or blanks part the cells; decimals have a point or a comma."""

import io
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecg_generator_with_train_src.common.bounds import MOST_TEXT_BYTES, read_input
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.record_files.lead_names import (
    LEADS,
    UNITS_MV,
    ColumnName,
    plain_unit,
    read_column_name,
)
from ecg_generator_with_train_src.record_files.sampling import fs_in_words, fs_of_times
from ecg_generator_with_train_src.record_files.signals import FileSignals

if TYPE_CHECKING:
    import pandas as pd  # loaded by the functions that need it: reading pages does without

HEADER_WITHIN_LINES = 100
MOST_COLUMNS = 1000  # a line of more is no header
MOST_LINE_CHARACTERS = 100_000  # pandas would make a column of each cell of a row
SHOWN_CHARACTERS = 60  # of a cell or line that is wrong
_SEPARATORS = (",", ";", "\t", "|", r"\s+")
_COMMENTS = ("#", "%", "//")
_DECIMAL_COMMA = re.compile(r"\s*\"?[+-]?\d*,\d+(?:[eE][+-]?\d+)?\"?\s*")
_NUMBERS = re.compile(r"(?=.*\d)[\d\s.,;|:eE+\"-]*")  # a row of numbers
_NO_VALUE = ["-", "--", "?", "*"]  # beside pandas' own words for it, such as NaN and null


@dataclass(frozen=True)
class _Header:
    line: int  # counted from 0
    separator: str
    columns: tuple[ColumnName, ...]

    @property
    def num_leads(self) -> int:
        return sum(column.lead is not None for column in self.columns)

    def names(self) -> list[str]:
        """Names of the columns that differ from one another."""
        return [column.lead or f"column {k + 1}" for k, column in enumerate(self.columns)]


def read_text_signals(path: Path) -> FileSignals:
    """Read the leads of a CSV or a similar table.

    Raises InputError naming the file if it is no text, has a line that is far too long, no line names a lead, a lead is
    named twice, rows are longer than the header, or a lead has text in a cell.
    """
    lines = decode_text(path).split("\n")
    _refuse_long_line(path, lines)
    header = _find_header(path, lines)
    leads = [column.lead for column in header.columns if column.lead]
    if twice := sorted({lead for lead in leads if leads.count(lead) > 1}):
        raise InputError(f"{path}: two columns are lead {', '.join(twice)}; remove one of them")
    units = [column.unit for column in header.columns]
    body, unit_line = _body_of(lines, header)
    if unit_line:
        units = [there or said for there, said in zip(units, unit_line, strict=False)]
    table = _parse(path, header, body)
    return FileSignals(
        path=path,
        signals={
            column.lead: table[column.lead].to_numpy() * (-1 if column.upside_down else 1)
            for column in header.columns
            if column.lead
        },
        mv_per_unit={
            column.lead: _mv_of(path, column.lead, unit)
            for column, unit in zip(header.columns, units, strict=True)
            if column.lead
        },
        fs_hz=_fs_of(path, table, header, units) or fs_in_words(lines[: header.line]),
    )


def _refuse_long_line(path: Path, lines: list[str]) -> None:
    long = next((number for number, line in enumerate(lines, 1) if len(line) > MOST_LINE_CHARACTERS), None)
    if long is not None:
        raise InputError(
            f"{path}, line {long}: has more than {MOST_LINE_CHARACTERS} characters; mend this line"
        )


def decode_text(path: Path, most_bytes: int = MOST_TEXT_BYTES) -> str:
    """The text of a file with lines that end in a newline: UTF-8, UTF-16, or Windows' Western European.

    Raises InputError naming the file if there is none, it is empty or too large, or holds bytes that are no text.
    """
    try:
        data = read_input(path, most_bytes)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    if not data.strip(b"\x00 \t\r\n\xef\xbb\xbf\xff\xfe"):
        raise InputError(f"{path}: the file is empty")
    try:
        text = data.decode(_encoding_of(data), errors="strict")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a CSV file ({error})") from error
    if re.search(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]", text):
        raise InputError(f"{path}: not a CSV file (it holds bytes that are no text)")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _encoding_of(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    if data[:200].count(0) > len(data[:200]) / 4:  # every other byte of plain letters
        return "utf-16-le" if data[1:2] == b"\x00" else "utf-16-be"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _find_header(path: Path, lines: list[str]) -> _Header:
    """Of the lines above the first row of numbers the one that names most leads, the last of equals."""
    best = None
    for number, line in enumerate(lines[:HEADER_WITHIN_LINES]):
        if best and _NUMBERS.fullmatch(line):
            break
        found = max((_split(number, line, separator) for separator in _SEPARATORS), key=lambda h: h.num_leads)
        if found.num_leads and (best is None or found.num_leads >= best.num_leads):
            best = found
    if best is None:
        first = next((line.strip() for line in lines if line.strip()), "")[:SHOWN_CHARACTERS]
        raise InputError(
            f"{path}: no line names the leads; expected the columns {','.join(LEADS)}, found {first!r}"
        )
    return best


def _split(number: int, line: str, separator: str) -> _Header:
    line = line.lstrip("#%/ ") if line.startswith(_COMMENTS) else line
    by_blanks = separator == r"\s+"
    cells = line.split(None if by_blanks else separator, MOST_COLUMNS)
    columns = tuple(map(read_column_name, cells)) if len(cells) <= MOST_COLUMNS else ()
    if by_blanks and 2 * sum(column.lead is not None for column in columns) <= len(columns):
        columns = ()  # a sentence
    return _Header(number, separator, columns)


def _body_of(lines: list[str], header: _Header) -> tuple[list[str], list[str]]:
    """The lines below the header, comments blank so that numbers of lines stay; and what a line of units says."""
    body = ["" if line.startswith(_COMMENTS) else line for line in lines[header.line + 1 :]]
    first = next((number for number, line in enumerate(body) if line.strip()), None)
    if first is None:
        return body, []
    separator = None if header.separator == r"\s+" else header.separator
    words = [plain_unit(cell) for cell in body[first].split(separator)]
    if not any(word in UNITS_MV for word in words) or any(re.search(r"\d", word) for word in words):
        return body, []
    return [*body[:first], "", *body[first + 1 :]], [*words, *[""] * len(header.columns)]


def _parse(path: Path, header: _Header, body: list[str]) -> "pd.DataFrame":
    """The cells: leads as numbers, other columns as text."""
    leads = {column.lead: np.float64 for column in header.columns if column.lead}
    types = {name: leads.get(name, str) for name in header.names()}
    try:
        return _read_cells(path, header, body, types)
    except ValueError as error:
        table = _read_cells(path, header, body, dict.fromkeys(types, str))
        raise InputError(f"{path}: {_describe_text_cell(table[list(leads)])}") from error


def _read_cells(path: Path, header: _Header, body: list[str], types: dict[str, type]) -> "pd.DataFrame":
    import pandas as pd

    text = "\n" * header.line + header.separator.replace(r"\s+", " ").join(
        f'"{name}"' for name in header.names()
    )
    # The text is parsed from memory. If pandas reads the file itself, it takes a Ctrl-C for a damaged file.
    source = io.StringIO("\n".join([text, *body]))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                source,
                sep=header.separator,
                decimal="," if _has_decimal_commas(header, body) else ".",
                dtype=types,
                na_values=_NO_VALUE,
                skipinitialspace=True,
                index_col=False,  # else pandas takes the first column of rows longer than the header for an index
            )
    except pd.errors.ParserWarning as error:
        raise InputError(f"{path}: the rows have more cells than the header") from error
    except pd.errors.ParserError as error:
        raise InputError(f"{path}: not a CSV file ({' '.join(str(error).split())})") from error


def _has_decimal_commas(header: _Header, body: list[str]) -> bool:
    """Whether numbers are written as 0,12 in some of the first rows."""
    rows = [line for line in body[:50] if line.strip()]
    if header.separator == ",":
        return any(re.search(r"\"[+-]?\d*,\d+\"", row) for row in rows)
    separator = None if header.separator == r"\s+" else header.separator
    return any(_DECIMAL_COMMA.fullmatch(cell) for row in rows for cell in row.split(separator))


def _describe_text_cell(table: "pd.DataFrame") -> str:
    """Name the first cell that is no number."""
    import pandas as pd

    for lead in table.columns:
        numbers = pd.to_numeric(table[lead].str.replace(",", "."), errors="coerce")
        bad = table[lead].notna() & numbers.isna()
        if bad.any():
            row = int(bad.to_numpy().argmax())
            return (
                f"row {row + 1}, column {lead}: {table[lead].iloc[row][:SHOWN_CHARACTERS]!r} is not a number"
            )
    return "a cell is not a number"


def _mv_of(path: Path, lead: str, unit: str) -> float | None:
    if unit and unit not in UNITS_MV:
        raise InputError(f"{path}: lead {lead} is in {unit}; expected mV, uV, V or nV")
    return UNITS_MV[unit] if unit else None


def _fs_of(path: Path, table: "pd.DataFrame", header: _Header, units: list[str]) -> float | None:
    """The rate that a column of times tells, None if there is none or it holds no numbers."""
    import pandas as pd

    for name, column, unit in zip(header.names(), header.columns, units, strict=True):
        if column.is_time:
            times = pd.to_numeric(table[name].str.replace(",", "."), errors="coerce").to_numpy()
            if len(times) > 1 and np.isfinite(times).all():
                return fs_of_times(path, times, unit)
    return None
