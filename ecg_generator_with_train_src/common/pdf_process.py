"""PDFs in a process of their own, with limits on time and memory: PDFium cannot be interrupted from within, and a file
of a few kilobytes can keep it busy for hours or fill the memory.

The process is this Python anew, with little loaded. It is given a function that works through a file, and asked for
one page at a time; it ends with the file, or with whoever started it.
"""

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ecg_generator_with_train_src.common.bounds import MIB, MOST_PAGES
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.pdf_drawing import Drawing, drawing_of
from ecg_generator_with_train_src.common.pdf_pages import pdf_pages

REMEDY = "save the page as a picture (PNG)"
START = "import sys; sys.path[:] = {path!r}; from {module} import serve; serve()"  # it finds what this process finds
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class PdfLimits(NamedTuple):
    """What a page may take. Windows knows `wall_s` only, and macOS may not keep `memory_mib`."""

    processor_s: int = 20
    wall_s: float = 60.0  # longer, for a machine that has other work as well
    memory_mib: int = 1280  # of addresses; a page of 60 million pixels takes some 800


LIMITS = PdfLimits()


class _BrokenError(Exception):
    """Why there is no answer."""


class _ElsewhereError(Exception):
    """The stack trace of an error in the other process."""


def bounded_pdf_pages(
    path: Path, data: bytes | None = None, most_pages: int = MOST_PAGES
) -> Iterator[tuple[str, np.ndarray]]:
    """The same as pdf_pages; raises InputError, which names file and page, also for a page that takes more than LIMITS
    or breaks PDFium down."""
    return _bounded(path, 1, pdf_pages, path, data, most_pages)


def bounded_drawing(path: Path, number: int) -> Drawing:
    """The same as drawing_of; raises InputError as bounded_pdf_pages does."""
    with contextlib.closing(_bounded(path, number + 1, _drawings, path, number)) as drawings:
        return next(drawings)


def _drawings(path: Path, number: int) -> Iterator[Drawing]:
    yield drawing_of(path, number)


def _bounded(path: Path, page: int, function: Callable[..., Iterator], *arguments: Any) -> Iterator:
    """What `function(*arguments)` yields, in another process: one result for each page of a file from `page` on."""
    with _started() as process:
        try:
            result = _answer(process, (LIMITS, function, arguments))
            while result is not None:
                yield result
                page += 1
                result = _answer(process, None)
        except _BrokenError as why:
            raise InputError(f"{path}: page {page} {why}; {REMEDY}") from why


@contextlib.contextmanager
def _started() -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(
        [sys.executable, "-c", START.format(path=sys.path, module=__name__)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # only its last words, when PDFium breaks down
        env={**os.environ, **ONE_THREAD},
        start_new_session=True,  # Ctrl-C is for this process alone
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        with contextlib.suppress(OSError):  # what could not be sent any more
            process.stdin.close()


def _answer(process: subprocess.Popen, request: tuple | None) -> Any:
    """The next result, or None behind the last. Raises the other process's error, or _BrokenError."""
    late = threading.Event()
    timer = threading.Timer(LIMITS.wall_s, lambda: (late.set(), process.kill()))
    timer.start()
    try:
        pickle.dump(request, process.stdin)
        process.stdin.flush()
        result, error, trace = pickle.load(process.stdout)
    except (EOFError, OSError, pickle.UnpicklingError) as broken:
        raise _BrokenError(_why(process.wait(), late.is_set())) from broken
    finally:
        timer.cancel()
    if error is not None:
        raise error from _ElsewhereError(trace)
    return result


def _why(returncode: int, late: bool) -> str:
    if late:
        return f"takes more than {LIMITS.wall_s:g} s"
    if hasattr(signal, "SIGXCPU") and returncode == -signal.SIGXCPU:
        return f"takes more than {LIMITS.processor_s} s of processor time"
    return f"takes more than {LIMITS.memory_mib} MiB of memory, or is damaged so that PDFium breaks down"


def serve() -> None:
    """The other process: for each request on stdin a result, an error and its stack trace on stdout."""
    requests: queue.SimpleQueue = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    limits, function, arguments = requests.get()
    _bound("RLIMIT_CORE", 0)
    _bound("RLIMIT_AS", limits.memory_mib * MIB)
    results = function(*arguments)
    while True:
        _bound("RLIMIT_CPU", int(time.process_time()) + 1 + limits.processor_s)
        pickle.dump(_next(results), sys.stdout.buffer, pickle.HIGHEST_PROTOCOL)
        sys.stdout.buffer.flush()
        requests.get()


def _next(results: Iterator) -> tuple[Any, Exception | None, str]:
    try:
        return next(results, None), None, ""
    except MemoryError:
        os._exit(1)  # as if PDFium itself had met the limit
    except Exception as error:
        return None, error, traceback.format_exc()


def _listen(requests: queue.SimpleQueue) -> None:
    """Pass requests on, and end this process with the one that makes them, whatever PDFium is busy with."""
    with contextlib.suppress(EOFError):
        while True:
            requests.put(pickle.load(sys.stdin.buffer))
    os._exit(1)


def _bound(kind: str, most: int) -> None:
    """Lower a limit of this process, on a system that has it."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        hard = resource.getrlimit(getattr(resource, kind))[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(getattr(resource, kind), (most, hard))
