"""One page of a record as files: ink layer, mask and description, drawn anew or kept as an earlier run left them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import (
    remove_stale_temporaries,
    sha256_of,
    sha256_of_file,
    write_bytes,
    write_text,
)
from ecg_generator_with_train_src.common.image_files import encode_binary, encode_ink
from ecg_generator_with_train_src.common.names import is_text
from ecg_generator_with_train_src.page.geometry import PaperGeometry
from ecg_generator_with_train_src.page.grid_file import GridFile, GridSidecar, sidecar_path
from ecg_generator_with_train_src.page.page import (
    DrawnPage,
    GivenGrid,
    PageDescription,
    PageRequest,
    describe_page,
    draw_traces,
    leads_without_trace,
    opacity_to_mask,
    read_page_description,
)
from ecg_generator_with_train_src.page.records import (
    Record,
    RecordOptions,
    check_fs,
    read_record,
    record_sha256,
)


@dataclass(frozen=True)
class RenderTask:
    """One page to draw; fs_hz is None where only the record's file can tell it."""

    record_id: str
    csv_path: Path
    fs_hz: float | None
    request: PageRequest


@dataclass(frozen=True)
class RenderOptions:
    """What all pages of a run share."""

    image_dir: Path
    mask_dir: Path
    paper: PaperGeometry
    grid: GivenGrid
    seed: int
    overwrite: bool
    records: RecordOptions


@dataclass(frozen=True)
class RenderedPage:
    """What became of one task."""

    kept: bool
    drawn: DrawnPage
    guess: str  # how the sampling rate was guessed, empty where it was told


def prepare_folders(image_dir: Path, mask_dir: Path, grid: GridFile) -> GivenGrid:
    """Make the folders and put a copy of the grid beside the pages, so that both stay together."""
    for folder in (image_dir, mask_dir, image_dir / "grid"):
        folder.mkdir(parents=True, exist_ok=True)
        remove_stale_temporaries(folder)
    copy = image_dir / "grid" / f"{grid.sha256[:16]}.png"
    write_bytes(copy, grid.path.read_bytes())
    write_text(sidecar_path(copy), GridSidecar(geometry=grid.geometry).model_dump_json(indent=2) + "\n")
    return GivenGrid(file=copy.relative_to(image_dir).as_posix(), sha256=grid.sha256)


def render_page(options: RenderOptions, task: RenderTask) -> RenderedPage:
    """Draw one page and write its files, or keep them if they are there and as asked.

    Raises InputError naming the CSV if the record cannot be read or drawn.
    """
    description_path = options.image_dir / f"{task.request.name}.page.json"
    try:
        record = None if task.fs_hz else read_record(task.csv_path, None, options.records)
    except InputError:
        description_path.unlink(missing_ok=True)  # an old page must not pass for one of this record
        raise
    guess = record.guess if record else ""
    page = _expected_page(options, task, record.fs_hz if record else task.fs_hz)
    image_path, mask_path = options.image_dir / f"{page.name}.png", options.mask_dir / f"{page.name}.png"
    old = None if options.overwrite else _read_old_description(description_path)
    if old and _is_as_asked(old, page, image_path, mask_path):
        return RenderedPage(True, old.drawn, guess)
    description_path.unlink(missing_ok=True)  # it is written last and stands for a whole page
    record = record or page.read_record(task.csv_path)
    opacity, cut = draw_traces(page, record)
    ink, mask = encode_ink(opacity, page.style.ink_rgb), encode_binary(opacity_to_mask(opacity))
    write_bytes(image_path, ink)
    write_bytes(mask_path, mask)
    left_out = leads_without_trace(page, record)
    drawn = DrawnPage(
        ink_sha256=sha256_of(ink),
        mask_sha256=sha256_of(mask),
        leads_cut_at_edge=cut,
        leads_left_out=left_out,
        notes=(*record.notes, *_unseen(left_out, record)),
    )
    write_text(description_path, page.model_copy(update={"drawn": drawn}).model_dump_json(indent=2) + "\n")
    return RenderedPage(False, drawn, guess)


def _unseen(left_out: tuple[str, ...], record: Record) -> list[str]:
    """A note on leads that the record has, but not in the time that the page shows."""
    leads = [lead for lead in left_out if np.isfinite(record.lead_mv(lead)).any()]
    return [f"lead {', '.join(leads)} has no values in the time that the page shows"] if leads else []


def _expected_page(options: RenderOptions, task: RenderTask, fs_hz: float) -> PageDescription:
    """The page that is asked for."""
    if not is_text(task.record_id):
        raise InputError(f"{task.csv_path}: its name holds characters that are no text; rename the file")
    check_fs(fs_hz, task.csv_path)
    digest, grid = record_sha256(task.csv_path), (options.grid, options.paper)
    return describe_page(task.request, task.record_id, digest, fs_hz, grid, options.seed, options.records)


def _read_old_description(path: Path) -> PageDescription | None:
    """The description that an earlier run wrote; None if it left nothing readable, so that the page is drawn anew."""
    try:
        return read_page_description(path) if path.is_file() else None
    except InputError:
        return None


def _is_as_asked(old: PageDescription, page: PageDescription, image_path: Path, mask_path: Path) -> bool:
    """Whether a page of an earlier run is the one asked for and its files are those that were drawn."""
    if old.drawn is None or old.model_copy(update={"drawn": None}) != page:
        return False
    files = ((image_path, old.drawn.ink_sha256), (mask_path, old.drawn.mask_sha256))
    return all(path.is_file() and sha256_of_file(path) == digest for path, digest in files)
