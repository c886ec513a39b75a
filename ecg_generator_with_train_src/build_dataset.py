"""python scripts/build_dataset.py --input-root ori_csv/train --mask image_data/complete_mask.png \\
    --wave-root data/wave_images --output-root dataset_grid_wave_mix --overwrite

Mix rendered waveforms with grid and furniture into a 3-class dataset: 0 background, 1 grid, 2 waveform. With --profiles
the pages are printed, worn, scanned and photographed first; their labels go through the same warp.
A second run makes only what is missing; --overwrite builds a finished dataset again.
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
    positive_int,
    share_paths,
    workers_used,
)
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import sha256_of_file
from ecg_generator_with_train_src.common.folder_lock import locked
from ecg_generator_with_train_src.dataset.format import Sample
from ecg_generator_with_train_src.dataset.plan import (
    BuildTask,
    PageOfRecord,
    PlanOptions,
    pair_pages_with_records,
    plan_samples,
)
from ecg_generator_with_train_src.dataset.samples import BuildOptions, build_sample
from ecg_generator_with_train_src.dataset.store import DatasetStore
from ecg_generator_with_train_src.dataset.summary import summarize
from ecg_generator_with_train_src.degrade.draw_strengths import PHOTO_LONG_SIDE_PX
from ecg_generator_with_train_src.degrade.profiles import CLEAN, PROFILE_NAMES
from ecg_generator_with_train_src.page.grid_file import COMPLETE_MASK, refuse_other_mask

ALL_PROFILES = "kaggle"
ALL = "all"
MIN_PHOTO_PX, MAX_PHOTO_PX = 640, 8000


def main(argv: list[str] | None = None) -> int:
    """Build the dataset; the exit code is 1 if any page was skipped."""
    args = parse_arguments(argv)
    share_paths(args)
    start_s = time.perf_counter()
    skipped = SkipReport(args.output_root / "skipped.tsv")
    pages = pair_pages_with_records(args.wave_root, args.input_root, skipped)
    refuse_other_mask(args.mask)
    with locked(args.output_root):
        samples, made = build_from(pages, args, skipped)
    report_build(args, samples, made, skipped, time.perf_counter() - start_s)
    return EXIT_SKIPPED if skipped.reasons else EXIT_DONE


def build_from(
    pages: list[PageOfRecord], args: argparse.Namespace, skipped: SkipReport
) -> tuple[list[Sample], int]:
    """Build the dataset of these pages; returns its samples, and how many were made now."""
    store = DatasetStore(args.output_root, dataset_options(args), overwrite=args.overwrite)
    tasks = plan_samples(pages, args.input_root, plan_options(args), store.known)
    announce_real_pages(tasks, args)
    samples, made = build_all(tasks, args, store, skipped)
    skipped.write()
    if not samples:
        raise InputError(f"{args.wave_root}: no page could be built; see {skipped.path}")
    store.finish(samples, **summarize(samples, args.seed))
    return samples, made


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--input-root",
        type=Path,
        required=True,
        help="folder of the records: <root>/<id>/<id>.csv, <root>/<id>.csv or WFDB",
    )
    parser.add_argument(
        "--mask",
        type=Path,
        default=COMPLETE_MASK,
        help="grid mask (255 on lines) for pages of the default geometry",
    )
    parser.add_argument(
        "--wave-root",
        type=Path,
        required=True,
        help="folder of the rendered pages (ink layers and page descriptions) that are built",
    )
    parser.add_argument("--output-root", type=Path, required=True, help="folder of the dataset")
    parser.add_argument(
        "--val-fraction",
        type=_fraction,
        default=0.2,
        help="share of the recordings that validate, from 0 to below 1",
    )
    add_sample_arguments(parser)
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="remove the files that a finished dataset lists, and build it again",
    )
    add_seed(parser)
    add_num_workers(parser)
    add_dask_scheduler(parser)
    return parser.parse_args(argv)


def add_sample_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that say which samples each page and record gives."""
    parser.add_argument(
        "--profiles",
        nargs="+",
        choices=(*PROFILE_NAMES, ALL_PROFILES),
        default=[CLEAN],
        metavar="PROFILE",
        help=f"what the pages go through: {', '.join(PROFILE_NAMES)}; {ALL_PROFILES} stands for all of them",
    )
    parser.add_argument(
        "--draw-profiles",
        type=positive_int,
        metavar="N",
        help="put each page through N of the profiles, drawn at random; without this flag through all of them",
    )
    parser.add_argument(
        "--variants", type=positive_int, default=1, help="number of samples of each page and profile"
    )
    parser.add_argument(
        "--photo-size",
        type=_photo_size,
        default=PHOTO_LONG_SIDE_PX,
        help=f"long side of simulated photos in pixels, {MIN_PHOTO_PX} to {MAX_PHOTO_PX}",
    )
    parser.add_argument(
        "--real-pages",
        type=_count_or_all,
        default=1,
        metavar="N|all",
        help="number of real pages of each record that are registered and built too: scans and photos "
        "<id>-<type>.<suffix> and <id>-<type>-<k>.<suffix> beside its CSV",
    )


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


def plan_options(args: argparse.Namespace) -> PlanOptions:
    """What the flags say of the samples to make."""
    asked = PROFILE_NAMES if ALL_PROFILES in args.profiles else args.profiles
    return PlanOptions(
        profiles=tuple(name for name in PROFILE_NAMES if name in asked),
        draw_profiles=args.draw_profiles,
        variants=args.variants,
        real_pages=None if args.real_pages == ALL else args.real_pages,
        val_fraction=args.val_fraction,
        seed=args.seed,
    )


def dataset_options(args: argparse.Namespace) -> dict:
    """All flags that determine the output, as dataset.json has them; those that have no effect are left out."""
    profiles = list(plan_options(args).profiles)
    options = {
        "profiles": profiles,
        "seed": args.seed,
        "val_fraction": args.val_fraction,
        "mask_sha256": sha256_of_file(args.mask),
    }
    if profiles != [CLEAN] or args.variants > 1:
        options |= {"variants": args.variants, "photo_size_px": args.photo_size}
    if args.draw_profiles:
        options["draw_profiles"] = args.draw_profiles
    if args.real_pages != 1:
        options["real_pages"] = args.real_pages
    return options


def build_all(
    tasks: list[BuildTask], args: argparse.Namespace, store: DatasetStore, skipped: SkipReport
) -> tuple[list[Sample], int]:
    """Make or keep all samples; returns them and how many were made."""
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
    return samples, made


def skipped_name(task: BuildTask, args: argparse.Namespace) -> str:
    """How the report names a sample: by its page where each page becomes one sample."""
    only_sample = plan_options(args).profiles == (CLEAN,) and args.variants == 1
    return task.description_path.name if only_sample and not task.real_page else task.name


def announce_real_pages(tasks: list[BuildTask], args: argparse.Namespace) -> None:
    """Print how long it will take to register the real pages, where there are any."""
    pages = [task.real_page for task in tasks if task.real_page and not task.known]
    if pages:
        minutes = sum(page.seconds for page in pages) / 60
        print(
            f"{len(pages)} real pages to register: about {minutes:.1f} minutes of one core, "
            f"shared by {workers_used(args)} (--real-pages 0: none)",
            flush=True,
        )


def report_build(
    args: argparse.Namespace, samples: list[Sample], made: int, skipped: SkipReport, duration_s: float
) -> None:
    """Print what was made."""
    counts = {split: sum(sample.split == split for sample in samples) for split in ("train", "val")}
    if not counts["val"] and args.val_fraction > 0:
        print("there is only one recording: nothing is left to validate on", file=sys.stderr)
    if skipped.reasons:
        what = "samples" if "variants" in dataset_options(args) else "pages"
        print(f"skipped {len(skipped.reasons)} {what}, listed in {skipped.path}", file=sys.stderr)
    print(
        f"built {made} samples, kept {len(samples) - made} -> {args.output_root}: "
        f"{counts['train']} train, {counts['val']} val "
        f"in {duration_s:.1f} s ({made / duration_s:.1f} pages/s, {workers_used(args)})"
    )
