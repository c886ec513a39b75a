"""python scripts/batch_render_waveforms.py --csv-root ori_csv/train-csvs \\
    --grid ecg_generator_with_train_src/export/clean_ecg_grid.png \\
    --image-dir data/wave_images --mask-dir data/wave_masks

Draw the traces of every record on transparent pages: ink layers (<name>.png) with page descriptions
(<name>.page.json) in the image folder, masks (255 where at least half a pixel is inked) in the mask folder.
Pages that are there and as asked are kept; --overwrite draws all of them again.
"""

import functools
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ecg_generator_with_train_src.batch import (
    SkipReport,
    remove_stale_temporaries,
    run_batch,
    write_bytes,
    write_text,
)
from ecg_generator_with_train_src.command_line import (
    EXIT_DONE,
    EXIT_SKIPPED,
    add_num_workers,
    add_seed,
    make_parser,
    run,
)
from ecg_generator_with_train_src.dataset_format import sha256_of
from ecg_generator_with_train_src.errors import InputError
from ecg_generator_with_train_src.geometry import PaperGeometry
from ecg_generator_with_train_src.grid_file import GridFile, GridSidecar, read_grid, sidecar_path
from ecg_generator_with_train_src.image_files import encode_binary, encode_ink
from ecg_generator_with_train_src.pages import (
    GivenGrid,
    PageDescription,
    default_page,
    draw_traces,
    opacity_to_mask,
    read_page_description,
)
from ecg_generator_with_train_src.records import (
    check_fs,
    find_records,
    fs_from_row_count,
    read_record,
    read_record_table,
)


@dataclass(frozen=True)
class RenderTask:
    """One record to draw; fs_hz is None where only its rows can tell."""

    record_id: str
    csv_path: Path
    fs_hz: float | None


@dataclass(frozen=True)
class RenderOptions:
    """What all pages of a run share."""

    image_dir: Path
    mask_dir: Path
    paper: PaperGeometry
    grid: GivenGrid
    pulse: str
    seed: int
    overwrite: bool


@dataclass(frozen=True)
class RenderedPage:
    """What became of one task."""

    kept: bool
    fs_hz: float
    leads_cut_at_edge: tuple[str, ...]


def parse_arguments(argv: list[str] | None):
    """The command line."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--csv-root", type=Path, required=True, help="<root>/<id>.csv or <root>/<id>/<id>.csv, in mV"
    )
    parser.add_argument(
        "--grid", type=Path, required=True, help="clean grid image with its geometry (.json) beside it"
    )
    parser.add_argument(
        "--image-dir", type=Path, required=True, help="ink layers and page descriptions go here"
    )
    parser.add_argument("--mask-dir", type=Path, required=True, help="wave masks go here")
    parser.add_argument(
        "--fs-hz", type=float, help="sampling rate in Hz (else train.csv in or above the root, or rows/10)"
    )
    parser.add_argument(
        "--calibration-pulse", choices=["left", "none"], default="left", help="1 mV pulse before a row"
    )
    parser.add_argument("--overwrite", action="store_true", help="draw pages again that are there")
    add_seed(parser)
    add_num_workers(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Render all records below the root; exit code 1 if any was skipped."""
    args = parse_arguments(argv)
    start_s = time.perf_counter()
    tasks = find_tasks(args.csv_root, args.fs_hz)
    options = prepare_folders(args, read_grid(args.grid))
    skipped = SkipReport(args.image_dir / "skipped.tsv")
    pages: dict[str, RenderedPage] = {}
    work = functools.partial(render_page, options)
    for task, outcome in run_batch(work, tasks, num_workers=args.num_workers, description="render"):
        if isinstance(outcome, InputError):
            skipped.add(task.record_id, str(outcome))
        else:
            pages[task.record_id] = outcome
    skipped.write()
    report(args, tasks, pages, skipped, time.perf_counter() - start_s)
    return EXIT_SKIPPED if skipped.reasons else EXIT_DONE


def find_tasks(csv_root: Path, fs_hz: float | None) -> list[RenderTask]:
    """One task a record, with the sampling rate as far as it is known without reading the record."""
    records = find_records(csv_root)
    if fs_hz is not None:
        check_fs(fs_hz, "--fs-hz")
        return [RenderTask(record_id, path, fs_hz) for record_id, path in records.items()]
    table = read_record_table(csv_root)
    return [RenderTask(record_id, path, table.fs_hz.get(record_id)) for record_id, path in records.items()]


def prepare_folders(args, grid: GridFile) -> RenderOptions:
    """Make the folders and lay a copy of the grid beside the pages, so that they stay together."""
    for folder in (args.image_dir, args.mask_dir):
        folder.mkdir(parents=True, exist_ok=True)
        remove_stale_temporaries(folder)
    copy = args.image_dir / "grid" / f"{grid.sha256[:16]}.png"
    write_bytes(copy, grid.path.read_bytes())
    write_text(sidecar_path(copy), GridSidecar(geometry=grid.geometry).model_dump_json(indent=2) + "\n")
    given = GivenGrid(file=copy.relative_to(args.image_dir).as_posix(), sha256=grid.sha256)
    return RenderOptions(
        args.image_dir, args.mask_dir, grid.geometry, given, args.calibration_pulse, args.seed, args.overwrite
    )


def render_page(options: RenderOptions, task: RenderTask) -> RenderedPage:
    """Draw one record, or keep its page if it is there and as asked."""
    page = describe_page(options, task)
    description_path = options.image_dir / f"{page.name}.page.json"
    image_path, mask_path = options.image_dir / f"{page.name}.png", options.mask_dir / f"{page.name}.png"
    if not options.overwrite and image_path.is_file() and mask_path.is_file() and description_path.is_file():
        old = read_page_description(description_path)
        if old.model_copy(update={"leads_cut_at_edge": ()}) == page:
            return RenderedPage(True, page.fs_hz, old.leads_cut_at_edge)
    description_path.unlink(missing_ok=True)  # it is written last and stands for a whole page
    opacity, cut = draw_traces(page, read_record(task.csv_path, page.fs_hz))
    write_bytes(image_path, encode_ink(opacity, page.style.ink_rgb))
    write_bytes(mask_path, encode_binary(opacity_to_mask(opacity)))
    page = page.model_copy(update={"leads_cut_at_edge": cut})
    write_text(description_path, page.model_dump_json(indent=2) + "\n")
    return RenderedPage(False, page.fs_hz, cut)


def describe_page(options: RenderOptions, task: RenderTask) -> PageDescription:
    """The page that the options ask for, from the record's bytes alone."""
    fs_hz = task.fs_hz if task.fs_hz is not None else fs_from_row_count(task.csv_path)
    check_fs(fs_hz, task.csv_path)
    record_sha256 = sha256_of(task.csv_path.read_bytes())
    return default_page(
        task.record_id,
        record_sha256,
        fs_hz,
        options.paper,
        options.grid,
        pulse=options.pulse,
        seed=options.seed,
    )


def report(
    args, tasks: list[RenderTask], pages: dict[str, RenderedPage], skipped: SkipReport, duration_s: float
):
    """Say where the sampling rates came from, what was cut, and what was made."""
    guessed = [
        pages[task.record_id].fs_hz for task in tasks if task.fs_hz is None and task.record_id in pages
    ]
    for fs_hz, count in sorted(Counter(guessed).items()):
        print(
            f"sampling rate {fs_hz:g} Hz from rows / 10 s (neither --fs-hz nor train.csv tells): {count} records"
        )
    cut = [
        f"{name} ({', '.join(page.leads_cut_at_edge)})"
        for name, page in pages.items()
        if page.leads_cut_at_edge
    ]
    if cut:
        print(f"cut at the edge of the page: {len(cut)} pages: {'; '.join(sorted(cut)[:10])}")
    if skipped.reasons:
        print(f"skipped {len(skipped.reasons)} records, listed in {skipped.path}", file=sys.stderr)
    kept = sum(page.kept for page in pages.values())
    made = len(pages) - kept
    print(
        f"rendered {made} pages, kept {kept} -> {args.image_dir}, {args.mask_dir} "
        f"in {duration_s:.1f} s ({made / duration_s:.1f} pages/s, {args.num_workers} workers)"
    )


if __name__ == "__main__":
    run(main)
