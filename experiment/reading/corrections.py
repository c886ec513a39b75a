"""What a person says of pages that were read wrongly: a table, and how a page is read as told."""

import csv
import io
import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.names import name_in_cell, table_cell
from ecg_generator_with_train_src.common.text_files import read_text
from ecg_generator_with_train_src.page.layouts import LEAD_ORDERS, parse_layout
from experiment.reading.find_layout import ReadingOptions

COLUMNS = ("page", "layout", "lead_order", "rotation_deg", "paper_speed_mm_s", "gain_mm_mv", "time_zero_px")


@dataclass(frozen=True)
class Correction:
    """What is told of one page. `rotation_deg` is how far the page is turned clockwise in its image."""

    told: ReadingOptions
    rotation_deg: float | None = None
    where: str = field(default="", compare=False)  # file and line that tell it

    def over(self, known: ReadingOptions) -> ReadingOptions:
        """What is known of all pages, with what is told of this one in its place."""
        own = {name: value for name, value in vars(self.told).items() if value is not None}
        return replace(known, **own)

    def as_told(self) -> dict:
        """What is told, as values that JSON can hold."""
        told = {**vars(self.told), "rotation_deg": self.rotation_deg}
        return {name: getattr(value, "name", value) for name, value in told.items() if value is not None}


NO_CORRECTION = Correction(ReadingOptions())


def read_corrections(path: Path) -> dict[str, Correction]:
    """The corrections of a table (COLUMNS, of which all but `page` may be missing or empty), by the page's name.

    Raises InputError that names the file, and the line at fault.
    """
    rows = csv.DictReader(io.StringIO(read_text(path), newline=""))
    found: dict[str, Correction] = {}
    try:
        header = [name.strip() for name in rows.fieldnames or ()]
        unknown = [name for name in header if name not in COLUMNS]
        if "page" not in header or unknown:
            raise InputError(f"{path}: expected the columns {', '.join(COLUMNS)}; found {', '.join(header)}")
        rows.fieldnames = header
        for row in rows:
            page, correction = _correction(row, f"{path}, line {rows.line_num}")
            if page in found:
                raise InputError(f"{correction.where}: {page} stands above already; keep one of its lines")
            found[page] = correction
    except csv.Error as error:
        raise InputError(f"{path}, line {rows.line_num}: is no table of corrections ({error})") from error
    return found


def check_pages(corrections: dict[str, Correction], names: Collection[str]) -> None:
    """Raise InputError that names file and line if a correction is of no page of the files of these names."""
    for page, correction in corrections.items():
        several = re.fullmatch(r"(.+?)(-p\d+)?(-[ab])?", page)
        if page not in names and not (several and several[1] in names):
            raise InputError(
                f"{correction.where}: no image is called {page}; pages have their files' names without the ending, "
                "those of a PDF -p1 and so on, and two ECGs on one image -a and -b after it"
            )


def correction_line(page: str, about: dict) -> str:
    """The line of such a table that tells what was found on a page, to be changed where it is wrong."""
    rectified = about.get("rectified", {})
    values = {**about, "page": table_cell(page), "time_zero_px": rectified.get("time_zero_x_px", "")}
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(_cell(values.get(name, "")) for name in COLUMNS)
    return line.getvalue()


def _cell(value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _correction(row: dict[str, str | None], where: str) -> tuple[str, Correction]:
    cells = {name: (value or "").strip() for name, value in row.items() if name in COLUMNS}
    if not cells.get("page"):
        raise InputError(f"{where}: names no page")
    order = cells.get("lead_order") or None
    if order and order not in LEAD_ORDERS:
        raise InputError(f"{where}: lead_order {order}: expected {' or '.join(LEAD_ORDERS)}")
    try:
        layout = parse_layout(cells["layout"]) if cells.get("layout") else None
    except InputError as error:
        raise InputError(f"{where}: layout {error}") from error
    told = ReadingOptions(
        layout=layout,
        lead_order=order,
        paper_speed_mm_s=_number(cells, "paper_speed_mm_s", where, positive=True),
        gain_mm_mv=_number(cells, "gain_mm_mv", where, positive=True),
        time_zero_px=_number(cells, "time_zero_px", where),
    )
    return name_in_cell(cells["page"]), Correction(told, _number(cells, "rotation_deg", where), where)


def _number(cells: dict[str, str], name: str, where: str, positive: bool = False) -> float | None:
    if not cells.get(name):
        return None
    try:
        value = float(cells[name])
    except ValueError:
        value = float("nan")
    if not abs(value) < 1e6 or (positive and value <= 0):
        raise InputError(f"{where}: {name} {cells[name]}: expected a {'positive ' * positive}number")
    return value
