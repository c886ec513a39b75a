"""Work on many items in several processes or on a Dask cluster, and a report of the items that were skipped."""

import contextlib
import errno
import itertools
import logging
import multiprocessing
import multiprocessing.connection
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import cv2
from tqdm import tqdm

from ecg_generator_with_train_src.common.errors import FULL_DISK, InputError, describe_os_error, item_fault
from ecg_generator_with_train_src.common.files import write_text
from ecg_generator_with_train_src.common.names import shown
from ecg_generator_with_train_src.common.picture_memory import (
    give_back_freed_memory,
    keep_memory_for_pictures,
)

MANAGER_ENDS_S = 5.0  # so long an executor's own thread may take to end
ITEMS_IN_FLIGHT = 4  # for each worker
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
DASK_TIMEOUT_S = 30
MOST_KILLED = 4  # so many items that end their process one after another are none at fault themselves
KILLED = "its worker process was killed twice (out of memory?); run again to try it again"
ENDS_BATCH = (*FULL_DISK, errno.EROFS)  # every other item would meet it too

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass
class SkipReport:
    """What a batch step left out and why; written beside its output, and stack traces to a .log beside it."""

    path: Path
    reasons: dict[str, str] = field(default_factory=dict)
    traces: list[str] = field(default_factory=list)

    @property
    def log_path(self) -> Path:
        """The file of the stack traces."""
        return self.path.with_suffix(".log")

    def add(self, name: str, reason: str, trace: str = "", quiet: bool = False) -> None:
        """Note one skipped item and, unless quiet, say so on stderr at once; a stack trace is kept for the log."""
        name, reason = shown(name), shown(reason)
        if trace:
            self.traces.append(f"{name}\n{trace}")
            reason += f"; stack trace in {shown(str(self.log_path))}"
        self.reasons[name] = reason
        if not quiet:
            tqdm.write(f"skipped {name}: {reason}", file=sys.stderr)

    def sift(
        self, outcomes: Iterable[tuple[Item, Result | InputError]], name: Callable[[Item], str]
    ) -> Iterator[tuple[Item, Result]]:
        """What went well of run_batch's outcomes; the other items are added under their names."""
        for item, outcome in outcomes:
            if isinstance(outcome, InputError):
                self.add(name(item), str(outcome), outcome.trace)
            else:
                yield item, outcome

    def write(self) -> None:
        """Write the report, one `name<TAB>reason` a line, and the log; an empty one removes what an old run left."""
        lines = [f"{name}\t{why}\n" for name, why in sorted(self.reasons.items())]
        for path, texts in ((self.path, lines), (self.log_path, self.traces)):
            if texts:
                write_text(path, "".join(texts))
            else:
                path.unlink(missing_ok=True)


def run_batch(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    num_workers: int,
    description: str,
    dask_scheduler: str | None = None,
) -> Iterator[tuple[Item, Result | InputError]]:
    """Yield `(item, result)` as they come; an error of one item is yielded in its place, as an InputError.

    `function` and the items are pickled to worker processes, or to the workers of a Dask scheduler; with one worker
    all runs in this process. Items that are made on the way, such as a generator's, are fetched a few ahead of the
    work. A full disk ends the batch; an item whose process is killed does not. Progress is shown on a terminal only.
    """
    number = len(items) if isinstance(items, Sized) else None
    num_workers = min(num_workers, max(number, 1)) if number is not None else num_workers
    if dask_scheduler:
        outcomes = _run_on_dask(function, items, dask_scheduler)
    elif num_workers == 1:
        outcomes = _run_here(function, items)
    else:
        outcomes = _run_in_processes(function, items, num_workers)
    yield from tqdm(outcomes, total=number, desc=description, unit="item", disable=None)


def outcome_of(function: Callable[[Item], Result], item: Item) -> Result | InputError:
    """The result for one item, or its error; only what ends the whole batch, such as a full disk, is raised."""
    try:
        return function(item)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in ENDS_BATCH:
            raise
        told = _told(error)
        _let_go(error)
        return told


def _told(error: Exception) -> InputError:
    if isinstance(error, InputError):
        return error
    if isinstance(error, OSError) and error.errno:
        return InputError(describe_os_error(error))
    return item_fault(error)


def _let_go(error: BaseException | None) -> None:
    """Free what was in hand where an error and those before it came up: pictures would stay in memory with them."""
    while error:
        traceback.clear_frames(error.__traceback__)
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def _run_here(function: Callable, items: Iterable) -> Iterator[tuple]:
    for item in items:
        yield item, outcome_of(function, item)


def _run_in_processes(function: Callable, items: Iterable, num_workers: int) -> Iterator[tuple]:
    """Work on items in a pool. If a process of it is killed, what was in hand is tried one by one in a pool of one: the
    item that its process had when it was killed again is the one at fault, and the others go on.

    Raises InputError if one item after another ends its process.
    """
    waiting, suspects, in_a_row = iter(items), [], 0
    while True:
        yield from _run_in_pool(function, waiting, num_workers, suspects)
        if not suspects:
            return
        while suspects:
            one_by_one, suspects = iter(suspects), []
            for outcome in _run_in_pool(function, one_by_one, 1, suspects):
                in_a_row = 0
                yield outcome
            if suspects:
                in_a_row += 1
                if in_a_row > MOST_KILLED:
                    raise InputError(
                        "one worker process after another was killed (out of memory?); run again to go on"
                    )
                yield suspects.pop(0), InputError(KILLED)
                suspects += one_by_one


def _run_in_pool(function: Callable, waiting: Iterator, num_workers: int, left: list) -> Iterator[tuple]:
    """Keep a few items a worker in flight, so that memory does not grow with the batch. If a process is killed, the
    items that were in flight are `left`, in their order."""
    context = multiprocessing.get_context("spawn")  # it works alike on every system, and is safe with threads
    executor = ProcessPoolExecutor(num_workers, mp_context=context, initializer=_start_worker)
    in_flight: dict[Future, Item] = {}
    try:
        while not left:
            for item in itertools.islice(waiting, ITEMS_IN_FLIGHT * num_workers - len(in_flight)):
                in_flight[_submitted(executor, function, item)] = item
            if not in_flight:
                return
            done = wait(in_flight, return_when=FIRST_COMPLETED).done
            killed = {future for future in done if isinstance(future.exception(), BrokenProcessPool)}
            for future in done - killed:
                yield in_flight.pop(future), future.result()
            if killed:
                left += in_flight.values()
    finally:
        _end_now(executor)


def _submitted(executor: ProcessPoolExecutor, function: Callable, item: Item) -> Future:
    try:
        with _interrupts_held(), _single_threaded():
            return executor.submit(outcome_of, function, item)
    except BrokenProcessPool as error:  # a process was killed since the last item
        failed: Future = Future()
        failed.set_exception(error)
        return failed


def _run_on_dask(function: Callable, items: Iterable, scheduler: str) -> Iterator[tuple]:
    """The same on a cluster that shares this machine's files: what a lost worker had in hand, another does again.

    Raises InputError if `distributed` is not installed, no scheduler answers, it has no workers or goes away, or an
    item ends one worker after another.
    """
    try:
        import distributed
    except ImportError as error:
        raise InputError("--dask-scheduler needs the package distributed: pip install distributed") from error
    if not re.fullmatch(r"\w+://.+:\d+", scheduler):
        raise InputError(f"--dask-scheduler {scheduler}: not an address such as tcp://host:8786")
    try:
        client = distributed.Client(scheduler, timeout=DASK_TIMEOUT_S)
    except (OSError, ValueError) as error:
        raise InputError(
            f"--dask-scheduler {scheduler}: no Dask scheduler answers there ({error})"
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=DASK_TIMEOUT_S)
        except TimeoutError as error:
            raise InputError(
                f"--dask-scheduler {scheduler}: has no workers; start some with `dask worker`"
            ) from error
        try:
            yield from _dask_outcomes(client, function, items)
        except distributed.KilledWorker as error:
            raise InputError(f"--dask-scheduler {scheduler}: {error}") from error
        except (CancelledError, distributed.comm.CommClosedError) as error:
            logging.getLogger("distributed.client").disabled = True  # it would print a stack trace on leaving
            raise InputError(
                f"--dask-scheduler {scheduler}: the connection was lost; run again to go on"
            ) from error


def _on_dask_worker(function: Callable, item: Item) -> Result | InputError:
    """Its memory is the cluster's to give out: between items it keeps none that is free."""
    keep_memory_for_pictures()
    try:
        return outcome_of(function, item)
    finally:
        give_back_freed_memory()


def _dask_outcomes(client, function: Callable, items: Iterable) -> Iterator[tuple]:
    """Keep a few items a thread in flight."""
    from distributed import as_completed

    waiting, in_flight, completed = iter(items), {}, as_completed()
    while True:
        threads = max(sum(client.nthreads().values()), 1)
        for item in itertools.islice(waiting, max(ITEMS_IN_FLIGHT * threads - len(in_flight), 0)):
            future = client.submit(_on_dask_worker, function, item, pure=False)
            in_flight[future.key] = item
            completed.add(future)
        if not in_flight:
            return
        future = next(completed)
        yield in_flight.pop(future.key), future.result()


@contextlib.contextmanager
def _single_threaded() -> Iterator[None]:
    """Processes started meanwhile do their linear algebra in one thread each: there is a process for every core."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back. Processes started meanwhile never see it: they leave it to their parent, even while they
    still import and could only answer with a stack trace."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker() -> None:
    """Workers leave Ctrl-C to the parent, use one thread each, and end with their parent however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # needed where it could not be held back
    keep_memory_for_pictures()
    cv2.setNumThreads(1)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def _end_now(executor: ProcessPoolExecutor) -> None:
    """Let no worker outlive the batch: nothing here is worth finishing once the caller has stopped reading."""
    processes = list((getattr(executor, "_processes", None) or {}).values())
    manager = getattr(executor, "_executor_manager_thread", None)
    executor.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.kill()  # whoever started this command may have it ignore SIGTERM, and workers inherit that
    if manager is not None:  # still closing its pipes when Python exits, it would print a stack trace
        manager.join(MANAGER_ENDS_S)
