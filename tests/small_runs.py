"""Training runs of a few seconds, in this process or in one of their own, and what tests of the data need."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from experiment import train_tpu
from experiment.config import Config, check_config

from conftest import REPOSITORY, run_script

CLOCKED = {"crops_per_s", "peak_share", "waiting_share"}  # values of the log that differ from run to run
SMALL = {
    "run.epochs": 3,
    "run.steps_per_epoch": 4,
    "run.log_every": 1,
    "run.sample_tiles": 2,
    "data.crop_size": 32,
    "data.crops_per_page": 2,
    "data.batch_size": 4,
    "data.val_batch_size": 8,
    "data.val_max_tiles": 16,
    "model.widths": "[8, 16]",
    "optimizer.warmup_steps": 2,
}


def arguments(dataset: Path, runs: Path, *options: str, **changes) -> list[str]:
    """Arguments of train_tpu.py for a run of a few seconds; `changes` by key, with __ for the dot."""
    settings = SMALL | {"run.name": "small", "run.root": runs, "data.root": dataset}
    settings |= {key.replace("__", "."): value for key, value in changes.items()}
    config = REPOSITORY / "experiment/configs/grid_wave_net.yaml"
    return ["--config", str(config), *options, *(f"{key}={value}" for key, value in settings.items())]


def train_on_cpu(dataset: Path, runs: Path, *options: str, **changes) -> int:
    """The exit code of such a run on the CPU, in this process."""
    return train_tpu.main(arguments(dataset, runs, "--device", "cpu", *options, **changes))


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without what chooses a device, and with `variables`."""
    chosen = {"PJRT_DEVICE", "XLA_USE_BF16", "XLA_DOWNCAST_BF16"}
    return {key: value for key, value in os.environ.items() if key not in chosen} | variables


def run_programs(device: str, *programs: str, **variables: str) -> subprocess.CompletedProcess:
    """Run programs of rank_programs.py, each given as <name>=<argument>, on a device in a process of their own."""
    return run_script("tests/rank_programs.py", device, *programs, env=environment(**variables))


def said_by(result: subprocess.CompletedProcess, code: int = 0) -> list[dict]:
    """What such programs printed as JSON."""
    assert result.returncode == code, result.stdout + result.stderr
    return [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]


def metrics_of(folder: Path) -> list[dict]:
    """metrics.jsonl without what depends on the clock."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in CLOCKED} for line in lines]


def scalars_of(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """All TensorBoard scalars, but for speeds."""
    events = EventAccumulator(str(folder)).Reload()
    tags = [tag for tag in events.Tags()["scalars"] if tag.rpartition("/")[2] not in CLOCKED]
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}


def copy_of(folder: Path, runs: Path) -> Path:
    """The run again, in another folder of runs."""
    return Path(shutil.copytree(folder, runs / folder.name))


def assert_same_metrics(ours: Path, theirs: Path, tolerance: float) -> None:
    """Two runs logged the same steps, with the same losses and scores."""
    lines, expected = metrics_of(ours), metrics_of(theirs)
    assert [line["step"] for line in lines] == [line["step"] for line in expected]
    for line, other in zip(lines, expected, strict=True):
        assert line["loss"] == pytest.approx(other["loss"], rel=tolerance), line["step"]
        assert line["dice"] == pytest.approx(other["dice"], abs=1e-3), line["step"]


def config_for(root: Path, **data) -> Config:
    """A configuration of plain 64-pixel crops of the dataset `root`."""
    values = {
        "root": str(root),
        "crop_size": 64,
        "crops_per_page": 2,
        "batch_size": 4,
        "val_batch_size": 8,
        "augment": False,
        **data,
    }
    return check_config({"run": {"name": "t", "seed": 5}, "data": values}, "test")


def linked_copy(dataset: Path, folder: Path) -> Path:
    """The dataset again, its files linked, so that single ones can be replaced."""
    root = folder / "copy"
    for path in dataset.rglob("*"):
        target = root / path.relative_to(dataset)
        if path.is_dir():
            target.mkdir(parents=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.hardlink_to(path)
    return root


def damaged_copy(dataset: Path, folder: Path) -> Path:
    """The dataset again, one of its training pages cut off."""
    root = linked_copy(dataset, folder)
    victim = sorted((root / "train/images").iterdir())[0]
    data = victim.read_bytes()
    victim.unlink()
    victim.write_bytes(data[: len(data) // 2])
    return root
