"""What may stand in a file's place: a folder, a pipe, a link, a very large file; and names that no program expects."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from experiment.fuzzing.mutate_trees import PRECIOUS_PATHS

SPARSE_BYTES = 3 * 10**9
HOSTILE_STEMS = (
    *(
        b"caf\xe9",
        b"\xff\xfe",
        b"tab\tname",
        b"new\nline",
        b"=1+1",
        b"-x",
        b"a'b\"c",
        b"<b>&amp;",
        b" lead",
        b"%s%n{0}",
    ),
    *(
        "心電図".encode(),
        b"e\xcc\x81",
        b"x" * 200,
        b"$(touch escaped)",
        b"a;b|c",
        b"CON",
        b".hidden",
        b"\x1b[31m",
    ),
)


def becomes_folder(path: Path, rng: np.random.Generator) -> None:
    """A folder of the file's name."""
    path.unlink()
    path.mkdir()


def becomes_pipe(path: Path, rng: np.random.Generator) -> None:
    """A named pipe: whoever reads it waits for ever."""
    path.unlink()
    os.mkfifo(path)


def becomes_link(path: Path, rng: np.random.Generator) -> None:
    """A link to nothing, to itself, to an endless device, or to a file outside."""
    path.unlink()
    targets = ("nowhere", path.name, "/dev/zero", "/dev/full", *PRECIOUS_PATHS)
    path.symlink_to(targets[int(rng.integers(len(targets)))])


def becomes_sparse(path: Path, rng: np.random.Generator) -> None:
    """The file grows to 3 GB of zeros, which take no space on the disk."""
    os.truncate(path, SPARSE_BYTES)


def is_gone(path: Path, rng: np.random.Generator) -> None:
    """No such file."""
    path.unlink()


def gets_hostile_name(path: Path, rng: np.random.Generator) -> None:
    """Another stem, which need not be UTF-8; the suffix stays."""
    stem = os.fsdecode(HOSTILE_STEMS[int(rng.integers(len(HOSTILE_STEMS)))])
    path.rename(path.with_name(stem + "".join(path.suffixes)))


PLACE_MUTATIONS: tuple[Callable[[Path, np.random.Generator], None], ...] = (
    becomes_folder,
    becomes_pipe,
    becomes_link,
    becomes_sparse,
    is_gone,
    gets_hostile_name,
    gets_hostile_name,
    gets_hostile_name,
)
