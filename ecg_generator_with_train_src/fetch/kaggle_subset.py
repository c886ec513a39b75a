"""A few records of a Kaggle competition: which ones are drawn, their files, and the table of those that are here."""

import csv
import io
import random
import re
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import write_text
from ecg_generator_with_train_src.dataset.page_names import PAGE_TYPES
from ecg_generator_with_train_src.fetch.kaggle_client import Competition
from ecg_generator_with_train_src.fetch.kaggle_files import Wanted, fetch_file

TABLES = ".tables"  # folder of the complete train.csv and test.csv, from which the ids are drawn


@dataclass(frozen=True)
class SubsetOptions:
    """Which files of a record are fetched, and the folder that gets them."""

    output_dir: Path
    split: str = "train"  # or "test", whose records are one page each
    page_types: tuple[str, ...] = PAGE_TYPES
    with_csv: bool = True


@dataclass(frozen=True)
class CompetitionTable:
    """train.csv or test.csv as it is at Kaggle."""

    header: list[str]
    rows: list[list[str]]

    def ids(self) -> list[str]:
        """Return the record ids, sorted; ValueError if there is no column id."""
        column = self.header.index("id")
        return sorted({row[column] for row in self.rows})


def read_competition_table(competition: Competition, output_dir: Path, split: str) -> CompetitionTable:
    """Return the complete table of a split, which is fetched once; InputError if it is no table of records."""
    path = output_dir / TABLES / competition.name / f"{split}.csv"
    if not path.is_file():
        with tqdm(desc=f"{split}.csv", unit="B", unit_scale=True, disable=None) as bar:
            fetch_file(Wanted(f"{split}.csv", path), competition, bar)
    try:
        header, *rows = [row for row in csv.reader(io.StringIO(path.read_text("utf-8-sig"))) if row]
        table = CompetitionTable(header, rows)
        sound = all(len(row) == len(header) for row in rows) and all(map(is_record_id, table.ids()))
    except (ValueError, csv.Error) as error:  # there is no header, no column id, or no text at all
        raise InputError(
            f"{path}: not a table of records with a column id; remove it and run again"
        ) from error
    if not (rows and sound):
        raise InputError(f"{path}: not a table of records; remove it and run again")
    return table


def is_record_id(text: str) -> bool:
    """Whether a text is safe as the name of a file or folder."""
    return re.fullmatch(r"[A-Za-z0-9_-]+", text) is not None


def draw_ids(table: CompetitionTable, num_samples: int, seed: int) -> list[str]:
    """Return the first of all ids in a shuffled order, so that a larger number keeps what a smaller one drew.

    Raises InputError if the table has fewer ids.
    """
    ids = table.ids()
    if num_samples > len(ids):
        raise InputError(f"--num-samples {num_samples}: there are only {len(ids)} records")
    random.Random(seed).shuffle(ids)
    return ids[:num_samples]


def files_of(record_id: str, options: SubsetOptions) -> list[Wanted]:
    """List the files of one record, each with its place in the output folder."""
    if options.split == "test":
        return [Wanted(f"test/{record_id}.png", options.output_dir / f"{record_id}.png")]
    names = [f"{record_id}-{page_type}.png" for page_type in dict.fromkeys(options.page_types)]
    if options.with_csv:
        names.append(f"{record_id}.csv")
    return [Wanted(f"train/{record_id}/{name}", options.output_dir / record_id / name) for name in names]


def rows_before(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table that is there already; InputError if it is no table of records."""
    if not path.is_file():
        return []
    try:
        reader = csv.DictReader(io.StringIO(path.read_text("utf-8-sig")), restval="")
        rows = [{column: cell for column, cell in row.items() if column} for row in reader]
    except (ValueError, csv.Error):
        rows = [{}]
    if not all("id" in row for row in rows):
        raise InputError(f"{path}: not a table of records with a column id; move it away and run again")
    return rows


def write_subset_table(
    table: CompetitionTable, before: list[dict[str, str]], output_dir: Path, split: str
) -> None:
    """Write the rows of the records that are in the output folder, and keep the rows that were there before."""
    known, at_kaggle = {row["id"] for row in before}, set(table.ids())
    rows = [dict(zip(table.header, row, strict=True)) for row in table.rows]
    rows = [row for row in rows if row["id"] in known or is_here(row["id"], output_dir, split)]
    rows += [row for row in before if row["id"] not in at_kaggle]
    if not rows:
        return
    text = io.StringIO()
    columns = dict.fromkeys(column for row in rows for column in row)
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(output_dir / f"{split}.csv", text.getvalue())


def is_here(record_id: str, output_dir: Path, split: str) -> bool:
    """Whether the output folder has at least one complete file of a record."""
    if split == "test":
        return (output_dir / f"{record_id}.png").is_file()
    return any(not path.name.startswith(".") for path in (output_dir / record_id).glob(f"{record_id}*"))
