"""python scripts/batch_render_waveforms.py --csv-root ori_csv/train-csvs \\
    --grid ecg_generator_with_train_src/export/clean_ecg_grid.png \\
    --image-dir data/wave_images --mask-dir data/wave_masks

Draw the traces of every record on transparent pages: ink layers (<name>.png) with page descriptions
(<name>.page.json) in the image folder, masks (255 where at least half a pixel is inked) in the mask folder.
Pages that are there and as asked are kept; --overwrite draws all of them again.

Without further flags a record gives the competition's page. --layouts, --variants and --style varied give other
clinics' pages; where a flag takes several values, each page draws one of them at random (every layout is made).
"""

import argparse
import functools
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from ecg_generator_with_train_src.common.batch import SkipReport, run_batch
from ecg_generator_with_train_src.common.command_line import (
    EXIT_DONE,
    EXIT_SKIPPED,
    add_dask_scheduler,
    add_num_workers,
    add_seed,
    make_parser,
    positive_int,
    run,
    share_paths,
    workers_used,
)
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import (
    remove_stale_temporaries,
    sha256_of,
    write_bytes,
    write_text,
)
from ecg_generator_with_train_src.common.image_files import encode_binary, encode_ink
from ecg_generator_with_train_src.common.random_stream import random_stream
from ecg_generator_with_train_src.page.geometry import PaperGeometry
from ecg_generator_with_train_src.page.grid_file import GridFile, GridSidecar, read_grid, sidecar_path
from ecg_generator_with_train_src.page.layouts import (
    DEFAULT_DPI,
    DEFAULT_LAYOUT,
    LAYOUTS,
    LEAD_ORDERS,
    PAPER_SIZES_MM,
    Layout,
    PageSetup,
)
from ecg_generator_with_train_src.page.page import (
    DrawnPage,
    GivenGrid,
    PageDescription,
    PageRequest,
    describe_page,
    draw_traces,
    opacity_to_mask,
    read_page_description,
)
from ecg_generator_with_train_src.page.records import (
    LEADS,
    check_fs,
    find_records,
    fs_from_row_count,
    read_record,
    read_record_table,
)

NAMES_SHOWN = 10


@dataclass(frozen=True)
class RenderTask:
    """One page to draw; fs_hz is None where only the record's rows can tell."""

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


@dataclass(frozen=True)
class RenderedPage:
    """What became of one task."""

    kept: bool
    fs_hz: float
    leads_cut_at_edge: tuple[str, ...]


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser(__doc__)
    one, several = parser.add_argument, functools.partial(parser.add_argument, nargs="+")
    one("--csv-root", type=Path, required=True, help="<root>/<id>.csv or <root>/<id>/<id>.csv, in mV")
    one(
        "--grid",
        type=Path,
        required=True,
        help="clean grid; its geometry is in the .json beside it or measured",
    )
    one("--image-dir", type=Path, required=True, help="ink layers and page descriptions go here")
    one("--mask-dir", type=Path, required=True, help="wave masks go here")
    one("--fs-hz", type=float, help="sampling rate in Hz (else train.csv in or above the root, or rows/10)")
    one("--variants", type=positive_int, default=1, help="pages of each record and layout")
    one("--style", choices=["plain", "varied"], default="plain", help="paper, ink and furniture")
    several(
        "--layouts", choices=[*LAYOUTS, "all"], default=[DEFAULT_LAYOUT.name], help="rows x columns + strips"
    )
    several(
        "--rhythm-leads", choices=LEADS, help="leads of the rhythm strips, top down, in layouts with as many"
    )
    several("--lead-order", choices=LEAD_ORDERS, default=["standard"], help="order of the limb leads")
    several("--paper-size", choices=PAPER_SIZES_MM, default=["letter"], help="sheet, landscape")
    several("--dpi", type=_dpi, default=[DEFAULT_DPI], help="resolution, 100 to 400")
    several("--paper-speed-mm-s", type=int, choices=[25, 50], default=[25], help="paper speed in mm/s")
    several("--gain-mm-mv", type=int, choices=[5, 10, 20], default=[10], help="gain in mm/mV")
    several(
        "--calibration-pulse", choices=["left", "right", "none"], default=["left"], help="1 mV beside a row"
    )
    several("--separators", choices=["yes", "no"], default=["yes"], help="bars between the leads of a row")
    one("--overwrite", action="store_true", help="draw pages again that are there")
    add_seed(parser)
    add_num_workers(parser)
    add_dask_scheduler(parser)
    return parser.parse_args(argv)


def _dpi(text: str) -> float:
    value = float(text)
    if not 100 <= value <= 400:
        raise argparse.ArgumentTypeError(f"{text} dpi is outside 100 to 400")
    return value


def main(argv: list[str] | None = None) -> int:
    """Render all records below the root; exit code 1 if any page was skipped."""
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
    options = prepare_folders(args, grid)
    skipped = SkipReport(args.image_dir / "skipped.tsv")
    work = functools.partial(render_page, options)
    outcomes = run_batch(
        work, tasks, num_workers=args.num_workers, description="render", dask_scheduler=args.dask_scheduler
    )
    drawn = skipped.sift(outcomes, lambda task: task.request.name)
    pages = {task.request.name: page for task, page in drawn}
    skipped.write()
    report(args, tasks, pages, skipped, time.perf_counter() - start_s)
    return EXIT_SKIPPED if skipped.reasons else EXIT_DONE


def find_tasks(args: argparse.Namespace) -> list[RenderTask]:
    """One task a page, with the sampling rate as far as it is known without reading the record."""
    records = find_records(args.csv_root)
    if args.fs_hz is not None:
        check_fs(args.fs_hz, "--fs-hz")
        rates_hz = dict.fromkeys(records, args.fs_hz)
    else:
        rates_hz = read_record_table(args.csv_root).fs_hz
    layouts = choose_layouts(args.layouts, args.rhythm_leads)
    return [
        RenderTask(record_id, path, rates_hz.get(record_id), request_page(args, record_id, layout, variant))
        for record_id, path in records.items()
        for layout in layouts
        for variant in range(args.variants)
    ]


def choose_layouts(names: list[str], rhythm_leads: list[str] | None) -> list[Layout]:
    """The layouts asked for, with the rhythm leads asked for. Raises InputError if none has as many strips."""
    layouts = list(LAYOUTS.values()) if "all" in names else [LAYOUTS[name] for name in dict.fromkeys(names)]
    if not rhythm_leads:
        return layouts
    count = len(rhythm_leads)
    if all(len(layout.rhythm_leads) != count for layout in layouts):
        strips = ", ".join(f"{layout.name} has {len(layout.rhythm_leads)}" for layout in layouts)
        raise InputError(
            f"--rhythm-leads: {count} given, but the layouts have other numbers of rhythm strips: {strips}"
        )
    chosen = {"rhythm_leads": tuple(rhythm_leads)}
    return [x.model_copy(update=chosen) if len(x.rhythm_leads) == count else x for x in layouts]


def request_page(args: argparse.Namespace, record_id: str, layout: Layout, variant: int) -> PageRequest:
    """The setup of one page, drawn from what the flags allow, and its name."""
    rng = random_stream(args.seed, record_id, "setup", layout.name, variant)

    def one_of(values: list):
        return values[rng.integers(len(values))]

    setup = PageSetup(
        layout=layout,
        lead_order=one_of(args.lead_order),
        paper_size=one_of(args.paper_size),
        dpi=one_of(args.dpi),
        paper_speed_mm_s=one_of(args.paper_speed_mm_s),
        gain_mm_mv=one_of(args.gain_mm_mv),
        pulse=one_of(args.calibration_pulse),
        separators=one_of(args.separators) == "yes",
    )
    varied = args.style == "varied"
    competition = setup.model_copy(update={"pulse": "left", "separators": True}) == PageSetup()
    if competition and not varied and variant == 0:
        return PageRequest(record_id, setup, varied, "default")
    return PageRequest(f"{record_id}__{layout.name}-{variant}", setup, varied, f"{layout.name}-{variant}")


def prepare_folders(args: argparse.Namespace, grid: GridFile) -> RenderOptions:
    """Make the folders and lay a copy of the grid beside the pages, so that they stay together."""
    for folder in (args.image_dir, args.mask_dir, args.image_dir / "grid"):
        folder.mkdir(parents=True, exist_ok=True)
        remove_stale_temporaries(folder)
    copy = args.image_dir / "grid" / f"{grid.sha256[:16]}.png"
    write_bytes(copy, grid.path.read_bytes())
    write_text(sidecar_path(copy), GridSidecar(geometry=grid.geometry).model_dump_json(indent=2) + "\n")
    given = GivenGrid(file=copy.relative_to(args.image_dir).as_posix(), sha256=grid.sha256)
    return RenderOptions(args.image_dir, args.mask_dir, grid.geometry, given, args.seed, args.overwrite)


def render_page(options: RenderOptions, task: RenderTask) -> RenderedPage:
    """Draw one page, or keep it if it is there and as asked."""
    page = expected_page(options, task)
    description_path = options.image_dir / f"{page.name}.page.json"
    image_path, mask_path = options.image_dir / f"{page.name}.png", options.mask_dir / f"{page.name}.png"
    old = None if options.overwrite else read_old_description(description_path)
    if old and is_current(old, page, image_path, mask_path):
        return RenderedPage(True, page.fs_hz, old.drawn.leads_cut_at_edge)
    description_path.unlink(missing_ok=True)  # it is written last and stands for a whole page
    opacity, cut = draw_traces(page, read_record(task.csv_path, page.fs_hz))
    ink, mask = encode_ink(opacity, page.style.ink_rgb), encode_binary(opacity_to_mask(opacity))
    write_bytes(image_path, ink)
    write_bytes(mask_path, mask)
    drawn = DrawnPage(ink_sha256=sha256_of(ink), mask_sha256=sha256_of(mask), leads_cut_at_edge=cut)
    write_text(description_path, page.model_copy(update={"drawn": drawn}).model_dump_json(indent=2) + "\n")
    return RenderedPage(False, page.fs_hz, cut)


def is_current(old: PageDescription, page: PageDescription, image_path: Path, mask_path: Path) -> bool:
    """Whether a page of an earlier run is the one asked for and its files are those that were drawn."""
    if old.drawn is None or old.model_copy(update={"drawn": None}) != page:
        return False
    files = ((image_path, old.drawn.ink_sha256), (mask_path, old.drawn.mask_sha256))
    return all(path.is_file() and sha256_of(path.read_bytes()) == digest for path, digest in files)


def read_old_description(path: Path) -> PageDescription | None:
    """What an earlier run described; None if it left nothing readable, so that the page is drawn anew."""
    try:
        return read_page_description(path) if path.is_file() else None
    except InputError:
        return None


def expected_page(options: RenderOptions, task: RenderTask) -> PageDescription:
    """The page that is asked for, from the record's bytes alone."""
    fs_hz = task.fs_hz if task.fs_hz is not None else fs_from_row_count(task.csv_path)
    check_fs(fs_hz, task.csv_path)
    record_sha256 = sha256_of(task.csv_path.read_bytes())
    grid = options.grid, options.paper
    return describe_page(task.request, task.record_id, record_sha256, fs_hz, grid, options.seed)


def report_guessed_rates(rates_hz: dict[str, float]) -> None:
    """One line a sampling rate that only the number of rows told, with the records' names."""
    for fs_hz in sorted(set(rates_hz.values())):
        records = [record_id for record_id, rate_hz in rates_hz.items() if rate_hz == fs_hz]
        print(
            f"{len(records)} records: {fs_hz:g} Hz from rows / 10 s "
            f"(neither --fs-hz nor train.csv tells the rate): {shorten(records)}"
        )


def shorten(names: list[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return "; ".join(names[:NAMES_SHOWN]) + more


def report(
    args: argparse.Namespace,
    tasks: list[RenderTask],
    pages: dict[str, RenderedPage],
    skipped: SkipReport,
    duration_s: float,
) -> None:
    """Say where sampling rates were guessed, what was cut, and what was made."""
    drawn = [(task, pages[task.request.name]) for task in tasks if task.request.name in pages]
    report_guessed_rates({task.record_id: page.fs_hz for task, page in drawn if task.fs_hz is None})
    cut = [
        f"{task.request.name} ({', '.join(page.leads_cut_at_edge)})"
        for task, page in drawn
        if page.leads_cut_at_edge
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


if __name__ == "__main__":
    run(main)
