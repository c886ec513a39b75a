"""python scripts/build_dataset.py --input-root ori_csv/train --mask image_data/complete_mask.png \\
    --wave-root data/wave_images --output-root dataset_grid_wave_mix --overwrite

Mix rendered waveforms with grid and furniture into a 3-class dataset: 0 background, 1 grid, 2 waveform. With --profiles
the pages are printed, worn, scanned and photographed first; their labels go through the same warp.
Run again, it makes only what is missing; --overwrite builds a finished dataset anew.
"""

import argparse
import functools
import io
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ecg_generator_with_train_src import __version__
from ecg_generator_with_train_src.common.batch import SkipReport, run_batch
from ecg_generator_with_train_src.common.classes import CLASS_NAMES
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
from ecg_generator_with_train_src.common.files import sha256_of, write_bytes
from ecg_generator_with_train_src.common.image_files import (
    decode_jpeg,
    encode_classes,
    encode_grey,
    encode_jpeg,
    encode_rgb,
    read_ink_alpha,
    read_rgb,
)
from ecg_generator_with_train_src.common.random_stream import random_stream
from ecg_generator_with_train_src.dataset.format import Sample
from ecg_generator_with_train_src.dataset.real_pages import RealPage, choose_real_pages
from ecg_generator_with_train_src.dataset.split import group_records, split_groups
from ecg_generator_with_train_src.dataset.store import DatasetStore
from ecg_generator_with_train_src.degrade.apply import degrade, place_points
from ecg_generator_with_train_src.degrade.draw_strengths import PHOTO_LONG_SIDE_PX, sample_degradation
from ecg_generator_with_train_src.degrade.profiles import CLEAN, PROFILE_NAMES, PROFILES
from ecg_generator_with_train_src.page.compose import ComposedPage, compose
from ecg_generator_with_train_src.page.grid import draw_grid, draw_grid_mask
from ecg_generator_with_train_src.page.grid_file import read_grid_mask, read_known_grid
from ecg_generator_with_train_src.page.layouts import DEFAULT_SETUP
from ecg_generator_with_train_src.page.page import (
    PageDescription,
    TracePoints,
    read_page_description,
    trace_points,
)
from ecg_generator_with_train_src.page.records import (
    Record,
    find_records,
    read_record,
    read_record_table,
    recording_of,
)
from ecg_generator_with_train_src.page_map import local_scales
from ecg_generator_with_train_src.register.registration import Registration, label_page, register_page

ALL_PROFILES = "kaggle"
ALL = "all"
MIN_PHOTO_PX, MAX_PHOTO_PX = 640, 8000
NAMES_SHOWN = 10
REAL_JPEG_QUALITY = 95
MIN_MASK_AGREEMENT = 0.5  # else the mask is of another grid, inverted or empty
MIN_TRUTH_ON_INK = 0.98  # of the record's samples, else ink and record are not of one signal


@dataclass(frozen=True)
class BuildTask:
    """One sample to make; `known` is what an earlier run noted of it."""

    name: str  # of the sample
    description_path: Path
    csv_path: Path
    recording: str
    split: str
    profile: str
    variant: int
    known: Sample | None
    real_page: RealPage | None = None


@dataclass(frozen=True)
class BuildOptions:
    """What all samples of a run share."""

    wave_root: Path
    mask_path: Path
    output_root: Path
    seed: int
    photo_size_px: int


@dataclass(frozen=True)
class MadeSample:
    """What is written of a sample. Arrays of shape (height, width, ...), uint8."""

    image: np.ndarray  # as readers will see it
    image_file: tuple[str, bytes]  # suffix and contents
    classes: np.ndarray
    coverage: np.ndarray
    points: TracePoints
    px_per_mm: float
    page_to_image: dict
    degradation: dict | None = None
    registration: dict | None = None


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--input-root", type=Path, required=True, help="the records: <root>/<id>/<id>.csv or <root>/<id>.csv"
    )
    parser.add_argument(
        "--mask", type=Path, required=True, help="grid mask (255 on lines) of pages of the default geometry"
    )
    parser.add_argument(
        "--wave-root", type=Path, required=True, help="ink layers and page descriptions: what is built"
    )
    parser.add_argument("--output-root", type=Path, required=True, help="the dataset's folder")
    parser.add_argument(
        "--val-fraction", type=_fraction, default=0.2, help="share of the recordings that validate"
    )
    parser.add_argument(
        "--profiles",
        nargs="+",
        choices=(*PROFILE_NAMES, ALL_PROFILES),
        default=[CLEAN],
        metavar="PROFILE",
        help=f"what pages go through: {', '.join(PROFILE_NAMES)}; {ALL_PROFILES}: all of them",
    )
    parser.add_argument(
        "--draw-profiles",
        type=positive_int,
        metavar="N",
        help="each page goes through N of the profiles, drawn at random, instead of all",
    )
    parser.add_argument("--variants", type=positive_int, default=1, help="samples of each page and profile")
    parser.add_argument(
        "--photo-size", type=_photo_size, default=PHOTO_LONG_SIDE_PX, help="long side of photos in pixels"
    )
    parser.add_argument(
        "--real-pages",
        type=_count_or_all,
        default=1,
        metavar="N|all",
        help="of each record, so many of the pages <id>-<type>.png beside its CSV are registered and built too",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="remove what a finished dataset lists and build it anew"
    )
    add_seed(parser)
    add_num_workers(parser)
    add_dask_scheduler(parser)
    return parser.parse_args(argv)


def _fraction(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share from 0 to below 1")
    return value


def _photo_size(text: str) -> int:
    value = int(text)
    if not MIN_PHOTO_PX <= value <= MAX_PHOTO_PX:
        raise argparse.ArgumentTypeError(f"{text} is not from {MIN_PHOTO_PX} to {MAX_PHOTO_PX} pixels")
    return value


def _count_or_all(text: str) -> int | str:
    if text != ALL and int(text) < 0:
        raise argparse.ArgumentTypeError(f"{text} is neither a whole number from 0 nor {ALL}")
    return text if text == ALL else int(text)


def main(argv: list[str] | None = None) -> int:
    """Build the dataset; exit code 1 if any page was skipped."""
    args = parse_arguments(argv)
    share_paths(args)
    start_s = time.perf_counter()
    skipped = SkipReport(args.output_root / "skipped.tsv")
    pages = pair_pages_with_records(args.wave_root, args.input_root, skipped)
    check_mask(args.mask)
    store = DatasetStore(args.output_root, options_of(args), overwrite=args.overwrite)
    tasks = plan(pages, args, store)
    announce_real_pages(tasks, args)
    shared = BuildOptions(args.wave_root, args.mask, args.output_root, args.seed, args.photo_size)
    samples: list[Sample] = []
    made = 0
    outcomes = run_batch(
        functools.partial(build_sample, shared),
        tasks,
        num_workers=args.num_workers,
        description="build",
        dask_scheduler=args.dask_scheduler,
    )
    for task, sample in skipped.sift(outcomes, lambda task: skipped_name(task, args)):
        if sample != task.known:
            store.add(sample)
            made += 1
        samples.append(sample)
    skipped.write()
    if not samples:
        raise InputError(f"{args.wave_root}: no page could be built; see {skipped.path}")
    store.finish(samples, **summarize(samples, args.seed))
    report(args, samples, made, skipped, time.perf_counter() - start_s)
    return EXIT_SKIPPED if skipped.reasons else EXIT_DONE


def profiles_of(args: argparse.Namespace) -> tuple[str, ...]:
    """The profiles asked for, in the table's order."""
    return tuple(name for name in PROFILE_NAMES if name in args.profiles or ALL_PROFILES in args.profiles)


def options_of(args: argparse.Namespace) -> dict:
    """All flags that determine the output; those of degraded pages where there are any."""
    options = {
        "profiles": list(profiles_of(args)),
        "seed": args.seed,
        "val_fraction": args.val_fraction,
        "mask_sha256": sha256_of(args.mask.read_bytes()),
    }
    if options["profiles"] != [CLEAN] or args.variants > 1:
        options |= {"variants": args.variants, "photo_size_px": args.photo_size}
    if args.draw_profiles:
        options["draw_profiles"] = args.draw_profiles
    if args.real_pages != 1:
        options["real_pages"] = args.real_pages
    return options


def skipped_name(task: BuildTask, args: argparse.Namespace) -> str:
    """How the report names a sample: by its page, where that has but one."""
    alone = profiles_of(args) == (CLEAN,) and args.variants == 1
    return task.description_path.name if alone and not task.real_page else task.name


def pair_pages_with_records(
    wave_root: Path, input_root: Path, skipped: SkipReport
) -> list[tuple[Path, Path, str]]:
    """(page description, CSV, record id) of every page whose record is known; says which are not.

    An unreadable description is skipped. Raises InputError if there is no page, or none with a record.
    """
    if not wave_root.is_dir():
        raise InputError(f"{wave_root}: no such folder; make it with scripts/batch_render_waveforms.py")
    descriptions = sorted(wave_root.glob("*.page.json"))
    if not descriptions:
        raise InputError(
            f"{wave_root}: no pages (*.page.json); make them with scripts/batch_render_waveforms.py"
        )
    records = find_records(input_root)
    record_of: dict[Path, str] = {}
    for path in descriptions:
        try:
            record_of[path] = read_page_description(path).record
        except InputError as error:
            skipped.add(path.name, str(error))
    drawn = set(record_of.values())
    _name_unpaired(f"records drawn in {wave_root} without a CSV in {input_root}", drawn - set(records))
    _name_unpaired(f"records in {input_root} without a page in {wave_root}", set(records) - drawn)
    pairs = [(path, records[record], record) for path, record in record_of.items() if record in records]
    if not pairs:
        raise InputError(f"{input_root}: none of its records is drawn in {wave_root}")
    return pairs


def _name_unpaired(what: str, names: set[str]) -> None:
    if names:
        shown = sorted(names)[:NAMES_SHOWN]
        more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
        print(f"left out: {len(names)} {what}: {', '.join(shown)}{more}")


def check_mask(path: Path) -> None:
    """Raise InputError unless the grid mask marks most of the default page's lines and spares most of the rest."""
    paper = DEFAULT_SETUP.paper()
    mask = read_grid_mask(path)
    height, width = mask.shape
    if (width, height) != (paper.width_px, paper.height_px):
        raise InputError(
            f"{path}: {width}x{height} pixels, but the default page has {paper.width_px}x{paper.height_px}; "
            "export it with python -m ecg_generator_with_train_src.export_clean_grid"
        )
    cores = draw_grid_mask(paper) > 0
    marked, spared = np.mean(mask[cores] > 0), np.mean(mask[~cores] == 0)
    if min(marked, spared) < MIN_MASK_AGREEMENT:
        raise InputError(
            f"{path}: marks {marked:.0%} of the default page's lines and spares {spared:.0%} of the rest; "
            "export it with python -m ecg_generator_with_train_src.export_clean_grid"
        )


def plan(
    pages: list[tuple[Path, Path, str]], args: argparse.Namespace, store: DatasetStore
) -> list[BuildTask]:
    """One task a sample; each recording (or patient, where known) is wholly on one side of the split."""
    patients = read_record_table(args.input_root).patients
    group_of = group_records([record for _, _, record in pages], patients)
    validating = split_groups(list(group_of.values()), args.val_fraction, args.seed)

    def task(description: Path, csv_path: Path, record: str, name: str, **which) -> BuildTask:
        split = "val" if group_of[record] in validating else "train"
        known = store.known.get(name)
        return BuildTask(name, description, csv_path, recording_of(record), split, known=known, **which)

    drawn = [
        task(*page, sample_name(page[0], profile, variant), profile=profile, variant=variant)
        for page in pages
        for profile in profiles_of_page(args, page[0])
        for variant in range(args.variants)
    ]
    first_page = {
        record: (description, csv_path, record) for description, csv_path, record in reversed(pages)
    }
    csv_paths = {record: csv_path for record, (_, csv_path, _) in first_page.items()}
    count = None if args.real_pages == ALL else args.real_pages
    real = [
        task(
            *first_page[page.record],
            f"{page.record}-{page.profile}-0",
            profile=page.profile,
            variant=0,
            real_page=page,
        )
        for page in choose_real_pages(csv_paths, count, args.seed)
    ]
    return drawn + real


def announce_real_pages(tasks: list[BuildTask], args: argparse.Namespace) -> None:
    """Say how long registering real pages will take, where there are any to register."""
    pages = [task.real_page for task in tasks if task.real_page and not task.known]
    if pages:
        minutes = sum(page.seconds for page in pages) / 60
        print(
            f"{len(pages)} real pages to register: about {minutes:.1f} minutes of one core, "
            f"shared by {workers_used(args)} (--real-pages 0: none)",
            flush=True,
        )


def profiles_of_page(args: argparse.Namespace, description_path: Path) -> tuple[str, ...]:
    """What a page goes through, in the table's order: all that was asked for, or some drawn for this page."""
    profiles = profiles_of(args)
    if not args.draw_profiles:
        return profiles
    rng = random_stream(args.seed, description_path.name, "profiles")
    drawn = rng.permutation(len(profiles))[: args.draw_profiles]
    return tuple(profiles[number] for number in sorted(drawn))


def sample_name(description_path: Path, profile: str, variant: int) -> str:
    """`<page name>-<profile>-<k>`."""
    return f"{description_path.name.removesuffix('.page.json')}-{profile}-{variant}"


def build_sample(options: BuildOptions, task: BuildTask) -> Sample:
    """Make one sample, or keep it if it is there and made from the same inputs."""
    if task.real_page:
        return build_real_sample(options, task, task.real_page)
    ink_path = task.description_path.with_name(task.description_path.name.replace(".page.json", ".png"))
    if not ink_path.is_file():
        raise InputError(f"{ink_path}: not found; render the page again")
    inputs_sha256 = digest_inputs(options, task, ink_path)
    if task.known and is_current(options.output_root, task.known, inputs_sha256, task.split):
        return task.known
    composed, page, points = compose_page(options, task.description_path, ink_path, task.csv_path)
    make = make_clean if task.profile == CLEAN else make_degraded
    return write_sample(options, task, page, make(options, task, composed, page, points), inputs_sha256)


_composed: dict[tuple, tuple[ComposedPage, PageDescription, TracePoints]] = {}  # the last page


def compose_page(
    options: BuildOptions, description_path: Path, ink_path: Path, csv_path: Path
) -> tuple[ComposedPage, PageDescription, TracePoints]:
    """The page as rendered; kept, because the profiles of a page follow each other. Not to be written to.

    In a dict and not by lru_cache, whose functions cannot be sent to a cluster from a script.
    """
    key = options, description_path, ink_path, csv_path
    if key not in _composed:
        page = read_page_description(description_path)
        points = trace_points(page, read_record(csv_path, page.fs_hz))
        ink = read_ink(ink_path, page, points, csv_path)
        _composed.clear()
        _composed[key] = compose(page, ink, *paper_of(options, page)), page, points
    return _composed[key]


def make_clean(
    options: BuildOptions, task: BuildTask, composed: ComposedPage, page: PageDescription, points: TracePoints
) -> MadeSample:
    """The page as it is."""
    return MadeSample(
        image=composed.image,
        image_file=(".png", encode_rgb(composed.image)),
        classes=composed.classes,
        coverage=composed.coverage,
        points=points,
        px_per_mm=page.geometry.px_per_mm,
        page_to_image={"homography": np.eye(3).tolist()},
    )


def make_degraded(
    options: BuildOptions, task: BuildTask, composed: ComposedPage, page: PageDescription, points: TracePoints
) -> MadeSample:
    """The page printed, worn, and scanned or photographed; all chance comes from (seed, page, profile, variant)."""
    paper = page.geometry.paper
    rng = random_stream(options.seed, page.record, page.name, task.profile, task.variant)
    degradation = sample_degradation(rng, task.profile, paper, options.photo_size_px)
    pen_px = page.geometry.px_of_points(page.style.pen_points)
    degraded = degrade(composed, paper, pen_px, degradation)
    jpeg = encode_jpeg(degraded.image, degradation.effects.jpeg_quality)
    scale = np.median(local_scales(degradation.page_map, paper.width_px, paper.height_px))
    return MadeSample(
        image=decode_jpeg(jpeg),
        image_file=(".jpg", jpeg),
        classes=degraded.classes,
        coverage=degraded.coverage,
        points=place_points(points, degradation.page_map),
        px_per_mm=float(scale * paper.px_per_mm),
        page_to_image=degradation.page_map.model_dump(mode="json"),
        degradation=degradation.model_dump(mode="json", exclude={"page_map"}),
    )


def build_real_sample(options: BuildOptions, task: BuildTask, real_page: RealPage) -> Sample:
    """Make the sample of a real page, or keep it. Raises InputError if it cannot be registered."""
    fs_hz = read_page_description(task.description_path).fs_hz
    parts = [
        __version__,
        task.name,
        str(fs_hz),
        *(sha256_of(path.read_bytes()) for path in (real_page.path, task.csv_path)),
    ]
    inputs_sha256 = sha256_of("\n".join(parts).encode())
    if task.known and is_current(options.output_root, task.known, inputs_sha256, task.split):
        return task.known
    image, record = read_rgb(real_page.path), read_record(task.csv_path, fs_hz)
    try:
        registration = register_page(image, record)
    except InputError as error:
        raise InputError(f"{real_page.path}: {error}") from error
    return write_sample(
        options, task, registration.page, make_real(image, record, registration), inputs_sha256
    )


def make_real(image: np.ndarray, record: Record, registration: Registration) -> MadeSample:
    """A real page. Scans and photos become JPEGs: training decodes them often, and a PNG takes thrice as long."""
    labels = label_page(registration, record)
    if registration.is_as_drawn:
        image_file = ".png", encode_rgb(image)
    else:
        image_file = ".jpg", encode_jpeg(image, REAL_JPEG_QUALITY)
        image = decode_jpeg(image_file[1])
    return MadeSample(
        image=image,
        image_file=image_file,
        classes=labels.classes,
        coverage=labels.coverage,
        points=labels.points,
        px_per_mm=registration.px_per_mm,
        page_to_image=registration.page_map.model_dump(mode="json"),
        registration=registration.quality.model_dump(mode="json"),
    )


def is_current(root: Path, known: Sample, inputs_sha256: str, split: str) -> bool:
    """Whether a sample of an earlier run is what would be made now, and is whole."""
    same = (known.inputs_sha256, known.split) == (inputs_sha256, split)
    return same and all((root / path).is_file() for path in known.files)


def digest_inputs(options: BuildOptions, task: BuildTask, ink_path: Path) -> str:
    """SHA-256 over all that a sample is made from."""
    paths = [task.description_path, ink_path, task.csv_path, options.mask_path]
    parts = [__version__, str(options.seed), *(sha256_of(path.read_bytes()) for path in paths)]
    if task.profile != CLEAN:
        parts += [task.name, str(options.photo_size_px), repr(PROFILES[task.profile])]
    return sha256_of("\n".join(parts).encode())


def read_ink(path: Path, page: PageDescription, points: TracePoints, csv_path: Path) -> np.ndarray:
    """The ink layer's opacity. Raises InputError unless it has the page's size and shows the record's signal."""
    opacity = read_ink_alpha(path)
    expected = page.geometry.height_px, page.geometry.width_px
    if opacity.shape != expected:
        raise InputError(
            f"{path}: {opacity.shape[1]}x{opacity.shape[0]} pixels, not the page's {expected[1]}x{expected[0]}"
        )
    column, row = np.floor(points.x_px).astype(int), np.floor(points.y_px).astype(int)
    on_page = (column >= 0) & (column < expected[1]) & (row >= 0) & (row < expected[0])
    share = np.mean(opacity[row[on_page], column[on_page]] > 0)
    if share < MIN_TRUTH_ON_INK:
        raise InputError(
            f"{path}: only {share:.0%} of the samples of {csv_path} lie on its ink; render the page again"
        )
    return opacity


def paper_of(options: BuildOptions, page: PageDescription) -> tuple[np.ndarray, np.ndarray]:
    """The grid's picture and mask: as given for pages on the given grid, else drawn from the page's style."""
    paper = page.geometry.paper
    if page.grid is None:
        return draw_grid(paper, page.style.grid), draw_grid_mask(paper, page.style.grid)
    grid_path = options.wave_root / page.grid.file
    grid_rgb = read_known_grid(grid_path, page.grid.sha256)
    if grid_rgb.shape[:2] != (paper.height_px, paper.width_px):
        raise InputError(f"{grid_path}: not of the page's size; render the page again")
    return grid_rgb, read_grid_mask(options.mask_path) if paper == DEFAULT_SETUP.paper() else draw_grid_mask(
        paper
    )


def write_sample(
    options: BuildOptions,
    task: BuildTask,
    page: PageDescription,
    made: MadeSample,
    inputs_sha256: str,
) -> Sample:
    """Write the four files of a sample and describe it."""
    name = task.name
    suffix, image = made.image_file
    files = {
        "image": (f"{task.split}/images/{name}{suffix}", image),
        "mask": (f"{task.split}/masks/{name}.png", encode_classes(made.classes)),
        "coverage": (f"{task.split}/coverage/{name}.png", encode_grey(made.coverage)),
        "truth": (f"{task.split}/truth/{name}.npz", encode_truth(made.points)),
    }
    for path, data in files.values():
        write_bytes(options.output_root / path, data)
    return Sample(
        name=name,
        split=task.split,
        record=page.record,
        recording=task.recording,
        profile=task.profile,
        seed=options.seed,
        **{kind: path for kind, (path, _) in files.items()},
        width_px=made.image.shape[1],
        height_px=made.image.shape[0],
        px_per_mm=made.px_per_mm,
        page_to_image=made.page_to_image,
        degradation=made.degradation,
        registration=made.registration,
        style=page.style.model_dump(mode="json"),
        digests={kind: sha256_of(data) for kind, (_, data) in files.items()},
        inputs_sha256=inputs_sha256,
        **count_pixels(made),
    )


def encode_truth(points: TracePoints) -> bytes:
    """The .npz of a sample's ideal trace."""
    buffer = io.BytesIO()
    np.savez(buffer, **vars(points))
    return buffer.getvalue()


def count_pixels(made: MadeSample) -> dict[str, tuple[int, int, int]]:
    """Exact sums (whole numbers) from which frequencies and statistics of any set of samples follow."""
    level = np.arange(256)
    histograms = [
        cv2.calcHist([made.image], [channel], None, [256], [0, 256]).ravel().astype(np.int64)
        for channel in range(3)
    ]
    return {
        "class_pixels": tuple(
            int(np.count_nonzero(made.classes == index)) for index in range(len(CLASS_NAMES))
        ),
        "rgb_sum": tuple(int(histogram @ level) for histogram in histograms),
        "rgb_square_sum": tuple(int(histogram @ level**2) for histogram in histograms),
    }


def summarize(samples: Iterable[Sample], seed: int) -> dict:
    """The fields of dataset.json that follow from the samples."""
    by_split = {split: [sample for sample in samples if sample.split == split] for split in ("train", "val")}
    train = by_split["train"] or by_split["val"]
    class_pixels = np.sum([sample.class_pixels for sample in train], axis=0)
    pixels = sum(sample.width_px * sample.height_px for sample in train)
    mean = np.sum([sample.rgb_sum for sample in train], axis=0) / pixels / 255
    mean_square = np.sum([sample.rgb_square_sum for sample in train], axis=0) / pixels / 255**2
    return {
        "class_frequencies": tuple((class_pixels / class_pixels.sum()).tolist()),
        "image_mean": tuple(mean.tolist()),
        "image_std": tuple(np.sqrt(mean_square - mean**2).tolist()),
        "num_samples": {split: len(of_split) for split, of_split in by_split.items()},
        "num_recordings": {
            split: len({s.recording for s in of_split}) for split, of_split in by_split.items()
        },
        "seed": seed,
        "generator_version": __version__,
    }


def report(
    args: argparse.Namespace, samples: list[Sample], made: int, skipped: SkipReport, duration_s: float
) -> None:
    """Say what was made."""
    counts = {split: sum(sample.split == split for sample in samples) for split in ("train", "val")}
    if not counts["val"] and args.val_fraction > 0:
        print("one recording alone: nothing is left to validate on", file=sys.stderr)
    if skipped.reasons:
        what = "samples" if "variants" in options_of(args) else "pages"
        print(f"skipped {len(skipped.reasons)} {what}, listed in {skipped.path}", file=sys.stderr)
    print(
        f"built {made} samples, kept {len(samples) - made} -> {args.output_root}: "
        f"{counts['train']} train, {counts['val']} val "
        f"in {duration_s:.1f} s ({made / duration_s:.1f} pages/s, {workers_used(args)})"
    )


if __name__ == "__main__":
    run(main)
