"""How large inputs may be, so that no file fills the memory or makes a command wait for ever.

Whatever reads a file from outside as a whole reads it through here: pipes and devices are no inputs, and a file that is
larger than anything of its kind is named instead of read.
"""

import contextlib
import stat
from collections.abc import Iterator
from pathlib import Path

from ecg_generator_with_train_src.common.errors import InputError

MIB = 2**20
MOST_TEXT_BYTES = 64 * MIB  # of a table, a configuration, a description: 10 s at 2000 Hz have 2 million
MOST_LINE_BYTES = 4 * MIB  # of a line of a list that may be long: a manifest's has 5000
MOST_FILE_BYTES = 4096 * MIB  # of any file: to take its digest would take minutes
MOST_PIXELS = 120_000_000  # of a picture
MOST_SIDE_PX = 50_000
MOST_PAGES = 1000  # of a file: one of a kilobyte can name the same page a million times


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let errors of the system that name no file, such as a full disk while it is written, name `path`."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def regular_file(path: Path) -> Path:
    """The path itself. Raises InputError if a folder, pipe or device is there; the system's error if nothing is."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
        raise InputError(f"{path}: is {kind}, not a file")
    return path


def read_input(path: Path, most_bytes: int = MOST_TEXT_BYTES) -> bytes:
    """The bytes of a file. Raises InputError if it is no file or larger than its kind may be."""
    with naming(path), regular_file(path).open("rb") as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise InputError(f"{path}: has more than {most_bytes / MIB:g} MiB, more than any such file needs")
    return data


def input_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, one at a time, without their ends. Raises InputError at one that is far too long."""
    with regular_file(path).open("rb") as file:
        for number in range(1, 2**62):
            with naming(path):
                line = file.readline(MOST_LINE_BYTES)
            if not line:
                return
            if len(line) == MOST_LINE_BYTES:
                raise InputError(
                    f"{path}, line {number}: has more than {MOST_LINE_BYTES / MIB:g} MiB; mend this line"
                )
            yield line.removesuffix(b"\n")


def check_pixels(path: Path, width_px: int, height_px: int, most_pixels: float, remedy: str) -> None:
    """Raise InputError, which names the file and the remedy, for a picture of more pixels than it may have."""
    if width_px * height_px > most_pixels:
        raise InputError(
            f"{path}: {width_px}x{height_px} pixels are {width_px * height_px / 1e6:.0f} megapixels, "
            f"more than {most_pixels / 1e6:g}; {remedy}"
        )


def check_number_of_pages(path: Path, number: int, most_pages: int) -> None:
    """Raise InputError, which names the file and the remedy, for a file of more pages than it may have."""
    if number > most_pages:
        raise InputError(f"{path}: has more than {most_pages} pages; divide it, or raise --max-pages")
