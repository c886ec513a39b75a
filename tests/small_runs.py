"""Training runs of a few seconds, in this process or in one of their own, and what tests of the data need."""

import json
import os
from pathlib import Path

from experiment import train_tpu
from experiment.config import Config, check_config

from conftest import REPOSITORY

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


def metrics_of(folder: Path) -> list[dict]:
    """metrics.jsonl without what depends on the clock."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "images_per_s"} for line in lines]


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
