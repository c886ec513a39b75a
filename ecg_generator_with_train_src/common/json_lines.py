"""Logs of one JSON object a line, which grow while a step works. A killed step may leave its last line torn."""

import json
from collections.abc import Iterable
from pathlib import Path

from ecg_generator_with_train_src.common.bounds import input_lines, naming
from ecg_generator_with_train_src.common.files import write_text
from ecg_generator_with_train_src.common.inner_paths import own_file


def read_lines(path: Path) -> list[dict]:
    """The objects of a log that have a name, without what is torn or is none; a missing log has none."""
    try:
        texts = list(input_lines(path))
    except FileNotFoundError:
        return []
    return [value for text in texts if (value := _parsed(text)) is not None]


def _parsed(text: bytes) -> dict | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and isinstance(value.get("name"), str) else None


def append_line(path: Path, value: dict) -> None:
    """Add an object to the log, behind a line that a killed step left torn. An OSError names the log."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path), own_file(path).open("ab+") as file:
        is_torn = file.tell() > 0 and file.seek(-1, 2) >= 0 and file.read(1) != b"\n"
        file.write(b"\n" * is_torn + json.dumps(value).encode() + b"\n")


def write_lines(path: Path, values: Iterable[dict]) -> None:
    """Write a whole log or none."""
    write_text(path, "".join(json.dumps(value) + "\n" for value in values))
