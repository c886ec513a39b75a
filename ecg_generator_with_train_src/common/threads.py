"""Parts of one item's work side by side, on the cores that this process may use."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import cv2

Result = TypeVar("Result")


def in_threads(function: Callable[..., Result], *arguments: Iterable) -> Iterator[Result]:
    """The results of map(function, *arguments), in their order, from as many threads as OpenCV has in this process.

    Workers of a batch have one: there the calls are made one after the other, each when its result is asked for.

    >>> list(in_threads(pow, (2, 3), (3, 2)))
    [8, 9]
    """
    if cv2.getNumThreads() < 2:
        yield from map(function, *arguments)
        return
    with ThreadPoolExecutor(cv2.getNumThreads()) as threads:
        yield from threads.map(function, *arguments)
