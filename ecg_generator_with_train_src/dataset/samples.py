"""One sample of a dataset: a page as rendered, degraded, or real, with its labels, and the files it becomes."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import get_args

import numpy as np

from ecg_generator_with_train_src import __version__
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import sha256_of, sha256_of_file, write_bytes
from ecg_generator_with_train_src.common.image_files import (
    decode_jpeg,
    encode_classes,
    encode_grey,
    encode_jpeg,
    encode_rgb,
    read_ink_alpha,
)
from ecg_generator_with_train_src.common.inner_paths import inside
from ecg_generator_with_train_src.common.page_files import read_single_page
from ecg_generator_with_train_src.common.random_stream import random_stream
from ecg_generator_with_train_src.dataset.format import FileKind, Sample, check_digest
from ecg_generator_with_train_src.dataset.plan import BuildTask
from ecg_generator_with_train_src.dataset.real_pages import RealPage
from ecg_generator_with_train_src.dataset.summary import count_pixels
from ecg_generator_with_train_src.dataset.truth_file import encode_truth
from ecg_generator_with_train_src.degrade.apply import degrade, place_points
from ecg_generator_with_train_src.degrade.draw_strengths import sample_degradation
from ecg_generator_with_train_src.degrade.profiles import CLEAN, PROFILES
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
from ecg_generator_with_train_src.page.records import Record, record_sha256
from ecg_generator_with_train_src.page_map import local_scales
from ecg_generator_with_train_src.register.registration import Registration, label_page, register_page

REAL_JPEG_QUALITY = 95
# share of the record's samples that must lie on ink; below it, ink and record do not belong together
MIN_TRUTH_ON_INK = 0.98


@dataclass(frozen=True)
class BuildOptions:
    """What all samples of a run share."""

    wave_root: Path
    mask_path: Path
    output_root: Path
    seed: int
    photo_size_px: int


@dataclass(frozen=True)
class PageOfSample:
    """A rendered page with all that a sample is made from. The arrays must not be written to."""

    page: PageDescription
    composed: ComposedPage
    points: TracePoints


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


def build_sample(options: BuildOptions, task: BuildTask) -> Sample:
    """Make one sample and write its files, or keep it if it is there and made from the same inputs.

    Raises InputError naming the file if a file is missing or does not fit, or if a real page cannot be registered.
    """
    if task.real_page:
        return _build_real(options, task, task.real_page)
    ink_path = task.description_path.with_name(task.description_path.name.replace(".page.json", ".png"))
    if not ink_path.is_file():
        raise InputError(f"{ink_path}: not found; render the page again")
    inputs_sha256 = _digest_inputs(options, task, ink_path)
    if task.known and _is_whole_and_same(options.output_root, task, inputs_sha256):
        return task.known
    drawn = compose_page(options, task.description_path, ink_path, task.csv_path)
    made = make_clean(drawn) if task.profile == CLEAN else make_degraded(options, task, drawn)
    return _write_sample(options, task, drawn.page, made, inputs_sha256)


@lru_cache(maxsize=1)  # the profiles of a page follow each other
def compose_page(
    options: BuildOptions, description_path: Path, ink_path: Path, csv_path: Path
) -> PageOfSample:
    """The page as rendered, with its grid and furniture.

    Raises InputError if a file is damaged, if the record was changed, or if the ink layer does not show its signal.
    """
    page = read_page_description(description_path)
    record = page.read_record(csv_path)
    if record_sha256(csv_path) != page.record_sha256:
        raise InputError(f"{csv_path}: was changed since its page was drawn; render the page again")
    points = trace_points(page, record)
    ink = _read_ink(ink_path, page, points, csv_path)
    return PageOfSample(page, compose(page, ink, *_paper_of(options, page)), points)


def make_clean(drawn: PageOfSample) -> MadeSample:
    """The page as it is."""
    return MadeSample(
        image=drawn.composed.image,
        image_file=(".png", encode_rgb(drawn.composed.image)),
        classes=drawn.composed.classes,
        coverage=drawn.composed.coverage,
        points=drawn.points,
        px_per_mm=drawn.page.geometry.px_per_mm,
        page_to_image={"homography": np.eye(3).tolist()},
    )


def make_degraded(options: BuildOptions, task: BuildTask, drawn: PageOfSample) -> MadeSample:
    """The page printed, worn, and scanned or photographed; all chance comes from (seed, page, profile, variant)."""
    page, paper = drawn.page, drawn.page.geometry.paper
    rng = random_stream(options.seed, page.record, page.name, task.profile, task.variant)
    degradation = sample_degradation(rng, task.profile, paper, options.photo_size_px)
    pen_px = page.geometry.px_of_points(page.style.pen_points)
    degraded = degrade(drawn.composed, paper, pen_px, degradation)
    jpeg = encode_jpeg(degraded.image, degradation.effects.jpeg_quality)
    scale = np.median(local_scales(degradation.page_map, paper.width_px, paper.height_px))
    return MadeSample(
        image=decode_jpeg(jpeg),
        image_file=(".jpg", jpeg),
        classes=degraded.classes,
        coverage=degraded.coverage,
        points=place_points(drawn.points, degradation.page_map),
        px_per_mm=float(scale * paper.px_per_mm),
        page_to_image=degradation.page_map.model_dump(mode="json"),
        degradation=degradation.model_dump(mode="json", exclude={"page_map"}),
    )


def _build_real(options: BuildOptions, task: BuildTask, real_page: RealPage) -> Sample:
    drawn = read_page_description(task.description_path)
    digests = sha256_of_file(real_page.path), record_sha256(task.csv_path)
    told = [str(drawn.fs_hz), *(f"{told:g}" for told in (drawn.start_s, drawn.mv_per_unit) if told)]
    inputs_sha256 = sha256_of("\n".join([__version__, task.name, *told, *digests]).encode())
    if task.known and _is_whole_and_same(options.output_root, task, inputs_sha256):
        return task.known
    image, record = read_single_page(real_page.path), drawn.read_record(task.csv_path)
    try:
        registration = register_page(image, record)
    except InputError as error:
        raise InputError(f"{real_page.path}: {error}") from error
    made = make_real(image, record, registration)
    return _write_sample(options, task, registration.page, made, inputs_sha256)


def make_real(image: np.ndarray, record: Record, registration: Registration) -> MadeSample:
    """A real page, RGB (height, width, 3) uint8, as a sample.

    Scans and photos become JPEGs: training decodes them often, and decoding a PNG takes three times as long.
    """
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


def _is_whole_and_same(root: Path, task: BuildTask, inputs_sha256: str) -> bool:
    """Whether the files of an earlier run's sample are as it wrote them, and were made from the same inputs."""
    same = (task.known.inputs_sha256, task.known.split) == (inputs_sha256, task.split)
    try:
        for kind in get_args(FileKind) if same else ():
            check_digest(root, task.known, kind)
    except (InputError, OSError):
        return False
    return same


def _digest_inputs(options: BuildOptions, task: BuildTask, ink_path: Path) -> str:
    """SHA-256 of all that a sample of a rendered page is made from."""
    page, ink, mask = (sha256_of_file(path) for path in (task.description_path, ink_path, options.mask_path))
    parts = [__version__, str(options.seed), page, ink, record_sha256(task.csv_path), mask]
    if task.profile != CLEAN:
        parts += [task.name, str(options.photo_size_px), repr(PROFILES[task.profile])]
    return sha256_of("\n".join(parts).encode())


def _read_ink(path: Path, page: PageDescription, points: TracePoints, csv_path: Path) -> np.ndarray:
    """The ink layer's opacity. Raises InputError unless it has the page's size and shows the record's signal."""
    opacity = read_ink_alpha(path)
    expected = page.geometry.height_px, page.geometry.width_px
    if opacity.shape != expected:
        size = f"{opacity.shape[1]}x{opacity.shape[0]}"
        raise InputError(f"{path}: {size} pixels, not the page's {expected[1]}x{expected[0]}")
    column, row = np.floor(points.x_px).astype(int), np.floor(points.y_px).astype(int)
    on_page = (column >= 0) & (column < expected[1]) & (row >= 0) & (row < expected[0])
    on_ink = opacity[row[on_page], column[on_page]] > 0
    share = on_ink.mean() if on_ink.size else 0.0
    if share < MIN_TRUTH_ON_INK:
        raise InputError(
            f"{path}: only {share:.0%} of the samples of {csv_path} lie on its ink; render the page again"
        )
    return opacity


def _paper_of(options: BuildOptions, page: PageDescription) -> tuple[np.ndarray, np.ndarray]:
    """The grid's picture and mask: as given for pages on the given grid, else drawn from the page's style."""
    paper = page.geometry.paper
    if page.grid is None:
        return draw_grid(paper, page.style.grid), draw_grid_mask(paper, page.style.grid)
    grid_path = inside(options.wave_root, page.grid.file)
    grid_rgb = read_known_grid(grid_path, page.grid.sha256)
    if grid_rgb.shape[:2] != (paper.height_px, paper.width_px):
        raise InputError(f"{grid_path}: does not have the page's size; render the page again")
    is_default = paper == DEFAULT_SETUP.paper()
    return grid_rgb, read_grid_mask(options.mask_path) if is_default else draw_grid_mask(paper)


def _write_sample(
    options: BuildOptions, task: BuildTask, page: PageDescription, made: MadeSample, inputs_sha256: str
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
        **count_pixels(made.image, made.classes),
    )
