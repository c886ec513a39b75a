"""python scripts/batch_render_waveforms.py --csv-root ori_csv/train-csvs \\
    --grid ecg_generator_with_train_src/export/clean_ecg_grid.png \\
    --image-dir data/wave_images --mask-dir data/wave_masks

Draw the traces of every record on transparent pages: ink layers (<name>.png) with page descriptions
(<name>.page.json) in the image folder, masks (255 where at least half a pixel is inked) in the mask folder.
Pages that are there and are as asked are kept; --overwrite draws all of them again.

Without further flags a record gives the competition's page. --layouts, --variants and --style varied give other
clinics' pages; where a flag takes several values, each page draws one of them at random (every layout is made).
"""

import argparse
import functools
import sys
import time
from pathlib import Path

from ecg_generator_with_train_src.common.batch import SkipReport, run_batch
from ecg_generator_with_train_src.common.command_line import (
    EXIT_DONE,
    EXIT_SKIPPED,
    add_dask_scheduler,
    add_num_workers,
    add_seed,
    make_parser,
    positive_float,
    positive_int,
    share_paths,
    workers_used,
)
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.folder_lock import locked
from ecg_generator_with_train_src.common.notes import note_lines, shorten
from ecg_generator_with_train_src.page.choose_setup import (
    ALL_LAYOUTS,
    SetupChoices,
    choose_layouts,
    request_page,
)
from ecg_generator_with_train_src.page.geometry import DPI
from ecg_generator_with_train_src.page.grid_file import CLEAN_GRID, GridFile, read_grid
from ecg_generator_with_train_src.page.layouts import (
    DEFAULT_LAYOUT,
    GAINS_MM_MV,
    LAYOUT_WORDS,
    LAYOUTS,
    LEAD_ORDERS,
    PAPER_SIZES_MM,
    SPEEDS_MM_S,
    Layout,
)
from ecg_generator_with_train_src.page.records import (
    LEADS,
    RECORD_DURATION_S,
    add_record_arguments,
    check_fs,
    find_records,
    read_record_table,
    record_options,
)
from ecg_generator_with_train_src.page.render import (
    RenderedPage,
    RenderOptions,
    RenderTask,
    prepare_folders,
    render_page,
)


def main(argv: list[str] | None = None) -> int:
    """Render all records below the root; the exit code is 1 if any page was skipped."""
    args = parse_arguments(argv)
    share_paths(args)
    start_s = time.perf_counter()
    if args.image_dir.absolute() == args.mask_dir.absolute():
        raise InputError(f"{args.image_dir}: ink layers and masks have the same names; give two folders")
    tasks = find_tasks(args)
    grid = read_grid(args.grid)
    if grid.is_measured:
        scales = f"{grid.geometry.px_per_mm_x:.4f} x {grid.geometry.px_per_mm_y:.4f} px/mm"
        print(f"{args.grid}: no .json beside it; measured {scales}")
    skipped = SkipReport(args.image_dir / "skipped.tsv")
    with locked(args.image_dir), locked(args.mask_dir):
        pages = render_all(tasks, grid, args, skipped)
    report_pages(args, tasks, pages, skipped, time.perf_counter() - start_s)
    return EXIT_SKIPPED if skipped.reasons else EXIT_DONE


def render_all(
    tasks: list[RenderTask], grid: GridFile, args: argparse.Namespace, skipped: SkipReport
) -> dict[str, RenderedPage]:
    """Draw all pages; returns those that could be drawn by their names."""
    given = prepare_folders(args.image_dir, args.mask_dir, grid)
    folders = args.image_dir, args.mask_dir
    options = RenderOptions(*folders, grid.geometry, given, args.seed, args.overwrite, record_options(args))
    work = functools.partial(render_page, options)
    outcomes = run_batch(
        work, tasks, num_workers=args.num_workers, description="render", dask_scheduler=args.dask_scheduler
    )
    drawn = skipped.sift(outcomes, lambda task: task.request.name)
    pages = {task.request.name: page for task, page in drawn}
    skipped.write()
    return pages


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    one = parser.add_argument
    one(
        "--csv-root",
        type=Path,
        required=True,
        help="folder of the records: <root>/<id>.csv or <root>/<id>/<id>.csv, in mV, or WFDB headers <id>.hea",
    )
    one(
        "--grid",
        type=Path,
        default=CLEAN_GRID,
        help="picture of the clean grid; its geometry is read from the .json beside it, or measured if there is none",
    )
    one("--image-dir", type=Path, required=True, help="folder for ink layers and page descriptions")
    one("--mask-dir", type=Path, required=True, help="folder for wave masks")
    one(
        "--fs-hz",
        type=float,
        help="sampling rate in Hz; without this flag it is read from train.csv in or above the root, from the record, "
        "or is one that devices have",
    )
    add_record_arguments(parser)
    one("--variants", type=positive_int, default=1, help="number of pages of each record and layout")
    one(
        "--style",
        choices=["plain", "varied"],
        default="plain",
        help="paper, ink and furniture: the competition's, or those of any clinic",
    )
    add_setup_arguments(parser)
    one("--overwrite", action="store_true", help="draw all pages again, also those that are there")
    add_seed(parser)
    add_num_workers(parser)
    add_dask_scheduler(parser)
    return parser.parse_args(argv)


def add_setup_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that say what pages may look like; each takes one value or several."""
    several = functools.partial(parser.add_argument, nargs="+")
    several(
        "--layouts",
        metavar="LAYOUT",
        default=[DEFAULT_LAYOUT.name],
        help=f"{LAYOUT_WORDS}; {ALL_LAYOUTS} for {', '.join(LAYOUTS)}",
    )
    several(
        "--rhythm-leads",
        choices=LEADS,
        help="leads of the rhythm strips, from the top, for the layouts that have as many strips",
    )
    several("--lead-order", choices=LEAD_ORDERS, default=["standard"], help="order of the limb leads")
    several(
        "--paper-size",
        choices=PAPER_SIZES_MM,
        default=["letter"],
        help="size of the sheet, which lies in landscape",
    )
    several("--dpi", type=_dpi, default=[DPI], help="resolution in dots per inch, 100 to 400")
    several(
        "--paper-speed-mm-s",
        type=float,
        choices=sorted(SPEEDS_MM_S),
        default=[25.0],
        help="paper speed in mm/s",
    )
    several("--gain-mm-mv", type=float, choices=sorted(GAINS_MM_MV), default=[10.0], help="gain in mm/mV")
    several(
        "--chest-gain-mm-mv",
        type=float,
        choices=sorted(GAINS_MM_MV),
        default=[None],
        help="gain of the leads V1 to V6 in mm/mV, if it differs",
    )
    several(
        "--row-s",
        type=positive_float,
        default=[RECORD_DURATION_S],
        help="seconds that a row shows, 10 at most; fewer where the paper speed leaves no room for them",
    )
    several(
        "--columns",
        choices=["sequential", "simultaneous"],
        default=["sequential"],
        help="whether each column goes on where the one before ends, or all show the same time",
    )
    several(
        "--calibration-pulse",
        choices=["left", "right", "none"],
        default=["left"],
        help="side of the 1 mV pulse that stands beside each row",
    )
    several("--separators", choices=["yes", "no"], default=["yes"], help="bars between the leads of a row")


def _dpi(text: str) -> float:
    value = float(text)
    if not 100 <= value <= 400:
        raise argparse.ArgumentTypeError(f"{text} dpi is outside 100 to 400")
    return value


def find_tasks(args: argparse.Namespace) -> list[RenderTask]:
    """One task for each page, with the sampling rate as far as it is known without reading the record."""
    records = find_records(args.csv_root)
    if args.fs_hz is not None:
        check_fs(args.fs_hz, "--fs-hz")
        rates_hz = dict.fromkeys(records, args.fs_hz)
    else:
        rates_hz = read_record_table(args.csv_root).fs_hz
    layouts, choices = choose_layouts(args.layouts, args.rhythm_leads), setup_choices(args)

    def task(record_id: str, path: Path, layout: Layout, variant: int) -> RenderTask:
        request = request_page(choices, record_id, layout, variant, args.seed)
        return RenderTask(record_id, path, rates_hz.get(record_id), request)

    return [
        task(record_id, path, layout, variant)
        for record_id, path in records.items()
        for layout in layouts
        for variant in range(args.variants)
    ]


def setup_choices(args: argparse.Namespace) -> SetupChoices:
    """What the flags allow pages to look like."""
    return SetupChoices(
        lead_orders=args.lead_order,
        paper_sizes=args.paper_size,
        dpi=args.dpi,
        paper_speeds_mm_s=args.paper_speed_mm_s,
        gains_mm_mv=args.gain_mm_mv,
        chest_gains_mm_mv=args.chest_gain_mm_mv,
        rows_s=args.row_s,
        simultaneous=[answer == "simultaneous" for answer in args.columns],
        pulses=args.calibration_pulse,
        separators=[answer == "yes" for answer in args.separators],
        varied=args.style == "varied",
    )


def report_pages(
    args: argparse.Namespace,
    tasks: list[RenderTask],
    pages: dict[str, RenderedPage],
    skipped: SkipReport,
    duration_s: float,
) -> None:
    """Print what was made of records, what was cut, and what was made."""
    done = [(task, pages[task.request.name]) for task in tasks if task.request.name in pages]
    notes = [
        (task.record_id, note) for task, page in done for note in (page.guess, *page.drawn.notes) if note
    ]
    for line in note_lines(notes, "records"):
        print(line)
    cut = [
        f"{task.request.name} ({', '.join(page.drawn.leads_cut_at_edge)})"
        for task, page in done
        if page.drawn.leads_cut_at_edge
    ]
    if cut:
        print(f"cut at the edge of the page: {len(cut)} pages: {shorten(cut)}")
    if skipped.reasons:
        print(f"skipped {len(skipped.reasons)} pages, listed in {skipped.path}", file=sys.stderr)
    kept = sum(page.kept for page in pages.values())
    made = len(pages) - kept
    print(
        f"rendered {made} pages, kept {kept} -> {args.image_dir}, {args.mask_dir} "
        f"in {duration_s:.1f} s ({made / duration_s:.1f} pages/s, {workers_used(args)})"
    )
