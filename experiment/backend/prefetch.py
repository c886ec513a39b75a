"""Batches made ahead of their use: a thread fetches and converts them while the device works on the last."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

DEPTH = 4  # batches kept ready


def prefetched(items: Iterator[Any], convert: Callable[[Any], Any], count: int | None) -> Iterator[Any]:
    """`convert(item)` for each of `items`, in order, `DEPTH` of them ahead.

    An error of `items` or `convert` is raised here, after what came before it: torch_xla's MpDeviceLoader, which
    does the same work, ends the epoch early instead (2.9) or waits for ever (2.5). Raises RuntimeError if there
    are not `count` items: with fewer steps on one rank, the others would wait for it. Close it to end the thread.
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
    except BaseException as error:  # whatever it is, the thread that waits for the batch has to know
        _put(ready, (None, error), closed)


def _put(ready: queue.Queue, value: Any, closed: threading.Event) -> None:
    while not closed.is_set():
        try:
            return ready.put(value, timeout=0.1)
        except queue.Full:
            continue
