"""Small real data for every test: simulated records, rendered and built by the project's own scripts."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: tests fork, and run several ranks on few cores

import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from ecg_generator_with_train_src.page.page import PageDescription, read_page_description

REPOSITORY = Path(__file__).resolve().parents[1]
GRID = REPOSITORY / "ecg_generator_with_train_src" / "export" / "clean_ecg_grid.png"
MASK = REPOSITORY / "image_data" / "complete_mask.png"


def run_script(script: str, *arguments, cwd: Path = REPOSITORY, **options) -> subprocess.CompletedProcess:
    """Run a script of the repository as a user would and return what it printed and its exit code."""
    command = [sys.executable, str(REPOSITORY / script), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, **options)


def run_module(module: str, *arguments, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess:
    """The same with `python -m`."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def succeed(script: str, *arguments, **options) -> str:
    """Run a script that must exit 0; return its standard output."""
    result = run_script(script, *arguments, **options)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(autouse=True)
def no_device_is_asked_for(monkeypatch):
    """Tests run on the CPU unless they say otherwise, whatever the machine's environment asks for."""
    for name in ("PJRT_DEVICE", "XLA_USE_BF16", "XLA_DOWNCAST_BF16"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def sample_records(tmp_path_factory) -> Path:
    """Six simulated records, one of each sampling rate, in the competition's layout."""
    root = tmp_path_factory.mktemp("records") / "sample_records"
    succeed("scripts/make_sample_records.py", "--num-records", 6, "--output-root", root, "--num-workers", 1)
    return root


@pytest.fixture(scope="session")
def rendered(sample_records, tmp_path_factory) -> Path:
    """A folder with wave_images/ and wave_masks/ of the six records, rendered by two workers."""
    root = tmp_path_factory.mktemp("rendered")
    succeed(
        "scripts/batch_render_waveforms.py",
        *("--csv-root", sample_records, "--grid", GRID),
        *("--image-dir", root / "wave_images", "--mask-dir", root / "wave_masks", "--num-workers", 2),
    )
    return root


@pytest.fixture(scope="session")
def tiny_dataset(sample_records, rendered, tmp_path_factory) -> Path:
    """The 3-class dataset of the six records, built by two workers: four train, two validate."""
    root = tmp_path_factory.mktemp("dataset") / "dataset_grid_wave_mix"
    succeed(
        "scripts/build_dataset.py",
        *("--input-root", sample_records, "--mask", MASK, "--wave-root", rendered / "wave_images"),
        *("--output-root", root, "--val-fraction", 0.34, "--num-workers", 2),
    )
    return root


@pytest.fixture(scope="session")
def default_page(rendered) -> PageDescription:
    """The description of a rendered page: 250 Hz, a calibration pulse on the left."""
    return read_page_description(rendered / "wave_images" / "sample0_0000.page.json")


@pytest.fixture(scope="session")
def page_without_pulse(sample_records, tmp_path_factory) -> PageDescription:
    """The same record's page without a calibration pulse."""
    root = tmp_path_factory.mktemp("without_pulse")
    (root / "csv").mkdir()
    shutil.copy(sample_records / "sample0_0000" / "sample0_0000.csv", root / "csv")
    succeed(
        "scripts/batch_render_waveforms.py",
        *("--csv-root", root / "csv", "--grid", GRID, "--calibration-pulse", "none", "--num-workers", 1),
        *("--image-dir", root / "wave_images", "--mask-dir", root / "wave_masks"),
    )
    return read_page_description(root / "wave_images" / "sample0_0000.page.json")


@pytest.fixture(scope="session")
def few(tmp_path_factory) -> Path:
    """Four records at 50 Hz, rendered: csv/ and wave_images/. Two are of one recording."""
    from helpers import render, waves_mv, write_csv

    root = tmp_path_factory.mktemp("few")
    for number, name in enumerate(("a", "b", "02132_hr", "02132_lr")):
        write_csv(root / "csv" / f"{name}.csv", waves_mv(50) * (1 + number / 10))
    assert render(root / "csv", root, "--num-workers", 1).returncode == 0
    return root


@pytest.fixture
def own(few, tmp_path) -> Path:
    """A copy of the four records and pages that a test may damage."""
    shutil.copytree(few, tmp_path / "own")
    return tmp_path / "own"


@pytest.fixture
def threads_of_opencv():
    """Sets how many threads OpenCV has, as cv2.setNumThreads does; afterwards it has as many as before."""
    before = cv2.getNumThreads()
    yield cv2.setNumThreads
    cv2.setNumThreads(before)
