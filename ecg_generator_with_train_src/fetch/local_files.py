"""Records that are on this machine already: archives are unpacked from where they lie, files are linked."""

from pathlib import Path

from tqdm import tqdm

from ecg_generator_with_train_src.common.batch import SkipReport, outcome_of
from ecg_generator_with_train_src.common.bounds import regular_file
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.inner_paths import followed
from ecg_generator_with_train_src.fetch.archives import MOST_RATIO, unpack_or_report
from ecg_generator_with_train_src.fetch.folders import (
    ARCHIVE_SUFFIXES,
    archives_in,
    data_folder,
    files_below,
    place_of,
)
from ecg_generator_with_train_src.fetch.state import State, is_same_file, link_or_copy, size_and_time
from ecg_generator_with_train_src.fetch.transfers import Counts, check_space

TAKEN_SUFFIXES = (
    ".csv",
    ".hea",
    ".dat",
    ".mat",
    ".png",
    ".jpg",
    ".jpeg",
)  # files of other kinds stay where they are


def take_local(source: str, state: State, report: SkipReport, most_ratio: float = MOST_RATIO) -> Counts:
    """Bring the contents of a local folder or archive to the output folder; the source itself stays as it is.

    Raises InputError if there is no such folder or archive.
    """
    path = _existing(source)
    counts = Counts("taken")
    folder = data_folder(path) if path.is_dir() else None
    for archive in archives_in(folder) if folder else [path]:
        key = ":".join(map(str, size_and_time(archive)))
        if state.is_unpacked(archive.name, key):
            counts.already += 1
        elif unpack_or_report(archive, key, state, report, most_ratio):
            counts.files += 1
            counts.bytes += archive.stat().st_size
    if folder and folder.resolve() != state.root.resolve():
        take_folder(folder, state, counts, report)
    return counts


def _existing(source: str) -> Path:
    path = Path(source).expanduser()
    if not source or not path.exists():
        raise InputError(
            f"--source {source}: no such folder or archive; give a gs:// address or a path on this machine"
        )
    if not path.is_dir() and not regular_file(path).name.endswith(ARCHIVE_SUFFIXES):
        raise InputError(f"{path}: not an archive; expected one of {', '.join(ARCHIVE_SUFFIXES)}")
    return path


def take_folder(folder: Path, state: State, counts: Counts, report: SkipReport) -> None:
    """Link the records, pages and tables of a folder to their places; copy them where links are impossible.

    A file that cannot be taken is reported. Raises CannotGoOnError if the disk has no space for the copies.
    """
    inside = followed(state.root)
    files = [
        path
        for path in files_below(folder)
        if path.suffix.lower() in TAKEN_SUFFIXES and inside not in followed(path).parents
    ]
    target = state.root / place_of(folder)
    if folder.stat().st_dev != state.root.stat().st_dev:
        there = filter(Path.is_file, files)
        missing = [path for path in there if not is_same_file(path, target / path.relative_to(folder))]
        check_space(state.root, sum(path.stat().st_size for path in missing), "the copy")

    def take(path: Path) -> int | None:
        """Bytes of a file that is taken now; None if it was there."""
        if not path.is_file():
            raise InputError(f"{path}: is no file that can be read, or a link to none")
        final = target / path.relative_to(folder)
        if not link_or_copy(path, final, state):
            return None
        state.set_made(final)
        return path.stat().st_size

    for path in tqdm(files, desc="take", unit="file", disable=None):
        size = outcome_of(take, path)
        if isinstance(size, InputError):
            report.add(str(path.relative_to(folder)), str(size), size.trace)
        elif size is None:
            counts.already += 1
        else:
            counts.files += 1
            counts.bytes += size
