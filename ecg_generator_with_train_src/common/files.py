"""Files that are written whole or not at all, and the digests that tell them apart.

A file is written under a temporary name beside its own and then renamed: whoever reads it never sees half of it.
"""

import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ecg_generator_with_train_src.common.bounds import MIB, MOST_FILE_BYTES, naming, regular_file
from ecg_generator_with_train_src.common.errors import InputError

_CHUNK_BYTES = 1 << 20
_TEMPORARY_BYTES = 200  # so much of a name begins its temporary's: file systems take 255 bytes
_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}\.tmp(\.[^.]*)?")


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success, remove it on failure.

    Errors of the system about the temporary file, such as a full disk, name `path`.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        begin = os.fsencode(path.name)[:_TEMPORARY_BYTES].decode(errors="ignore")
        handle, name = tempfile.mkstemp(prefix=f".{begin}.", suffix=f".tmp{path.suffix}", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(temporary)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file or none."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write a whole UTF-8 file or none; bytes of names that are not UTF-8 become escapes, which JSON reads back."""
    write_bytes(path, text.encode(errors="backslashreplace"))


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON, whole or not at all; NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def remove_stale_temporaries(folder: Path) -> None:
    """Remove the temporary files that a killed run left in `folder`."""
    for path in folder.glob(".*.tmp*"):
        if is_temporary(path):
            path.unlink(missing_ok=True)


def is_temporary(path: Path) -> bool:
    """Whether a file is named as atomic_path names its temporaries."""
    return _TEMPORARY.fullmatch(path.name) is not None


def sha256_of(data: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(data).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, of which a part at a time is read. Raises InputError if it is no file or huge."""
    digest = hashlib.sha256()
    if regular_file(path).stat().st_size > MOST_FILE_BYTES:
        raise InputError(
            f"{path}: has more than {MOST_FILE_BYTES / MIB:g} MiB, more than any such file needs"
        )
    with naming(path), path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
