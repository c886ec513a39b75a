"""The competition's table, from the signals of one page of each record."""

from collections import defaultdict
from pathlib import Path

import numpy as np

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.names import shown
from ecg_generator_with_train_src.common.notes import shorten
from ecg_generator_with_train_src.dataset.page_names import parse_page_name
from ecg_generator_with_train_src.page.records import LEADS
from experiment.reading.sampling_rates import SamplingRates


def check_one_page_an_id(names: list[str], rates: SamplingRates) -> None:
    """Raises InputError naming the ids of a submission that have several pages, or none."""
    pages = defaultdict(list)
    for name in names:
        pages[parse_page_name(name, rates.by_id).record].append(name)
    several = sorted(page_id for page_id, its_names in pages.items() if len(its_names) > 1)
    if several:
        names = shorten(several, ", ")
        raise InputError(f"--submission: several pages of {names}; give one page of each record")
    missing = sorted(rates.rows.keys() - pages.keys())
    if missing:
        raise InputError(f"--submission: no page of {shorten(missing, ', ')}, which --test-csv lists")


def write_table(path: Path, signals: dict[str, np.ndarray], rates: SamplingRates) -> None:
    """Write the submission: of each lead the rows that the page shows, or as many as --test-csv asks for."""
    from experiment.scoring.submission import write_submission  # pyarrow is loaded by those alone who need it

    check_one_page_an_id(list(signals), rates)
    pages = {}
    for name, signal_mv in sorted(signals.items()):
        page_id = shown(parse_page_name(name, rates.by_id).record)
        wanted = rates.rows.get(page_id, {})
        pages[page_id] = {
            lead: _as_long(signal_mv[:, k], wanted.get(lead))
            for k, lead in enumerate(LEADS)
            if not wanted or lead in wanted
        }
    write_submission(path, pages)


def _as_long(signal_mv: np.ndarray, rows: int | None) -> np.ndarray:
    """The values that are there, cut or carried on to a number of rows."""
    shown = signal_mv[np.isfinite(signal_mv)]
    if rows is None or rows == len(shown):
        return shown
    if len(shown) == 0:
        return np.zeros(rows)
    return np.pad(shown, (0, max(rows - len(shown), 0)), mode="edge")[:rows]
