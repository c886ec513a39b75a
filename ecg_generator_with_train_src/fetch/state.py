"""What earlier runs made in an output folder, and how files get to their places without losing the user's own."""

import errno
import filecmp
import itertools
import json
import os
import shutil
import sys
from pathlib import Path

from tqdm import tqdm

from ecg_generator_with_train_src.common.files import atomic_path, write_json

STATE_NAME = ".prepared.json"


class State:
    """What earlier runs made in an output folder; kept in one JSON file there.

    A missing or foreign state file costs only time: everything is then checked or unpacked again.
    """

    def __init__(self, root: Path):
        self.root = root
        self.path = root / STATE_NAME
        known = self._read()
        # Each of these names a file by its path relative to the output folder.
        self.made: dict[str, list[int]] = known.get("made", {})  # file: its bytes and its mtime in ns
        self.verified: dict[str, str] = known.get("verified", {})  # file: the checksum that it has
        self.unpacked: dict[str, dict] = known.get("unpacked", {})  # archive: its key and the files it gave
        self.linked: set[str] = set(known.get("linked", []))  # files that were made from another file here
        self.fetched: set[str] = set(known.get("fetched", []))  # archives to remove after they are unpacked

    def _read(self) -> dict:
        try:
            known = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) and known.get("version") == 2 else {}

    def save(self) -> None:
        """Write the state file, whole or not at all."""
        write_json(
            self.path,
            {
                "version": 2,
                "made": self.made,
                "verified": self.verified,
                "unpacked": self.unpacked,
                "linked": sorted(self.linked),
                "fetched": sorted(self.fetched),
            },
        )

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
        entry = self.unpacked.get(archive, {})
        return entry.get("key") == key and all(
            has_size(self.root / name, self.made[name][0]) for name in entry["files"]
        )

    def is_linked(self, path: Path) -> bool:
        """Whether the file was made from another file of the output folder."""
        return self.name(path) in self.linked

    def set_linked(self, path: Path) -> None:
        """Note that this run made the file from another file of the output folder."""
        self.set_made(path)
        self.linked.add(self.name(path))

    def name(self, path: Path) -> str:
        """Return the path relative to the output folder, with forward slashes."""
        return path.relative_to(self.root).as_posix()


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
