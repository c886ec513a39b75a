"""At which sampling rate the signals of a page are written, and how many rows a submission wants of them."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.page.records import LEADS, check_fs, read_record_table
from ecg_generator_with_train_src.record_files.id_tables import numbers_in, read_id_table

ASSUMED_FS_HZ = 500.0
MOST_ROWS = 100_000  # of a lead: 50 s at 2000 Hz


@dataclass(frozen=True)
class SamplingRates:
    """Sampling rates: of all pages, or by id; and rows of each lead where a test.csv tells them."""

    fs_hz: float | None
    by_id: dict[str, float]
    rows: dict[str, dict[str, int]]

    def of(self, path: Path, page_id: str) -> tuple[float, str]:
        """The rate of a page in Hz, and where it is from."""
        if self.fs_hz:
            return self.fs_hz, "--fs-hz"
        if page_id in self.by_id:
            return self.by_id[page_id], "table"
        table = read_record_table(path.parent)
        if page_id in table.fs_hz:
            return table.fs_hz[page_id], str(table.path)
        return ASSUMED_FS_HZ, "assumed"

    def doubts(self, name: str, origin: dict) -> tuple[str, ...]:
        """A note, if the rate that a page's `origin` tells is not from the table where there is one, or assumed. It is
        the same for all pages if there is no table."""
        if origin["fs_from"] != "assumed" and (not self.by_id or origin["fs_from"] == "table"):
            return ()
        if not self.by_id:
            assumed = f"{origin['fs_hz']:g} Hz (assumed)"
            return (
                f"where no train.csv tells a sampling rate, signals have {assumed}; --fs-hz says another",
            )
        told = f"{origin['fs_hz']:g} Hz ({origin['fs_from']})"
        return (f"warning: {name}: is not in the given table; {told}",)


def read_rates(fs_hz: float | None, train_csv: Path | None, test_csv: Path | None) -> SamplingRates:
    """The rate of all pages, or those that a table tells, whichever is given.

    Raises InputError for a bad table or rate.
    """
    if fs_hz is not None:
        check_fs(fs_hz, "--fs-hz")
        return SamplingRates(fs_hz, {}, {})
    path = train_csv or test_csv
    if path is None:
        return SamplingRates(None, {}, {})
    table = read_id_table(path)
    wanted = ("id", "fs", "lead", "number_of_rows") if test_csv else ("id", "fs")
    if not set(wanted) <= table.keys():
        raise InputError(f"{path}: expected the columns {', '.join(wanted)}; found {', '.join(table)}")
    rates_hz = numbers_in(table, "fs", path)
    for page_id, rate_hz in zip(table["id"], rates_hz, strict=True):
        check_fs(rate_hz, f"{path}: {page_id}")
    rows: dict[str, dict[str, int]] = defaultdict(dict)
    if test_csv:
        numbers = numbers_in(table, "number_of_rows", path)
        for page_id, lead, number in zip(table["id"], table["lead"], numbers, strict=True):
            if lead not in LEADS:
                raise InputError(f"{path}: {page_id}: lead is {lead!r}, not one of {', '.join(LEADS)}")
            if not (0 <= number <= MOST_ROWS and number.is_integer()):
                raise InputError(
                    f"{path}: {page_id}, {lead}: number_of_rows is {number:g}, not 0 to {MOST_ROWS}"
                )
            rows[page_id][lead] = int(number)
    return SamplingRates(None, dict(zip(table["id"], rates_hz, strict=True)), dict(rows))
