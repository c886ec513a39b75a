"""Small tables of ids, rates and the like, without the half second that loading pandas takes."""

import csv
from pathlib import Path

from ecg_generator_with_train_src.common.bounds import MIB
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.record_files.text_tables import decode_text

MOST_BYTES = 12 * MIB  # PTB-XL's table of 21,799 recordings has 6


def read_id_table(path: Path) -> dict[str, list[str]]:
    """The columns of a CSV, parted by commas or semicolons, by the names in its header; "" where a row is short.

    Raises InputError naming the file if it is missing, empty, no CSV, or has a row longer than its header.
    """
    lines = decode_text(path, MOST_BYTES).splitlines()
    separator = ";" if ";" in lines[0] else ","
    try:
        rows = list(filter(None, csv.reader(lines, delimiter=separator, skipinitialspace=True)))
    except csv.Error as error:
        raise InputError(f"{path}: not a CSV file ({error})") from error
    if not rows:
        raise InputError(f"{path}: the file is empty")
    header, *cells = ([cell.strip() for cell in row] for row in rows)
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
