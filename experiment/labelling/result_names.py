"""What the results of pages are called: after their files, with the files' folders where several have the same name."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ecg_generator_with_train_src.common.errors import InputError, describe_os_error
from ecg_generator_with_train_src.common.files import remove_stale_temporaries, sha256_of, sha256_of_file
from ecg_generator_with_train_src.common.html_report import PICTURE_FOLDER
from ecg_generator_with_train_src.common.page_files import ReadPage, readable_pages
from ecg_generator_with_train_src.common.picture_sizes import PageSizes

LONGEST_BYTES = 200  # of a page's name: file systems take 255, and what is written has endings
DIGITS = 8  # of the digest that stands for the rest of a longer name


@dataclass(frozen=True)
class PageFile:
    """A file of pages, and what its results are called below the output folder, such as `ecg` or `ward 3/ecg`."""

    path: Path
    name: str

    def sha256(self) -> str:
        """The file's digest. Raises InputError naming the file if it cannot be read."""
        try:
            return sha256_of_file(self.path)
        except OSError as error:
            raise InputError(describe_os_error(error)) from error

    def pages(self, sizes: PageSizes) -> Iterator[ReadPage]:
        """The pages, one at a time, under their results' names. Raises InputError naming the file."""
        for page in readable_pages(self.path, sizes):
            yield page._replace(name=self.name + page.name.removeprefix(self.path.stem))


def named_files(paths: list[Path], given: list[Path]) -> list[PageFile]:
    """Name the results of some files, which were found in the files and folders that were `given`.

    They have the files' names without ending. If two of these are the same, all results lie in folders as the files do;
    if two still are, they keep their endings. Very long names are cut. Raises InputError for equal names on two drives.

    >>> files = [Path("in/ann/ecg.png"), Path("in/bob/ecg.png"), Path("in/bob/ecg.jpg")]
    >>> [file.name for file in named_files(files[:1], [Path("in")])]
    ['ecg']
    >>> [file.name for file in named_files(files, [Path("in")])]
    ['ann/ecg', 'bob/ecg.png', 'bob/ecg.jpg']
    """
    names = [path.stem for path in paths]
    if _are_equal(names):
        common = _common_folder(given)
        names = [Path(os.path.relpath(path, common)).with_suffix("").as_posix() for path in paths]
        times = Counter(map(str.casefold, names))
        names = [
            name + path.suffix * (times[name.casefold()] > 1) for path, name in zip(paths, names, strict=True)
        ]
    return [PageFile(path, _short(name)) for path, name in zip(paths, names, strict=True)]


def _are_equal(names: list[str]) -> bool:
    """Whether some names are the same but for capitals, which some disks do not tell apart."""
    return len({name.casefold() for name in names}) < len(names)


def _common_folder(given: list[Path]) -> str:
    folders = (path if path.is_dir() else path.parent for path in given)
    try:
        return os.path.commonpath([os.path.normpath(folder.absolute()) for folder in folders])
    except ValueError as error:  # there is none
        raise InputError(
            "images of equal names on several drives: give those of one drive at a time"
        ) from error


def _short(name: str) -> str:
    folder, slash, last = name.rpartition("/")
    if len(encoded := os.fsencode(last)) > LONGEST_BYTES:
        last = (
            f"{encoded[: LONGEST_BYTES - DIGITS - 1].decode(errors='ignore')}~{sha256_of(encoded)[:DIGITS]}"
        )
    return folder + slash + last


def clear_temporaries(output_dir: Path, files: list[PageFile]) -> None:
    """Remove the temporary files that a killed run left beside the results of these files."""
    folders = {(output_dir / file.name).parent for file in files}
    folders |= {(output_dir / PICTURE_FOLDER / file.name).parent for file in files} | {output_dir}
    for folder in folders:
        remove_stale_temporaries(folder)
