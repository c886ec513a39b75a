"""python tests/rank_programs.py <device> <program>=<argument> […]

What the tests of the backends run in processes of their own: XLA opens its device once per process, and ranks are
processes. Each program is a function of a backend and of one argument; it prints what it found out as a line of JSON.
"""

import json
import os
import sys
from pathlib import Path

import torch

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.dataset.format import read_dataset_info
from experiment.backend.launch import launch
from experiment.backend.options import DeviceChoice, LaunchOptions
from experiment.config import check_config
from experiment.network.model import GridWaveNet
from experiment.training.loaders import DataSource
from experiment.training.meters import Meter
from experiment.training.run import run_training
from experiment.training.trainer import Trainer


def say(found: dict) -> None:
    """One line, written at once: ranks share their output, as threads of one process or under torchrun."""
    os.write(1, (json.dumps(found) + "\n").encode())


def config_for(root: str, **changes):
    """A small network on plain 64-pixel crops, two per step; `changes` are those of the data."""
    data = {"root": root, "crop_size": 64, "crops_per_page": 2, "augment": False}
    data |= {"batch_size": 2, "val_batch_size": 2}
    return check_config(
        {
            "run": {"name": "r"},
            "data": {**data, **changes},
            "model": {"widths": [8, 16, 16], "norm_groups": 2},
            "optimizer": {"lr": 0.02, "warmup_steps": 5},
        },
        "test",
    )


def fit(backend, root: str) -> int:
    """Learn two crops by heart, with the loop's own step and three rates."""
    trainer = Trainer(backend, config_for(root), read_dataset_info(Path(root)))
    batches = [batch for epoch in range(1, 9) for batch in trainer.source.train_batches(epoch)]
    richest = max(batches, key=lambda batch: (batch["label"] == 2).sum(dim=(1, 2)).min())
    batch = backend.upload(richest)
    meter = trainer.state.new_meter()
    counts = []
    for step in range(90):
        if step in (50, 70):
            trainer.state.optimizer.lr /= 3
        trainer.train_step(batch, meter)
        counts.append(backend.compilations())
    meter = Meter(backend.device)
    with torch.no_grad():
        logits = trainer.state.model(batch["image"])
    meter.add(
        torch.zeros(2, device=backend.device), torch.ones(2, device=backend.device), logits, batch["label"]
    )
    found = {"dice": meter.result(backend)["dice"], "fallbacks": backend.fallbacks()}
    found |= {"first": counts[1], "last": counts[-1], "bad_steps": int(trainer.state.optimizer.bad_steps)}
    say(found)
    return 0


def damaged(backend, root: str) -> int:
    """Draw a damaged page from the loader."""
    source = DataSource(config_for(root, in_memory=False, num_workers=1))
    try:
        list(backend.wrap_loader(source.train_batches(1), source.steps))
    except InputError as error:
        say({"error": str(error)})
    return 0


def train_briefly(backend, places: str) -> int:
    """A whole run of two steps; `places` are the dataset and the folder of runs, with a comma between them."""
    root, runs = places.split(",")
    config = config_for(root, val_max_tiles=4)
    run = config.run.model_copy(update={"root": runs, "epochs": 1, "steps_per_epoch": 2, "sample_tiles": 0})
    return run_training(backend, config.model_copy(update={"run": run}), "none")


def precision_kept(backend, _: str) -> int:
    """Add 1e-3 to 1, and multiply under autocast."""
    one = torch.ones(1, device=backend.device)
    with backend.autocast():
        product = torch.ones(2, 2, device=backend.device) @ torch.ones(2, 2, device=backend.device)
    say({"sum": (one + 1e-3).cpu().item(), "product": str(product.dtype)})
    return 0


def exchange(backend, _: str) -> int:
    """Weights, sums and bytes between ranks."""
    backend.seed(backend.rank)
    config = config_for("d").model
    model = backend.prepare(GridWaveNet(config))
    backend.seed(0)
    expected = GridWaveNet(config).state_dict()
    same = all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())
    count = backend.all_reduce(torch.tensor([1, backend.rank])).tolist()
    said = backend.broadcast_bytes(b"said\xff" if backend.is_main else None)
    say({"rank": backend.rank, "same": same, "sum": count, "said": said.hex()})
    return 0


def say_rank(backend, how: str) -> int:
    """Say which rank this is; the last fails, or ends with code 7."""
    say({"rank": backend.rank, "of": backend.world_size, "process": os.getpid()})
    if how == "bug" and backend.rank == backend.world_size - 1:
        raise ValueError("a rank fails")
    if how == "input" and backend.rank == backend.world_size - 1:
        raise InputError("nothing.png: not found")
    return 7


def cached(backend, folder: str) -> int:
    """Compile a program while main has a persistent cache open in `folder`."""
    value = torch.ones(3, device=backend.device) * 2
    backend.step()
    files = [str(path) for path in Path(folder, "xla_cache").rglob("[0-9]*")]
    say({"value": value.tolist(), "files": files})
    return 0


def several(backend, programs: list[str]) -> int:
    """Run programs, each given as <name>=<argument>; returns the last one's exit code."""
    code = 0
    for program in programs:
        name, _, argument = program.partition("=")
        code = globals()[name](backend, argument)
    return code


def main(device: str, *programs: str) -> int:
    """Run programs on a device; the device `ranks` stands for the ranks that torch_xla.launch starts."""
    caches = [program.partition("=")[2] for program in programs if program.startswith("cached=")]
    if device == "ranks" or caches:
        os.environ["PJRT_DEVICE"] = "CPU"
        from experiment.backend import xla
    for folder in caches:
        xla.open_cache(Path(folder) / "xla_cache")
    if device == "ranks":
        choice = DeviceChoice("xla-cpu", "test", None, pjrt_device="CPU")
        return xla.launch_ranks(choice, LaunchOptions("xla-cpu"), several, (programs,))
    return launch(LaunchOptions(device), several, programs)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
