"""The folders that records come in: what counts as content, and where it belongs in the output folder."""

from collections.abc import Iterator
from pathlib import Path

FLAT = "train-csvs"  # <id>.csv: scripts/batch_render_waveforms.py reads this folder
NESTED = "train"  # <id>/<id>.csv: scripts/build_dataset.py reads this folder
ARCHIVE_SUFFIXES = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar", ".zip")


def visible(folder: Path) -> list[Path]:
    """Return the sorted contents of a folder without hidden files and macOS's own folder."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX")))


def files_below(folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Yield every visible file in a folder and its subfolders; a link back to a folder `above` is not followed."""
    if folder.resolve() in above:
        return
    for path in visible(folder):
        if path.is_dir():
            yield from files_below(path, above | {folder.resolve()})
        else:
            yield path


def archives_in(folder: Path) -> list[Path]:
    """Return the archives that lie directly in a folder, sorted."""
    return [path for path in visible(folder) if path.is_file() and path.name.endswith(ARCHIVE_SUFFIXES)]


def data_folder(folder: Path) -> Path:
    """Skip wrapping folders: go down while a folder holds nothing but one other folder, as archives often do."""
    inner = visible(folder)
    while len(inner) == 1 and inner[0].is_dir() and inner[0].name not in (FLAT, NESTED):
        if list(inner[0].glob(f"{inner[0].name}*.*")):  # <id>/<id>.csv is a record, not a wrapping folder
            break
        folder, inner = inner[0], visible(inner[0])
    return folder


def place_of(folder: Path) -> str:
    """Return the path, relative to the output folder, where the contents of a data folder belong."""
    if (folder / FLAT).is_dir() or (folder / NESTED).is_dir() or archives_in(folder):
        return "."
    return NESTED if any(folder.glob("*/*.png")) else FLAT
