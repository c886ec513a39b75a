"""Damage to a file of any format: bits that flip, parts that are lost, doubled or overwritten."""

from collections.abc import Callable

import numpy as np

Mutation = Callable[[bytes, np.random.Generator], bytes]  # the file's bytes in, other bytes out
LONGEST_RUN_BYTES = 400


def flip_bits(data: bytes, rng: np.random.Generator) -> bytes:
    """One to eight bits of the other value."""
    array = np.frombuffer(data, np.uint8).copy()
    for place in rng.integers(len(array), size=int(rng.integers(1, 9))) if len(array) else ():
        array[place] ^= 1 << int(rng.integers(8))
    return array.tobytes()


def cut_off(data: bytes, rng: np.random.Generator) -> bytes:
    """The file's beginning alone, as a broken download leaves it."""
    return data[: int(rng.integers(len(data) + 1))]


def emptied(data: bytes, rng: np.random.Generator) -> bytes:
    """No byte at all."""
    return b""


def lose_run(data: bytes, rng: np.random.Generator) -> bytes:
    """A stretch is missing."""
    start, end = _run(data, rng)
    return data[:start] + data[end:]


def repeat_run(data: bytes, rng: np.random.Generator) -> bytes:
    """A stretch stands there several times."""
    start, end = _run(data, rng)
    return data[:end] + data[start:end] * int(rng.integers(1, 100)) + data[end:]


def overwrite_run(data: bytes, rng: np.random.Generator) -> bytes:
    """A stretch of zeros, of 0xff, or of noise."""
    start, end = _run(data, rng)
    noise = (bytes(end - start), b"\xff" * (end - start), rng.bytes(end - start))
    return data[:start] + noise[int(rng.integers(3))] + data[end:]


def insert_noise(data: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes too many."""
    place = int(rng.integers(len(data) + 1))
    return data[:place] + rng.bytes(int(rng.integers(1, LONGEST_RUN_BYTES))) + data[place:]


def _run(data: bytes, rng: np.random.Generator) -> tuple[int, int]:
    start = int(rng.integers(len(data) + 1))
    return start, min(start + int(rng.integers(1, LONGEST_RUN_BYTES)), len(data))


BYTE_MUTATIONS: tuple[Mutation, ...] = (
    flip_bits,
    cut_off,
    emptied,
    lose_run,
    repeat_run,
    overwrite_run,
    insert_noise,
)
