"""Paths that files name: they stay inside the folder they belong to, also where links lie on the way."""

import os
from pathlib import Path, PureWindowsPath
from typing import Annotated

from pydantic import AfterValidator

from ecg_generator_with_train_src.common.errors import InputError


def check_inner(text: str) -> str:
    """The path itself. Raises ValueError if it could lead out of the folder that it is relative to."""
    path = PureWindowsPath(text)  # it takes both kinds of slashes for separators
    if not path.parts or path.anchor or ".." in path.parts or "\0" in text:
        raise ValueError(f"{text!r} is no path inside its folder")
    return text


InnerPath = Annotated[str, AfterValidator(check_inner)]


def followed(path: Path) -> Path:
    """Where a path leads by its links, as far as they can be followed: Path.resolve() raises RuntimeError for a link
    that leads back to itself."""
    return Path(os.path.realpath(path))


def inside(root: Path, path: str) -> Path:
    """The place of an inner path below `root`. Raises InputError naming it if a link leads out of the folder."""
    place = root / path
    if not followed(place).is_relative_to(followed(root)):
        raise InputError(f"{place}: a link leads out of {root}; remove the link")
    return place


def own_file(path: Path) -> Path:
    """The path itself, to write at the end of what is there. Raises InputError if that is a link to another file."""
    if path.is_symlink() and path.is_file():
        raise InputError(f"{path}: is a link to another file; remove the link")
    return path
