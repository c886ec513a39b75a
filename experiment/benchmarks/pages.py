"""Measure what drawing, building and degrading pages costs."""

import itertools
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ecg_generator_with_train_src.common import image_files
from ecg_generator_with_train_src.common.command_line import available_cores
from ecg_generator_with_train_src.dataset.format import read_manifest
from ecg_generator_with_train_src.degrade.profiles import PROFILE_NAMES
from experiment.benchmarks.commands import Run, build_pages, copy_records, median_s, render_pages

PEER_PAGES_A_SECOND = 0.67  # ECG-Image-Kit draws so many plain pages on a 2.6 GHz AMD EPYC core (family 26)
PEER_WORN_PAGES_A_SECOND = 0.18  # the same with wrinkles and augmentation


def benchmark_render(csv_root: Path, num_records: int) -> None:
    """Time whole commands on one page, on a tenth of the pages and on all. The time of one page is taken off, as it is
    mostly start-up."""
    few, many = max(num_records // 10, 2), num_records
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for count in (1, few, many):
            copy_records(csv_root, work / f"records{count}", count)
        render = {count: render_pages(work, count, 1) for count in (1, few, many)}
        build = {count: build_pages(work, count, 1) for count in (1, few, many)}
        cost = encoding_cost(work / f"images{many}", work / f"masks{many}", work / f"dataset{many}")
        report_step("render", render, cost.rgba_and_mask_s, cost.render_s)
        report_step("build", build, cost.rgb_s, cost.build_s)
        speedup = 1 / page_s(render, many) / PEER_PAGES_A_SECOND
        print(f"render: {speedup:.0f} times ECG-Image-Kit's {PEER_PAGES_A_SECOND} plain pages/s")
        for workers in worker_counts():
            timed = render_pages(work, many, workers), build_pages(work, many, workers)
            speeds = [many / timing.duration_s for timing in timed]
            print(
                f"{workers} workers, start-up included: render {speeds[0]:.1f}, build {speeds[1]:.1f} pages/s"
            )


def report_step(step: str, runs: dict[int, Run], plain_s: float, codec_s: float) -> None:
    """Print one line per step. OpenCV's encoder takes `plain_s` for the same images; our own codecs take `codec_s`."""
    _, few, many = sorted(runs)
    duration_s = page_s(runs, many)
    print(
        f"{step}: {1 / duration_s:.1f} pages/s on one core; {duration_s / plain_s:.2f} of the {plain_s * 1e3:.0f} ms "
        f"of cv2.imencode('.png', level 1) on the same images; encoding and decoding take {codec_s / duration_s:.0%}; "
        f"a page of {many} takes {duration_s / page_s(runs, few):.2f} of a page of {few}; "
        f"peak memory {runs[few].peak_mib:.0f} MiB at {few} pages, {runs[many].peak_mib:.0f} MiB at {many}"
    )


def page_s(runs: dict[int, Run], count: int) -> float:
    """Seconds per page, without start-up."""
    return (runs[count].duration_s - runs[1].duration_s) / (count - 1)


def worker_counts() -> list[int]:
    """The numbers of workers to try: 1, 2, 4, ... and all cores."""
    doubling = itertools.takewhile(lambda count: count < available_cores(), (2**k for k in itertools.count()))
    return [*doubling, available_cores()]


def benchmark_degrade(csv_root: Path, num_records: int) -> None:
    """Build every profile on one core. The time of one page is taken off, as it is mostly start-up. Speeds are of
    processor time, in which other work on the machine does not count; wall-clock speeds stand beside them."""
    count = max(num_records, 2)
    cpu_s: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for number in (1, count):
            copy_records(csv_root, work / f"records{number}", number)
            render_pages(work, number, 1)
        for profile in PROFILE_NAMES:
            few, many = (build_pages(work, number, 1, profile) for number in (1, count))
            cpu_s[profile] = (many.cpu_s - few.cpu_s) / (count - 1)
            wall_s = (many.duration_s - few.duration_s) / (count - 1)
            print(
                f"{profile}: {1 / cpu_s[profile]:.2f} pages/s on one core (wall clock {1 / wall_s:.2f}), "
                f"peak memory {many.peak_mib:.0f} MiB"
            )
    mean = len(cpu_s) / sum(cpu_s.values())
    slowest = max(cpu_s, key=cpu_s.get)
    print(
        f"all: {mean:.2f} pages/s on one core, {mean / PEER_WORN_PAGES_A_SECOND:.1f} times ECG-Image-Kit's "
        f"{PEER_WORN_PAGES_A_SECOND} with wrinkles and augmentation; slowest {slowest}, {1 / cpu_s[slowest]:.2f}"
    )


@dataclass(frozen=True)
class EncodingCost:
    """Seconds per page of OpenCV's PNG encoder at level 1, and of what our steps encode and decode."""

    rgba_and_mask_s: float
    rgb_s: float
    render_s: float
    build_s: float


def encoding_cost(image_dir: Path, mask_dir: Path, dataset: Path) -> EncodingCost:
    """Time the encoders on the images of one page, with one thread."""
    cv2.setNumThreads(1)
    sample = read_manifest(dataset)[0]
    ink_path = image_dir / f"{sample.record}.png"
    rgba = cv2.imread(str(ink_path), cv2.IMREAD_UNCHANGED)
    mask = cv2.imread(str(mask_dir / f"{sample.record}.png"), cv2.IMREAD_UNCHANGED)
    rgb, classes = (
        image_files.read_rgb(dataset / sample.image),
        image_files.read_classes(dataset / sample.mask),
    )
    opacity = np.ascontiguousarray(rgba[..., 3])
    return EncodingCost(
        rgba_and_mask_s=median_s(lambda: (opencv_png(rgba), opencv_png(mask))),
        rgb_s=median_s(lambda: opencv_png(rgb)),
        render_s=median_s(
            lambda: (image_files.encode_ink(opacity, (0, 0, 0)), image_files.encode_binary(mask))
        ),
        build_s=median_s(
            lambda: (
                image_files.read_ink_alpha(ink_path),
                image_files.encode_rgb(rgb),
                image_files.encode_classes(classes),
                image_files.encode_grey(opacity),
            )
        ),
    )


def opencv_png(image: np.ndarray) -> np.ndarray:
    """Encode a PNG with OpenCV's encoder at level 1 and its other settings unchanged."""
    return cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
