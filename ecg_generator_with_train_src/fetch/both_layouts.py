"""The records of an output folder in the two layouts that the next steps read, and a check of every record."""

from pathlib import Path

from ecg_generator_with_train_src.common.batch import SkipReport, outcome_of, run_batch
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.notes import note_lines
from ecg_generator_with_train_src.fetch.folders import FLAT, NESTED
from ecg_generator_with_train_src.fetch.state import State, link_or_copy

SHOWN_ERRORS = 5  # a source of another kind may have thousands of bad records; the report names them all


def lay_out(state: State, report: SkipReport) -> None:
    """Make the flat and the nested layout, each from the other where the source has only one, and train.csv.

    A record for which that cannot be done is reported.
    Raises InputError if there is no record in either.
    """
    root = state.root
    flat, nested = records_in(root / FLAT), records_in(root / NESTED)
    if not flat and not nested:
        report.write()
        why = f": {next(iter(report.reasons.values()))}" if report.reasons else "; check --source"
        raise InputError(f"{root}: the source gave no records{why}")

    def make_both(name: str) -> None:
        file_name = (flat | nested)[name].name
        flat_path = flat.get(name, root / FLAT / file_name)
        nested_path = nested.get(name, root / NESTED / name / file_name)
        if flat_path.exists() and not state.is_linked(flat_path):
            _follow(flat_path, nested_path, state)
        else:
            _follow(nested_path, flat_path, state)

    for name in flat | nested:
        if isinstance(error := outcome_of(make_both, name), InputError):
            report.add(name, str(error), error.trace)
    for table in (root / FLAT / "train.csv", root / NESTED / "train.csv"):
        if table.is_file():
            _follow(table, root / "train.csv", state)  # the readers of both layouts look one folder up
            break
    state.save()


def _follow(original: Path, target: Path, state: State) -> None:
    """Make `target` the same as `original`, unless `target` came from the source or the user.

    The files that a WFDB header lists follow it into its folder."""
    from ecg_generator_with_train_src.page.records import files_of_record

    if not target.exists() or state.is_linked(target):
        for file in files_of_record(original):
            place = target.with_name(file.name)
            link_or_copy(file, place, state)
            state.set_linked(place)


def records_in(folder: Path) -> dict[str, Path]:
    """Map record id to its CSV or WFDB header; empty if there is no such folder or no record in it."""
    from ecg_generator_with_train_src.page.records import find_records, holds_records

    if folder.is_dir() and holds_records(folder):
        return find_records(folder)
    return {}


def check_records(root: Path, num_workers: int, report: SkipReport) -> int:
    """Read every record once, print the notes on them, and return their number.

    Every record that cannot be read goes into the report; only the first few are also printed.
    """
    from ecg_generator_with_train_src.page.records import read_record_table

    fs_hz = read_record_table(root / FLAT).fs_hz
    records = records_in(root / FLAT)
    others = records_in(root / NESTED)
    items = [(path, fs_hz.get(name)) for name, path in records.items()]
    own = {name: path for name, path in others.items() if not _are_one_file(path, records.get(name))}
    items += [(path, fs_hz.get(name)) for name, path in own.items()]
    errors, notes = {}, []
    for (path, _), outcome in run_batch(check_record, items, num_workers=num_workers, description="check"):
        if isinstance(outcome, InputError):
            errors[path.stem] = outcome
        else:
            notes += [(path.stem, note) for note in outcome]
    for number, (name, error) in enumerate(sorted(errors.items())):
        report.add(name, str(error), error.trace, quiet=number >= SHOWN_ERRORS)
    for line in note_lines(notes, "records"):
        print(line)
    return len(records | others)


def _are_one_file(path: Path, other: Path | None) -> bool:
    return other is not None and path.exists() and other.exists() and path.samefile(other)


def check_record(item: tuple[Path, float | None]) -> list[str]:
    """The notes on a record, from its path and its sampling rate in Hz, None if train.csv does not give it.

    Raises InputError if it cannot be read.
    """
    from ecg_generator_with_train_src.page.records import read_record

    record = read_record(*item)
    return [note for note in (record.guess, *record.notes) if note]
