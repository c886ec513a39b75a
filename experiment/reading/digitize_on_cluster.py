"""Pages read on a Dask cluster: each worker opens, sees and reads files of its own, and writes what it found of them.

Only the names of files go to the workers, and only what the pages' JSON files say comes back. The machine that runs the
command writes what tells of all pages.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import cv2

from ecg_generator_with_train_src.common.batch import outcome_of, run_batch
from ecg_generator_with_train_src.common.errors import InputError
from experiment.labelling.result_names import PageFile
from experiment.reading.digitize_pages import (
    DigitizeOptions,
    PageOutcome,
    Readings,
    See,
    SeenPage,
    read_and_write,
    seen_pages,
    unopened_page,
    write_readings,
)
from experiment.reading.sampling_rates import SamplingRates

Files = tuple[PageFile, ...]


@dataclass(frozen=True)
class FilesOutcome:
    """What became of the pages of some files, and which files were passed over, and why."""

    pages: tuple[tuple[SeenPage, PageOutcome | InputError], ...]
    passed_over: tuple[tuple[str, str], ...]


def digitize_on_cluster(
    make_see: Callable[[], See], options: DigitizeOptions, files: list[PageFile], rates: SamplingRates
) -> int:
    """Read all pages of some files as digitize_pages does, to the same bytes; returns the exit code.

    `make_see` is sent to the workers, which call it for each file. The cluster's machines share all paths, which are
    absolute. Raises InputError if another run is at work in the output folder, or if there is no cluster.
    """

    def outcomes(readings: Readings) -> Iterator[tuple[SeenPage, PageOutcome | InputError]]:
        work = functools.partial(
            read_files, make_see=make_see, options=options, rates=replace(rates, rows={})
        )
        done = run_batch(
            work,
            groups_of(files),
            num_workers=1,
            description="digitize",
            dask_scheduler=options.dask_scheduler,
        )
        for group, outcome in done:
            if isinstance(outcome, InputError):
                yield from ((unopened_page(file, rates, options, outcome), outcome) for file in group)
            else:
                for name, why in outcome.passed_over:
                    readings.report.add(name, why)
                yield from outcome.pages

    return write_readings(outcomes, options, files, rates)


def groups_of(files: Iterable[PageFile]) -> list[Files]:
    """Files of which a page may have the name of another's, such as page 2 of `a.pdf` and `a-2.png`, in one group.

    All others are alone. The files of a group stay in their order.

    >>> groups = groups_of(PageFile(None, name) for name in ("a-2", "ab", "a", "a-2-1"))
    >>> [[file.name for file in group] for group in groups]
    [['a-2', 'a', 'a-2-1'], ['ab']]
    """
    files = list(files)
    names = {file.name.casefold() for file in files}
    groups: dict[str, list[PageFile]] = {}
    for file in files:
        groups.setdefault(_shortest_name(file.name.casefold(), names), []).append(file)
    return [tuple(group) for group in groups.values()]


def _shortest_name(name: str, names: set[str]) -> str:
    """The shortest of the names that this name begins with before a dash; itself if there is none."""
    parts = name.split("-")
    begins = ("-".join(parts[:number]) for number in range(1, len(parts)))
    return next((begin for begin in begins if begin in names), name)


def read_files(
    group: Files, make_see: Callable[[], See], options: DigitizeOptions, rates: SamplingRates
) -> FilesOutcome:
    """Read and write the pages of some files in one thread: a cluster has as many workers as it has cores."""
    cv2.setNumThreads(1)
    passed_over: list[tuple[str, str]] = []
    work = functools.partial(read_and_write, options=options)
    pages = []
    for page in seen_pages(make_see(), group, rates, options, lambda *why: passed_over.append(why)):
        pages.append((replace(page, seen=None), outcome_of(work, page)))
    return FilesOutcome(tuple(pages), tuple(passed_over))
