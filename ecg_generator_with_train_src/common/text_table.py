"""Small tables of text, such as lists of ids and rates, without the half second that loading pandas takes."""

import csv
from pathlib import Path

from ecg_generator_with_train_src.common.errors import InputError


def read_text_table(path: Path) -> dict[str, list[str]]:
    """The columns of a CSV by the names in its header; cells without spaces around them, "" where a row is short.

    Raises InputError naming the file if it is missing, empty, no CSV, or has a row longer than its header.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines, skipinitialspace=True) if row]
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a CSV file ({error})") from error
    if not rows:
        raise InputError(f"{path}: the file is empty")
    header, *cells = rows
    if any(len(row) > len(header) for row in cells):
        raise InputError(f"{path}: the rows have more cells than the header")
    return {name: [row[k] if k < len(row) else "" for row in cells] for k, name in enumerate(header)}


def numbers_in(table: dict[str, list[str]], column: str, path: Path) -> list[float]:
    """The numbers of a column. Raises InputError naming the file and the row of a cell that is none."""
    numbers = []
    for row, cell in enumerate(table[column], start=1):
        try:
            numbers.append(float(cell))
        except ValueError as error:
            raise InputError(f"{path}: row {row}: {column} is not a number") from error
    return numbers
