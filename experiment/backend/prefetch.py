"""Fetches batches ahead of their use: a thread makes them ready while the device works on earlier ones."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

DEPTH = 4  # how many batches are kept ready


def prefetched(items: Iterator[Any], convert: Callable[[Any], Any], count: int | None) -> Iterator[Any]:
    """`convert(item)` for each of `items`, in order; `DEPTH` of them are made ahead.

    An error of `items` or `convert` is raised here, after the items before it. (torch_xla's MpDeviceLoader does the
    same work, but after an error it ends the epoch early in version 2.9 and waits forever in 2.5.) Raises
    RuntimeError if there are not `count` items: if one rank had fewer steps, the others would wait for it. Close the
    iterator to end the thread.
    """
    ready: queue.Queue = queue.Queue(DEPTH)
    closed = threading.Event()
    thread = threading.Thread(target=_fetch, args=(items, convert, ready, closed), daemon=True)
    thread.start()
    given = 0
    try:
        while True:
            item, error = ready.get()
            if isinstance(error, StopIteration):
                break
            if error is not None:
                raise error
            given += 1
            yield item
    finally:
        closed.set()
        thread.join()
    if count is not None and given != count:
        raise RuntimeError(f"the loader gave {given} batches where {count} were due")


def _fetch(items: Iterator, convert: Callable, ready: queue.Queue, closed: threading.Event) -> None:
    try:
        for item in items:
            _put(ready, (convert(item), None), closed)
            if closed.is_set():
                return
        _put(ready, (None, StopIteration()), closed)
    except BaseException as error:  # any error has to reach the thread that waits for the batch
        _put(ready, (None, error), closed)


def _put(ready: queue.Queue, value: Any, closed: threading.Event) -> None:
    while not closed.is_set():
        try:
            return ready.put(value, timeout=0.1)
        except queue.Full:
            continue
