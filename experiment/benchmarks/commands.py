"""Run whole commands of the project on pages made for the purpose, and measure their time and memory."""

import itertools
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.degrade.profiles import CLEAN
from ecg_generator_with_train_src.page.records import find_records, read_record_table

REPOSITORY = Path(__file__).resolve().parents[2]
CLEAN_GRID = REPOSITORY / "ecg_generator_with_train_src" / "export" / "clean_ecg_grid.png"
MASK = REPOSITORY / "image_data" / "complete_mask.png"
COMPETITION = "3x4+II"
REPEATS = 7
MIB = 2**20


@dataclass(frozen=True)
class Run:
    """What a command took: wall-clock seconds, and the peak memory of its largest process."""

    duration_s: float
    peak_mib: float
    cpu_s: float = 0.0


def copy_records(csv_root: Path, target: Path, count: int) -> None:
    """Copy `count` records under new names, with their sampling rates."""
    records, rates_hz = find_records(csv_root), read_record_table(csv_root).fs_hz
    target.mkdir()
    rows = ["id,fs,sig_len"]
    for number, (record_id, path) in zip(range(count), itertools.cycle(records.items()), strict=False):
        shutil.copy(path, target / f"{number:06d}.csv")
        if record_id in rates_hz:
            rows.append(f"{number:06d},{rates_hz[record_id]:g},")
    (target / "train.csv").write_text("\n".join(rows) + "\n")


def render_pages(work: Path, count: int, workers: int, layout: str = COMPETITION) -> Run:
    """Run batch_render_waveforms.py, which draws all pages anew."""
    return timed_command(
        "scripts/batch_render_waveforms.py",
        *(
            "--csv-root",
            work / f"records{count}",
            "--grid",
            CLEAN_GRID,
            "--image-dir",
            work / f"images{count}",
        ),
        *("--mask-dir", work / f"masks{count}", "--num-workers", workers, "--overwrite", "--layouts", layout),
    )


def build_pages(work: Path, count: int, workers: int, profile: str = CLEAN) -> Run:
    """Run build_dataset.py, which builds all samples anew."""
    return timed_command(
        "scripts/build_dataset.py",
        *("--input-root", work / f"records{count}", "--mask", MASK, "--wave-root", work / f"images{count}"),
        *("--output-root", work / f"dataset{count}", "--num-workers", workers, "--overwrite"),
        *("--profiles", profile, "--val-fraction", 0),
    )


def timed_command(script: str, *arguments, stdout=subprocess.DEVNULL) -> Run:
    """Run a script to its end and measure it."""
    start_s = time.perf_counter()
    command = [sys.executable, str(REPOSITORY / script), *map(str, arguments)]
    process = subprocess.Popen(command, stdout=stdout)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise InputError(f"{script} failed; see above")
    return Run(time.perf_counter() - start_s, usage.ru_maxrss * 1024 / MIB, usage.ru_utime + usage.ru_stime)


def median_s(function: Callable[[], object]) -> float:
    """The median duration of a few calls."""
    durations = []
    for _ in range(REPEATS):
        start_s = time.perf_counter()
        function()
        durations.append(time.perf_counter() - start_s)
    return float(np.median(durations))


def run_on_images(script: str, images: Path, output: Path, *flags) -> tuple[float, float]:
    """Run a script on images. Return the seconds per page that it prints, and its peak memory in MiB."""
    printed = output.with_suffix(".txt")
    with printed.open("w") as stdout:
        run = timed_command(
            script,
            *("--images", images, "--output-dir", output),
            *flags,
            stdout=stdout,
        )
    return float(re.findall(r"\(([\d.]+) s a page", printed.read_text())[-1]), run.peak_mib
