"""Damage to CSV tables: hostile cells, columns, rows, separators and encodings."""

import numpy as np

from experiment.fuzzing.mutate_bytes import Mutation
from experiment.fuzzing.mutate_trees import PRECIOUS_PATHS, other_encoding

HOSTILE_CELLS = (
    *("", "nan", "NaN", "inf", "-inf", "1e308", "-1e308", "1e400", "1e-320", "9" * 5000, "0x10", "1_000"),
    *("abc", "1,5", '"', '"a\nb"', "\x00", "0.1\x000", "=1+1", "é", "１", "1e5", "-0", " ", "x" * 10**5),
    *PRECIOUS_PATHS,
)
NUM_CELLS_AT_MOST = 50


def hostile_cells(data: bytes, rng: np.random.Generator) -> bytes:
    """One cell, or a few, hold something hostile."""
    rows = [line.split(",") for line in _text(data).split("\n")]
    value = HOSTILE_CELLS[int(rng.integers(len(HOSTILE_CELLS)))]
    for _ in range(int(rng.choice((1, 1, 1, NUM_CELLS_AT_MOST)))):
        row = rows[int(rng.integers(len(rows)))]
        row[int(rng.integers(len(row)))] = value
    return _joined(rows)


def hostile_column(data: bytes, rng: np.random.Generator) -> bytes:
    """A whole column holds one hostile value below its name."""
    rows = [line.split(",") for line in _text(data).split("\n")]
    column = int(rng.integers(len(rows[0])))
    value = HOSTILE_CELLS[int(rng.integers(len(HOSTILE_CELLS)))]
    for row in rows[1:]:
        row[column : column + 1] = [value] * (column < len(row))
    return _joined(rows)


def other_columns(data: bytes, rng: np.random.Generator) -> bytes:
    """A column is lost, doubled or has another's name, or there are very many."""
    rows = [line.split(",") for line in _text(data).split("\n")]
    column, kind = int(rng.integers(len(rows[0]))), int(rng.integers(4))
    if kind == 3:
        rows[0] += [f"c{k}" for k in range(20_000)]
        return _joined(rows)
    if kind == 2:
        rows[0][column] = rows[0][0] if column else ""
        return _joined(rows)
    for row in rows:
        row[column : column + 1] = row[column : column + 1] * 2 * kind
    return _joined(rows)


def other_rows(data: bytes, rng: np.random.Generator) -> bytes:
    """The header alone, no header, lost or doubled rows, or rows of different lengths."""
    lines = _text(data).split("\n")
    number = int(rng.integers(len(lines)))
    kinds = (
        lines[:1],
        lines[1:],
        lines[: number + 1],
        lines[:1] + lines[number:],
        lines + lines[1:],
        lines + lines[1:] * 50,
        [*lines[:number], *(f"{line},1" for line in lines[number:])],
        [line.rpartition(",")[0] for line in lines],
    )
    return "\n".join(kinds[int(rng.integers(len(kinds)))]).encode("utf-8", "surrogateescape")


def other_separators(data: bytes, rng: np.random.Generator) -> bytes:
    """Semicolons, tabs, other ends of lines, quotes that nothing closes, or one endless line."""
    text = _text(data)
    kinds = (
        text.replace(",", ";"),
        text.replace(",", "\t"),
        text.replace("\n", "\r"),
        text.replace("\n", "\r\n"),
        text.replace("\n", ","),
        text.replace("\n", "\n\n"),
        '"' + text,
        text.replace(".", ","),
    )
    return kinds[int(rng.integers(len(kinds)))].encode("utf-8", "surrogateescape")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _joined(rows: list[list[str]]) -> bytes:
    return "\n".join(map(",".join, rows)).encode("utf-8", "surrogateescape")


CSV_MUTATIONS: tuple[Mutation, ...] = (
    hostile_cells,
    hostile_cells,
    hostile_column,
    other_columns,
    other_rows,
    other_separators,
    other_encoding,
)
