"""python scripts/benchmark.py render --csv-root data/sample_records

Measure speed as ratios within one run on this machine. `render`: what drawing and building a page costs beside
encoding the same page's images with OpenCV at PNG level 1, the share of encoding and decoding, memory, and how both
steps grow with records and workers. The records are copied under new names until there are --num-records. `degrade`:
pages a second and core of every degradation profile, reading and encoding included.
`train`: what the input costs the training loop, and how far its step is from the device's peak.
`predict`: what a scanned page and a 12-megapixel photo cost beside the network alone, and memory.
`read`: what the signals of a page cost beside predict.py on the same pages, and memory.
"""

import argparse
import itertools
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import cv2
import numpy as np

from ecg_generator_with_train_src.common import image_files
from ecg_generator_with_train_src.common.command_line import available_cores, make_parser, positive_int, run
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.dataset.format import read_manifest
from ecg_generator_with_train_src.degrade.profiles import CLEAN, PROFILE_NAMES
from ecg_generator_with_train_src.page.layouts import LAYOUTS
from ecg_generator_with_train_src.page.records import find_records, read_record_table

SCRIPTS = Path(__file__).resolve().parent
GRID = SCRIPTS.parent / "ecg_generator_with_train_src" / "export" / "clean_ecg_grid.png"
MASK = SCRIPTS.parent / "image_data" / "complete_mask.png"
PRETRAINED = SCRIPTS.parent / "runs" / "pretrained" / "grid_wave_net.safetensors"
PREDICT = SCRIPTS.parent / "experiment" / "predict.py"
DIGITIZE = SCRIPTS.parent / "experiment" / "digitize.py"
COMPETITION = "3x4+1"
PHOTO_SIZE_PX = (4000, 3000)
PEER_PAGES_A_SECOND = 0.67  # ECG-Image-Kit, plain pages, one core of an AMD EPYC (family 26) at 2.6 GHz
PEER_WORN_PAGES_A_SECOND = 0.18  # the same with wrinkles and augmentation
REPEATS = 7
MIB = 2**20


def main(argv: list[str] | None = None) -> None:
    """Run one benchmark."""
    parser = make_parser(__doc__)
    commands = parser.add_subparsers(
        dest="benchmark", required=True, metavar="render|degrade|train|predict|read"
    )
    render = commands.add_parser(
        "render", help="drawing and building pages", description=benchmark_render.__doc__
    )
    render.add_argument("--csv-root", type=Path, default=Path("data/sample_records"), help="records to draw")
    render.add_argument("--num-records", type=positive_int, default=100, help="pages of the larger run")
    render.set_defaults(run=benchmark_render)
    degrade = commands.add_parser(
        "degrade", help="degradation profiles", description=benchmark_degrade.__doc__
    )
    degrade.add_argument("--csv-root", type=Path, default=Path("data/sample_records"), help="records to draw")
    degrade.add_argument("--num-records", type=positive_int, default=12, help="pages of each profile")
    degrade.set_defaults(run=benchmark_degrade)
    train = commands.add_parser("train", help="the training loop", description=benchmark_train.__doc__)
    train.add_argument(
        "--config",
        type=Path,
        default=Path("experiment/configs/demo_cpu.yaml"),
        help="configuration of the run",
    )
    train.add_argument("--device", default="auto", help="where to train: auto, tpu, xla-cpu, cuda or cpu")
    train.add_argument("--num-steps", type=positive_int, default=30, help="steps timed at a time")
    train.add_argument("overrides", nargs="*", metavar="key=value", help="settings that replace the file's")
    train.set_defaults(run=benchmark_train)
    add_network_benchmark(commands, "predict", "labelling pages", 6, benchmark_predict)
    read = add_network_benchmark(commands, "read", "reading signals back", 12, benchmark_read)
    read.add_argument(
        "--layouts",
        nargs="+",
        choices=LAYOUTS,
        default=[COMPETITION],
        help="of the pages; 12x1, for one, takes full records",
    )
    args = parser.parse_args(argv)
    print(f"{platform.processor() or platform.machine()}, {available_cores()} cores, {date.today()}")
    args.run(args)


def add_network_benchmark(
    commands: argparse._SubParsersAction, name: str, about: str, num_pages: int, benchmark: Callable
) -> argparse.ArgumentParser:
    """A benchmark that draws pages and runs the network on them."""
    command = commands.add_parser(name, help=about, description=benchmark.__doc__)
    command.add_argument("--csv-root", type=Path, default=Path("data/sample_records"), help="records to draw")
    command.add_argument("--num-pages", type=positive_int, default=num_pages, help="pages of each kind")
    command.add_argument("--checkpoint", type=Path, default=PRETRAINED, help="weights to use")
    command.add_argument("--device", default="auto", help="where: auto, tpu, xla-cpu, cuda or cpu")
    command.set_defaults(run=benchmark)
    return command


@dataclass(frozen=True)
class Run:
    """A whole command: wall-clock seconds and the largest process's peak memory."""

    duration_s: float
    peak_mib: float
    cpu_s: float = 0.0


def benchmark_render(args: argparse.Namespace) -> None:
    """Time whole commands on 1, a tenth, and all of the pages; what 1 page takes is start-up and left out."""
    few, many = max(args.num_records // 10, 2), args.num_records
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for count in (1, few, many):
            copy_records(args.csv_root, work / f"records{count}", count)
        render = {count: run_render(work, count, 1) for count in (1, few, many)}
        build = {count: run_build(work, count, 1) for count in (1, few, many)}
        cost = encoding_cost(work / f"images{many}", work / f"masks{many}", work / f"dataset{many}")
        report_step("render", render, cost.rgba_and_mask_s, cost.render_s)
        report_step("build", build, cost.rgb_s, cost.build_s)
        speedup = 1 / page_s(render, many) / PEER_PAGES_A_SECOND
        print(f"render: {speedup:.0f} times ECG-Image-Kit's {PEER_PAGES_A_SECOND} plain pages/s")
        for workers in worker_counts():
            timed = run_render(work, many, workers), run_build(work, many, workers)
            speeds = [many / timing.duration_s for timing in timed]
            print(
                f"{workers} workers, start-up included: render {speeds[0]:.1f}, build {speeds[1]:.1f} pages/s"
            )


def report_step(step: str, runs: dict[int, Run], plain_s: float, codec_s: float) -> None:
    """One line a step; `plain_s` is what OpenCV's encoder takes for the same images, `codec_s` what ours take."""
    _, few, many = sorted(runs)
    duration_s = page_s(runs, many)
    print(
        f"{step}: {1 / duration_s:.1f} pages/s on one core; {duration_s / plain_s:.2f} of the {plain_s * 1e3:.0f} ms "
        f"of cv2.imencode('.png', level 1) on the same images; encoding and decoding take {codec_s / duration_s:.0%}; "
        f"a page of {many} takes {duration_s / page_s(runs, few):.2f} of a page of {few}; "
        f"peak memory {runs[few].peak_mib:.0f} MiB at {few} pages, {runs[many].peak_mib:.0f} MiB at {many}"
    )


def page_s(runs: dict[int, Run], count: int) -> float:
    """Seconds a page, start-up left out."""
    return (runs[count].duration_s - runs[1].duration_s) / (count - 1)


def worker_counts() -> list[int]:
    """1, 2, 4, ... and all cores."""
    doubling = itertools.takewhile(lambda count: count < available_cores(), (2**k for k in itertools.count()))
    return [*doubling, available_cores()]


def copy_records(csv_root: Path, target: Path, count: int) -> None:
    """`count` records under new names, with their sampling rates."""
    records, rates_hz = find_records(csv_root), read_record_table(csv_root).fs_hz
    target.mkdir()
    rows = ["id,fs,sig_len"]
    for number, (record_id, path) in zip(range(count), itertools.cycle(records.items()), strict=False):
        shutil.copy(path, target / f"{number:06d}.csv")
        if record_id in rates_hz:
            rows.append(f"{number:06d},{rates_hz[record_id]:g},")
    (target / "train.csv").write_text("\n".join(rows) + "\n")


def run_render(work: Path, count: int, workers: int, layout: str = COMPETITION) -> Run:
    """batch_render_waveforms.py, all pages anew."""
    return timed_command(
        "batch_render_waveforms.py",
        *("--csv-root", work / f"records{count}", "--grid", GRID, "--image-dir", work / f"images{count}"),
        *("--mask-dir", work / f"masks{count}", "--num-workers", workers, "--overwrite", "--layouts", layout),
    )


def benchmark_degrade(args: argparse.Namespace) -> None:
    """Build every profile on one core; what a build of one page takes is start-up and left out. Speeds are those of
    the processor time that the command took, so that other work on the machine does not count; wall-clock beside."""
    count = max(args.num_records, 2)
    cpu_s: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for number in (1, count):
            copy_records(args.csv_root, work / f"records{number}", number)
            run_render(work, number, 1)
        for profile in PROFILE_NAMES:
            few, many = (run_build(work, number, 1, profile) for number in (1, count))
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


def run_build(work: Path, count: int, workers: int, profile: str = CLEAN) -> Run:
    """build_dataset.py, all samples anew."""
    return timed_command(
        "build_dataset.py",
        *("--input-root", work / f"records{count}", "--mask", MASK, "--wave-root", work / f"images{count}"),
        *("--output-root", work / f"dataset{count}", "--num-workers", workers, "--overwrite"),
        *("--profiles", profile, "--val-fraction", 0),
    )


def timed_command(script: str | Path, *arguments, stdout=subprocess.DEVNULL) -> Run:
    """Run a script to its end."""
    start_s = time.perf_counter()
    command = [sys.executable, str(SCRIPTS / script), *map(str, arguments)]  # an absolute path stays as it is
    process = subprocess.Popen(command, stdout=stdout)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise InputError(f"{script} failed; see above")
    return Run(time.perf_counter() - start_s, usage.ru_maxrss * 1024 / MIB, usage.ru_utime + usage.ru_stime)


@dataclass(frozen=True)
class EncodingCost:
    """Seconds a page: OpenCV's PNG encoder at level 1, and what our steps encode and decode."""

    rgba_and_mask_s: float
    rgb_s: float
    render_s: float
    build_s: float


def encoding_cost(image_dir: Path, mask_dir: Path, dataset: Path) -> EncodingCost:
    """Time the encoders on one page's own images, one thread."""
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
    """PNG by OpenCV's encoder at level 1, otherwise as it comes."""
    return cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]


def median_s(function: Callable[[], object]) -> float:
    """Median duration of a few calls."""
    durations = []
    for _ in range(REPEATS):
        start_s = time.perf_counter()
        function()
        durations.append(time.perf_counter() - start_s)
    return float(np.median(durations))


def benchmark_train(args: argparse.Namespace) -> None:
    """Time the training loop with real data beside the same step on one batch that stays on the device."""
    from experiment.backend.launch import LaunchOptions, launch  # torch: for this benchmark only
    from experiment.backend.prefetch import DEPTH
    from experiment.config import load_config

    steps = f"run.steps_per_epoch={DEPTH + 1 + args.num_steps}"
    config = load_config(args.config, [*args.overrides, steps])
    launch(LaunchOptions(args.device, config.precision), measure_training, config, args.num_steps)


def measure_training(backend, config, num_steps: int) -> int:
    """On one rank: several epochs, and as many steps on a cached batch after each."""
    from ecg_generator_with_train_src.dataset.format import read_dataset_info
    from experiment.training.trainer import Trainer

    trainer = Trainer(backend, config, read_dataset_info(Path(config.data.root)))
    meter = trainer.new_meter()
    batch = next(iter(backend.wrap_loader(trainer.source.train_batches(1))))
    train_s(trainer, meter, itertools.repeat(batch, num_steps))  # compiles, and wakes the workers
    loop_s, step_s = [], []
    for epoch in range(2, 2 + REPEATS):
        batches = backend.wrap_loader(trainer.source.train_batches(epoch), trainer.source.steps)
        train_s(trainer, meter, itertools.islice(batches, trainer.source.steps - num_steps))
        loop_s.append(train_s(trainer, meter, batches) / num_steps)
        step_s.append(train_s(trainer, meter, itertools.repeat(batch, num_steps)) / num_steps)
    if backend.is_main:
        images = config.data.batch_size * backend.all_devices
        ratio = float(np.median(np.array(step_s) / np.array(loop_s)))
        print(
            f"train: {images / np.median(loop_s):.1f} images/s with real data, {images / np.median(step_s):.1f} on one "
            f"cached batch of {images} crops of {config.data.crop_size} px: ratio {ratio:.2f}"
        )
        if backend.device.type in ("cpu", "cuda"):
            report_matrix_work(trainer, meter, batch, float(np.median(step_s)))
    return 0


def train_s(trainer, meter, batches) -> float:
    """Seconds for a step on each of the batches."""
    trainer.backend.sync()
    start_s = time.perf_counter()
    for batch in batches:
        trainer.train_step(batch, meter)
    trainer.backend.sync()
    return time.perf_counter() - start_s


def report_matrix_work(trainer, meter, batch, step_s: float) -> None:
    """One line: the step's time over that of its convolutions at the speed of one large matrix product."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        trainer.train_step(batch, meter)
    device, size = trainer.backend.device, 1024 if trainer.backend.kind == "cpu" else 8192
    dtype = torch.bfloat16 if trainer.backend.precision == "bf16" else torch.float32
    matrix = torch.ones(size, size, device=device, dtype=dtype)

    def multiply() -> None:
        torch.mm(matrix, matrix)
        trainer.backend.sync()

    multiply()
    peak = 2 * size**3 / median_s(multiply)
    print(
        f"a step takes {step_s * 1e3:.1f} ms, {step_s * peak / counter.get_total_flops():.1f} times its "
        f"{counter.get_total_flops() / 1e9:.1f} GFLOP at the {peak / 1e12:.2f} TFLOP/s of a {size}x{size} product"
    )


def benchmark_predict(args: argparse.Namespace) -> None:
    """Predict --num-pages pages, scans of 2200x1700 and photos of 4000x3000; speeds are those that predict.py prints,
    start-up left out. The network alone is timed on as many tiles, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        copy_records(args.csv_root, work / "records1", 1)
        run_render(work, 1, 1)
        run_build(work, 1, 1)
        page = image_files.read_rgb(next((work / "dataset1").glob("*/images/*.png")))
        for kind, image in (("scan", page), ("photo", cv2.resize(page, PHOTO_SIZE_PX))):
            page_s, peak_mib = run_predict(work / kind, image, args)
            network_s = network_page_s(args, image)
            print(
                f"{kind} {image.shape[1]}x{image.shape[0]}: {page_s:.2f} s a page, {page_s / network_s:.2f} of the "
                f"network alone ({network_s:.2f} s), peak memory {peak_mib:.0f} MiB"
            )


def benchmark_read(args: argparse.Namespace) -> None:
    """Read --num-pages pages of each layout on all cores; speeds are those that digitize.py and predict.py
    print, start-up left out but for digitize's workers. Run it twice: the first run on a machine compiles."""
    for layout in args.layouts:
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            records = work / f"records{args.num_pages}"
            copy_records(args.csv_root, records, args.num_pages)
            run_render(work, args.num_pages, available_cores(), layout)
            run_build(work, args.num_pages, available_cores())
            images = work / f"dataset{args.num_pages}" / "train" / "images"
            predict_s, _ = run_on_images(PREDICT, images, work / "predictions", args)
            read_s, peak_mib = run_on_images(
                DIGITIZE, images, work / "readings", args, "--train-csv", records / "train.csv"
            )
            print(
                f"{layout}: {read_s:.2f} s a page, {read_s / predict_s:.2f} of predict.py's {predict_s:.2f} s, "
                f"peak memory of a process {peak_mib:.0f} MiB"
            )


def run_predict(folder: Path, image: np.ndarray, args: argparse.Namespace) -> tuple[float, float]:
    """Seconds a page and peak memory in MiB of predict.py on --num-pages files of one image."""
    folder.mkdir()
    data = image_files.encode_jpeg(image, 92)
    for number in range(args.num_pages):
        (folder / f"page{number}.jpg").write_bytes(data)
    return run_on_images(PREDICT, folder, folder / "predictions", args)


def run_on_images(
    script: Path, images: Path, output: Path, args: argparse.Namespace, *flags
) -> tuple[float, float]:
    """The seconds a page that a script prints, and its peak memory in MiB."""
    printed = output.with_suffix(".txt")
    with printed.open("w") as stdout:
        run = timed_command(
            script,
            *("--images", images, "--output-dir", output),
            *("--checkpoint", args.checkpoint, "--device", args.device, *flags),
            stdout=stdout,
        )
    return float(re.findall(r"\(([\d.]+) s a page", printed.read_text())[-1]), run.peak_mib


def network_page_s(args: argparse.Namespace, image: np.ndarray) -> float:
    """Seconds that the network takes for the tiles of a page, and nothing else."""
    from experiment.backend.launch import LaunchOptions, launch  # torch: for this benchmark only

    found: list[float] = []

    def measure(backend) -> int:
        from ecg_generator_with_train_src.page.geometry import PX_PER_MM
        from experiment.labelling.predictor import page_scale, tile_starts
        from experiment.predict import load_predictor

        predictor = load_predictor(backend, args.checkpoint)
        scale = PX_PER_MM / page_scale(image, None)[0]
        rows, columns = (len(tile_starts(round(side * scale), predictor.tile)) for side in image.shape[:2])
        tiles = np.zeros((predictor.batch, predictor.tile, predictor.tile, 3), np.uint8)
        found.append(median_s(lambda: predictor.tile_probabilities(tiles)) * rows * columns / predictor.batch)
        return 0

    launch(LaunchOptions(args.device, bf16_on_cpu=True), measure)
    return found[0]


if __name__ == "__main__":
    run(main)
