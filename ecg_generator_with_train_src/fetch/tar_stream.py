"""The bytes of a tar archive, unpacked as they are read, and no more of them than an archive of its size may have.

Its headers count like its files: tarfile takes a header's size from the archive and reads it at once, so that a few
kilobytes could fill the memory, and whatever follows the last file is unpacked as well.
"""

import bz2
import contextlib
import gzip
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ecg_generator_with_train_src.common.bounds import MIB
from ecg_generator_with_train_src.common.errors import InputError

MOST_AT_ONCE_BYTES = MIB  # names and attributes of a file take a few kilobytes
_OPENERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}


@contextlib.contextmanager
def tar_stream(archive: Path, most_bytes: float, too_much: str) -> Iterator["BoundedReads"]:
    """What a compressed or plain tar holds, for tarfile to read; reads raise InputError with `too_much` beyond the
    bound."""
    with archive.open("rb") as file:
        head = file.read(6)
        file.seek(0)
        opener = next((opener for mark, opener in _OPENERS.items() if head.startswith(mark)), None)
        with opener(file) if opener else contextlib.nullcontext(file) as unpacked:
            yield BoundedReads(unpacked, archive, most_bytes, too_much)


class BoundedReads:
    """What tarfile needs of a file that it reads."""

    def __init__(self, file: IO[bytes], archive: Path, most_bytes: float, too_much: str):
        self._file, self._archive, self._most_bytes, self._too_much = file, archive, most_bytes, too_much

    def read(self, size: int = -1) -> bytes:
        """Raises InputError for more at once than any header has, and beyond the bound."""
        if not 0 <= size <= MOST_AT_ONCE_BYTES:
            raise InputError(
                f"{self._archive}: corrupt archive (a header of {size / MIB:.0f} MiB); get it again from its owner"
            )
        data = self._file.read(size)
        self._check(self._file.tell())
        return data

    def seek(self, position: int) -> int:
        """Raises InputError beyond the bound, before anything up to there is unpacked."""
        self._check(position)
        return self._file.seek(position)

    def tell(self) -> int:
        """The place of the next byte."""
        return self._file.tell()

    def _check(self, position: int) -> None:
        if position > self._most_bytes:
            raise InputError(self._too_much)
