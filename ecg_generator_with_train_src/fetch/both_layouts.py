"""The records of an output folder in the two layouts that the next steps read, and a check of every record."""

from pathlib import Path

from ecg_generator_with_train_src.common.batch import SkipReport, run_batch
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.fetch.folders import FLAT, NESTED
from ecg_generator_with_train_src.fetch.state import State, link_or_copy

SHOWN_ERRORS = 5  # a source of another kind may have thousands of bad records; the report names them all


def lay_out(state: State, report: SkipReport) -> None:
    """Make the flat and the nested layout, each from the other where the source has only one, and train.csv.

    Raises InputError if there is no record in either.
    """
    root = state.root
    flat, nested = records_in(root / FLAT), records_in(root / NESTED)
    if not flat and not nested:
        report.write()
        why = f": {next(iter(report.reasons.values()))}" if report.reasons else "; check --source"
        raise InputError(f"{root}: the source gave no records{why}")
    for name in flat | nested:
        flat_path = flat.get(name, root / FLAT / f"{name}.csv")
        nested_path = nested.get(name, root / NESTED / name / f"{name}.csv")
        if flat_path.exists() and not state.is_linked(flat_path):
            _follow(flat_path, nested_path, state)
        else:
            _follow(nested_path, flat_path, state)
    for table in (root / FLAT / "train.csv", root / NESTED / "train.csv"):
        if table.is_file():
            _follow(table, root / "train.csv", state)  # the readers of both layouts look one folder up
            break
    state.save()


def _follow(original: Path, target: Path, state: State) -> None:
    """Make `target` the same as `original`, unless `target` came from the source or the user."""
    if not target.exists() or state.is_linked(target):
        link_or_copy(original, target, state)
        state.set_linked(target)


def records_in(folder: Path) -> dict[str, Path]:
    """Map record id to its CSV; empty if there is no such folder or no record in it."""
    from ecg_generator_with_train_src.page.records import find_records, holds_records

    if folder.is_dir() and holds_records(folder):
        return find_records(folder)
    return {}


def check_records(root: Path, num_workers: int, report: SkipReport) -> int:
    """Read every CSV once and return the number of records.

    Every CSV that cannot be read goes into the report; only the first few are also printed.
    """
    from ecg_generator_with_train_src.page.records import read_record_table

    fs_hz = read_record_table(root / FLAT).fs_hz
    records = records_in(root / FLAT)
    others = records_in(root / NESTED)
    items = [(path, fs_hz.get(name)) for name, path in records.items()]
    items += [(path, fs_hz.get(name)) for name, path in others.items() if not path.samefile(records[name])]
    outcomes = run_batch(check_record, items, num_workers=num_workers, description="check")
    errors = {path.stem: outcome for (path, _), outcome in outcomes if isinstance(outcome, InputError)}
    for number, (name, error) in enumerate(sorted(errors.items())):
        report.add(name, str(error), error.trace, quiet=number >= SHOWN_ERRORS)
    return len(records)


def check_record(item: tuple[Path, float | None]) -> None:
    """Raise InputError if a record cannot be read. The item is its path and its sampling rate in Hz, None if train.csv
    does not give it."""
    from ecg_generator_with_train_src.page.records import read_record

    read_record(*item)
