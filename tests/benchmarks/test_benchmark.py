"""The benchmark runs on small input and prints its ratios; what they are is no test's business."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ecg_generator_with_train_src.common.command_line import available_cores
from ecg_generator_with_train_src.degrade.profiles import PROFILE_NAMES
from experiment.benchmarks.stages import DECODE, FILES, SEE, STAGES
from experiment.config import check_config
from experiment.network.checkpoints import TrainingState, write_weights
from experiment.network.model import GridWaveNet

from conftest import REPOSITORY, run_script


def test_render_prints_a_line_a_step_and_a_line_a_worker_count(sample_records):
    result = run_script("scripts/benchmark.py", "render", "--csv-root", sample_records, "--num-records", 3)
    assert result.returncode == 0, result.stderr
    for step in ("render", "build"):
        assert re.search(rf"^{step}: \S+ pages/s on one core; \S+ of the \d+ ms", result.stdout, re.MULTILINE)
    assert re.search(
        r"^1 workers, start-up included: render [\d.]+, build [\d.]+ pages/s$", result.stdout, re.MULTILINE
    )


def test_degrade_prints_a_line_a_profile_and_one_of_all(sample_records):
    result = run_script("scripts/benchmark.py", "degrade", "--csv-root", sample_records, "--num-records", 1)
    assert result.returncode == 0, result.stderr
    lines = re.findall(r"^(\w+): -?[\d.]+ pages/s on one core", result.stdout, re.MULTILINE)
    assert lines == [*PROFILE_NAMES, "all"]


def test_a_missing_folder_is_one_line(tmp_path):
    result = run_script("scripts/benchmark.py", "render", "--csv-root", tmp_path / "none")
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {tmp_path / 'none'}: no such folder")


def test_train_prints_the_loop_beside_the_step(tiny_dataset):
    result = run_script(
        "scripts/benchmark.py",
        *("train", "--device", "cpu", "--num-steps", 2, f"data.root={tiny_dataset}", "data.crop_size=64"),
        *("data.batch_size=4", "model.widths=[4, 4]"),
    )
    assert result.returncode == 0, result.stderr
    assert re.search(
        r"^train: [\d.]+ crops/s with real data, [\d.]+ on one cached batch of 4 crops of 64 px: ratio [\d.]+$",
        result.stdout,
        re.MULTILINE,
    )
    assert re.search(r"^a step takes [\d.]+ ms, [\d.]+ times that at the peak$", result.stdout, re.MULTILINE)


def test_predict_prints_a_line_for_scans_and_one_for_photos(sample_records, tmp_path):
    config = check_config(
        {
            "run": {"name": "r"},
            "data": {"root": "d", "crop_size": 64},
            "model": {"widths": [2, 2], "norm_groups": 1},
        },
        "test",
    )
    state = TrainingState(GridWaveNet(config.model).state_dict(), {}, {"step": 0, "scores": {}})
    write_weights(tmp_path / "net.safetensors", state, config)
    result = run_script(
        "scripts/benchmark.py",
        *("predict", "--csv-root", sample_records, "--num-pages", 1, "--device", "cpu"),
        *("--checkpoint", tmp_path / "net.safetensors"),
    )
    assert result.returncode == 0, result.stderr
    lines = re.findall(r"^(scan 2200x1700|photo 4000x3000): [\d.]+ s a page, ", result.stdout, re.MULTILINE)
    assert lines == ["scan 2200x1700", "photo 4000x3000"]


def test_read_prints_a_line_a_stage_and_a_line_a_layout(sample_records):
    result = run_script(
        "scripts/benchmark.py",
        *("read", "--csv-root", sample_records, "--num-pages", 1, "--device", "cpu"),
        *("--layouts", "3x4+II", "3x4", "--images", REPOSITORY / "image_data" / "sample_page.jpg"),
    )
    assert result.returncode == 0, result.stderr
    _, table = result.stdout.split("stages of sample_page.jpg")
    stages = re.findall(r"^  (\S.*?)  +([\d.]+) s +[\d.]+ s$", table, re.MULTILINE)
    assert [name for name, _ in stages] == [DECODE, *STAGES, SEE, FILES, "all"]
    assert sum(float(spent) for _, spent in stages[:-1]) == pytest.approx(float(stages[-1][1]), abs=0.06)
    lines = re.findall(r"^(\S+): [\d.]+ s a page, [\d.]+ of predict.py's ", result.stdout, re.MULTILINE)
    assert lines == ["3x4+II", "3x4"]


def test_runtimes_prints_a_line_of_quiet_cores_and_one_of_busy_ones():
    result = run_script("scripts/benchmark.py", "runtimes")
    assert result.returncode == 0, result.stderr
    lines = re.findall(
        r"^(.+): a tile takes [\d.]+ ms by openvino, [\d.]+ ms by torch: ratio [\d.]+$",
        result.stdout,
        re.MULTILINE,
    )
    assert lines == ["quiet cores", f"{available_cores()} other busy processes"]


def test_busy_processes_end_with_a_benchmark_that_is_killed():
    code = (
        "import os, signal\n"
        "from experiment.benchmarks.runtimes import busy_processes\n"
        "with busy_processes(1):\n"
        "    print(open(f'/proc/self/task/{os.getpid()}/children').read(), flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, timeout=60
    )
    busy = int(killed.stdout)  # one process
    deadline_s = time.monotonic() + 30
    while Path(f"/proc/{busy}").exists() and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert not Path(f"/proc/{busy}").exists()
