"""The folder of a run: what is written while it trains, and how an interrupted run is found again.

config.yaml  env.json  metrics.jsonl  curves.png  events.out.tfevents.*  checkpoints/  samples/
"""

import importlib.metadata
import json
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydantic import ValidationError
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from ecg_generator_with_train_src.common.bounds import MIB, naming, read_input, regular_file
from ecg_generator_with_train_src.common.classes import CLASS_NAMES
from ecg_generator_with_train_src.common.errors import InputError, first_problem
from ecg_generator_with_train_src.common.files import (
    atomic_path,
    remove_stale_temporaries,
    write_json,
    write_text,
)
from ecg_generator_with_train_src.common.inner_paths import own_file
from ecg_generator_with_train_src.dataset.format import DatasetInfo
from experiment.backend.backend import Backend, torch_versions
from experiment.config import Config, differing_key, dump_config, load_config
from experiment.network.checkpoints import TrainingState, newest_whole
from experiment.network.run_schemas import LOG_LINE

MOST_LOG_BYTES = 256 * MIB  # a million lines
RESUME_CHOICES = ("auto", "none")


class RunFolder:
    """One run's files. Only the main rank may write."""

    def __init__(self, root: Path):
        self.root = root
        self.checkpoints = root / "checkpoints"
        self.samples = root / "samples"
        self.metrics = root / "metrics.jsonl"

    def find_state(self, config: Config, info: DatasetInfo) -> TrainingState | None:
        """The newest undamaged checkpoint to go on from; None if there is none.

        Raises InputError, which names the first setting in which that run differed, or a damaged file.
        """
        state = newest_whole(self.checkpoints)
        if state is None:
            return None
        old = load_config(self.root / "config.yaml")
        different = differing_key(old, config)
        if different is None and state.record["dataset_sha256"] != info.manifest_sha256:
            different = ("dataset digest", state.record["dataset_sha256"][:12], info.manifest_sha256[:12])
        if different is not None:
            key, before, after = different
            raise InputError(
                f"{self.root}: its {key} is {before}, now {after}; "
                "--resume none moves it aside and starts afresh, or choose another run.name"
            )
        return state

    def move_aside(self) -> None:
        """Rename an old folder to `<name>.<n>`, n the first free number; an empty one stays."""
        if not self.root.exists() or not any(self.root.iterdir()):
            return
        number = 1
        while (target := self.root.with_name(f"{self.root.name}.{number}")).exists():
            number += 1
        self.root.rename(target)
        print(f"the old run is now {target}")

    def begin(self, config: Config, backend: Backend, info: DatasetInfo) -> None:
        """Make the folder, and write config.yaml and env.json."""
        for folder in (self.root, self.checkpoints, self.samples):
            folder.mkdir(parents=True, exist_ok=True)
            remove_stale_temporaries(folder)
        write_text(self.root / "config.yaml", dump_config(config))
        write_json(self.root / "env.json", _environment(config, backend, info))

    def cut(self, record: dict[str, Any]) -> None:
        """Drop the lines of the log and the pictures that were made after the checkpoint `record`.

        The checkpoint's retries are put into the log, each after the lines of the step that it went back to.
        """
        kept = [line for line in self.read_metrics() if line["step"] <= record["step"]]
        kept = [line for line in kept if line["kind"] != "retry"] + record["retries"]
        kept.sort(key=lambda line: line["step"])  # lines of one step stay in their order
        write_text(self.metrics, "".join(json.dumps(line) + "\n" for line in kept))
        cut_events(self.root, record["step"])
        for path in self.samples.glob("epoch_*.png"):
            number = path.stem.removeprefix("epoch_")
            if number.isdecimal() and int(number) > record["epoch"]:
                path.unlink()

    def log(self, line: dict[str, Any]) -> None:
        """Append one line to metrics.jsonl."""
        with naming(self.metrics), own_file(self.metrics).open("a") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")

    def read_metrics(self) -> list[dict[str, Any]]:
        """All lines of metrics.jsonl; a last one torn by a kill, and with a warning damaged ones, are left out."""
        if not self.metrics.is_file():
            return []
        lines = read_input(self.metrics, MOST_LOG_BYTES).split(b"\n")
        found = []
        for number, line in enumerate(lines, start=1):
            try:
                if line:
                    LOG_LINE.validate_json(line)
                    found.append(json.loads(line))
            except ValidationError as error:
                if number < len(lines):
                    problem = f"{self.metrics}, line {number}: {first_problem(error)}; the line is left out"
                    print(f"warning: {problem}", file=sys.stderr)
        return found

    def save_sample(self, epoch: int, picture: np.ndarray) -> None:
        """Write the sample predictions (H, W, 3) of an epoch."""
        with atomic_path(self.samples / f"epoch_{epoch:04d}.png") as temporary:
            Image.fromarray(picture).save(temporary)

    def draw_curves(self) -> None:
        """Draw curves.png from metrics.jsonl."""
        from matplotlib.figure import Figure  # slow to import, and only the main rank draws

        figure = Figure(figsize=(8, 9), layout="constrained")
        lines = self.read_metrics()
        train = [line for line in lines if line["kind"] == "train"]
        val = [line for line in lines if line["kind"] == "val"]
        loss, dice, rate = figure.subplots(3, 1, sharex=True)
        _plot(loss, train, "training", lambda line: line["loss"])
        _plot(loss, val, "validation", lambda line: line["loss"], marker="o")
        for name in CLASS_NAMES:
            _plot(dice, val, name, lambda line, name=name: line["dice"][name], marker="o")
        _plot(rate, train, "learning rate", lambda line: line["lr"])
        retries = [line for line in lines if line["kind"] == "retry"]
        for number, line in enumerate(retries):
            for axes in (loss, dice, rate):
                axes.axvline(line["step"], color="red", ls="--", label="_" * bool(number) + "retry")
        loss.set(ylabel="loss")
        dice.set(ylabel="validation Dice", ylim=(0, 1))
        rate.set(ylabel="learning rate", xlabel="step")
        if train:  # an axis without a value cannot be logarithmic
            rate.set_yscale("log")
        for axes in (loss, dice, rate):
            axes.legend()
            axes.grid(alpha=0.3)
        with atomic_path(self.root / "curves.png") as temporary:
            figure.savefig(temporary, dpi=100)


def _plot(axes, lines: list[dict], label: str, value, **style) -> None:
    axes.plot([line["step"] for line in lines], [value(line) for line in lines], label=label, **style)


def cut_events(folder: Path, step: int) -> None:
    """Drop what was logged after `step` from the TensorBoard files of `folder`, and join them into one file."""
    for scratch in folder.glob(".events.*"):  # a run was killed in this function
        shutil.rmtree(scratch)
    old = sorted(folder.glob("events.out.tfevents.*"))
    events = {}
    for event in (event for path in old for event in LegacyEventFileLoader(str(regular_file(path))).Load()):
        if event.step <= step and event.summary.value:
            events[event.summary.value[0].tag, event.step] = (
                event  # a killed run may have left it in two files
            )
    cut = folder / "events.out.tfevents.0000000000.cut"  # files are read in the order of their names
    if events:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".events.") as scratch:
            writer = EventFileWriter(scratch)
            for event in sorted(events.values(), key=lambda event: event.step):
                writer.add_event(event)
            writer.close()
            (written,) = Path(scratch).iterdir()
            written.replace(cut)
    for path in old:
        if path != cut or not events:
            path.unlink()


def _environment(config: Config, backend: Backend, info: DatasetInfo) -> dict[str, Any]:
    packages = ("numpy", "torchvision", "safetensors", "opencv-python-headless", "Pillow")
    return {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": torch_versions() | {name: _version(name) for name in packages},
        "device": backend.kind,
        "device_name": backend.device_name,
        "precision": backend.precision,
        "world_size": backend.world_size,
        "git_commit": _git_commit(),
        "dataset": {"root": config.data.root, "manifest_sha256": info.manifest_sha256},
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    """The commit of the code, with `-dirty` if files have changed since; None outside a git repository."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
