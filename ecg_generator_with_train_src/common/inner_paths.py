"""Paths that files name: they stay inside the folder they belong to, also where links lie on the way."""

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


def inside(root: Path, path: str) -> Path:
    """The place of an inner path below `root`. Raises InputError naming it if a link leads out of the folder."""
    place = root / path
    if not place.resolve().is_relative_to(root.resolve()):
        raise InputError(f"{place}: a link leads out of {root}; remove the link")
    return place
