"""What earlier runs made in an output folder, and how files get to their places without losing the user's own."""

import errno
import filecmp
import itertools
import os
import shutil
import sys
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from tqdm import tqdm

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import atomic_path, write_json
from ecg_generator_with_train_src.common.inner_paths import check_inner
from ecg_generator_with_train_src.common.names import shown
from ecg_generator_with_train_src.common.text_files import read_json

STATE_NAME = ".prepared.json"
SizeAndTime = Annotated[
    list[int], Field(min_length=2, max_length=2)
]  # bytes, and time of the last change in ns


def _check_shown(text: str) -> str:
    """The name of a file as State.name gives it, in which a backslash begins an escape and parts no folders."""
    check_inner(text.replace("\\", ""))
    return text


class Unpacked(BaseModel):
    """What an archive gave: the key that tells its versions apart, and the files."""

    model_config = ConfigDict(extra="forbid", strict=True)

    key: str
    files: list[Annotated[str, AfterValidator(_check_shown)]]


class SavedState(BaseModel):
    """The state file. Each name is that of a file, its path relative to the output folder."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: Literal[2] = 2
    made: dict[str, SizeAndTime] = {}
    verified: dict[str, str] = {}  # file: the checksum that it has
    unpacked: dict[str, Unpacked] = {}  # by the archive's name
    linked: list[str] = []  # files that were made from another file here
    fetched: list[str] = []  # archives to remove after they are unpacked


class State:
    """What earlier runs made in an output folder; kept in one JSON file there.

    A missing or damaged state file costs only time: everything is then checked or unpacked again.
    """

    def __init__(self, root: Path):
        self.root = root
        self.path = root / STATE_NAME
        known = self._read()
        self.made, self.verified, self.unpacked = known.made, known.verified, known.unpacked
        self.linked, self.fetched = set(known.linked), set(known.fetched)

    def _read(self) -> SavedState:
        if not self.path.is_file():
            return SavedState()
        try:
            return read_json(self.path, SavedState, "all files are checked again")
        except InputError as error:
            tqdm.write(f"warning: {error}", file=sys.stderr)
            return SavedState()

    def save(self) -> None:
        """Write the state file, whole or not at all."""
        saved = SavedState(
            made=self.made,
            verified=self.verified,
            unpacked=self.unpacked,
            linked=sorted(self.linked),
            fetched=sorted(self.fetched),
        )
        write_json(self.path, saved.model_dump())

    def is_as_made(self, path: Path) -> bool:
        """Whether a file is as an earlier run left it: nobody has changed it since."""
        return path.is_file() and self.made.get(self.name(path)) == size_and_time(path)

    def set_made(self, path: Path) -> None:
        """Note that this run made the file; what was noted of an older file of that name is forgotten."""
        name = self.name(path)
        self.made[name] = size_and_time(path)
        self.verified.pop(name, None)
        self.linked.discard(name)

    def is_verified(self, path: Path, checksum: str) -> bool:
        """Whether the file was found to have this checksum and has not changed since."""
        return self.verified.get(self.name(path)) == checksum and self.is_as_made(path)

    def set_verified(self, path: Path, checksum: str) -> None:
        """Note that this run made the file and found it to have this checksum."""
        self.set_made(path)
        self.verified[self.name(path)] = checksum

    def is_unpacked(self, archive: str, key: str) -> bool:
        """Whether the archive of this name and key was unpacked and all its files are still there."""
        entry = self.unpacked.get(archive)
        return (
            entry is not None
            and entry.key == key
            and all(
                name in self.made and has_size(self.root / name, self.made[name][0]) for name in entry.files
            )
        )

    def is_linked(self, path: Path) -> bool:
        """Whether the file was made from another file of the output folder."""
        return self.name(path) in self.linked

    def set_linked(self, path: Path) -> None:
        """Note that this run made the file from another file of the output folder."""
        self.set_made(path)
        self.linked.add(self.name(path))

    def name(self, path: Path) -> str:
        """Return the path relative to the output folder, with forward slashes and with escapes for what is no text."""
        return shown(path.relative_to(self.root).as_posix())


def size_and_time(path: Path) -> list[int]:
    """Return a file's size in bytes and the time of its last change in ns."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def has_size(path: Path, size: int) -> bool:
    """Whether this is a file of so many bytes."""
    return path.is_file() and path.stat().st_size == size


def place_file(new: Path, target: Path, state: State) -> None:
    """Rename a finished file to its place; if the user has a different file there, that one is kept beside it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and not state.is_as_made(target) and not filecmp.cmp(new, target, shallow=False):
        set_aside(target)
    try:
        new.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with atomic_path(target) as copy:  # the target folder is a link to another disk
            shutil.copyfile(new, copy)


def set_aside(path: Path) -> None:
    """Rename a file to the first free name of <name>.old, <name>.old1, ..., and say so on stderr."""
    names = (path.with_name(f"{path.name}.old{number or ''}") for number in itertools.count())
    old = next(name for name in names if not name.exists())
    path.rename(old)
    tqdm.write(f"{path} differs from the source's file; your file is now {old.name}", file=sys.stderr)


def is_same_file(source: Path, target: Path) -> bool:
    """Whether `target` is the same file as `source`, or an unchanged copy of it."""
    return target.exists() and (target.samefile(source) or size_and_time(target) == size_and_time(source))


def link_or_copy(source: Path, target: Path, state: State) -> bool:
    """Make `target` a hard link to `source`, or a copy where links are impossible; False if it already was one."""
    if is_same_file(source, target):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source.resolve(), temporary)
    except OSError:  # the file is on another disk or belongs to another user, or the file system has no links
        shutil.copy2(source, temporary)
    place_file(temporary, target, state)
    return True
